"""Counts of a run are those of the run."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hybrid_cvar.assets import DEFAULT_BUNDLE, DEFAULT_CHECKPOINT, SAMPLE_VIDEO
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.energy import estimate_energy, load_profile
from hybrid_cvar.errors import BundleError, ConfigError, EngineError
from hybrid_cvar.onnx_session import SessionSettings, supports_bf16
from hybrid_cvar.records import stream_events
from hybrid_cvar.runtime import DenseEngine, HybridRuntime, open_spiking_engine
from hybrid_cvar.runtime.dense_engine import node_macs
from hybrid_cvar.video import read_clips


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="module")
def trace(bundle):
    with HybridRuntime(bundle, engine="native") as runtime:
        return runtime.run_video(SAMPLE_VIDEO, clips=4)


def test_trace_adds_up(trace, bundle):
    assert trace.clips == 4
    assert trace.clip_logits.shape == (4, len(bundle.labels))
    np.testing.assert_allclose(trace.logits, trace.clip_logits.mean(axis=0), rtol=1e-6)
    for layer in trace.spiking:
        assert layer.timesteps == 4 * bundle.input.timesteps
        assert layer.neuron_updates == layer.neurons * layer.timesteps
        assert 0 < layer.spikes_out < layer.neuron_updates
        assert layer.synaptic_operations > layer.events_in
    assert trace.dense_macs == 4 * sum(node.macs for node in trace.dense)


def test_events_into_a_layer_are_the_spikes_of_the_layer_before(trace):
    first, second = trace.spiking[:2]
    assert (first.stream, first.layer, second.layer) == ("motion", 0, 1)
    assert second.events_in == first.spikes_out


def test_events_into_the_first_layer_are_those_of_the_clips(trace, bundle):
    clips = read_clips(SAMPLE_VIDEO, bundle.input, 4).clips
    events = [
        sum(np.count_nonzero(stream_events(clip, bundle.input, stream)) for clip in clips)
        for stream in ("motion", "residual")
    ]
    assert [layer.events_in for layer in trace.spiking if layer.layer == 0] == events


def test_energy_is_the_papers_equation_on_these_counts(trace):
    energy = estimate_energy(trace, load_profile("paper-45nm"))
    expected = 4.6e-12 * trace.dense_macs + 0.9e-12 * trace.synaptic_operations
    assert energy.total_joules == pytest.approx(expected, rel=1e-12)


def test_fewer_gops_than_clips_asked_for(bundle):
    with HybridRuntime(bundle, engine="native") as runtime:
        trace = runtime.run_video(SAMPLE_VIDEO, clips=500)
    assert 1 < trace.clips < 500
    assert len(set(trace.clip_pts_seconds)) == trace.clips


@pytest.mark.needs_compile
def test_macs_equal_torchs_own_count(bundle, trace):
    """FlopCounterMode counts two a multiply-accumulate, attention products included."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from hybrid_cvar.model import load_checkpoint

    model = load_checkpoint(DEFAULT_CHECKPOINT).build_model()
    height, width, channels = bundle.stm.streams[0].membrane_shape
    size = bundle.input.size
    membranes = [torch.zeros(1, channels, height, width) for _ in range(2)]
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model.ann(torch.zeros(1, size, size, 3, dtype=torch.uint8), *membranes)
    assert sum(node.macs for node in trace.dense) * 2 == counter.get_total_flops()


@pytest.mark.needs_compile
def test_synaptic_operations_equal_a_plain_count_in_torch(bundle, trace):
    """Each non-zero event times the non-zero weights it meets: a convolution of ones."""
    import torch

    from hybrid_cvar.neuromorphic import NativeStm

    clips = read_clips(SAMPLE_VIDEO, bundle.input, 4).clips
    totals = dict.fromkeys((layer.name for layer in trace.spiking), 0)
    with NativeStm(bundle.stm, record=True) as stm:
        for clip in clips:
            events = [stream_events(clip, bundle.input, stream) for stream in ("motion", "residual")]
            spikes = stm.run_clip(*events).spikes
            arriving = [events[0], spikes[0], events[1], spikes[2]]
            layers = [layer for stream in bundle.stm.streams for layer in stream.layers]
            for layer, given in zip(layers, arriving, strict=True):
                ones = torch.from_numpy((given != 0).astype(np.float64)).permute(0, 3, 1, 2)
                weight = torch.from_numpy((layer.weight != 0).astype(np.float64))
                met = torch.nn.functional.conv2d(ones, weight, stride=layer.stride, padding=layer.padding)
                totals[layer.name] += int(met.sum().item())
    assert {layer.name: layer.synaptic_operations for layer in trace.spiking} == totals


def test_a_trace_names_who_ran_what(trace, bundle):
    assert (trace.engine, trace.provider, trace.precision) == ("native", "cpu", "fp32")
    assert trace.bundle_sha256 == json.loads((bundle.path / "manifest.json").read_text())["manifest_sha256"]


