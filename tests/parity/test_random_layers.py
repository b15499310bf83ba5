"""Random layers: the written specification, the native engine and both Lava models, every value of every step."""

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from hybrid_cvar.fixed_point import SYNAPSE_MAX
from hybrid_cvar.neuromorphic import ConvLifSpec, NativeStm, StmSpec, StreamSpec
from hybrid_cvar.neuromorphic.counting import layer_counts
from hybrid_cvar.neuromorphic.reference import reference_counts, reference_layer, synaptic_sum
from hybrid_cvar.records import STREAM_CHANNELS

THRESHOLDS = (0, 1, 300, 6000, 2**17 - 1)
DECAYS = (0, 1, 2048, 4095)
CLIPS = 2
LAVA_EXAMPLES = {"streams": 8, "layers": 5, "stock": 5}
"""A network of one Process a layer takes a second or two to start."""


@st.composite
def one_or_each(draw, values, largest, channels):
    """One value for the layer, or one a channel; the listed ones are likelier than chance makes them."""
    one = st.sampled_from(values) | st.integers(0, largest)
    if draw(st.booleans()):
        return draw(one)
    return np.array(draw(st.lists(one, min_size=channels, max_size=channels)))


@st.composite
def layers(draw, name, input_shape, graded):
    """A layer with output; its numbers come of a drawn seed, its form is drawn."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(2))
    least = [-(-max(0, side - size) // 2) for side, size in zip(kernel, input_shape, strict=False)]
    padding = tuple(draw(st.integers(smallest, smallest + 2)) for smallest in least)
    channels = draw(st.integers(1, 5))
    shape = (channels, input_shape[2], *kernel)
    weight = rng.integers(-128, 128, shape) * 2
    rails = rng.choice([-256, 254, 0], shape)
    weight = np.where(rng.random(shape) < draw(st.sampled_from([0, 0.3, 1])), rails, weight)
    return ConvLifSpec(
        name=name,
        input_shape=input_shape,
        weight=weight.astype(np.int32),
        stride=tuple(draw(st.integers(1, 3)) for _ in range(2)),
        padding=padding,
        threshold=draw(one_or_each(THRESHOLDS, 2**17 - 1 if graded else 600, channels)),
        decay=draw(one_or_each(DECAYS, 4095, channels)),
        reset=draw(st.sampled_from(["soft", "hard"])),
        graded_input=graded,
    )


@st.composite
def partitions(draw):
    """One stream or two, of one to three layers, so that a layer of either kind of input is read out."""
    streams = []
    for name in draw(st.sampled_from([("motion", "residual"), ("motion",), ("residual",), ("common",)])):
        shape = (draw(st.integers(1, 9)), draw(st.integers(1, 11)), STREAM_CHANNELS[name])
        chain = []
        for index in range(draw(st.integers(1, 3))):
            chain.append(draw(layers(f"{name}.{index}", shape, graded=index == 0)))
            shape = chain[-1].output_shape
        streams.append(StreamSpec(name, tuple(chain)))
    return StmSpec(tuple(streams), draw(st.integers(1, 6)))


@st.composite
def events(draw, stm):
    """One clip: events of any value, and of the rails -128, 127 and 0."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rails, quiet = draw(st.sampled_from([0, 0.5, 1])), draw(st.sampled_from([0, 0.6, 0.98]))
    clip = []
    for stream in stm.streams:
        shape = (stm.timesteps, *stream.layers[0].input_shape)
        values = np.where(rng.random(shape) < rails, rng.choice([-128, 127], shape), rng.integers(-128, 128, shape))
        clip.append(np.where(rng.random(shape) < quiet, 0, values).astype(np.int8))
    return tuple(clip)


@st.composite
def workloads(draw):
    stm = draw(partitions())
    return stm, [draw(events(stm)) for _ in range(CLIPS)]


def specified(stm, clip):
    """(spikes, membranes) of every layer, stream by stream, int8 and int32 (T, h, w, C)."""
    recorded = []
    for stream, passing in zip(stm.streams, clip, strict=True):
        for layer in stream.layers:
            passing, membranes = reference_layer(layer, passing)
            recorded.append((passing, membranes))
    return recorded


def specified_counts(stm, clip, recorded):
    """What every layer counts, as the specification says."""
    counts, number = [], 0
    for stream, passing in zip(stm.streams, clip, strict=True):
        for layer in stream.layers:
            counts.append(reference_counts(layer, passing))
            passing, number = recorded[number][0], number + 1
    return layer_counts(stm, counts)


def read_outs(stm, recorded):
    ends = np.cumsum([len(stream.layers) for stream in stm.streams]) - 1
    return [recorded[end][1][-1] for end in ends]


def delayed(clip, steps):
    """The clip's first T - steps steps, behind silence: its read-out is the membrane of step T - steps."""
    return tuple(np.concatenate([np.zeros_like(each[:steps]), each[: len(each) - steps]]) for each in clip)


def assert_as_specified(stm, clip, result, counts):
    expected = specified(stm, clip)
    for given_values, want in zip(result.readouts, read_outs(stm, expected), strict=True):
        np.testing.assert_array_equal(given_values, want)
    if result.spikes:
        assert len(result.spikes) == len(result.membranes) == len(expected)
        for index, (spikes, membranes) in enumerate(expected):
            np.testing.assert_array_equal(result.spikes[index], spikes, err_msg=f"spikes of layer {index}")
            np.testing.assert_array_equal(result.membranes[index], membranes, err_msg=f"membranes of layer {index}")
    else:
        assert not result.membranes
    if counts:
        assert result.counts == specified_counts(stm, clip, expected)
    else:
        assert not result.counts


