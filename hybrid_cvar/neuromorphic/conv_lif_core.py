"""State and counters of one running ConvLIF layer; shared by the native engine and the Lava models."""

import math
import time

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.neuromorphic.counting import COUNT_FIELDS
from hybrid_cvar.neuromorphic.kernel_tables import WORD, KernelTables, aligned_zeros, padded_row
from hybrid_cvar.neuromorphic.kernels import GATHER_COST, run_steps
from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec

__all__ = ["ALWAYS_GATHER", "ALWAYS_SCATTER", "ConvLifCore", "compile_neuron_kernels"]

ALWAYS_SCATTER, ALWAYS_GATHER = math.inf, 0.0
"""Values of `gather_cost` that leave no choice."""


class ConvLifCore:
    """Runs one layer in 24-bit fixed point (spec.md), any number of steps at a time.

    Args:
        spec: the layer.
        gather_cost: see `kernels.run_steps`.

    Attributes:
        membrane: int32 (h, w, C_out), u after the last step; may be replaced by an array of that shape.
        spells: begin and end of every `run` since `clear`, nanoseconds of the system's monotonic clock.
        choices: int64 (2,), input rows scattered and gathered, since `clear`.
    """

    def __init__(self, spec: ConvLifSpec, *, gather_cost: float = GATHER_COST) -> None:
        self._tables = KernelTables.of(spec)
        self._hard_reset = spec.reset == "hard"
        self._gather_cost = gather_cost
        self._input_shape, self._output_shape = spec.input_shape, spec.output_shape
        self._kernel_h = spec.weight.shape[2]
        self._geometry = (spec.stride[0], spec.padding[0], spec.stride[1] * spec.input_shape[2], spec.output_shape[2])
        self._sums = aligned_zeros(self._tables.sums_size)
        self._inputs = aligned_zeros(self._tables.inputs_size)
        self._positions = np.zeros((0, 0, 0), dtype=np.uint32)
        self._values = np.zeros((0, 0, 0), dtype=np.float32)
        self.membrane = np.zeros(spec.output_shape, dtype=np.int32)
        self.spells: list[tuple[int, int]] = []
        self._counted = [np.zeros((0, len(COUNT_FIELDS)), dtype=np.int64)]
        self.choices = np.zeros(2, dtype=np.int64)

    def clear(self) -> None:
        """Clears membrane and counters: the start of a clip (spec.md, C1)."""
        self.membrane[:] = 0
        self.spells.clear()
        del self._counted[1:]
        self.choices[:] = 0

    @property
    def counts(self) -> NDArray[np.int64]:
        """int64 (T, 7), `COUNT_FIELDS` of every step since `clear`."""
        return np.concatenate(self._counted)

    def run(self, events: NDArray[np.int8]) -> NDArray[np.int8]:
        """Runs the steps of `events`.

        Args:
            events: int8 (T, H, W, C_in).

        Returns:
            int8 (T, h, w, C_out), o of every step.
        """
        begin = time.monotonic_ns()
        steps = len(events)
        width, channels = self._input_shape[1:]
        out_h, out_w, outputs = self._output_shape
        rows = _padded(events.reshape(steps, -1, width * channels), padded_row(width, channels))
        spikes = np.zeros((steps, out_h, padded_row(out_w, outputs)), dtype=np.int8)
        if len(self._positions) < steps:
            room = (steps, self._kernel_h, rows.shape[-1] + WORD)
            self._positions, self._values = np.zeros(room, dtype=np.uint32), np.zeros(room, dtype=np.float32)
        counts = np.zeros((steps, len(COUNT_FIELDS)), dtype=np.int64)
        self._counted.append(counts)
        tables = self._tables
        run_steps(
            rows.view(np.uint64),
            rows,
            spikes,
            self.membrane.reshape(out_h, out_w * outputs),
            counts,
            self.choices,
            self._geometry,
            self._hard_reset,
            self._gather_cost,
            tables.scatter,
            tables.scatter_at,
            tables.sums_at,
            tables.scatter_lanes,
            tables.gather,
            tables.blocks,
            tables.taps,
            self._sums,
            tables.sums_left,
            self._inputs,
            tables.inputs_left,
            self._positions,
            self._values,
            tables.reach,
            tables.reach_at_once,
            tables.row_class,
            tables.unused_rows,
            tables.levels,
            tables.keeps,
        )
        sent = spikes[:, :, : out_w * outputs].reshape(steps, out_h, out_w, outputs)
        self.spells.append((begin, time.monotonic_ns()))
        return sent


def _padded(rows: NDArray[np.int8], size: int) -> NDArray[np.int8]:
    """Rows of `size` bytes, C-contiguous and aligned: the same array if it is so already."""
    if rows.shape[-1] == size:
        return np.require(rows, requirements=["C", "A"]) if rows.ctypes.data % WORD == 0 else rows.copy()
    wider = np.zeros((*rows.shape[:-1], size), dtype=np.int8)
    wider[..., : rows.shape[-1]] = rows
    return wider


def compile_neuron_kernels() -> None:
    """Compiles the kernels now: before a clip is timed, and before a fork whose children would each do it."""
    weight = np.zeros((1, 1, 1, 1), dtype=np.int32)
    core = ConvLifCore(ConvLifSpec("warm-up", (1, 1, 1), weight, (1, 1), (0, 0), 0, 0))
    core.run(np.zeros((1, 1, 1, 1), dtype=np.int8))
