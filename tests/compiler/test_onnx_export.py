"""ONNX export: one checked file with any batch size, whose logits are torch's on real clips."""

import dataclasses
import json
import logging

import numpy as np
import pytest

from hybrid_cvar.errors import CheckpointError, CompileError, OutputError, ParityError
from hybrid_cvar.fixed_point import MEMBRANE_SCALE
from hybrid_cvar.version import __version__

pytestmark = pytest.mark.needs_compile

LABELS = ("clap", "wave", "wälk", "sit, down", "jump")
TOLERANCE = 1e-4
"""Of the largest logit: both sides compute in FP32, in another order of additions."""
VARIANTS = (
    *("full", "no-residual", "no-motion", "no-iframe", "iframe-only", "motion-only", "residual-only", "ls-gs-t"),
    *("ls-t-gs", "cross-attention", "separate-transformers", "no-stm", "common-stm", "lstm", "fixed-neurons"),
    *("no-accumulation", "no-mixer", "no-skips", "no-rrdb", "class-token"),
)
"""Written out, so that collecting the tests needs no torch; the first test compares."""


def changes_of(name):
    from hybrid_cvar.model import find_variant

    return {} if name == "full" else find_variant(name).changes


def feed_of(model, clips):
    """What ONNX Runtime takes, with torch's own read-outs as integers."""
    import torch

    from hybrid_cvar.compiler.ann_feed import ann_feed
    from hybrid_cvar.model import as_slayer_events
    from hybrid_cvar.records import SpikingResult, stream_events

    spiking = []
    for clip in clips:
        readouts = []
        for name, stm in model.modulators.items():
            events = torch.from_numpy(stream_events(clip, model.config.input, name)[None])
            with torch.no_grad():
                readouts.append((stm(as_slayer_events(events))[0] * MEMBRANE_SCALE).permute(1, 2, 0).int().numpy())
        spiking.append(SpikingResult(tuple(readouts), ()))
    return ann_feed(model.config, clips, spiking)


def session_of(path):
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def relative_error(expected, given):
    return np.abs(expected.astype(np.float64) - given).max() / np.abs(expected).max()


@pytest.fixture
def exported(mini_config, tmp_path):
    """The full model's ANN, exported."""
    import torch

    from hybrid_cvar.compiler.onnx_export import export_ann
    from hybrid_cvar.model import DeployedAnn, HybridCvarModel

    torch.manual_seed(0)
    path = tmp_path / "ann.onnx"
    export_ann(DeployedAnn(HybridCvarModel(mini_config, len(LABELS)).ann).eval(), "mini", LABELS, path)
    return path


def test_no_variant_is_left_out():
    from hybrid_cvar.model import VARIANTS as known

    assert ("full", *(variant.name for variant in known)) == VARIANTS


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_gives_torchs_logits_on_real_clips(mini_config, real_clips, batch_of, tmp_path, name):
    import onnx
    import torch

    from hybrid_cvar.compiler.onnx_export import export_ann
    from hybrid_cvar.model import DeployedAnn, variant_config
    from hybrid_cvar.model.initial import initial_checkpoint

    config = variant_config(mini_config, changes_of(name))
    clips = real_clips(config.input, 3)
    model = initial_checkpoint(config, LABELS, 0, clips).build_model()
    path = tmp_path / "ann.onnx"
    export_ann(DeployedAnn(model.ann).eval(), config.name, LABELS, path)
    onnx.checker.check_model(str(path), full_check=True)
    session = session_of(path)
    for some in (clips, clips[1:2]):
        with torch.no_grad():
            expected = model(*batch_of(some, config.input)).numpy()
        given = session.run(None, feed_of(model, some))[0]
        assert given.shape == (len(some), 5) and given.dtype == np.float32
        assert relative_error(expected, given) < TOLERANCE
        if len(some) == 3:
            assert relative_error(expected[[0]], expected[[1]]) > 10 * TOLERANCE, "clips that look alike tell nothing"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("preset", "count"), [("tiny", 2), ("small", 2), ("base", 1), ("large", 1)])
