"""The spiking partition: equal in every form, and how fast, at the base size on real clips."""

import functools
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from hybrid_cvar.benchmark.kernel_speed import (
    ACTIVITIES,
    crossover,
    gather_peak,
    milliseconds_by_activity,
    scatter_peak,
)
from hybrid_cvar.benchmark.measure import TwoTimings, peak_memory, ratio_of_medians
from hybrid_cvar.benchmark.real_clips import find_dancer
from hybrid_cvar.benchmark.results import BenchResult
from hybrid_cvar.benchmark.spiking_material import (
    SPIKE_RATE,
    ClipEvents,
    SpikingBench,
    base_partition,
    clip_events,
    no_torch,
)
from hybrid_cvar.benchmark.spiking_parity import parity_mismatches
from hybrid_cvar.neuromorphic import NativeStm, StmSpec
from hybrid_cvar.neuromorphic.conv_lif_core import ConvLifCore
from hybrid_cvar.neuromorphic.lava_stm import LavaForm, LavaStm

__all__ = ["SPIKING_ROWS", "SpikingBench"]

STOCK_ROUNDS = 3
CROSSOVER_CHANNELS = 16
CLIPS_FOR_MEMORY = 4
TRAINING_BATCH = 4
TRAINING_ROUNDS = 7


def lava_over_native(bench: SpikingBench) -> BenchResult:
    """A clip's time on the Lava engine over that on the native engine, both with both cores."""
    with NativeStm(bench.partition) as native, LavaStm(bench.partition) as lava:
        timings = _in_turn(native.run_clip, lava.run_clip, bench.events, bench.rounds)
    detail = _two("s a clip", timings.slow_median, timings.fast_median, timings)
    return BenchResult(
        "spiking.lava_over_native_time",
        timings.ratio,
        "x",
        detail={"target": "<= 1.5", "met": timings.ratio <= 1.5, **detail, **_activity(bench)},
    )


def fused_over_reference(bench: SpikingBench) -> BenchResult:
    """A clip's time on stock Conv and neuron Processes over that on fused ones, the slower of both fused networks."""
    rounds = min(bench.rounds, STOCK_ROUNDS)
    fused_forms: tuple[LavaForm, ...] = ("layers", "streams")
    forms: dict[str, dict[str, Any]] = {}
    for form in fused_forms:
        with LavaStm(bench.small_partition, form=form) as fused, LavaStm(bench.small_partition, form="stock") as stock:
            timings = _in_turn(fused.run_clip, stock.run_clip, bench.small_events[:1], rounds)
        forms[form] = {
            "ratio": timings.ratio,
            **_two("s a clip", timings.fast_median, timings.slow_median, timings),
        }
    worst = min(forms.values(), key=lambda form: form["ratio"])
    return BenchResult(
        "spiking.fused_over_reference_speedup",
        worst["ratio"],
        "x",
        detail={
            "target": ">= 20",
            "met": worst["ratio"] >= 20,
            "size": bench.stock_size,
            **worst,
            "forms": forms,
        },
    )


def native_over_torch(bench: SpikingBench) -> BenchResult:
    """A clip's time in eager float torch over that on the native engine, with as many threads.

    Raises:
        MissingPartError: torch is not installed.
    """
    try:
        import torch

        from hybrid_cvar.benchmark.torch_conv_lif import TorchPartition
    except ImportError as error:
        raise no_torch(error) from error
    threads = len(bench.partition.streams)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return _native_over_torch(bench, (torch.contiguous_format, torch.channels_last), TorchPartition, threads)
    finally:
        torch.set_num_threads(before)


def _native_over_torch(bench: SpikingBench, formats: Iterable[Any], torch_partition: Any, threads: int) -> BenchResult:
    clip = bench.events[1]
    layouts: dict[str, Any] = {}
    for layout in formats:
        partition = torch_partition(bench.partition, layout)
        tensors = [partition.prepare(events) for events in clip]
        partition.run(tensors)
        with NativeStm(bench.partition) as native:
            native.run_clip(*clip)
            timings = ratio_of_medians(partial(native.run_clip, *clip), partial(partition.run, tensors), bench.rounds)
        layouts[str(layout)] = _two("s a clip", timings.fast_median, timings.slow_median, timings)
    fastest = min(layouts.values(), key=lambda layout: layout["medians"][1])
    ratio = fastest["medians"][1] / fastest["medians"][0]
    return BenchResult(
        "spiking.native_over_torch_speedup",
        ratio,
        "x",
        detail={"target": ">= 2", "met": ratio >= 2, **fastest, "threads": threads, "layouts": layouts},
    )


