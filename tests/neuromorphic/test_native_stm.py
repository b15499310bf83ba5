"""The native engine against the specification written as plain NumPy."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_cvar.errors import EngineError
from hybrid_cvar.fixed_point import MEMBRANE_MAX
from hybrid_cvar.neuromorphic import ConvLifSpec, NativeStm, StmSpec, StreamSpec, reference_layer
from hybrid_cvar.neuromorphic.conv_lif_core import ALWAYS_GATHER, ALWAYS_SCATTER, ConvLifCore
from hybrid_cvar.neuromorphic.counting import COUNT_FIELDS, computing_seconds, message_size, pack_counts, unpack_counts
from hybrid_cvar.neuromorphic.kernel_tables import _add_at_once
from hybrid_cvar.neuromorphic.kernels import GATHER_COST, _add_reaches
from hybrid_cvar.neuromorphic.reference import reference_counts, synaptic_sum

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
    np.testing.assert_array_equal(core.counts, reference_counts(layer, events))


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
    assert core.counts[:, :3].tolist() == [[12, 6, 6], [12, 6, 6]]


@settings(max_examples=60, deadline=None)
@given(layers())
def test_counts_equal_a_plain_count(case):
    """Each rule of spec.md by other means than `reference_counts`."""
    layer, events = case
    core = ConvLifCore(layer)
    core.run(events)
    spikes, membranes = reference_layer(layer, events)
    # A neuron that fires has a membrane above its threshold, which is at least 0; only a hard reset hides it.
    before = np.concatenate([np.zeros_like(membranes[:1]), membranes[:-1]])
    active = (before != 0) | (membranes != 0) | (spikes == 1)
    expected = {
        "events_in": (events != 0).sum(axis=(1, 2, 3)),
        "synaptic_operations": _met(layer, events, layer.weight != 0),
        "stored_operations": _met(layer, events, np.ones_like(layer.weight)),
        "neuron_updates": np.full(len(events), layer.neurons),
        "active_updates": active.sum(axis=(1, 2, 3)),
        "spikes_out": spikes.sum(axis=(1, 2, 3)),
        "saturated_states": _clipped(layer, events),
    }
    for name, column in zip(COUNT_FIELDS, core.counts.T, strict=True):
        assert column.tolist() == expected[name].tolist(), name


def _met(layer, events, counted):
    """Weights of those counted that each step's events meet, by going from event to output, as a message does."""
    height, width, _ = layer.output_shape
    met = np.zeros(len(events), dtype=np.int64)
    for t, y, x, channel in np.argwhere(events):
        for ky, kx in np.ndindex(layer.weight.shape[2:]):
            row, column = y + layer.padding[0] - ky, x + layer.padding[1] - kx
            on_grid = row % layer.stride[0] == 0 and column % layer.stride[1] == 0
            if on_grid and 0 <= row < height * layer.stride[0] and 0 <= column < width * layer.stride[1]:
                met[t] += np.count_nonzero(counted[:, channel, ky, kx])
    return met


