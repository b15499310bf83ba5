"""Spiking Temporal Modulator: ConvLIF layers as lava-dl SLAYER blocks (paper Sec. 3.2, Fig. 3)."""

import math

import torch

from hybrid_cvar.model.config import StmConfig
from hybrid_cvar.model.soft_reset_neuron import SoftResetNeuron

from lava.lib.dl.slayer.block.base import AbstractConv  # isort: skip  (importable after soft_reset_neuron)
from lava.lib.dl.slayer.synapse import layer as slayer_synapse  # isort: skip

__all__ = ["ConvLif", "SpikingTemporalModulator"]

INITIAL_WEIGHT_BOUND = 0.5
"""Initial weights lie within +-0.5, 33 of the quantiser's levels; torch's own bound would leave 6 to 15."""


class ConvLif(AbstractConv):
    """A SLAYER convolution block with the soft-reset neuron.

    Synapse, quantisation (steps of 2/64 within [-256, 254]/64) and export are SLAYER's; the neuron is
    ours. It sends in its own timestep (no delay shift), as the fused Lava model does.

    Args:
        in_channels, out_channels: features.
        kernel_size, stride: pixels; padding is half the kernel.
        threshold, leak: the neuron's initial values.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        threshold: float,
        leak: float,
    ) -> None:
        super().__init__(
            neuron_params={"threshold": threshold, "leak": leak},
            in_features=in_channels,
            out_features=out_channels,
            kernel_size=kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            weight_scale=INITIAL_WEIGHT_BOUND * math.sqrt(in_channels * kernel_size**2),
            delay_shift=False,
        )
        self.neuron = SoftResetNeuron(**self.neuron_params)
        self.synapse = slayer_synapse.Conv(**self.synapse_params)
        self.synapse.pre_hook_fx = self.neuron.quantize_8bit
        del self.neuron_params, self.synapse_params

    def set_fixed_point(self, fixed_point: bool) -> None:
        """Runs synapse and neuron in quantised (True) or plain float arithmetic."""
        self.neuron.fixed_point = fixed_point
        self.synapse.pre_hook_fx = self.neuron.quantize_8bit if fixed_point else None

    def forward(self, events: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Runs all timesteps.

        Args:
            events: float32 (N, C_in, H, W, T), whole numbers: graded events or spikes.

        Returns:
            (spikes, membranes), float32 (N, C_out, h, w, T).
        """
        spikes, membranes = self.neuron(self.synapse(events))
        return spikes, membranes


class SpikingTemporalModulator(torch.nn.Module):
    """One stream's ConvLIF layers; the output is the last layer's membrane after the last step.

    Args:
        in_channels: 2 for motion, 3 for residual.
        config: sizes.
    """

    def __init__(self, in_channels: int, config: StmConfig) -> None:
        super().__init__()
        layers = []
        for channels, stride in zip(config.channels, config.strides, strict=True):
            layers.append(ConvLif(in_channels, channels, config.kernel_size, stride, config.threshold, config.leak))
            in_channels = channels
        self.layers = torch.nn.ModuleList(layers)

    @property
    def blocks(self) -> list[ConvLif]:
        """The ConvLIF blocks, first to last."""
        return [block for block in self.layers if isinstance(block, ConvLif)]

    def forward(self, events: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W, T) events to the analog read-out, float32 (N, C_out, h, w)."""
        return self.trace(events)[0]

    def trace(self, events: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """As `forward`, with every layer's spikes and membranes, (N, C, h, w, T) each."""
        spikes_of_layers, membranes_of_layers = [], []
        passing = events
        for layer in self.blocks:
            passing, membranes = layer(passing)
            spikes_of_layers.append(passing)
            membranes_of_layers.append(membranes)
        return membranes_of_layers[-1][..., -1], spikes_of_layers, membranes_of_layers

    def set_fixed_point(self, fixed_point: bool) -> None:
        """Switches every layer; see `ConvLif.set_fixed_point`."""
        for layer in self.blocks:
            layer.set_fixed_point(fixed_point)