@pytest.mark.needs_openvino
def test_the_provider_changes_the_logits_last_digits_and_no_count(bundle, trace):
    with HybridRuntime(bundle, engine="native", dense=SessionSettings("openvino", 2)) as runtime:
        other = runtime.run_video(SAMPLE_VIDEO, clips=4)
    assert (other.provider, other.precision) == ("openvino", "fp32")
    assert (other.spiking, other.dense) == (trace.spiking, trace.dense)
    # FP32 on both; 1e-5 of the largest logit is a hundred roundings of it.
    largest = np.abs(trace.clip_logits).max()
    np.testing.assert_allclose(other.clip_logits, trace.clip_logits, rtol=0, atol=1e-5 * largest)


@pytest.mark.needs_lava
@pytest.mark.needs_openvino
def test_openvino_after_lavas_fork_and_lava_after_openvino(bundle, trace):
    """The second runtime forks while OpenVINO's threads of the first are still there."""
    for _ in range(2):
        with HybridRuntime(bundle, engine="lava", dense=SessionSettings("openvino")) as runtime:
            other = runtime.run_video(SAMPLE_VIDEO, clips=4)
        assert other.spiking == trace.spiking
        assert other.logits.argmax() == trace.logits.argmax()


@pytest.fixture
def bf16_bundle(bundle):
    return replace(bundle, precision="bf16")


@pytest.mark.needs_openvino
def test_a_bf16_bundle_runs_on_openvino_without_being_told(bf16_bundle, trace):
    if not supports_bf16():
        pytest.skip("this CPU has no BF16")
    with HybridRuntime(bf16_bundle, engine="native") as runtime:
        other = runtime.run_video(SAMPLE_VIDEO, clips=4)
    assert (other.provider, other.precision) == ("openvino", "bf16")
    difference = np.abs(other.clip_logits - trace.clip_logits).max() / np.abs(trace.clip_logits).max()
    assert 2**-11 < difference < 0.1  # one rounding is 2**-9; through the graph, some tens of them


def test_a_bf16_bundle_is_refused_on_the_cpu_before_anything_starts(bf16_bundle):
    with pytest.raises(ConfigError, match=r"'cpu' does not compute in bf16; .*openvino.*; give --provider openvino"):
        HybridRuntime(bf16_bundle, engine="native", dense=SessionSettings("cpu"))


def test_the_settings_reach_the_dense_engine(bundle):
    engine = DenseEngine(bundle.ann, len(bundle.labels), settings=SessionSettings(threads=1, arena=False))
    options = engine._session.get_session_options()
    assert (options.intra_op_num_threads, options.enable_cpu_mem_arena) == (1, False)


def test_node_macs():
    assert node_macs("Conv", [[2, 3, 8, 8], [5, 3, 3, 3], [5]], [[2, 5, 8, 8]]) == 2 * 5 * 8 * 8 * 27
    assert node_macs("Conv", [[1, 4, 8, 8], [4, 1, 3, 3]], [[1, 4, 8, 8]]) == 4 * 64 * 9
    assert node_macs("MatMul", [[2, 4, 7, 5], [2, 4, 5, 9]], [[2, 4, 7, 9]]) == 2 * 4 * 7 * 9 * 5
    assert node_macs("Gemm", [[6, 7], [3, 7], [3]], [[6, 3]]) == 6 * 7 * 3
    assert node_macs("Add", [[6, 7], [6, 7]], [[6, 7]]) == 0
    with pytest.raises(EngineError, match="Einsum"):
        node_macs("Einsum", [[1]], [[1]])


def test_errors(bundle, tmp_path):
    with pytest.raises(ConfigError, match="lava, native"):
        open_spiking_engine("loihi", bundle.stm)
    runtime = HybridRuntime(bundle, engine="native")
    with pytest.raises(ConfigError, match="not open"):
        runtime.run_video(SAMPLE_VIDEO)
    with runtime, pytest.raises(ConfigError, match="clips = 0"):
        runtime.run_video(SAMPLE_VIDEO, clips=0)
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(EngineError, match="cannot load"):
        DenseEngine(tmp_path / "bad.onnx", 8)
    with pytest.raises(BundleError):
        load_bundle(tmp_path)


def test_wrong_inputs_of_the_dense_engine(bundle):
    with pytest.raises(EngineError, match=f"{len(bundle.labels)} logits for 3 labels"):
        DenseEngine(bundle.ann, 3)
    engine = DenseEngine(bundle.ann, len(bundle.labels))
    membranes = {f"{stream}_membrane": np.zeros((1, 2, 2, 16), np.int32) for stream in ("motion", "residual")}
    with pytest.raises(EngineError, match="failed"):
        engine.run({"iframe": np.zeros((1, 5, 5, 3), np.uint8), **membranes})
