"""Parity of the spiking partition: every form on the same real clips, value by value."""

import dataclasses
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.benchmark.results import BenchResult
from hybrid_cvar.benchmark.spiking_material import ClipEvents, SpikingBench, no_torch
from hybrid_cvar.neuromorphic import ConvLifSpec, NativeStm, StmSpec, StreamSpec
from hybrid_cvar.neuromorphic.counting import COUNT_FIELDS
from hybrid_cvar.neuromorphic.lava_stm import LavaForm, LavaStm
from hybrid_cvar.records import Provenance, SpikingResult

__all__ = ["parity_mismatches"]

MUST_COMPARE = 10**8


def parity_mismatches(bench: SpikingBench) -> BenchResult:
    """Spikes and membranes of every layer and step in which two forms differ.

    Raises:
        MissingPartError: torch or lava-dl is not installed.
    """
    pairs: dict[str, dict[str, Any]] = {}
    base = _recorded(partial(NativeStm, bench.partition, record=True), bench.events[:1])
    hard = _each_channel_hard(bench.small_partition)
    hard_expected = _recorded(partial(NativeStm, hard, record=True), bench.small_events[:1])

    def compare(name: str, expected: list[SpikingResult], actual: list[SpikingResult]) -> None:
        values = mismatches = 0
        for left, right in zip(expected, actual, strict=True):
            for before, after in _pairs(left, right):
                values += before.size
                mismatches += int(np.count_nonzero(before != after))
        pairs[name] = {"values": values, "mismatches": mismatches}

    for name, spec, events, expected in (
        ("", bench.partition, bench.events[:1], base),
        (", hard reset, one neuron a channel", hard, bench.small_events[:1], hard_expected),
    ):
        size = f"{spec.streams[0].layers[0].input_shape[0]}{name}"
        compare(f"SLAYER quantised and native, {size}", expected, _slayer(spec, events))
        compare(
            f"native, all steps at once and step by step, {size}", expected, _recorded(partial(NativeStm, spec), events)
        )
        forms: tuple[LavaForm, ...] = ("streams", "layers", "stock")
        for form in forms:
            actual = _recorded(partial(LavaStm, spec, form=form, record=True), events)
            compare(f"Lava {form} and native, {size}", expected, actual)
        compare(f"Lava streams as timed and native, {size}", expected, _recorded(partial(LavaStm, spec), events))
    values = sum(pair["values"] for pair in pairs.values())
    mismatches = sum(pair["mismatches"] for pair in pairs.values())
    return BenchResult(
        "spiking.parity_mismatches",
        mismatches,
        "values",
        Provenance.MEASURED,
        {
            "target": "== 0",
            "met": mismatches == 0 and values >= MUST_COMPARE,
            "compared": values,
            "compared_at_least": MUST_COMPARE,
            "pairs": pairs,
            "clips": "dancer.avi",
        },
    )


def _pairs(left: SpikingResult, right: SpikingResult) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """What both have: the read-outs; spikes and membranes of every layer and step; counts."""
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = list(zip(left.readouts, right.readouts, strict=True))
    if right.spikes:
        pairs += zip((*left.spikes, *left.membranes), (*right.spikes, *right.membranes), strict=True)
    if right.counts:
        pairs.append((_counts(left), _counts(right)))
    return pairs


def _counts(result: SpikingResult) -> NDArray[np.int64]:
    """Every count of every layer, those of single steps too."""
    by_step = ("step_events", "step_operations", "step_spikes")
    return np.array(
        [
            [
                *(getattr(layer, field) for field in COUNT_FIELDS),
                *(value for name in by_step for value in getattr(layer, name)),
            ]
            for layer in result.counts
        ]
    )


def _each_channel_hard(spec: StmSpec) -> StmSpec:
    """The same partition with hard reset, and thresholds and decays that differ from channel to channel."""
    rng = np.random.default_rng(0)

    def change(layer: ConvLifSpec) -> ConvLifSpec:
        # At least 1, as training keeps them.
        thresholds = np.maximum(layer.thresholds * rng.uniform(0.5, 1.5, len(layer.weight)), 1).astype(np.int32)
        decays = rng.integers(0, 1000, len(layer.weight)).astype(np.int32)
        return dataclasses.replace(layer, threshold=thresholds, decay=decays, reset="hard")

    streams = (StreamSpec(one.name, tuple(change(layer) for layer in one.layers)) for one in spec.streams)
    return StmSpec(tuple(streams), spec.timesteps)


def _recorded(open_engine: Callable[[], Any], events: Iterable[ClipEvents]) -> list[SpikingResult]:
    with open_engine() as engine:
        return [engine.run_clip(*clip) for clip in events]


def _slayer(spec: StmSpec, events: Iterable[ClipEvents]) -> list[SpikingResult]:
    try:
        from hybrid_cvar.benchmark.slayer_forward import run_slayer
    except ImportError as error:
        raise no_torch(error) from error
    return [run_slayer(spec, clip) for clip in events]
