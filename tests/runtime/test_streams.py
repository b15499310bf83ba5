"""Bundles of every set of streams, with and without I-frames, made by hand: no model takes part."""

import json

import h5py
import numpy as np
import pytest

from hybrid_cvar.assets import SAMPLE_VIDEO
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.compiler.bundle import BUNDLE_FORMAT, BUNDLE_VERSION, file_sha256, manifest_sha256
from hybrid_cvar.errors import BundleError, ConfigError, EngineError
from hybrid_cvar.neuromorphic.reference import reference_layer
from hybrid_cvar.records import STREAM_CHANNELS, Clip, InputSpec, graded_events, stream_events
from hybrid_cvar.runtime import DenseEngine, HybridRuntime
from hybrid_cvar.video import read_clips

SIZE, STEPS, CLIPS, CHANNELS = 64, 8, 3, 4
SETS = [("motion", "residual"), ("motion",), ("residual",), ("common",)]


def write_spiking(path, streams):
    """Two soft-reset layers a stream, seeded; strides 2 and 1."""
    rng = np.random.default_rng(9)
    with h5py.File(path, "w") as file:
        for name in streams:
            channels = STREAM_CHANNELS[name]
            file[f"{name}/layer/0/type"], file[f"{name}/layer/0/shape"] = np.array([b"input"]), (channels, SIZE, SIZE)
            for index, (inputs, stride, threshold) in enumerate(((channels, 2, 150), (CHANNELS, 1, 90)), start=1):
                values = {
                    "type": np.array([b"conv"]),
                    "weight": 2 * rng.integers(-40, 60, (CHANNELS, inputs, 3, 3), dtype=np.int32),
                    "stride": (stride, stride),
                    "padding": (1, 1),
                    "dilation": (1, 1),
                    "groups": 1,
                    "neuron/type": "SOFT_RESET_LIF",
                    "neuron/iDecay": 4096,
                    "neuron/vDecay": 500,
                    "neuron/vThMant": threshold,
                }
                for field, value in values.items():
                    file[f"{name}/layer/{index}/{field}"] = value


def write_ann(path, inputs):
    """Logits are the largest value of every input, over all of a clip."""
    import onnx
    from onnx import TensorProto, helper

    given, nodes = [], []
    for name in inputs:
        kind = TensorProto.UINT8 if name == "iframe" else TensorProto.INT32
        given.append(helper.make_tensor_value_info(name, kind, ["N", None, None, None]))
        nodes.append(helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Flatten", [f"{name}_float"], [f"{name}_flat"]))
        nodes.append(helper.make_node("ReduceMax", [f"{name}_flat"], [f"{name}_max"], axes=[1], keepdims=1))
    nodes.append(helper.make_node("Concat", [f"{name}_max" for name in inputs], ["logits"], axis=1))
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(inputs)])
    graph = helper.make_graph(nodes, "largest", given, [logits])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)


def write_bundle(path, streams, *, iframes=True, accumulated=True, inputs=None, change=None):
    path.mkdir()
    real = [*(["iframe"] if iframes else []), *(f"{name}_membrane" for name in streams)]
    write_spiking(path / "spiking.h5", streams)
    write_ann(path / "ann.onnx", real)
    spec = InputSpec(size=SIZE, timesteps=STEPS, accumulated=accumulated)
    manifest = {
        "format": BUNDLE_FORMAT,
        "format_version": BUNDLE_VERSION,
        "model": "by-hand",
        "trained": False,
        "notice": "",
        "labels": real,
        "input": {name: getattr(spec, name) for name in spec.__dataclass_fields__},
        "dense": {"inputs": real if inputs is None else inputs, "precision": "fp32"},
        "sha256": {name: file_sha256(path / name) for name in ("spiking.h5", "ann.onnx")},
    }
    if change:
        change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest | {"manifest_sha256": manifest_sha256(manifest)}))
    return path


def expected_logits(bundle, clip):
    """The reference's read-outs, as the graph takes them."""
    logits = [float(clip.iframe.max())] if "iframe" in bundle.ann_inputs else []
    for stream in bundle.stm.streams:
        passing, membranes = stream_events(clip, bundle.input, stream.name), np.zeros(0)
        for layer in stream.layers:
            passing, membranes = reference_layer(layer, passing)
        assert membranes[-1].any()
        logits.append(float(membranes[-1].max()))
    return logits


