"""Compiled kernels of the fixed-point ConvLIF (spec.md). The readable form is `reference.py`.

An output row is finished before the next is begun: its synaptic sums and membranes stay in the nearest cache, for all
the steps that are given at once. Sums are gathered in float32, which is exact: every partial sum is a whole number
below 2**24 (N1). Compiled once and cached on disk; nothing here starts a thread, so a process that has run a kernel
may fork.
"""

import numpy as np
from numba import float32, int32, uint64
from numpy.typing import NDArray

from hybrid_cvar.jit import compiled
from hybrid_cvar.neuromorphic.vector_lanes import LANES, PIXELS, add_lanes, add_pixels

__all__ = ["GATHER_COST", "run_steps"]

GATHER_COST = 0.3
"""Time of one vector of sixteen products in `_gather_row`, in times of one in `_scatter_row` (measured: the crossover
plot of the spiking benchmark)."""


@compiled
def _list_events(
    words: NDArray[np.uint64], row: NDArray[np.int8], positions: NDArray[np.uint32], values: NDArray[np.float32]
) -> int:
    """Positions and values of a row's non-zero events, in order; returns how many."""
    count = uint64(0)
    for word in range(uint64(words.size)):
        if words[word] != 0:
            for byte in range(uint64(8)):
                position = word * uint64(8) + byte
                value = row[position]
                positions[count] = position
                values[count] = value
                count += uint64(value != 0)
    return int(count)


@compiled
def _add_reaches(
    positions: NDArray[np.uint32], count: int, reach: NDArray[np.unsignedinteger], at_once: int
) -> tuple[int, int]:
    """Weights that a row's events meet: (the non-zero ones, all of them).

    Both halves of `reach` are added in one go, and taken apart before the lower one can run over.
    """
    kind = reach.dtype.type
    half = uint64(reach.itemsize * 4)
    nonzero = stored = uint64(0)
    for begin in range(0, count, at_once):
        both = kind(0)
        for event in range(uint64(begin), uint64(min(begin + at_once, count))):
            both = kind(both + reach[positions[event]])
        stored += uint64(both) >> half
        nonzero += uint64(both) & ((uint64(1) << half) - uint64(1))
    return int(nonzero), int(stored)


@compiled
def _scatter_row(
    positions: NDArray[np.uint32],
    values: NDArray[np.float32],
    count: int,
    scatter: NDArray[np.float32],
    scatter_at: NDArray[np.uint32],
    sums_at: NDArray[np.uint32],
    lanes: int,
    sums: NDArray[np.float32],
) -> None:
    """Adds each event's weights to the outputs that it reaches."""
    for event in range(uint64(count)):
        position = positions[event]
        target = uint64(sums_at[position])
        source = uint64(scatter_at[position])
        for lane in range(uint64(0), uint64(lanes), uint64(LANES)):
            add_lanes(sums, target + lane, scatter, source + lane, values[event])


@compiled
def _gather_row(
    inputs: NDArray[np.float32],
    gather: NDArray[np.float32],
    first: int,
    blocks: int,
    taps: int,
    step: int,
    channels: int,
    pixels: int,
    sums: NDArray[np.float32],
    sums_left: int,
) -> None:
    """Adds every input, zeros too, times its weight to every output of the row."""
    for block in range(uint64(blocks)):
        weights_at = uint64(first) + block * uint64(taps) * uint64(LANES)
        for pixel in range(uint64(0), uint64(pixels), uint64(PIXELS)):
            target = uint64(sums_left) + pixel * uint64(channels) + block * uint64(LANES)
            add_pixels(
                sums,
                target,
                uint64(channels),
                inputs,
                pixel * uint64(step),
                uint64(step),
                gather,
                weights_at,
                uint64(taps),
            )


@compiled
def _integrate_row(
    membrane: NDArray[np.int32],
    sums: NDArray[np.float32],
    levels: NDArray[np.int32],
    keeps: NDArray[np.int16],
) -> tuple[int, int]:
    """N2 to N5: decay, integrate, reset, clip; returns how many were active and how many clipped.

    A neuron whose membrane stands above its level has fired in the step before (N6): no spike need be kept. After a
    hard reset none does. The decay is split at bit 12 to stay within 32 bits.
    """
    limit = int32(2**23 - 1)
    active = clipped = int32(0)
    for i in range(uint64(membrane.size)):
        before = membrane[i]
        level = levels[i]
        keep = int32(keeps[i])
        magnitude = before if before >= 0 else int32(-before)
        high = int32(int32(int32(magnitude >> int32(12)) & int32(2047)) * keep)
        low = int32(int32(int32(magnitude & int32(4095)) * keep) >> int32(12))
        kept = int32(high + low)
        kept = kept if before >= 0 else int32(-kept)
        value = int32(kept + int32(int32(sums[i]) << int32(6)))
        value = int32(value - (level if before > level else int32(0)))
        bounded = min(max(value, int32(-limit)), limit)
        clipped = int32(clipped + (int32(1) if bounded != value else int32(0)))
        active = int32(active + (int32(1) if (before | bounded) != 0 else int32(0)))
        membrane[i] = bounded
    return int(active), int(clipped)


