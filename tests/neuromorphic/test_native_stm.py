"""The native engine against the specification written as plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_cvar.errors import EngineError
from hybrid_cvar.fixed_point import MEMBRANE_MAX
from hybrid_cvar.neuromorphic import ConvLifSpec, NativeStm, StmSpec, StreamSpec, reference_layer
from hybrid_cvar.neuromorphic.conv_lif_core import ALWAYS_GATHER, ALWAYS_SCATTER, ConvLifCore
from hybrid_cvar.neuromorphic.kernels import GATHER_COST
from hybrid_cvar.neuromorphic.reference import synaptic_sum

RAILS = [-256, -254, -2, 0, 2, 128, 254]


def _one_or_each(draw, values, channels, rng):
    return draw(st.sampled_from(values)) if draw(st.booleans()) else rng.choice(values, channels)


@st.composite
def layers(draw):
    """(layer, events): any shape, stride, padding, weights and inputs at the rails."""
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    shape = (draw(st.integers(kernel[0], 9)), draw(st.integers(kernel[1], 9)), draw(st.integers(1, 3)))
    channels = draw(st.sampled_from([1, 3, 4, 16, 17, 33]))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    weight = rng.choice(RAILS, (channels, shape[2], *kernel)).astype(np.int32)
    graded = draw(st.booleans())
    layer = ConvLifSpec(
        name="property",
        input_shape=shape,
        weight=weight,
        stride=(draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        padding=(draw(st.integers(0, 3)), draw(st.integers(0, 3))),
        threshold=_one_or_each(draw, [0, 1, 64, 1000, 30_000, 2**17 - 1], channels, rng),
        decay=_one_or_each(draw, [0, 1, 400, 2048, 4095], channels, rng),
        reset=draw(st.sampled_from(["soft", "hard"])),
        graded_input=graded,
    )
    values = [-128, -127, -1, 0, 0, 1, 127] if graded else [0, 1]
    events = rng.choice(values, (draw(st.integers(1, 6)), *shape)).astype(np.int8)
    return layer, events


COSTS = [ALWAYS_GATHER, GATHER_COST, ALWAYS_SCATTER]


@settings(max_examples=150, deadline=None)
@given(layers(), st.sampled_from(COSTS), st.integers(1, 6))
def test_every_spike_and_membrane_equals_the_reference(case, gather_cost, at_once):
    layer, events = case
    spikes, membranes = reference_layer(layer, events)
    core = ConvLifCore(layer, gather_cost=gather_cost)
    for begin in range(0, len(events), at_once):
        end = min(begin + at_once, len(events))
        np.testing.assert_array_equal(core.run(events[begin:end]), spikes[begin:end])
        np.testing.assert_array_equal(core.membrane, membranes[end - 1])


@pytest.mark.parametrize("gather_cost", COSTS)
def test_long_rows_of_both_kinds_are_exact(gather_cost):
    """Rows that are wide, some crowded and some nearly silent, so that both kernels take part in one step."""
    rng = np.random.default_rng(4)
    weight = rng.integers(-128, 128, (16, 16, 3, 3), dtype=np.int32) * 2
    layer = ConvLifSpec("wide", (12, 150, 16), weight, (1, 1), (1, 1), 3000, 300)
    activity = np.linspace(0, 1, 12)[None, :, None, None] ** 2
    events = (rng.random((5, 12, 150, 16)) < activity).astype(np.int8)
    spikes, membranes = reference_layer(layer, events)
    core = ConvLifCore(layer, gather_cost=gather_cost)
    np.testing.assert_array_equal(core.run(events), spikes)
    np.testing.assert_array_equal(core.membrane, membranes[-1])
    assert 0.02 < spikes.mean() < 0.98


def test_the_kernel_is_chosen_by_activity():
    """A gather kernel's weights that are wrong show whenever, and only when, it is used."""
    weight = np.full((16, 2, 3, 3), 2, dtype=np.int32)
    layer = ConvLifSpec("choice", (6, 32, 2), weight, (1, 1), (1, 1), 2**17 - 1, 0)
    for activity, gathered in ((0.01, False), (1.0, True)):
        core = ConvLifCore(layer)
        core._tables.gather[:] = 0
        events = (np.random.default_rng(0).random((1, 6, 32, 2)) < activity).astype(np.int8)
        core.run(events)
        _, membranes = reference_layer(layer, events)
        assert np.array_equal(core.membrane, membranes[-1]) is not gathered
        assert (core.choices > 0).tolist() == [not gathered, gathered]


def test_events_that_no_output_reads_are_counted():
    layer = ConvLifSpec("rest", (4, 3, 1), np.full((1, 1, 1, 1), 2, dtype=np.int32), (3, 1), (0, 0), 1, 0)
    core = ConvLifCore(layer)
    core.run(np.ones((2, 4, 3, 1), dtype=np.int8))
    assert core.counts[:2].tolist() == [24, 12]


