"""Time on a chip: by hand on small traces, and its bounds on any."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_cvar.energy import load_profile, model_chip_latency, profile_names
from hybrid_cvar.energy.profile import Chip, EnergyConstant, EnergyProfile, Quantity
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import ChipFit, CoreBounds, Finding, ResourceReport, Trace

MakeTrace = Callable[..., Trace]


def bounds(name: str, tiled: int | None, tile: tuple[int, int, int] | None = None, at_least: int = 1) -> CoreBounds:
    return CoreBounds(name, at_least, "neurons", tiled, tile, "")


def fit_of(*layers: CoreBounds, chip: str = "Loihi 1", violations: tuple[Finding, ...] = ()) -> ResourceReport:
    return ResourceReport((), (ChipFit(chip, layers, 1, 1, None, None, violations, (), ("a resource table",)),), ())


def profile_of(
    times: dict[str, float], barrier: tuple[tuple[int, float], ...] = ((1, 100), (8, 1000))
) -> EnergyProfile:
    """Nanoseconds a counter."""
    return EnergyProfile(
        name="mine",
        description="a test",
        spiking=tuple(
            EnergyConstant(counter, counter, Quantity(1, "pJ"), "c", "a book", Quantity(nanoseconds, "ns"))
            for counter, nanoseconds in times.items()
        ),
        mac=EnergyConstant("MAC", "", Quantity(1, "pJ"), "c", "a book"),
        not_priced=("all else",),
        chip=Chip("Loihi 1", 4, tuple((tiles, Quantity(time, "ns")) for tiles, time in barrier), "c", "a chip's book"),
    )


@pytest.fixture
def two_layers(make_trace: MakeTrace, make_layer) -> Trace:
    """Two clips of two steps: a stream of two layers."""
    first = make_layer(
        *("motion", 0, 300),
        **{"clips": 2, "neurons": 10, "timesteps": 4, "neuron_updates": 40, "active_updates": 30},
        **{"stored_operations": 400, "step_operations": (100, 300), "step_events": (10, 20), "step_spikes": (4, 8)},
    )
    second = make_layer(
        *("motion", 1, 50),
        **{"clips": 2, "neurons": 6, "timesteps": 4, "neuron_updates": 24, "active_updates": 0},
        **{"stored_operations": 80, "step_operations": (0, 80), "step_events": (4, 8), "step_spikes": (0, 2)},
    )
    return make_trace(clips=2, spiking=(first, second), dense=())


CORES = fit_of(bounds("motion.0", 2, (2, 3, 1)), bounds("motion.1", None, at_least=4))


def test_a_step_lasts_as_long_as_its_busiest_core(two_layers: Trace) -> None:
    found = model_chip_latency(two_layers, profile_of({"stored_operations": 10, "neuron_updates": 1}), CORES)
    # Layer 0: 6 neurons on its fullest core; 100 / 2 clips / 2 cores = 25 and then 75 operations.
    # Layer 1, a step later: 2 neurons on the fullest of 4 cores; 0 and then 10 operations.
    # Steps: max(250 + 6, 2), max(750 + 6, 0 + 2), max(6, 100 + 2); the barrier is that of 8 tiles, as 6 cores take 2.
    assert found is not None
    assert (found.steps, found.cores, found.profile, found.chip) == (3, 6, "mine", "Loihi 1")
    assert found.barrier_seconds == pytest.approx(1000e-9)
    assert found.clip_seconds == pytest.approx(1e-9 * (256 + 756 + 102 + 3 * 1000))
    first, second = found.layers
    assert (first.name, first.cores, first.neurons_a_core, first.operations_a_core) == ("motion.0", 2, 6, 100)
    assert (second.name, second.cores, second.neurons_a_core, second.operations_a_core) == ("motion.1", 4, 2, 10)
    assert first.seconds == pytest.approx(1e-9 * (256 + 756 + 6))
    assert second.seconds == pytest.approx(1e-9 * (2 + 2 + 102))


def one_time(trace: Trace, **times: float) -> float:
    """Nanoseconds of a clip without barriers."""
    found = model_chip_latency(trace, profile_of(times, ((1, 0),)), CORES)
    assert found is not None
    return 1e9 * found.clip_seconds


def test_every_counter_has_its_own_share(two_layers: Trace) -> None:
    # By step, over both clips: 4 and 8 spikes of layer 0 on 2 cores, 2 of layer 1 in the third step on 4.
    assert one_time(two_layers, spikes_out=1) == pytest.approx((4 + 8) / 4 + 2 / 8)
    assert one_time(two_layers, events_in=1) == pytest.approx(max(10 / 4, 0) + max(20 / 4, 4 / 8) + 8 / 8)
    # 300 of 400 stored operations of layer 0 are with non-zero weights, 50 of 80 of layer 1.
    assert one_time(two_layers, synaptic_operations=1) == pytest.approx(0.75 * 400 / 4 + 50 / 8)
    # 30 of 40 updates of layer 0 are active, none of layer 1's.
    assert one_time(two_layers, active_updates=1) == pytest.approx(3 * 6 * 0.75)
    assert one_time(two_layers, inactive_updates=1) == pytest.approx(3 * max(6 * 0.25, 2))
    # A spike on its way keeps no core busy.
    assert one_time(two_layers, spikes_sent=1, events_in=0) == 0


@pytest.mark.parametrize("name", ["loihi1-davies2018", "loihi1-sanafe"])
def test_the_barriers_conditions_are_among_the_assumptions(two_layers: Trace, name: str) -> None:
    profile = load_profile(name)
    found = model_chip_latency(two_layers, profile, CORES)
    assert found is not None and profile.chip is not None
    assert [entry for entry in found.assumptions if entry.endswith(profile.chip.conditions) and "barrier" in entry]


def test_streams_run_side_by_side(make_trace: MakeTrace, make_layer, two_layers: Trace) -> None:
    other = make_layer("residual", 0, 3, step_operations=(1, 2), step_events=(1, 1), step_spikes=(0, 0), neurons=4)
    both = replace(two_layers, spiking=(*two_layers.spiking, other))
    cores = fit_of(*CORES.chips[0].layers, bounds("residual.0", 1, (1, 4, 1)))
    profile = profile_of({"stored_operations": 10, "neuron_updates": 1})
    alone, together = (model_chip_latency(t, profile, r) for t, r in ((two_layers, CORES), (both, cores)))
    assert alone is not None and together is not None
    assert (together.clip_seconds, together.cores) == (pytest.approx(alone.clip_seconds), alone.cores + 1)


def test_no_time_without_times_or_resources(make_trace: MakeTrace, two_layers: Trace) -> None:
    timed = profile_of({"stored_operations": 1})
    for trace, profile, resources in (
        (two_layers, load_profile("paper-45nm"), CORES),
        (two_layers, timed, None),
        (two_layers, timed, fit_of(*CORES.chips[0].layers, chip="Loihi 2")),
        (make_trace(spiking=()), timed, CORES),
        (make_trace(clips=0), timed, CORES),
    ):
        assert model_chip_latency(trace, profile, resources) is None
    given_times = [name for name in profile_names() if model_chip_latency(two_layers, load_profile(name), CORES)]
    assert given_times == ["loihi1-davies2018", "loihi1-sanafe"]


def test_resources_of_other_layers_are_refused(two_layers: Trace) -> None:
    with pytest.raises(ConfigError, match=r"motion\.0, motion\.1.*residual\.0"):
        model_chip_latency(two_layers, profile_of({"stored_operations": 1}), fit_of(bounds("residual.0", 1)))


@pytest.mark.parametrize(
    ("cores", "nanoseconds", "says"),
    [
        (4, 100, None),
        (5, 1000, "the barrier over 2 tiles is taken as that of 8: the most there can be"),
        (32, 1000, None),
        (33, 1000, "the barrier over 9 tiles is taken as that of 8, the most that the source states"),
    ],
)
def test_a_barrier_without_a_source_is_bounded_in_words(
    make_trace: MakeTrace, make_layer, cores: int, nanoseconds: float, says: str | None
) -> None:
    trace = make_trace(spiking=(make_layer("motion", 0, 9),))
    found = model_chip_latency(trace, profile_of({"events_in": 1}), fit_of(bounds("motion.0", cores, (1, 1, 1))))
    assert found is not None
    assert found.barrier_seconds == pytest.approx(1e-9 * nanoseconds)
    barriers = [words for words in found.assumptions if words.startswith("the barrier")]
    assert [words.startswith(says or "-") for words in barriers] == ([True] if says else [])


def test_assumptions_and_sources_are_named(two_layers: Trace) -> None:
    finding = Finding("Loihi 1: motion.0", "input events carry 8 bits", "a spike carries at most 1", "code them")
    resources = fit_of(*CORES.chips[0].layers, violations=(finding,))
    found = model_chip_latency(two_layers, load_profile("loihi1-sanafe"), resources)
    assert found is not None
    said = " ".join(found.assumptions)
    for words in ("evenly", "contention", "input and output", "motion.1: no mapping in tiles", "breaks (1)", "drain"):
        assert words in said
    assert [any(name in source for source in found.sources) for name in ("SANA-FE", "a resource table")] == [True] * 2


@settings(max_examples=60, deadline=None)
@given(
    operations=st.lists(st.lists(st.integers(0, 2**60), min_size=11, max_size=11), min_size=4, max_size=4),
    cores=st.lists(st.integers(1, 5000), min_size=4, max_size=4),
    name=st.sampled_from(["loihi1-davies2018", "loihi1-sanafe"]),
    clips=st.sampled_from([1, 10_000]),
)
def test_a_clip_lies_between_its_busiest_layer_and_all_of_them(
    make_trace: MakeTrace, make_layer, operations, cores, name, clips
) -> None:
    names = [(stream, layer) for stream in ("motion", "residual") for layer in (0, 1)]
    layers = tuple(
        make_layer(*each, sum(steps), clips=clips, stored_operations=sum(steps), step_operations=tuple(steps))
        for each, steps in zip(names, operations, strict=True)
    )
    resources = fit_of(*(bounds(layer.name, n, (10, 5, 2)) for layer, n in zip(layers, cores, strict=True)))
    found = model_chip_latency(make_trace(clips=clips, spiking=layers), load_profile(name), resources)
    assert found is not None
    assert found.steps == 12 and found.cores == sum(cores)
    working = found.clip_seconds - found.steps * found.barrier_seconds
    seconds = [layer.seconds for layer in found.layers]
    slack = 1e-9 * found.clip_seconds
    assert max(seconds) - slack <= working <= sum(seconds) + slack
