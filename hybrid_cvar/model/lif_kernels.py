"""The dynamics of `LifDynamics` for float32 tensors on a CPU: each value is read once and written once.

torch runs every operation of every step over all neurons, which a memory's bandwidth bounds. These kernels take a few
neurons at a time through all their steps while their state is in the cache. The operations are those of `LifDynamics`,
one by one and in its order, so fixed point gives the same bits.

Arrays are (T, N, P, C): steps, clips, pixels, channels, all contiguous.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hybrid_cvar.fixed_point import MEMBRANE_SCALE, WEIGHT_SCALE
from hybrid_cvar.jit import compiled

__all__ = ["run_backward", "run_forward"]

TILE = 64
"""Pixels that go through all steps together."""

Array = NDArray[np.float32]
NONE = np.empty((0, 0, 0), np.float32)


def run_forward(
    sums: Array, leaks: Array, thresholds: Array, *, soft: bool, fixed: bool, limit: float
) -> tuple[Array, Array]:
    """All steps from cleared state.

    Args:
        sums: z, (T, N, P, C).
        leaks, thresholds: (C,).
        soft: reset by subtraction in the step after a spike; else to zero at the spike.
        fixed: the integers of `neuromorphic/spec.md`.
        limit: membranes are clipped to +-limit.

    Returns:
        (spikes, membranes before a hard reset), as sums.
    """
    arrived, spikes = np.empty_like(sums), np.empty_like(sums)
    parameters = _tiled(leaks, sums), _tiled(thresholds, sums)
    rows = _as_rows(sums), _as_rows(arrived), _as_rows(spikes)
    _share_clips(
        sums.shape[1],
        lambda first, last: _forward(*rows, *parameters, soft, fixed, np.float32(limit), first, last),
    )
    return spikes, arrived


def run_backward(
    arrived: Array,
    spike_gradient: Array | None,
    membrane_gradient: Array | None,
    leaks: Array,
    thresholds: Array,
    *,
    soft: bool,
    gamma: float,
    limit: float,
) -> tuple[Array, Array, Array]:
    """Back-propagation through time.

    Args:
        arrived: membranes before a hard reset, (T, N, P, C), as `run_forward` gave them.
        spike_gradient, membrane_gradient: dLoss/do and dLoss/du, as arrived; None for zeros.
        leaks, thresholds: (C,).
        soft, limit: as in `run_forward`.
        gamma: width of the surrogate gradient.

    Returns:
        dLoss/dz as arrived, dLoss/dleak and dLoss/dthreshold float64 (C,).
    """
    clips, channels = arrived.shape[1], arrived.shape[3]
    gradient = np.empty_like(arrived)
    parameters = _tiled(leaks, arrived), _tiled(thresholds, arrived)
    sums = np.zeros((2, clips, len(parameters[0])), np.float64)
    of_spikes, of_membranes = (NONE if each is None else _as_rows(each) for each in (spike_gradient, membrane_gradient))
    rows = _as_rows(arrived), of_spikes, of_membranes, _as_rows(gradient)
    settings = soft, np.float32(gamma), np.float32(limit)
    _share_clips(clips, lambda first, last: _backward(*rows, *parameters, *settings, first, last, *sums))
    leak_gradient, threshold_gradient = sums.reshape(2, -1, channels).sum(axis=1)
    return gradient, leak_gradient, threshold_gradient


def _as_rows(values: Array) -> Array:
    """(T, N, P, C) to (T, N, P * C)."""
    return values.reshape(*values.shape[:2], -1)


def _tiled(parameter: Array, values: Array) -> Array:
    """(C,) repeated for every pixel of a tile."""
    return np.tile(parameter, min(TILE, max(1, values.shape[2])))


@cache
def _threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="lif")


os.register_at_fork(after_in_child=_threads.cache_clear)  # a forked child has none of the threads


def _share_clips(clips: int, run: Callable[[int, int], Any]) -> None:
    """Each of torch's threads takes a run of clips; the sums do not depend on how many there are."""
    count = min(torch.get_num_threads(), clips)
    if count <= 1:
        run(0, clips)
        return
    edges = [clips * k // count for k in range(count + 1)]
    list(_threads(count).map(run, edges[:-1], edges[1:]))


@compiled
def _forward(  # type: ignore[no-untyped-def]
    sums, arrived, spikes, leaks, thresholds, soft, fixed, limit, first, last
):
    """Clips `first` to `last` - 1 of (T, N, P * C); leaks and thresholds are a tile long, as the state is."""
    steps, _, length = sums.shape
    tile = len(leaks)
    before, fired = np.empty(tile, np.float32), np.empty(tile, np.float32)
    up, down = np.float32(WEIGHT_SCALE), np.float32(1 / WEIGHT_SCALE)
    scale, unit = np.float32(MEMBRANE_SCALE), np.float32(1 / MEMBRANE_SCALE)
    one, zero = np.float32(1.0), np.float32(0.0)
    kept = leaks * scale
    resets = thresholds if soft else np.zeros_like(thresholds)
    for n in range(first, last):
        for start in range(0, length, tile):
            count = min(tile, length - start)
            before[:] = zero
            fired[:] = zero
            for t in range(steps):
                z = sums[t, n, start : start + count]
                reached = arrived[t, n, start : start + count]
                spike = spikes[t, n, start : start + count]
                if fixed:
                    for i in range(count):
                        u = before[i]
                        whole = np.trunc(u)
                        a = np.rint(z[i] * up) * down - fired[i] * resets[i]
                        reached[i] = (a + whole * leaks[i]) + np.trunc((u - whole) * kept[i]) * unit
                else:
                    for i in range(count):
                        reached[i] = (z[i] - fired[i] * resets[i]) + before[i] * leaks[i]
                for i in range(count):
                    a = min(max(reached[i], -limit), limit)
                    o = one if a > thresholds[i] else zero
                    reached[i] = a
                    spike[i] = o
                    fired[i] = o
                    before[i] = a if soft else a - a * o


@compiled
def _backward(  # type: ignore[no-untyped-def]
    arrived, spike_gradient, membrane_gradient, gradient, leaks, thresholds, soft, gamma, limit, first, last,
    leak_sums, threshold_sums,
):  # fmt: skip
    """Clips `first` to `last` - 1; the sums have a row a clip, a tile long."""
    steps, _, length = arrived.shape
    tile = len(leaks)
    carried, to_membrane, back = np.empty(tile, np.float32), np.empty(tile, np.float32), np.empty(tile, np.float32)
    has_spikes, has_membranes = spike_gradient.size > 0, membrane_gradient.size > 0
    one, zero = np.float32(1.0), np.float32(0.0)
    shortest = thresholds * thresholds / gamma
    width = thresholds / gamma
    for n in range(first, last):
        leak_sum, threshold_sum = np.zeros(tile, np.float32), np.zeros(tile, np.float32)
        for start in range(0, length, tile):
            count = min(tile, length - start)
            carried[:] = zero
            for t in range(steps - 1, -1, -1):
                reached = arrived[t, n, start : start + count]
                out = gradient[t, n, start : start + count]
                for i in range(count):
                    to_membrane[i] = carried[i] * leaks[i]
                if has_membranes:
                    from_outside = membrane_gradient[t, n, start : start + count]
                    for i in range(count):
                        to_membrane[i] += from_outside[i]
                if has_spikes:
                    from_spikes = spike_gradient[t, n, start : start + count]
                    for i in range(count):
                        back[i] = from_spikes[i]
                else:
                    back[:] = zero
                if soft:
                    for i in range(count):
                        o = one if reached[i] > thresholds[i] else zero
                        leak_sum[i] += carried[i] * reached[i]
                        threshold_sum[i] -= carried[i] * o
                        back[i] -= carried[i] * thresholds[i]
                else:
                    for i in range(count):
                        a = reached[i]
                        o = one if a > thresholds[i] else zero
                        leak_sum[i] += carried[i] * (a - a * o)
                        back[i] -= to_membrane[i] * a
                        to_membrane[i] -= to_membrane[i] * o
                for i in range(count):
                    a = reached[i]
                    off = a - thresholds[i]
                    slope = back[i] * width[i] / (shortest[i] + off * off)
                    threshold_sum[i] -= slope
                    inside = one if abs(a) < limit else zero
                    total = (slope + to_membrane[i]) * inside
                    carried[i] = total
                    out[i] = total
        for i in range(tile):
            leak_sums[n, i] = leak_sum[i]
            threshold_sums[n, i] = threshold_sum[i]