def _clipped(layer, events):
    """How often N5 clips in each step: the sums before it, from the reference's membranes."""
    spikes, membranes = reference_layer(layer, events)
    clipped = np.zeros(len(events), dtype=np.int64)
    for t, arriving in enumerate(events):
        before = membranes[t - 1].astype(np.int64) if t else np.zeros(layer.output_shape, np.int64)
        kept = np.sign(before) * (np.abs(before) * (4096 - layer.decays.astype(np.int64)) // 4096)
        value = kept + (synaptic_sum(layer.weight, arriving, layer.output_shape, layer.stride, layer.padding) << 6)
        if t and layer.reset == "soft":
            value -= (layer.thresholds.astype(np.int64) << 6) * spikes[t - 1]
        clipped[t] = np.count_nonzero(np.abs(value) > MEMBRANE_MAX)
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
    assert core.counts[:, COUNT_FIELDS.index("saturated_states")].tolist() == [1, 1, 1]


@pytest.mark.parametrize(("kind", "largest"), [(np.uint32, 1023), (np.uint32, 144), (np.uint64, 64 * 64 * 1024)])
def test_reaches_beyond_half_a_sum_are_added_exactly(kind, largest):
    """Met by more events than may be added before the two halves are taken apart."""
    half = 4 * np.dtype(kind).itemsize
    reach = np.array([largest << half | 1, largest << half | largest], dtype=kind)
    positions = np.arange(5000, dtype=np.uint32) % 2
    at_once = _add_at_once(np.dtype(kind), largest)
    assert at_once < 5000
    assert _add_reaches(positions, 5000, reach, at_once) == (2500 * (largest + 1), 5000 * largest)
    assert _add_reaches(positions, 0, reach, at_once) == (0, 0)


@pytest.mark.parametrize(("channels", "kind"), [(113, np.uint32), (114, np.uint64), (1024, np.uint64)])
def test_a_large_kernel_counts_in_wider_sums(channels, kind):
    """A kernel of 3 x 3: an event meets up to 1017, 1026 and 9216 weights."""
    rng = np.random.default_rng(3)
    weight = rng.choice([-2, 0, 2], (channels, 1, 3, 3)).astype(np.int32)
    layer = ConvLifSpec("large", (3, 400, 1), weight, (1, 1), (1, 1), 1, 0)
    events = (rng.random((2, 3, 400, 1)) < 0.7).astype(np.int8)
    core = ConvLifCore(layer)
    core.run(events)
    assert core._tables.reach.dtype == kind
    np.testing.assert_array_equal(core.counts, reference_counts(layer, events))


@pytest.mark.parametrize(("reset", "active"), [("soft", [0, 1, 1, 1]), ("hard", [0, 1, 0, 0])])
def test_a_neuron_that_fires_is_active_and_one_whose_inputs_cancel_is_at_rest(reset, active):
    """Soft: the step after a spike subtracts the threshold from what is left. Hard: the membrane is cleared at once."""
    weight = np.array([[[[64]], [[-64]]]], dtype=np.int32)
    layer = ConvLifSpec("one", (1, 1, 2), weight, (1, 1), (0, 0), 63, 4095, reset, graded_input=True)
    events = np.array([[1, 1], [1, 0], [0, 0], [0, 0]], dtype=np.int8).reshape(4, 1, 1, 2)
    core = ConvLifCore(layer)
    assert core.run(events).ravel().tolist() == [0, 1, 0, 0]
    counts = dict(zip(COUNT_FIELDS, core.counts.T.tolist(), strict=True))
    assert counts["active_updates"] == active
    assert counts["events_in"] == [2, 1, 0, 0]
    assert counts["synaptic_operations"] == counts["stored_operations"] == [2, 1, 0, 0]


def test_a_clip_counts_the_same_at_once_and_step_by_step_and_begins_anew(make_stm, make_clip):
    stm = make_stm(3)
    clips = [make_clip(stm, seed) for seed in (1, 2)]
    with NativeStm(stm) as whole, NativeStm(stm, record=True) as stepwise:
        for clip in clips:
            counted = whole.run_clip(*clip).counts
            assert counted == stepwise.run_clip(*clip).counts
            for layer in counted:
                assert len(layer.step_events) == len(layer.step_operations) == len(layer.step_spikes) == stm.timesteps
                assert sum(layer.step_events) == layer.events_in > 0
                assert sum(layer.step_operations) == layer.stored_operations > layer.synaptic_operations
                assert sum(layer.step_spikes) == layer.spikes_out > 0
                assert layer.active_updates + layer.inactive_updates == layer.neuron_updates


def test_the_layers_compute_for_a_part_of_the_call(make_stm, make_clip):
    stm = make_stm(3)
    with NativeStm(stm) as engine:
        engine.run_clip(*make_clip(stm, 1))
        begin = time.perf_counter()
        result = engine.run_clip(*make_clip(stm, 1))
        assert 0 < result.compute_seconds < time.perf_counter() - begin


@pytest.mark.parametrize(
    ("spells", "nanoseconds"),
    [
        ([(10, 20), (30, 45)], 25),
        # Side by side: once.
        ([(10, 20), (12, 18), (15, 26)], 16),
        ([(30, 45), (10, 20), (10, 20)], 25),
        # One after the other on one core: both, whoever's they are.
        ([(10, 20), (20, 31)], 21),
        ([(0, 0), (0, 0), (5, 9)], 4),
    ],
)
def test_time_in_which_two_layers_compute_counts_once(spells, nanoseconds):
    assert computing_seconds(np.array(spells)) == pytest.approx(nanoseconds * 1e-9)


def test_counts_and_spells_come_back_from_their_message():
    counts = [np.arange(21).reshape(3, 7) + 100 * layer for layer in range(2)]
    spells = [[(1, 2), (3, 4), (5, 6)], [(7, 8)]]
    messages = np.stack([pack_counts(*of_layer) for of_layer in zip(counts, spells, strict=True)])
    assert messages.shape == (2, message_size(3))
    back, times = unpack_counts(messages)
    np.testing.assert_array_equal(back, np.stack(counts))
    np.testing.assert_array_equal(times, [(1, 2), (3, 4), (5, 6), (7, 8), (0, 0), (0, 0)])


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
