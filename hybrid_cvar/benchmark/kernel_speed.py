"""How fast the synaptic kernels are, at every activity, and how fast this processor could be."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import uint64
from numpy.typing import NDArray

from hybrid_cvar.benchmark.spiking_material import random_layer
from hybrid_cvar.jit import compiled
from hybrid_cvar.neuromorphic.conv_lif_core import ALWAYS_GATHER, ALWAYS_SCATTER, ConvLifCore
from hybrid_cvar.neuromorphic.kernel_tables import aligned_zeros
from hybrid_cvar.neuromorphic.vector_lanes import LANES, PIXELS, add_lanes, add_pixels

__all__ = ["ACTIVITIES", "crossover", "gather_peak", "milliseconds_by_activity", "scatter_peak"]

ACTIVITIES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0)
REPEATS = 20_000
TAPS = 144


@compiled
def _gather_at_peak(
    sums: NDArray[np.float32], inputs: NDArray[np.float32], weights: NDArray[np.float32], repeats: int
) -> None:
    for _ in range(repeats):
        add_pixels(sums, uint64(0), uint64(LANES), inputs, uint64(0), uint64(LANES), weights, uint64(0), uint64(TAPS))


@compiled
def _scatter_at_peak(sums: NDArray[np.float32], weights: NDArray[np.float32], repeats: int) -> None:
    for _ in range(repeats):
        for tap in range(uint64(TAPS)):
            add_lanes(sums, tap * uint64(LANES), weights, tap * uint64(LANES), np.float32(1))


def gather_peak(threads: int) -> float:
    """Multiply-accumulates a second of `threads` threads whose operands all lie in the first cache."""

    def one_thread() -> None:
        sums, inputs, weights = (aligned_zeros(size) for size in (PIXELS * LANES, PIXELS * LANES + TAPS, TAPS * LANES))
        _gather_at_peak(sums, inputs, weights, REPEATS)

    return REPEATS * PIXELS * TAPS * LANES * threads / _seconds(one_thread, threads)


def scatter_peak(threads: int) -> float:
    """Accumulates a second of `threads` threads that add to sums in the first cache, none twice in a row."""

    def one_thread() -> None:
        _scatter_at_peak(aligned_zeros(TAPS * LANES), aligned_zeros(TAPS * LANES), REPEATS)

    return REPEATS * TAPS * LANES * threads / _seconds(one_thread, threads)


def _seconds(one_thread: Callable[[], None], threads: int) -> float:
    """Median seconds in which every thread does its work once."""
    seconds = []
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: one_thread(), range(threads)))
        for _ in range(5):
            begin = time.perf_counter()
            list(pool.map(lambda _: one_thread(), range(threads)))
            seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def milliseconds_by_activity(size: int, channels: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds a step of a 3x3 layer, by each kernel and by the engine's choice, at every one of `ACTIVITIES`.

    Args:
        size: side of the input; channels: inputs and outputs.
        rounds: of which the median is taken.
    """
    layer = random_layer("crossover", (size, size, channels), channels, graded=False, seed=0)
    cores = {
        "scatter": ConvLifCore(layer, gather_cost=ALWAYS_SCATTER),
        "gather": ConvLifCore(layer, gather_cost=ALWAYS_GATHER),
        "chosen": ConvLifCore(layer),
    }
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {name: [] for name in cores}
    for activity in ACTIVITIES:
        events = (rng.random((1, size, size, channels)) < activity).astype(np.int8)
        seconds: dict[str, list[float]] = {name: [] for name in cores}
        for number in range(rounds + 1):
            for name, core in cores.items():
                core.clear()
                begin = time.perf_counter()
                core.run(events)
                if number:
                    seconds[name].append(time.perf_counter() - begin)
        for name in cores:
            found[name].append(1e3 * statistics.median(seconds[name]))
    return found


def crossover(milliseconds: dict[str, list[float]]) -> float | None:
    """The activity from which on gathering is faster, between two measured ones by a straight line; None if never."""
    differences = [slow - fast for slow, fast in zip(milliseconds["scatter"], milliseconds["gather"], strict=True)]
    for index in range(1, len(ACTIVITIES)):
        before, after = differences[index - 1], differences[index]
        if before <= 0 < after:
            share = -before / (after - before)
            return ACTIVITIES[index - 1] + share * (ACTIVITIES[index] - ACTIVITIES[index - 1])
    return None