@settings(max_examples=60, deadline=None)
@given(layers())
def test_counts_equal_a_plain_count(case):
    """Synaptic operations: for every event, the non-zero weights it meets at outputs that exist."""
    layer, events = case
    core = ConvLifCore(layer)
    core.run(events)
    ones = ConvLifSpec(
        name="ones",
        input_shape=layer.input_shape,
        weight=(layer.weight != 0).astype(np.int32) * 2,
        stride=layer.stride,
        padding=layer.padding,
        threshold=2**17 - 1,
        decay=4095,
    )
    # With weights 0 and 2, no memory and no spikes, the membranes add up to twice the accumulates, << 6.
    _, sums = reference_layer(ones, (events != 0).astype(np.int8))
    kept = np.trunc(np.concatenate([np.zeros_like(sums[:1]), sums[:-1]]) / 4096)
    accumulates = int(((sums - kept) / 128).sum())
    spikes, _ = reference_layer(layer, events)
    fired = int(spikes.sum())
    assert core.counts.tolist() == [np.count_nonzero(events), accumulates, spikes.size, fired, _clipped(layer, events)]


def _clipped(layer, events):
    """How often N5 clips: the sums before it, from the reference's membranes."""
    spikes, membranes = reference_layer(layer, events)
    clipped = 0
    for t, arriving in enumerate(events):
        before = membranes[t - 1].astype(np.int64) if t else np.zeros(layer.output_shape, np.int64)
        kept = np.sign(before) * (np.abs(before) * (4096 - layer.decays.astype(np.int64)) // 4096)
        value = kept + (synaptic_sum(layer.weight, arriving, layer.output_shape, layer.stride, layer.padding) << 6)
        if t and layer.reset == "soft":
            value -= (layer.thresholds.astype(np.int64) << 6) * spikes[t - 1]
        clipped += np.count_nonzero(np.abs(value) > MEMBRANE_MAX)
    return clipped


def test_saturation_is_clipped_and_counted():
    layer = ConvLifSpec(
        name="rail",
        input_shape=(1, 1, 16),
        weight=np.full((1, 16, 1, 1), 254, dtype=np.int32),
        stride=(1, 1),
        padding=(0, 0),
        threshold=2**17 - 1,
        decay=0,
        graded_input=True,
    )
    core = ConvLifCore(layer)
    core.run(np.full((3, 1, 1, 16), -128, dtype=np.int8))
    assert core.membrane.item() == -MEMBRANE_MAX
    assert core.counts.tolist()[4] == 3


def test_clips_do_not_leak_into_each_other(make_stm, make_clip):
    stm = make_stm()
    first, second = make_clip(stm, 1), make_clip(stm, 2)
    with NativeStm(stm, record=True) as engine:
        engine.run_clip(*first)
        after = engine.run_clip(*second)
    with NativeStm(stm, record=True) as engine:
        alone = engine.run_clip(*second)
    for left, right in zip(after.readouts, alone.readouts, strict=True):
        np.testing.assert_array_equal(left, right)
    assert after.counts == alone.counts


@pytest.mark.parametrize("names", [("motion", "residual"), ("motion",), ("residual",), ("common",)], ids="+".join)
def test_layers_feed_each_other_without_delay(make_stm, make_clip, names):
    stm = make_stm(4, names=names)
    clip = make_clip(stm, 4)
    with NativeStm(stm, record=True) as engine:
        result = engine.run_clip(*clip)
    assert [layer.name for layer in result.counts] == [f"{name}.{index}" for name in names for index in range(2)]
    assert len(result.readouts) == len(names) and len(result.spikes) == 2 * len(names)
    for index, (stream, events, membrane) in enumerate(zip(stm.streams, clip, result.readouts, strict=True)):
        spikes = result.spikes[2 * index : 2 * index + 2]
        first, _ = reference_layer(stream.layers[0], events)
        second, membranes = reference_layer(stream.layers[1], first)
        np.testing.assert_array_equal(spikes[0], first)
        np.testing.assert_array_equal(spikes[1], second)
        np.testing.assert_array_equal(membrane, membranes[-1])
        assert first.any()
        assert second.any()
        counted = [(layer.events_in, layer.spikes_out) for layer in result.counts[2 * index : 2 * index + 2]]
        assert counted == [(np.count_nonzero(events), first.sum()), (first.sum(), second.sum())]


def test_wrong_events_are_refused(make_stm, make_clip):
    stm = make_stm()
    motion, residual = make_clip(stm, 0)
    with NativeStm(stm) as engine:
        with pytest.raises(EngineError, match="motion events"):
            engine.run_clip(motion[:-1], residual)
        with pytest.raises(EngineError, match="residual events"):
            engine.run_clip(motion, residual.astype(np.int16))
        for clip in ((), (motion,), (motion, residual, residual)):
            with pytest.raises(EngineError, match=f"{len(clip)} arrays; one is needed for every stream: motion, res"):
                engine.run_clip(*clip)
    with pytest.raises(EngineError, match="not running"):
        engine.run_clip(motion, residual)


def test_streams_may_differ_in_size(make_clip):
    rng = np.random.default_rng(0)

    def one(name, channels, outputs):
        weight = rng.integers(-8, 8, (outputs, channels, 3, 3), dtype=np.int32) * 2
        return StreamSpec(name, (ConvLifSpec(name, (6, 6, channels), weight, (1, 1), (1, 1), 100, 100, "soft", True),))

    stm = StmSpec((one("motion", 2, 5), one("residual", 3, 2)), 3)
    with NativeStm(stm) as engine:
        result = engine.run_clip(*make_clip(stm, 0))
    assert [membrane.shape for membrane in result.readouts] == [(6, 6, 5), (6, 6, 2)]
