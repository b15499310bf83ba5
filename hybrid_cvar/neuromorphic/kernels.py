"""Compiled kernels of the fixed-point ConvLIF (spec.md). The readable form is `reference.py`.

All arrays are C-contiguous. Compiled once and cached on disk; nothing here starts a thread, so a
process that has run a kernel may fork.
"""

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.jit import compiled

__all__ = ["scatter_events", "update_neurons"]


@compiled
def scatter_events(
    events: NDArray[np.int8],
    taps: NDArray[np.int32],
    nonzero_taps: NDArray[np.int64],
    stride: tuple[int, int],
    padding: tuple[int, int],
    synapse: NDArray[np.int32],
) -> tuple[int, int]:
    """z = sum(w * s): adds each non-zero event's weights to the outputs it reaches.

    Args:
        events: int8 (H, W, C_in).
        taps: int32 (kh, kw, C_in, C_out).
        nonzero_taps: int64 (kh, kw, C_in), non-zero weights over C_out.
        stride, padding: pixels, (vertical, horizontal).
        synapse: int32 (h, w, C_out), overwritten with z.

    Returns:
        (events that are not zero, accumulates: non-zero weights met, padding excluded).
    """
    height, width, channels = events.shape
    kernel_h, kernel_w = taps.shape[0], taps.shape[1]
    out_h, out_w, out_channels = synapse.shape
    synapse[:] = 0
    event_count = 0
    accumulates = 0
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                value = np.int32(events[y, x, c])
                if value == 0:
                    continue
                event_count += 1
                for ky in range(kernel_h):
                    down = y + padding[0] - ky
                    if down < 0 or down % stride[0] != 0:
                        continue
                    out_y = down // stride[0]
                    if out_y >= out_h:
                        continue
                    for kx in range(kernel_w):
                        across = x + padding[1] - kx
                        if across < 0 or across % stride[1] != 0:
                            continue
                        out_x = across // stride[1]
                        if out_x >= out_w:
                            continue
                        accumulates += nonzero_taps[ky, kx, c]
                        for o in range(out_channels):
                            synapse[out_y, out_x, o] += value * taps[ky, kx, c, o]
    return event_count, accumulates


@compiled
def update_neurons(
    membrane: NDArray[np.int32],
    spikes: NDArray[np.int8],
    synapse: NDArray[np.int32],
    threshold: int,
    decay: int,
    hard_reset: bool,
) -> tuple[int, int]:
    """One step of every neuron: decay, integrate, reset, clip, compare (spec.md, N1 to N6).

    Args:
        membrane: int32 (h, w, C), u[t-1] in, u[t] out.
        spikes: int8 (h, w, C), o[t-1] in, o[t] out.
        synapse: int32 (h, w, C), z[t].
        threshold: theta; decay: d.
        hard_reset: clear at once instead of subtracting a step later.

    Returns:
        (spikes fired, membranes clipped at 24 bits).
    """
    limit = np.int64(2**23 - 1)
    level = np.int64(threshold) << 6
    keep = np.int64(4096 - decay)
    fired = 0
    clipped = 0
    u = membrane.ravel()
    o = spikes.ravel()
    z = synapse.ravel()
    for i in range(u.size):
        before = np.int64(u[i])
        magnitude = (abs(before) * keep) >> 12
        value = (magnitude if before >= 0 else -magnitude) + (np.int64(z[i]) << 6)
        if o[i] != 0 and not hard_reset:
            value -= level
        if value > limit:
            value = limit
            clipped += 1
        elif value < -limit:
            value = -limit
            clipped += 1
        if value > level:
            o[i] = 1
            fired += 1
            if hard_reset:
                value = np.int64(0)
        else:
            o[i] = 0
        u[i] = value
    return fired, clipped