@pytest.mark.needs_compile
@pytest.mark.parametrize("accumulated", [True, False], ids=["accumulated", "raw"])
@pytest.mark.parametrize("iframes", [True, False], ids=["I-frames", "no I-frames"])
@pytest.mark.parametrize("streams", SETS, ids="+".join)
def test_a_bundle_runs_as_the_reference(tmp_path, streams, iframes, accumulated):
    bundle = load_bundle(write_bundle(tmp_path / "b", streams, iframes=iframes, accumulated=accumulated))
    assert bundle.input.accumulated is accumulated
    assert bundle.ann_inputs == (*(["iframe"] if iframes else []), *(f"{name}_membrane" for name in streams))
    clips = read_clips(SAMPLE_VIDEO, InputSpec(size=SIZE, timesteps=STEPS, accumulated=accumulated), CLIPS).clips
    with HybridRuntime(bundle, engine="native") as runtime:
        trace = runtime.run_video(SAMPLE_VIDEO, clips=CLIPS)
    np.testing.assert_array_equal(trace.clip_logits, [expected_logits(bundle, clip) for clip in clips])
    assert [layer.name for layer in trace.spiking] == [f"{name}.{index}" for name in streams for index in range(2)]
    assert all(layer.timesteps == CLIPS * STEPS for layer in trace.spiking)
    for name, layer in zip(streams, trace.spiking[::2], strict=True):
        assert layer.events_in == sum(np.count_nonzero(stream_events(clip, bundle.input, name)) for clip in clips)


@pytest.mark.needs_compile
@pytest.mark.needs_lava
@pytest.mark.parametrize("streams", SETS, ids="+".join)
def test_both_engines_give_the_same(tmp_path, streams):
    bundle = load_bundle(write_bundle(tmp_path / "b", streams, iframes=streams != ("residual",)))
    traces = []
    for engine in ("lava", "native"):
        with HybridRuntime(bundle, engine=engine) as runtime:
            traces.append(runtime.run_video(SAMPLE_VIDEO, clips=CLIPS))
    lava, native = traces
    assert lava.clip_logits.tobytes() == native.clip_logits.tobytes()
    assert lava.spiking == native.spiking


@pytest.mark.needs_compile
@pytest.mark.parametrize(
    "inputs",
    [
        ["iframe", "residual_membrane", "motion_membrane"],
        ["motion_membrane", "residual_membrane", "iframe"],
        ["iframe", "motion_membrane"],
        ["iframe", "common_membrane"],
        ["iframe", "iframe", "motion_membrane", "residual_membrane"],
        [],
        "iframe",
        {"iframe": 1},
        [["iframe"]],
    ],
)
def test_inputs_that_are_not_the_streams_are_refused(tmp_path, inputs):
    path = write_bundle(tmp_path / "b", ("motion", "residual"), inputs=inputs)
    with pytest.raises(BundleError, match=r"'dense.inputs' is .*; it must be .*motion_membrane, residual_membrane"):
        load_bundle(path)


@pytest.mark.needs_compile
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.pop("dense"), "'dense' is NoneType"),
        (lambda m: m["input"].pop("accumulated"), "'accumulated' is unknown or missing"),
        (lambda m: m["input"].update(accumulated=1), "input.accumulated = 1"),
        (lambda m: m["input"].update(size=SIZE + 1), "takes 64x64; the manifest's input is 65x65"),
        (lambda m: m.update(format_version=1), "bundle version 1"),
    ],
)
def test_a_manifest_that_lacks_them_is_refused(tmp_path, change, words):
    with pytest.raises(BundleError, match=words):
        load_bundle(write_bundle(tmp_path / "b", ("common",), change=change))


@pytest.mark.needs_compile
def test_a_feed_that_is_not_the_graphs_is_refused(tmp_path):
    path = tmp_path / "ann.onnx"
    write_ann(path, ["motion_membrane", "residual_membrane"])
    engine = DenseEngine(path, 2)
    membrane = np.arange(32, dtype=np.int32).reshape(2, 2, 2, 4)
    feed = {"residual_membrane": membrane, "motion_membrane": -membrane}
    np.testing.assert_array_equal(engine.run(feed), [[0, 15], [-16, 31]])
    assert engine.count_macs(feed) == ()
    wrong = ({}, {"motion_membrane": membrane}, {**feed, "iframe": np.zeros((2, 4, 4, 3), np.uint8)})
    for given in wrong:
        for call in (engine.run, engine.count_macs):
            with pytest.raises(EngineError, match="it takes motion_membrane, residual_membrane"):
                call(given)


def test_the_events_of_every_stream():
    rng = np.random.default_rng(0)
    motion, residual = (rng.integers(-400, 400, (3, 4, 5, n)).astype(np.int16) for n in (2, 3))
    clip = Clip(np.zeros((4, 5, 3), np.uint8), motion, residual, 0, 0.0)
    spec = InputSpec(motion_step=2, residual_step=3)
    events = {name: stream_events(clip, spec, name) for name in STREAM_CHANNELS}
    np.testing.assert_array_equal(events["motion"], graded_events(motion, 2))
    np.testing.assert_array_equal(events["residual"], graded_events(residual, 3))
    np.testing.assert_array_equal(events["common"], np.concatenate([events["motion"], events["residual"]], axis=3))
    for name, channels in STREAM_CHANNELS.items():
        assert events[name].shape == (3, 4, 5, channels)
        assert events[name].dtype == np.int8 and events[name].flags.c_contiguous
    with pytest.raises(ConfigError, match="stream 'flow'; must be one of motion, residual, common"):
        stream_events(clip, spec, "flow")