def fixed_over_float_training(bench: SpikingBench) -> BenchResult:
    """A training step's time with the fixed-point forward over one in float, and the forward pass's alone.

    The worst of several shapes and of both.

    Raises:
        MissingPartError: torch or lava-dl is not installed.
    """
    try:
        from hybrid_cvar.benchmark.training_step import fixed_and_float_steps
    except ImportError as error:
        raise no_torch(error) from error
    shapes: dict[str, dict[str, Any]] = {}
    for side, strides in ((bench.size // 4, (2, 2)), (bench.size // 2, (2, 2)), (bench.size // 2, (1, 1))):
        for part, backward in (("step", True), ("forward", False)):
            rounds = max(bench.rounds, TRAINING_ROUNDS)
            timings = fixed_and_float_steps(rounds, side, TRAINING_BATCH, strides, backward=backward)
            shapes[f"{part}, {side}x{side}, strides {strides[0]} and {strides[1]}"] = {
                "ratio": timings.ratio,
                **_two("s", timings.slow_median, timings.fast_median, timings),
            }
    worst = max(shapes.values(), key=lambda shape: shape["ratio"])
    return BenchResult(
        "spiking.fixed_over_float_training_time",
        worst["ratio"],
        "x",
        detail={
            "target": "<= 2",
            "met": worst["ratio"] <= 2,
            **worst,
            "batch": TRAINING_BATCH,
            "shapes": shapes,
        },
    )


def gsynops_per_second(bench: SpikingBench) -> BenchResult:
    """Useful accumulates a second of the native engine, of a clip, and how far from this machine's limit that is."""
    clip = bench.events[1]
    seconds = []
    with NativeStm(bench.partition) as native:
        native.run_clip(*clip)
        for _ in range(bench.rounds):
            begin = time.perf_counter()
            native.run_clip(*clip)
            seconds.append(time.perf_counter() - begin)
    threads = len(bench.partition.streams)
    operations = sum(layer.synaptic_operations for layer in bench.result.counts)
    rate = operations / statistics.median(seconds)
    scattered, gathered = _rows_by_kernel(bench)
    peaks = {"scatter": scatter_peak(threads), "gather": gather_peak(threads)}
    chosen = "scatter" if scattered >= gathered else "gather"
    milliseconds = milliseconds_by_activity(bench.size, CROSSOVER_CHANNELS, bench.rounds)
    return BenchResult(
        "spiking.gsynops_per_second",
        rate / 1e9,
        "G accumulates/s",
        detail={
            "accumulates": operations,
            "seconds": seconds,
            "threads": threads,
            "kernel": chosen,
            "rows_scattered": scattered,
            "rows_gathered": gathered,
            "peak_g": {name: peak / 1e9 for name, peak in peaks.items()},
            "share_of_peak": rate / peaks[chosen],
            "crossover": {
                "size": bench.size,
                "channels": CROSSOVER_CHANNELS,
                "activities": list(ACTIVITIES),
                "milliseconds_a_step": milliseconds,
                "gather_is_faster_from": crossover(milliseconds),
            },
            **_activity(bench),
        },
    )


def _rows_by_kernel(bench: SpikingBench) -> tuple[int, int]:
    """Input rows of the second clip that were scattered, and that were gathered."""
    choices = np.zeros(2, dtype=np.int64)
    for stream, passing in zip(bench.partition.streams, bench.events[1], strict=True):
        for layer in stream.layers:
            core = ConvLifCore(layer)
            passing = core.run(passing)
            choices += core.choices
    return int(choices[0]), int(choices[1])


def peak_rss(bench: SpikingBench) -> BenchResult:
    """Most resident memory of a program and its Lava processes that runs clips at the base size."""
    peak = peak_memory(run_lava_clips, bench.size)
    value = peak.bytes / 2**20
    return BenchResult(
        "spiking.peak_rss_mb",
        value,
        "MiB",
        detail={
            "target": "< 1500",
            "met": value < 1500,
            "tree_mb": peak.tree_bytes / 2**20,
            "own_mb": peak.own_bytes / 2**20,
            "clips": peak.value,
        },
    )


def run_lava_clips(size: int) -> int:
    """Runs clips of dancer.avi on the Lava engine; returns how many."""
    events = clip_events(find_dancer(), size, 1)[0]
    with LavaStm(base_partition(events)) as lava:
        for _ in range(CLIPS_FOR_MEMORY):
            lava.run_clip(*events)
    return CLIPS_FOR_MEMORY


def _in_turn(
    fast: Callable[..., object],
    slow: Callable[..., object],
    events: list[ClipEvents],
    rounds: int,
) -> TwoTimings:
    """Seconds a clip: every round takes all clips."""

    def all_clips(run: Callable[..., object]) -> None:
        for clip in events:
            run(*clip)

    fast(*events[0])
    slow(*events[0])
    timings = ratio_of_medians(functools.partial(all_clips, fast), functools.partial(all_clips, slow), rounds)
    clips = len(events)
    return TwoTimings(
        tuple(seconds / clips for seconds in timings.fast_seconds),
        tuple(seconds / clips for seconds in timings.slow_seconds),
    )


def _two(unit: str, first: float, second: float, timings: TwoTimings) -> dict[str, Any]:
    return {
        "medians": [first, second],
        "medians_unit": unit,
        "fast_seconds": list(timings.fast_seconds),
        "slow_seconds": list(timings.slow_seconds),
    }


def _activity(bench: SpikingBench) -> dict[str, Any]:
    """What kept the layers busy: thresholds are set for `SPIKE_RATE` on the first clip, weights are random."""
    return {
        "size": bench.size,
        "weights": "random, seeded",
        "thresholds_for_spike_rate": SPIKE_RATE,
        "layers": {
            layer.name: {
                "events_in": layer.events_in,
                "input_activity": layer.events_in / _inputs(bench.partition, layer.name),
                "spike_rate": layer.spike_rate,
                "synaptic_operations": layer.synaptic_operations,
            }
            for layer in bench.result.counts
        },
    }


def _inputs(spec: StmSpec, name: str) -> int:
    """Input places of a layer, over all steps."""
    (layer,) = [layer for stream in spec.streams for layer in stream.layers if layer.name == name]
    return int(np.prod(layer.input_shape)) * spec.timesteps


SPIKING_ROWS: Mapping[str, Callable[[SpikingBench], BenchResult]] = {
    "spiking.parity_mismatches": parity_mismatches,
    "spiking.lava_over_native_time": lava_over_native,
    "spiking.fused_over_reference_speedup": fused_over_reference,
    "spiking.native_over_torch_speedup": native_over_torch,
    "spiking.fixed_over_float_training_time": fixed_over_float_training,
    "spiking.gsynops_per_second": gsynops_per_second,
    "spiking.peak_rss_mb": peak_rss,
}
