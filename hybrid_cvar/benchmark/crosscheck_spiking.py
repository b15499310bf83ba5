"""Accumulates of the spiking partition beside what NeuroBench, and torch alone, count on the same layers and inputs."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from hybrid_cvar.benchmark.crosscheck import BRUTE_FORCE, NEUROBENCH, Comparison, NeuroBench
from hybrid_cvar.neuromorphic import ConvLifSpec, NativeStm, StmSpec

__all__ = ["as_conv2d", "compare_spiking"]


def compare_spiking(
    spec: StmSpec, clip: tuple[NDArray[np.int8], ...], neurobench: NeuroBench | None
) -> list[Comparison]:
    """Every layer's accumulates over one clip, non-zero weights alone and with stored zeros.

    Against torch: the sum of a convolution of the events' mask with the weights' mask, or with ones. Against
    NeuroBench: effective operations of a `Conv2d` with the layer's integer weights, the clip's steps as its batch.
    NeuroBench's dense count takes no notice of which inputs are zero, so operations with stored zeros are compared with
    its effective ones, all weights set to 1.

    Args:
        spec: the layers.
        clip: int8 (T, H, W, C) a stream, graded events.
        neurobench: None to leave its comparisons out.
    """
    with NativeStm(spec, record=True) as native:
        result = native.run_clip(*clip)
    spikes = iter(result.spikes)
    counts = iter(result.counts)
    rows = []
    for stream, passing in zip(spec.streams, clip, strict=True):
        for layer in stream.layers:
            counted = next(counts)
            inputs = torch.from_numpy(passing).permute(0, 3, 1, 2).double()
            conv = as_conv2d(layer)
            ones = as_conv2d(layer)
            nn.init.ones_(ones.weight)
            for name, ours, module in (
                ("synaptic operations", counted.synaptic_operations, conv),
                ("operations with stored zeros", counted.stored_operations, ones),
            ):
                rows.append(Comparison(f"{counted.name}: {name}", BRUTE_FORCE, ours, _met(module, inputs)))
                if neurobench is not None:
                    theirs, spiking = neurobench.effective(module, inputs)
                    kind = "effective ACs" if spiking else "effective MACs"
                    rows.append(Comparison(f"{counted.name}: {name} as {kind}", NEUROBENCH, ours, theirs))
            passing = next(spikes)
    return rows


def as_conv2d(layer: ConvLifSpec) -> nn.Conv2d:
    """A layer's synapses as torch's module, float64, with the integer weights."""
    outputs, channels, *kernel = layer.weight.shape
    conv = nn.Conv2d(
        channels, outputs, (kernel[0], kernel[1]), layer.stride, layer.padding, bias=False, dtype=torch.float64
    )
    with torch.no_grad():
        conv.weight.copy_(torch.from_numpy(layer.weight))
    return conv


@torch.no_grad()
def _met(conv: nn.Conv2d, inputs: torch.Tensor) -> int:
    """Pairs of a non-zero input and a non-zero weight that it meets."""
    stride, padding = conv.stride, conv.padding
    met = F.conv2d((inputs != 0).double(), (conv.weight != 0).double(), stride=stride, padding=padding)
    return int(met.sum())