def test_every_preset_gives_torchs_logits_on_real_clips(real_clips, batch_of, tmp_path, preset, count):
    import torch

    from hybrid_cvar.compiler.onnx_export import export_ann
    from hybrid_cvar.model import DeployedAnn, HybridCvarModel, preset_config

    config = preset_config(preset)
    clips = real_clips(config.input, 2)[:count]
    torch.manual_seed(0)
    model = HybridCvarModel(config, len(LABELS)).eval()
    path = tmp_path / "ann.onnx"
    try:
        export_ann(DeployedAnn(model.ann).eval(), preset, LABELS, path)
        given = session_of(path).run(None, feed_of(model, clips))[0]
    finally:
        path.unlink(missing_ok=True)  # pytest keeps the folders of its last runs; large is 600 MB
    with torch.no_grad():
        expected = model(*batch_of(clips, config.input)).numpy()
    assert relative_error(expected, given) < TOLERANCE
    assert np.ptp(expected) > 0.1 * np.abs(expected).max()


def test_the_file_stands_alone_and_says_what_it_is(exported, mini_config):
    import onnx

    assert [file.name for file in exported.parent.iterdir()] == ["ann.onnx"]
    graph = onnx.load(exported, load_external_data=False)
    assert all(
        tensor.data_location == onnx.TensorProto.DEFAULT and not tensor.external_data
        for tensor in graph.graph.initializer
    )
    assert [(each.domain, each.version) for each in graph.opset_import if not each.domain] == [("", 23)]
    assert (graph.producer_name, graph.producer_version) == ("hybrid-cvar", __version__)
    metadata = session_of(exported).get_modelmeta().custom_metadata_map
    assert metadata["model"] == "mini" and metadata["hybrid-cvar"] == __version__
    assert tuple(json.loads(metadata["labels"])) == LABELS
    weights = sum(np.prod(tensor.dims, dtype=np.int64) for tensor in graph.graph.initializer)
    assert exported.stat().st_size > 4 * weights > 4 * 30_000


def test_inputs_and_output_are_named_typed_and_of_any_batch(exported, mini_config):
    session = session_of(exported)
    types = {"uint8": "tensor(uint8)", "int32": "tensor(int32)", "int8": "tensor(int8)"}
    assert [(each.name, each.type, each.shape[1:]) for each in session.get_inputs()] == [
        (each.name, types[each.dtype], list(each.shape)) for each in mini_config.ann_inputs
    ]
    (output,) = session.get_outputs()
    assert (output.name, output.type, output.shape[1:]) == ("logits", "tensor(float)", [5])
    batches = {each.shape[0] for each in (*session.get_inputs(), output)}
    assert len(batches) == 1 and isinstance(batches.pop(), str)
    rng = np.random.default_rng(0)
    feed = {each.name: rng.integers(0, 255, (7, *each.shape)).astype(each.dtype) for each in mini_config.ann_inputs}
    together = session.run(None, feed)[0]
    for clip in (0, 6):
        alone = session.run(None, {name: values[clip : clip + 1] for name, values in feed.items()})[0]
        np.testing.assert_allclose(alone[0], together[clip], rtol=1e-4, atol=1e-5)


def test_more_than_one_file_holds_is_refused_before_anything_is_exported(mini_config, tmp_path, monkeypatch):
    import torch

    from hybrid_cvar.compiler import onnx_export
    from hybrid_cvar.model import DeployedAnn, HybridCvarModel

    assert onnx_export.MAX_ONNX_BYTES == 2**31 - 1
    ann = DeployedAnn(HybridCvarModel(mini_config, 5).ann).eval()
    size = 4 * sum(parameter.numel() for parameter in ann.parameters())
    monkeypatch.setattr(onnx_export, "MAX_ONNX_BYTES", size - 1)
    monkeypatch.setattr(torch.onnx, "export", lambda *given, **options: pytest.fail("exported"))
    with pytest.raises(CompileError, match=f"takes {size} bytes; one ONNX file holds at most {size - 1}; choose"):
        onnx_export.export_ann(ann, "mini", LABELS, tmp_path / "ann.onnx")
    assert list(tmp_path.iterdir()) == []