def assert_runs_as_specified(engine, stm, clips, record, counts=True):
    """Recorded, every layer is compared; otherwise every step's read-out, by clips that begin later."""
    for clip in clips:
        for steps in range(1 if record else stm.timesteps):
            late = delayed(clip, steps)
            assert_as_specified(stm, late, engine.run_clip(*late), counts)


def each_layer_spikes(stm, clips):
    return [bool(spikes.any()) for clip in clips for spikes, _ in specified(stm, clip)]


@pytest.mark.parametrize("record", [False, True], ids=["whole clips", "step by step"])
def test_the_native_engine_is_the_specification(record):
    spiking = []

    @settings(max_examples=60, deadline=None)
    @given(workloads())
    def compare(workload):
        stm, clips = workload
        with NativeStm(stm, record=record) as native:
            assert_runs_as_specified(native, stm, clips, record)
        spiking.extend(each_layer_spikes(stm, clips))

    compare()
    assert sum(spiking) > len(spiking) / 4


@pytest.mark.parametrize("record", [False, True], ids=["whole clips", "step by step"])
def test_the_native_engine_at_the_largest_synaptic_sums(record):
    """Sums as large as a layer may reach, of either sign; kernels side by side, each on inputs mostly alike."""
    rng = np.random.default_rng(2)
    streams, clip = [], []
    for name, reset, signs, kernel in (("motion", "soft", (1, -1), (9, 14)), ("residual", "hard", (-1, 1), (5, 17))):
        channels = STREAM_CHANNELS[name]
        weight = np.stack([np.full((channels, *kernel), 254 if sign > 0 else -256, dtype=np.int32) for sign in signs])
        shape = (5 * kernel[0], 4 * kernel[1], channels)
        layer = ConvLifSpec(name, shape, weight, kernel, (0, 0), 2**17 - 1, 100, reset, graded_input=True)
        streams.append(StreamSpec(name, (layer,)))
        alike = np.kron(rng.choice([-128, 127], (5, 5, 4, 1)), np.ones((1, *kernel, 1), dtype=np.int64))
        clip.append((alike * (rng.random((5, *shape)) < 0.9)).astype(np.int8))
        clip[-1][:, : kernel[0]] = -128
        z = synaptic_sum(weight, clip[-1][0], (5, 4, 2), kernel, (0, 0))
        assert np.abs(z).max() == weight[0].size * 256 * 128 > 0.98 * SYNAPSE_MAX
    stm = StmSpec(tuple(streams), 5)
    with NativeStm(stm, record=record) as native:
        assert_runs_as_specified(native, stm, [tuple(clip)], record)


LAVA_FORMS = pytest.mark.parametrize(
    ("form", "record"),
    [("streams", False), ("streams", True), ("layers", True), ("stock", True)],
    ids=["a stream a process", "a stream a process, recorded", "a layer a process", "stock Conv + neuron"],
)


@pytest.mark.needs_lava
@LAVA_FORMS
def test_every_form_of_the_lava_engine_is_the_specification(form, record):
    from hybrid_cvar.neuromorphic.lava_stm import LavaStm

    spiking = []

    @settings(max_examples=LAVA_EXAMPLES[form], deadline=None, phases=(Phase.explicit, Phase.generate))
    @given(workloads())
    def compare(workload):
        stm, clips = workload
        with LavaStm(stm, form=form, record=record) as lava:
            assert_runs_as_specified(lava, stm, clips, record, counts=form != "stock")
        spiking.extend(each_layer_spikes(stm, clips))

    compare()
    assert any(spiking)


def a_layer_at_the_rails(rng, name, input_shape, reset):
    """Weights, thresholds and decays at the ends of their ranges; lopsided, and of another form a layer."""
    graded = name.endswith("0")
    kernel, stride, padding = ((2, 3), (2, 1), (0, 2)) if graded else ((3, 1), (1, 2), (1, 0))
    return ConvLifSpec(
        name=name,
        input_shape=input_shape,
        weight=rng.choice([-256, 254], (4, input_shape[2], *kernel)).astype(np.int32),
        stride=stride,
        padding=padding,
        threshold=np.array([0, 1, 2**17 - 1, 1]),
        decay=np.array([4095, 0, 0, 4095]),
        reset=reset,
        graded_input=graded,
    )


@pytest.mark.needs_lava
@pytest.mark.parametrize("reset", ["soft", "hard"])
@LAVA_FORMS
def test_every_form_of_the_lava_engine_at_the_rails(form, record, reset):
    from hybrid_cvar.neuromorphic.lava_stm import LavaStm

    rng = np.random.default_rng(8)
    streams = []
    for name, channels in (("motion", 2), ("residual", 3)):
        first = a_layer_at_the_rails(rng, f"{name}.0", (7, 10, channels), reset)
        second = a_layer_at_the_rails(rng, f"{name}.1", first.output_shape, reset)
        streams.append(StreamSpec(name, (first, second)))
    stm = StmSpec(tuple(streams), 6)
    clips = [
        tuple(
            rng.choice([-128, 127, 0], (6, *stream.layers[0].input_shape), p=[0.4, 0.4, 0.2]).astype(np.int8)
            for stream in stm.streams
        )
        for _ in range(CLIPS)
    ]
    assert all(each_layer_spikes(stm, clips))
    assert max(np.abs(membranes).max() for _, membranes in specified(stm, clips[0])) == 2**23 - 1
    with LavaStm(stm, form=form, record=record) as lava:
        assert_runs_as_specified(lava, stm, clips, record, counts=form != "stock")