@compiled
def _fire_row(
    membrane: NDArray[np.int32], levels: NDArray[np.int32], hard_reset: bool, spikes: NDArray[np.int8]
) -> int:
    """N6: compare, and clear at once where the reset is hard; returns the spikes."""
    fired = int32(0)
    for i in range(uint64(membrane.size)):
        above = int32(1) if membrane[i] > levels[i] else int32(0)
        spikes[i] = above
        fired = int32(fired + above)
    if hard_reset:
        for i in range(uint64(membrane.size)):
            membrane[i] = int32(0) if membrane[i] > levels[i] else membrane[i]
    return int(fired)


@compiled
def run_steps(
    words: NDArray[np.uint64],
    events: NDArray[np.int8],
    spikes: NDArray[np.int8],
    membrane: NDArray[np.int32],
    counts: NDArray[np.int64],
    choices: NDArray[np.int64],
    geometry: tuple[int, int, int, int],
    hard_reset: bool,
    gather_cost: float,
    scatter: NDArray[np.float32],
    scatter_at: NDArray[np.uint32],
    sums_at: NDArray[np.uint32],
    scatter_lanes: int,
    gather: NDArray[np.float32],
    blocks: int,
    taps: int,
    sums: NDArray[np.float32],
    sums_left: int,
    inputs: NDArray[np.float32],
    inputs_left: int,
    positions: NDArray[np.uint32],
    values: NDArray[np.float32],
    reach: NDArray[np.unsignedinteger],
    reach_at_once: int,
    row_class: NDArray[np.int32],
    unused_rows: NDArray[np.int32],
    levels: NDArray[np.int32],
    keeps: NDArray[np.int16],
) -> None:
    """Runs a layer for T steps; see `KernelTables` for what is not named here.

    Args:
        words: `events` as uint64, (T, H, bytes / 8).
        events: int8 (T, H, bytes), W * C_in of them, then zeros.
        spikes: int8 (T, h, bytes'), o of every step out.
        membrane: int32 (h, w * C_out), u in and out.
        counts: int64 (T, 7), `COUNT_FIELDS` of every step, added to.
        choices: int64 (2,), input rows scattered and gathered, added to; rows without an event are not counted.
        geometry: stride and padding, vertical; horizontal stride in inputs (pixels x C_in); outputs a pixel.
        hard_reset: clear at once instead of subtracting a step later.
        gather_cost: rows are gathered when that costs less than scattering their events; 0 always, inf never.
        sums, inputs: scratch, float32; `inputs` is 0 where no event lies.
        positions, values: scratch, (T, kh, bytes + 8).
    """
    stride, padding, step, outputs = geometry
    kernel_h = scatter_at.shape[0]
    steps, height = events.shape[0], events.shape[1]
    row_size = sums_at.size
    out_h, out_size = membrane.shape
    pixels = out_size // outputs
    gather_row_cost = gather_cost * pixels * taps * blocks
    scatter_event_cost = scatter_lanes // LANES
    in_slot = np.full(kernel_h, -1, dtype=np.int64)
    listed = np.zeros((steps, kernel_h), dtype=np.int64)
    for y in range(out_h):
        first = y * stride - padding
        for ky in range(kernel_h):
            row = first + ky
            slot = row % kernel_h
            if 0 <= row < height and in_slot[slot] != row:
                in_slot[slot] = row
                met = reach[row_class[row]]
                for t in range(steps):
                    count = _list_events(words[t, row], events[t, row], positions[t, slot], values[t, slot])
                    listed[t, slot] = count
                    nonzero, stored = _add_reaches(positions[t, slot], count, met, reach_at_once)
                    counts[t, 0] += count
                    counts[t, 1] += nonzero
                    counts[t, 2] += stored
        for t in range(steps):
            sums[:] = float32(0)
            for ky in range(kernel_h):
                row = first + ky
                slot = row % kernel_h
                if not 0 <= row < height:
                    continue
                count = listed[t, slot]
                if count == 0:
                    continue
                if count * scatter_event_cost <= gather_row_cost:
                    choices[0] += 1
                    _scatter_row(
                        positions[t, slot],
                        values[t, slot],
                        count,
                        scatter,
                        scatter_at[ky],
                        sums_at,
                        scatter_lanes,
                        sums,
                    )
                else:
                    choices[1] += 1
                    for i in range(row_size):
                        inputs[inputs_left + i] = events[t, row, i]
                    _gather_row(
                        inputs,
                        gather,
                        ky * blocks * taps * LANES,
                        blocks,
                        taps,
                        step,
                        outputs,
                        pixels,
                        sums,
                        sums_left,
                    )
            active, clipped = _integrate_row(membrane[y], sums[sums_left : sums_left + out_size], levels, keeps)
            counts[t, 3] += out_size
            counts[t, 4] += active
            counts[t, 5] += _fire_row(membrane[y], levels, hard_reset, spikes[t, y, :out_size])
            counts[t, 6] += clipped
    for unused in range(unused_rows.size):
        row = unused_rows[unused]
        for t in range(steps):
            counts[t, 0] += _list_events(words[t, row], events[t, row], positions[t, 0], values[t, 0])
