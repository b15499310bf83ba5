"""A layer's weights in the two orders that the kernels read, and what else they look up."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.fixed_point import DECAY_UNITY
from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec
from hybrid_cvar.neuromorphic.vector_lanes import LANES, PIXELS

__all__ = ["WORD", "KernelTables", "aligned_zeros", "padded_row"]

WORD = 8
"""Bytes of a row that are looked at together; rows of events are padded to a multiple."""
CACHE_LINE = 64
LEAST_AT_ONCE = 64
"""Events whose reaches must fit into one sum, or a wider one is taken."""


def aligned_zeros(count: int) -> NDArray[np.float32]:
    """float32 (count,) that begins at a cache line; vectors that straddle two lines cost twice."""
    memory = np.zeros(4 * count + CACHE_LINE, dtype=np.uint8)
    begin = -memory.ctypes.data % CACHE_LINE
    return memory[begin : begin + 4 * count].view(np.float32)


def padded_row(width: int, channels: int) -> int:
    """Bytes of a row of events as the kernels take it."""
    return -(-width * channels // WORD) * WORD


@dataclass(frozen=True, eq=False)
class KernelTables:
    """What the kernels look up for one layer.

    A position is x * C_in + c within a row. Sums of an output row lie in one array, C_out a pixel, with room at both
    ends for what falls outside the row.

    Attributes:
        scatter: float32, for every (x residue, ky, c) the weights of the outputs that such an event reaches, in the
            order of those outputs, `scatter_lanes` of them, zero-padded.
        scatter_at: uint32 (kh, W * C_in), where in `scatter` a position's weights begin.
        sums_at: uint32 (W * C_in,), where in the sums the first output that a position reaches begins.
        scatter_lanes: a multiple of 16.
        gather: float32, for every (ky, block of 16 outputs, kx, c) sixteen weights, zero-padded.
        blocks: of 16 outputs.
        taps: kw * C_in.
        sums_size, sums_left: elements of the sums, and those before the row's first output.
        inputs_size, inputs_left: elements of a padded float row, and those before its first input.
        reach: uint32 (classes, W * C_in), weights that an event of a row of that class meets: those that are not
            zero in the lower 16 bits, all of them in the upper; uint64, half and half, where a kernel is large.
        reach_at_once: events whose reaches can be added up so: a half does not run over.
        row_class: int32 (H,), the class of an input row.
        unused_rows: int32, input rows that no output reads.
        levels: int32 (w * C_out,), theta << 6. keeps: int16 (w * C_out,), 4096 - d.
    """

    scatter: NDArray[np.float32]
    scatter_at: NDArray[np.uint32]
    sums_at: NDArray[np.uint32]
    scatter_lanes: int
    gather: NDArray[np.float32]
    blocks: int
    taps: int
    sums_size: int
    sums_left: int
    inputs_size: int
    inputs_left: int
    reach: NDArray[np.unsignedinteger]
    reach_at_once: int
    row_class: NDArray[np.int32]
    unused_rows: NDArray[np.int32]
    levels: NDArray[np.int32]
    keeps: NDArray[np.int16]

    @classmethod
    def of(cls, spec: ConvLifSpec) -> "KernelTables":
        """The tables of a layer."""
        width, channels = spec.input_shape[1:]
        out_w, outputs = spec.output_shape[1:]
        kernel_h, kernel_w = spec.weight.shape[2:]
        stride_x, pad_x = spec.stride[1], spec.padding[1]
        blocks = -(-outputs // LANES)
        reached = -(-kernel_w // stride_x)
        sums_left = -(-reached * outputs // LANES) * LANES
        last_pixel = -(-out_w // PIXELS) * PIXELS

        x = np.arange(width)
        residue = (x + pad_x) % stride_x
        sums_at = sums_left + ((x + pad_x) // stride_x - (reached - 1)) * outputs
        scatter = _scatter_weights(spec, reached)
        scatter_lanes = scatter.shape[-1]
        rows = (residue[None, :, None] * kernel_h + np.arange(kernel_h)[:, None, None]) * channels + np.arange(channels)
        gather = np.zeros((kernel_h, blocks, kernel_w, channels, LANES), dtype=np.float32)
        for block in range(blocks):
            part = spec.weight[block * LANES : (block + 1) * LANES]
            gather[:, block, :, :, : len(part)] = part.transpose(2, 3, 1, 0)
        reach, row_class = _reach(spec)
        return cls(
            scatter=_aligned(scatter),
            scatter_at=(rows * scatter_lanes).reshape(kernel_h, -1).astype(np.uint32),
            sums_at=np.repeat(sums_at, channels).astype(np.uint32),
            scatter_lanes=scatter_lanes,
            gather=_aligned(gather),
            blocks=blocks,
            taps=kernel_w * channels,
            sums_size=int(max(sums_at.max() + scatter_lanes, sums_left + last_pixel * outputs + blocks * LANES)),
            sums_left=sums_left,
            inputs_size=int(max((last_pixel - 1) * stride_x + kernel_w, pad_x + width) * channels) + WORD * channels,
            inputs_left=pad_x * channels,
            reach=reach,
            reach_at_once=_add_at_once(reach.dtype, spec.weight[:, 0].size),
            row_class=row_class,
            unused_rows=np.flatnonzero(~_rows_read(spec).any(axis=1)).astype(np.int32),
            levels=np.tile(spec.thresholds << 6, out_w).astype(np.int32),
            keeps=np.tile(DECAY_UNITY - spec.decays, out_w).astype(np.int16),
        )


def _aligned(values: NDArray[np.float32]) -> NDArray[np.float32]:
    copy = aligned_zeros(values.size)
    copy[:] = values.ravel()
    return copy


def _scatter_weights(spec: ConvLifSpec, reached: int) -> NDArray[np.float32]:
    """float32 (x residues, kh, C_in, lanes): the weights of neighbouring outputs, side by side.

    An event at x meets the taps kx of its residue class, x + padding - kx a multiple of the stride; as kx falls by a
    stride, the output moves one to the right. Classes with fewer taps have zeros on the left.
    """
    outputs, channels, kernel_h, kernel_w = spec.weight.shape
    stride = spec.stride[1]
    lanes = -(-reached * outputs // LANES) * LANES
    weights = np.zeros((stride, kernel_h, channels, lanes), dtype=np.float32)
    for residue in range(stride):
        for distance, kx in enumerate(range(residue, kernel_w, stride)):
            at = (reached - 1 - distance) * outputs
            weights[residue, :, :, at : at + outputs] = spec.weight[:, :, :, kx].transpose(2, 1, 0)
    return weights


def _rows_read(spec: ConvLifSpec) -> NDArray[np.bool_]:
    """(H, kh): whether an output reads this input row through this row of the kernel."""
    rows = np.arange(spec.input_shape[0])[:, None] + spec.padding[0] - np.arange(spec.weight.shape[2])
    outputs = rows // spec.stride[0]
    read: NDArray[np.bool_] = (rows % spec.stride[0] == 0) & (outputs >= 0) & (outputs < spec.output_shape[0])
    return read


def _add_at_once(kind: np.dtype[Any], largest: int) -> int:
    """Events whose reaches, none above the largest, add up to what half of such a number holds."""
    return int((2 ** (4 * kind.itemsize) - 1) // largest)


def _reach(spec: ConvLifSpec) -> tuple[NDArray[np.unsignedinteger], NDArray[np.int32]]:
    """Weights that an event meets, as `reach` holds them: (classes, W * C_in), and every input row's class.

    The table is kept small: it stands in the nearest cache beside the row's sums and membranes.
    """
    width, channels = spec.input_shape[1:]
    outputs, _, kernel_h, kernel_w = spec.weight.shape
    small = _add_at_once(np.dtype(np.uint32), spec.weight[:, 0].size) >= LEAST_AT_ONCE
    kind = np.uint32 if small else np.uint64
    met = np.count_nonzero(spec.weight, axis=0).astype(kind) + kind(outputs << (4 * kind().itemsize))
    of_row = np.zeros((kernel_h, width, channels), dtype=kind)
    for kx in range(kernel_w):
        columns = np.arange(width) + spec.padding[1] - kx
        pixels = columns // spec.stride[1]
        exists = (columns % spec.stride[1] == 0) & (pixels >= 0) & (pixels < spec.output_shape[1])
        of_row[:, exists] += met[:, :, kx].T[:, None]
    classes, row_class = np.unique(_rows_read(spec), axis=0, return_inverse=True)
    reach = np.einsum("rk,kwc->rwc", classes.astype(kind), of_row, dtype=kind)
    return np.ascontiguousarray(reach.reshape(len(classes), -1)), row_class.reshape(-1).astype(np.int32)
