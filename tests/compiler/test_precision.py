"""INT8 and BF16: what is quantised, what stays in float, and a reduced precision that answers otherwise is refused."""

import json

import numpy as np
import onnx
import pytest

from hybrid_cvar.assets import SAMPLE_VIDEO
from hybrid_cvar.errors import CompileError, ConfigError, MissingPartError, ParityError

pytestmark = [pytest.mark.needs_compile, pytest.mark.needs_lava]


def take(count):
    from hybrid_cvar.video import read_clips

    return lambda loaded: read_clips(SAMPLE_VIDEO, loaded.config.input, count).clips


def compile_it(checkpoint, output, precision, **options):
    from hybrid_cvar.compiler.compile import compile_checkpoint

    return compile_checkpoint(
        checkpoint,
        output,
        take(1),
        precision=precision,
        take_calibration=options.pop("calibration", take(6)),
        **options,
    )


@pytest.fixture(scope="module")
def int8_bundle(small_checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "small.bundle"
    return path, compile_it(small_checkpoint, path, "int8")


def test_int8_graph_holds_8_bit_weights_an_output_channel_each(int8_bundle):
    from hybrid_cvar.compiler.quantise import QUANTISED_OPERATORS

    path, result = int8_bundle
    graph = onnx.load(path / "ann.onnx").graph
    initialisers = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    nodes = {node.name: node for node in graph.node if node.op_type in QUANTISED_OPERATORS}
    assert len(result.quantisation.quantised) > 20
    for name in result.quantisation.quantised:
        node = nodes[name]
        for tensor in node.input[:2]:
            source = made_by[tensor]
            assert source.op_type == "DequantizeLinear", f"{name} reads {tensor} in float"
            values = initialisers.get(source.input[0])
            zero = initialisers[source.input[2]]
            if values is None:
                assert zero.dtype == np.uint8
            else:
                assert values.dtype == np.int8 and not zero.any()
                axis = next((each.i for each in source.attribute if each.name == "axis"), None)
                assert initialisers[source.input[1]].shape == (values.shape[axis],)
                assert axis == (0 if node.op_type == "Conv" else 1)


def test_the_classifier_stays_in_float(int8_bundle):
    path, result = int8_bundle
    graph = onnx.load(path / "ann.onnx").graph
    (last,) = [node for node in graph.node if "logits" in node.output]
    assert (last.name, "classifier") in result.quantisation.kept
    made_by = {name: node for node in graph.node for name in node.output}
    assert all(name not in made_by or made_by[name].op_type != "DequantizeLinear" for name in last.input)


def test_int8_answers_as_fp32_does_and_says_how_closely(int8_bundle, small_bundle):
    from hybrid_cvar.compiler import load_bundle

    path, result = int8_bundle
    assert load_bundle(path).precision == "int8" and load_bundle(small_bundle).precision == "fp32"
    assert {row.provider for row in result.agreement} >= {"cpu"}
    for row in result.agreement:
        assert row.clips == 3 and row.passed and 0 < row.logit_error < 0.2
    dense = json.loads((path / "manifest.json").read_text())["dense"]
    assert dense["precision"] == "int8"
    assert dense["quantisation"]["calibration_clips"] == 3
    assert [row["same_answer"] for row in dense["agreement"]] == [row.same_answer for row in result.agreement]


def test_int8_bundle_runs_with_the_same_mac_count(int8_bundle, small_bundle):
    from hybrid_cvar.compiler import load_bundle
    from hybrid_cvar.runtime import HybridRuntime

    traces = []
    for path in (int8_bundle[0], small_bundle):
        with HybridRuntime(load_bundle(path), engine="native") as runtime:
            traces.append(runtime.run_video(SAMPLE_VIDEO, clips=2))
    assert traces[0].dense_macs == traces[1].dense_macs > 0
    spread = np.ptp(traces[1].clip_logits, axis=1).max()
    difference = np.abs(traces[0].clip_logits - traces[1].clip_logits).max()
    assert 0 < difference < 0.2 * spread


def test_a_drop_below_the_bound_fails_the_compile_and_leaves_no_bundle(small_checkpoint, tmp_path, monkeypatch):
    from hybrid_cvar.compiler import reduced_precision

    real = reduced_precision.quantise_ann

    def damaged(graph, output, feeds):
        found = real(graph, output, feeds)
        model = onnx.load(output)
        (bias,) = [each for each in model.graph.initializer if each.name.endswith("classifier.bias")]
        worst = onnx.numpy_helper.to_array(bias).copy()
        worst[...] = np.linspace(100, -100, worst.size)
        bias.CopyFrom(onnx.numpy_helper.from_array(worst, bias.name))
        onnx.save(model, output)
        return found

    monkeypatch.setattr(reduced_precision, "quantise_ann", damaged)
    import torch

    content = torch.load(small_checkpoint, weights_only=True)
    trained = tmp_path / "trained.pt"
    torch.save({**content, "trained": True}, trained)
    seen = []
    with pytest.raises(ParityError, match=r"int8 on cpu: \d of 3 held-out clips .*99%.*no bundle was written"):
        compile_it(trained, tmp_path / "b", "int8", on_agreement=seen.extend)
    assert list(tmp_path.iterdir()) == [trained]
    assert seen and not seen[0].passed and seen[0].required

    result = compile_it(small_checkpoint, tmp_path / "untrained", "int8")
    assert not result.agreement[0].passed and not result.agreement[0].required
    row = json.loads((tmp_path / "untrained" / "manifest.json").read_text())["dense"]["agreement"][0]
    assert row["passed"] is row["required"] is False


@pytest.mark.parametrize(
    ("same", "clips", "passed"), [(100, 100, True), (99, 100, True), (98, 100, False), (5, 5, True), (4, 5, False)]
)
def test_agreement_counts_changed_answers(same, clips, passed):
    from hybrid_cvar.compiler.reduced_precision import agreement

    before = np.eye(3, dtype=np.float32)[np.arange(clips) % 3]
    after = before.copy()
    after[same:] = np.roll(after[same:], 1, axis=1)
    row = agreement("cpu", before, after)
    assert (row.same_answer, row.clips, row.passed) == (same / clips, clips, passed)
    assert (row.logit_error == 0) == (same == clips)


def test_agreement_refuses_what_is_not_a_number():
    from hybrid_cvar.compiler.reduced_precision import agreement

    before = np.array([[3, 2]], dtype=np.float32)
    assert not agreement("cpu", before, np.array([[np.inf, 0]], dtype=np.float32)).passed


def test_every_second_clip_calibrates():
    from hybrid_cvar.compiler.reduced_precision import held_out

    assert held_out([0, 1, 2, 3, 4]) == ([0, 2, 4], [1, 3])


def graph_of_two_products(tmp_path):
    """x @ A and y @ B, then a classifier; only their inputs differ."""
    rng = np.random.default_rng(1)
    weights = {name: rng.standard_normal((8, 8)).astype(np.float32) for name in ("A", "B", "C")}
    helper = onnx.helper
    nodes = [
        helper.make_node("MatMul", ["x", "A"], ["p"], "first"),
        helper.make_node("MatMul", ["y", "B"], ["q"], "second"),
        helper.make_node("Add", ["p", "q"], ["r"], "sum"),
        helper.make_node("MatMul", ["r", "C"], ["logits"], "last"),
    ]
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 8]) for name in ("x", "y", "logits")]
    graph = helper.make_graph(
        nodes, "g", values[:2], values[2:], [onnx.numpy_helper.from_array(w, n) for n, w in weights.items()]
    )
    path = tmp_path / "g.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


