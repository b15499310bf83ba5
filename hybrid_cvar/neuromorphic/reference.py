"""The integer specification of ConvLIF as plain NumPy: slow, and meant to be read beside spec.md."""

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.fixed_point import DECAY_UNITY, MEMBRANE_MAX
from hybrid_cvar.neuromorphic.counting import COUNT_FIELDS
from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec

__all__ = ["reference_counts", "reference_layer", "synaptic_sum"]


def synaptic_sum(
    weight: NDArray[np.int32],
    events: NDArray[np.int8],
    output_shape: tuple[int, int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
) -> NDArray[np.int64]:
    """z, int64 (h, w, C_out): the cross-correlation of the padded events (H, W, C_in) with the weights."""
    (pad_y, pad_x), (stride_y, stride_x) = padding, stride
    padded = np.pad(events.astype(np.int64), ((pad_y, pad_y), (pad_x, pad_x), (0, 0)))
    kernel_h, kernel_w = weight.shape[2:]
    out_h, out_w, _ = output_shape
    z = np.zeros(output_shape, dtype=np.int64)
    for ky in range(kernel_h):
        for kx in range(kernel_w):
            window = padded[ky : ky + stride_y * out_h : stride_y, kx : kx + stride_x * out_w : stride_x]
            z += window[:out_h, :out_w] @ weight[:, :, ky, kx].T.astype(np.int64)
    return z


def reference_layer(spec: ConvLifSpec, events: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Runs one clip through one layer.

    Args:
        events: int8 (T, H, W, C_in).

    Returns:
        (spikes int8 (T, h, w, C_out), membranes after every step int32 (T, h, w, C_out)).
    """
    spikes, membranes, _ = _run(spec, events)
    return spikes, membranes


def reference_counts(spec: ConvLifSpec, events: NDArray[np.int8]) -> NDArray[np.int64]:
    """What one clip through one layer counts: int64 (T, 7), `COUNT_FIELDS` of every step.

    Args:
        events: int8 (T, H, W, C_in).
    """
    return _run(spec, events)[2]


def _run(spec: ConvLifSpec, events: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.int64]]:
    """(spikes, membranes, counts) of `reference_layer` and `reference_counts`."""
    steps = len(events)
    u = np.zeros(spec.output_shape, dtype=np.int64)
    o = np.zeros(spec.output_shape, dtype=np.int64)
    spikes = np.zeros((steps, *spec.output_shape), dtype=np.int8)
    membranes = np.zeros((steps, *spec.output_shape), dtype=np.int32)
    counts = np.zeros((steps, len(COUNT_FIELDS)), dtype=np.int64)
    nonzero, stored = (spec.weight != 0).astype(np.int32), np.ones_like(spec.weight)
    level = spec.thresholds.astype(np.int64) << 6
    keep = DECAY_UNITY - spec.decays.astype(np.int64)
    for t in range(steps):
        kept = np.sign(u) * ((np.abs(u) * keep) // DECAY_UNITY)
        z = synaptic_sum(spec.weight, events[t], spec.output_shape, spec.stride, spec.padding)
        before, u = u, kept + (z << 6)
        if spec.reset == "soft":
            u = u - level * o
        clipped = np.abs(u) > MEMBRANE_MAX
        u = np.clip(u, -MEMBRANE_MAX, MEMBRANE_MAX)
        active = (before != 0) | (u != 0)
        o = (u > level).astype(np.int64)
        if spec.reset == "hard":
            u = np.where(o == 1, 0, u)
        spikes[t] = o
        membranes[t] = u
        present = (events[t] != 0).astype(np.int8)
        accumulates, with_stored = (
            synaptic_sum(weights, present, spec.output_shape, spec.stride, spec.padding).sum()
            for weights in (nonzero, stored)
        )
        counts[t] = (present.sum(), accumulates, with_stored, u.size, active.sum(), o.sum(), clipped.sum())
    return spikes, membranes, counts
