"""Counts of operations beside other tools' counts of the same: what a comparison is, and NeuroBench if it is there.

Of NeuroBench 2.3 one function is called, `single_layer_MACs`: the rule that its metric `SynapticOperations` applies to
every call of a layer. It needs torch alone; the metric's own module imports snnTorch, which counting does not need.
"""

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = [
    "BRUTE_FORCE",
    "FLOP_COUNTER",
    "INSTALL_NEUROBENCH",
    "NEUROBENCH",
    "Comparison",
    "NeuroBench",
    "find_neurobench",
]

FLOP_COUNTER = "torch FlopCounterMode"
NEUROBENCH = "NeuroBench"
BRUTE_FORCE = "torch convolution of masks"
INSTALL_NEUROBENCH = "uv pip install --no-deps neurobench==2.3.0"


@dataclass(frozen=True)
class Comparison:
    """One count, made twice.

    Attributes:
        name: what is counted, of which layer of which model.
        against: whose count it is compared with.
        ours: our count. theirs: the other.
    """

    name: str
    against: str
    ours: int
    theirs: int

    @property
    def equal(self) -> bool:
        """Whether both are the same number."""
        return self.ours == self.theirs


@dataclass(frozen=True)
class NeuroBench:
    """NeuroBench's count of one layer.

    Attributes:
        version: of the package.
    """

    version: str
    _count: Callable[..., tuple[int, bool]]

    def effective(self, layer: nn.Module, inputs: torch.Tensor) -> tuple[int, bool]:
        """Effective operations of one call: (non-zero inputs x non-zero weights, True if they are ACs, False if MACs).

        They are ACs if every input is -1, 0 or 1. A bias is not counted. Counted in float64: NeuroBench adds up in the
        layer's own type, and float32 rounds sums above 2**24.
        """
        return self._call(layer, inputs, total=False)

    def dense(self, layer: nn.Module, inputs: torch.Tensor) -> int:
        """Operations of one call with every input and weight counted, zero or not; taps on padding left out."""
        return self._call(layer, inputs, total=True)[0]

    def _call(self, layer: nn.Module, inputs: torch.Tensor, *, total: bool) -> tuple[int, bool]:
        before = next(layer.parameters()).dtype
        try:
            with torch.no_grad():
                operations, spiking = self._count(inputs.double(), layer.double(), total=total)
        finally:
            layer.to(before)
        return int(operations), bool(spiking)


def find_neurobench() -> NeuroBench | None:
    """NeuroBench, if it is installed."""
    try:
        from neurobench.metrics.utils.layers import single_layer_MACs
    except ImportError:
        return None
    count: Any = single_layer_MACs
    return NeuroBench(importlib.metadata.version("neurobench"), count)
