"""Integer layers run through SLAYER's quantised forward: what training computes, for comparison."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hybrid_cvar.fixed_point import DECAY_UNITY, MEMBRANE_SCALE, WEIGHT_SCALE
from hybrid_cvar.model import ConvLif
from hybrid_cvar.neuromorphic import ConvLifSpec, StmSpec
from hybrid_cvar.records import SpikingResult

__all__ = ["run_slayer", "slayer_block"]


def slayer_block(spec: ConvLifSpec) -> ConvLif:
    """A trainable block whose quantised parameters are the layer's."""
    outputs, channels, kernel_h, kernel_w = spec.weight.shape
    block = ConvLif(
        channels,
        outputs,
        kernel_size=(kernel_h, kernel_w),
        stride=spec.stride,
        threshold=1.0,
        leak=0.5,
        padding=spec.padding,
        per_channel=True,
        reset=spec.reset,
    )
    with torch.no_grad():
        block.synapse.weight[..., 0] = torch.from_numpy(spec.weight).float() / WEIGHT_SCALE
        block.neuron.threshold_value.copy_(torch.from_numpy(spec.thresholds).float() / WEIGHT_SCALE)
        block.neuron.leak_value.copy_(1.0 - torch.from_numpy(spec.decays).float() / DECAY_UNITY)
    return block


@torch.no_grad()
def run_slayer(spec: StmSpec, clip: Sequence[NDArray[np.int8]]) -> SpikingResult:
    """One clip through every stream in fixed point, with every layer's spikes and membranes; without counts."""
    spikes, membranes = [], []
    for stream, events in zip(spec.streams, clip, strict=True):
        passing = torch.from_numpy(events).permute(3, 1, 2, 0)[None].float()
        for layer in stream.layers:
            passing, membrane = slayer_block(layer)(passing)
            spikes.append(_steps_first(passing).astype(np.int8))
            membranes.append((_steps_first(membrane) * MEMBRANE_SCALE).astype(np.int32))
    ends = np.cumsum([len(stream.layers) for stream in spec.streams]) - 1
    readouts = tuple(membranes[end][-1] for end in ends)
    return SpikingResult(readouts, (), tuple(spikes), tuple(membranes))


def _steps_first(values: torch.Tensor) -> NDArray[np.float32]:
    """(1, C, H, W, T) to (T, H, W, C)."""
    array: NDArray[np.float32] = values[0].permute(3, 1, 2, 0).contiguous().numpy()
    return array
