"""State and counters of one running ConvLIF layer; shared by the native engine and the fused Lava model."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.neuromorphic.kernels import scatter_events, update_neurons
from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec

__all__ = ["COUNT_FIELDS", "ConvLifCore", "compile_neuron_kernels"]

COUNT_FIELDS = ("events_in", "synaptic_operations", "neuron_updates", "spikes_out", "saturated_states")
"""What `ConvLifCore.counts` holds, in order."""


class ConvLifCore:
    """Runs one layer step by step in 24-bit fixed point (spec.md).

    Args:
        weight: int32 (C_out, C_in, kh, kw), as `ConvLifSpec.weight`.
        output_shape: (h, w, C_out).
        stride, padding: (vertical, horizontal).
        threshold, decay: theta and d.
        hard_reset: True for stock Lava's reset.
    """

    def __init__(
        self,
        weight: NDArray[np.int32],
        output_shape: tuple[int, int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        threshold: int,
        decay: int,
        hard_reset: bool,
    ) -> None:
        self._taps = np.ascontiguousarray(weight.transpose(2, 3, 1, 0), dtype=np.int32)
        self._nonzero_taps = np.count_nonzero(self._taps, axis=3).astype(np.int64)
        self._geometry = ((int(stride[0]), int(stride[1])), (int(padding[0]), int(padding[1])))
        self._neuron = (int(threshold), int(decay), bool(hard_reset))
        self._synapse = np.zeros(output_shape, dtype=np.int32)
        self.membrane = np.zeros(output_shape, dtype=np.int32)
        self.spikes = np.zeros(output_shape, dtype=np.int8)
        self.counts = np.zeros(len(COUNT_FIELDS), dtype=np.int64)

    @classmethod
    def of(cls, spec: ConvLifSpec) -> Self:
        """The layer that `spec` describes, cleared."""
        return cls(
            spec.weight,
            spec.output_shape,
            spec.stride,
            spec.padding,
            spec.threshold,
            spec.decay,
            spec.reset == "hard",
        )

    def clear(self) -> None:
        """Clears membrane, last spikes and counters: the start of a clip (spec.md, C1)."""
        self.membrane[:] = 0
        self.spikes[:] = 0
        self.counts[:] = 0

    def step(self, events: NDArray[np.int8]) -> NDArray[np.int8]:
        """One timestep.

        Args:
            events: int8 (H, W, C_in).

        Returns:
            int8 (h, w, C_out), o[t]; a view of the state, valid until the next step.
        """
        event_count, accumulates = scatter_events(
            events, self._taps, self._nonzero_taps, *self._geometry, self._synapse
        )
        fired, clipped = update_neurons(self.membrane, self.spikes, self._synapse, *self._neuron)
        self.counts += (event_count, accumulates, self.membrane.size, fired, clipped)
        return self.spikes


def compile_neuron_kernels() -> None:
    """Compiles the kernels now: before a clip is timed, and before a fork whose children would each do it."""
    core = ConvLifCore(np.zeros((1, 1, 1, 1), dtype=np.int32), (1, 1, 1), (1, 1), (0, 0), 0, 0, False)
    core.step(np.zeros((1, 1, 1), dtype=np.int8))