def test_what_torch_cannot_export_is_one_line_and_leaves_no_file(mini_config, tmp_path, monkeypatch):
    import torch

    from hybrid_cvar.compiler.onnx_export import export_ann
    from hybrid_cvar.model import DeployedAnn, HybridCvarModel

    def refuse(*given, **options):
        raise RuntimeError("no such\n  operator " + "x" * 1000)

    level = logging.getLogger("torch.onnx").level
    monkeypatch.setattr(torch.onnx, "export", refuse)
    ann = DeployedAnn(HybridCvarModel(mini_config, 5).ann).eval()
    with pytest.raises(CompileError, match="torch cannot export the ANN partition: no such operator x") as caught:
        export_ann(ann, "mini", LABELS, tmp_path / "ann.onnx")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    assert logging.getLogger("torch.onnx").level == level
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=["full", "lstm", "common-stm"])
def checkpoint(mini_config, real_clips, tmp_path, request):
    from hybrid_cvar.model import save_checkpoint, variant_config
    from hybrid_cvar.model.initial import initial_checkpoint

    config = variant_config(mini_config, changes_of(request.param))
    path = tmp_path / "model.pt"
    save_checkpoint(initial_checkpoint(config, LABELS, 0, real_clips(config.input, 2)), path)
    return path


def taker(real_clips, count):
    return lambda loaded: real_clips(loaded.config.input, 2)[:count]


def test_a_checkpoint_is_exported_and_compared(checkpoint, real_clips, tmp_path):
    from hybrid_cvar.compiler.export_checkpoint import export_checkpoint

    row = export_checkpoint(checkpoint, tmp_path / "ann.onnx", taker(real_clips, 2))
    assert row.passed and (row.values, row.mismatches) == (10, 0) and row.largest_error < TOLERANCE
    session = session_of(tmp_path / "ann.onnx")
    assert session.get_modelmeta().custom_metadata_map["model"] == "mini"
    assert {file.name for file in tmp_path.iterdir()} == {"model.pt", "ann.onnx"}


@pytest.mark.parametrize("checkpoint", ["full"], indirect=True)
def test_a_graph_that_computes_something_else_is_not_written(checkpoint, real_clips, tmp_path, monkeypatch):
    from hybrid_cvar.compiler import export_checkpoint as module
    from hybrid_cvar.model import DeployedAnn

    export, forward = module.export_ann, DeployedAnn.forward

    def export_then_change(*given):
        export(*given)
        monkeypatch.setattr(DeployedAnn, "forward", lambda self, *inputs: forward(self, *inputs) * 1.001)

    monkeypatch.setattr(module, "export_ann", export_then_change)
    output = tmp_path / "ann.onnx"
    output.write_text("before")
    with pytest.raises(ParityError, match="torch -> ONNX Runtime.*logits"):
        module.export_checkpoint(checkpoint, output, taker(real_clips, 1))
    assert output.read_text() == "before"
    assert {file.name for file in tmp_path.iterdir()} == {"model.pt", "ann.onnx"}


@pytest.mark.parametrize("checkpoint", ["full"], indirect=True)
def test_other_failures_of_an_export_leave_nothing(checkpoint, real_clips, tmp_path):
    from hybrid_cvar.compiler.export_checkpoint import export_checkpoint

    never = lambda loaded: pytest.fail("clips were taken")  # noqa: E731
    with pytest.raises(CompileError, match="no sample clips"):
        export_checkpoint(checkpoint, tmp_path / "ann.onnx", taker(real_clips, 0))
    with pytest.raises(CheckpointError, match="no such file"):
        export_checkpoint(tmp_path / "none.pt", tmp_path / "ann.onnx", never)
    with pytest.raises(OutputError, match="no folder"):
        export_checkpoint(checkpoint, tmp_path / "none" / "ann.onnx", never)
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


def test_a_feed_holds_the_inputs_in_order(mini_config, real_clips):
    from hybrid_cvar.compiler.ann_feed import ann_feed
    from hybrid_cvar.records import SpikingResult

    clips = real_clips(mini_config.input, 2)
    spiking = [
        SpikingResult(tuple(np.full((16, 16, 6), 10 * clip + stream, dtype=np.int32) for stream in (0, 1)), ())
        for clip in (0, 1)
    ]
    feed = ann_feed(mini_config, clips, spiking)
    assert list(feed) == ["iframe", "motion_membrane", "residual_membrane"]
    for each in mini_config.ann_inputs:
        assert feed[each.name].shape == (2, *each.shape) and feed[each.name].dtype == each.dtype
    assert [feed[name][clip].flat[0] for name in list(feed)[1:] for clip in (0, 1)] == [0, 10, 1, 11]
    one = dataclasses.replace(mini_config, modalities=("residual",), temporal="none")
    feed = ann_feed(one, clips)
    assert list(feed) == ["residual_events"]
    assert np.array_equal(feed["residual_events"][1], (np.trunc(clips[1].residual / 2)).clip(-127, 127))
