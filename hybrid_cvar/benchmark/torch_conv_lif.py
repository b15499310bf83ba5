"""The same ConvLIF as plain float torch in eager mode: what the native engine is measured against."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from hybrid_cvar.fixed_point import DECAY_UNITY, MEMBRANE_SCALE, WEIGHT_SCALE
from hybrid_cvar.neuromorphic import ConvLifSpec, StmSpec

__all__ = ["TorchPartition"]


class TorchPartition:
    """Every stream in float32: one convolution a layer over all steps, then a loop over them, in place.

    Args:
        spec: the layers, soft reset.
        memory_format: of the convolutions' inputs and weights.
    """

    def __init__(self, spec: StmSpec, memory_format: torch.memory_format) -> None:
        self._format = memory_format
        self._streams = [[_TorchLayer(layer, memory_format) for layer in stream.layers] for stream in spec.streams]

    def prepare(self, events: NDArray[np.int8]) -> torch.Tensor:
        """int8 (T, H, W, C) to float32 (T, C, H, W)."""
        return torch.from_numpy(events).permute(0, 3, 1, 2).float().contiguous(memory_format=self._format)

    @torch.inference_mode()
    def run(self, events: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Each stream's last membrane in integer units, float32 (C, h, w)."""
        membranes = []
        for layers, passing in zip(self._streams, events, strict=True):
            membrane = torch.empty(0)
            for layer in layers:
                passing, membrane = layer.run(passing)
            membranes.append(membrane * MEMBRANE_SCALE)
        return membranes


class _TorchLayer:
    def __init__(self, spec: ConvLifSpec, memory_format: torch.memory_format) -> None:
        weight = torch.from_numpy(spec.weight).float() / WEIGHT_SCALE
        self._weight = weight.contiguous(memory_format=memory_format)
        self._stride, self._padding = spec.stride, spec.padding
        self._threshold = torch.from_numpy(spec.thresholds).float()[:, None, None] / WEIGHT_SCALE
        self._leak = 1.0 - torch.from_numpy(spec.decays).float()[:, None, None] / DECAY_UNITY

    def run(self, events: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(T, C_in, H, W) events to (T, C, h, w) spikes and the last membrane."""
        arriving = F.conv2d(events, self._weight, stride=self._stride, padding=self._padding)
        spikes = torch.empty_like(arriving)
        membrane = torch.zeros_like(arriving[0])
        for step in range(len(arriving)):
            membrane.mul_(self._leak).add_(arriving[step])
            if step:
                membrane.addcmul_(spikes[step - 1], self._threshold, value=-1.0)
            torch.gt(membrane, self._threshold, out=spikes[step])
        return spikes, membrane