def test_a_node_whose_input_has_outliers_stays_in_float(tmp_path):
    from hybrid_cvar.compiler.quantise import quantise_ann

    rng = np.random.default_rng(2)
    feeds = [{name: rng.standard_normal((64, 8)).astype(np.float32) for name in ("x", "y")} for _ in range(3)]
    for feed in feeds:
        feed["y"][0, 0] = 200  # 8 bits over 200 leave a step of 0.8 for a spread of 1
    found = quantise_ann(graph_of_two_products(tmp_path), tmp_path / "q.onnx", feeds)
    assert found.quantised == ("first",)
    kept = dict(found.kept)
    assert kept["last"] == "classifier" and kept["second"].startswith("8 bits hold y with")


def test_a_range_that_a_later_clip_stretches_counts_for_all(tmp_path):
    from hybrid_cvar.compiler.quantise import quantise_ann

    rng = np.random.default_rng(2)
    feeds = [{name: rng.standard_normal((64, 8)).astype(np.float32) for name in ("x", "y")} for _ in range(9)]
    feeds[7]["y"][:] = 200
    found = quantise_ann(graph_of_two_products(tmp_path), tmp_path / "q.onnx", feeds)
    assert found.quantised == ("first",)


def test_a_graph_of_nothing_but_outliers_is_refused(tmp_path):
    from hybrid_cvar.compiler.quantise import quantise_ann

    feed = {name: np.zeros((64, 8), dtype=np.float32) for name in ("x", "y")}
    for values in feed.values():
        values[:, :4] = 0.1
        values[0, 0] = 200
    with pytest.raises(CompileError, match="none of 3 matrix products"):
        quantise_ann(graph_of_two_products(tmp_path), tmp_path / "q.onnx", [feed])
    assert not (tmp_path / "q.onnx").exists()


def test_too_few_clips_are_refused(small_checkpoint, tmp_path):
    with pytest.raises(CompileError, match="1 calibration clip.*at least 2.*--calibrate"):
        compile_it(small_checkpoint, tmp_path / "b", "int8", calibration=take(1))
    assert list(tmp_path.iterdir()) == []


def test_unknown_precision_is_refused(small_checkpoint, tmp_path):
    with pytest.raises(ConfigError, match="precision 'fp8'.*fp32, int8, bf16"):
        compile_it(small_checkpoint, tmp_path / "b", "fp8")


def test_bf16_without_its_provider_names_the_command(small_checkpoint, tmp_path, monkeypatch):
    from hybrid_cvar import onnx_session

    monkeypatch.setattr(onnx_session.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPartError, match=r"openvino.*pip install"):
        compile_it(small_checkpoint, tmp_path / "b", "bf16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.needs_openvino
def test_bf16_keeps_the_graph_and_is_checked_on_openvino(small_checkpoint, small_bundle, tmp_path):
    result = compile_it(small_checkpoint, tmp_path / "b", "bf16")
    assert [row.provider for row in result.agreement] == ["openvino"]
    assert 1e-5 < result.agreement[0].logit_error < 0.05, "BF16 keeps 8 significant bits"
    weights = [
        {each.name: each.raw_data for each in onnx.load(path / "ann.onnx").graph.initializer}
        for path in (tmp_path / "b", small_bundle)
    ]
    assert weights[0] == weights[1]
