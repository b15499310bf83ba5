"""Spiking Temporal Modulator: ConvLIF layers as lava-dl SLAYER blocks (paper Sec. 3.2, Fig. 3)."""

import contextlib
import math
from collections.abc import Iterator

import torch

from hybrid_cvar.model.config import StmConfig
from hybrid_cvar.model.lif_neuron import LifNeuron

from lava.lib.dl.slayer.block.base import AbstractConv  # isort: skip  (importable after lif_neuron)
from lava.lib.dl.slayer.synapse import layer as slayer_synapse  # isort: skip

__all__ = ["ConvLif", "SpikingTemporalModulator"]

INITIAL_WEIGHT_BOUND = 0.5
"""Initial weights lie within +-0.5, 33 of the quantiser's levels; torch's own bound would leave 6 to 15."""


class ConvLif(AbstractConv):
    """A SLAYER convolution block with the ConvLIF neuron.

    Synapse, quantisation (steps of 2/64 within [-256, 254]/64) and export are SLAYER's; the neuron is
    ours. It sends in its own timestep (no delay shift), as the fused Lava model does.

    The quantised convolution is exact. Weights and events have 8 significant bits, so every product is a
    multiple of 2/64, and float32 holds every partial sum, in whatever order, while sum(|w| * |s|) stays
    within 2**24 of them (2**25 in integer units). The integer specification refuses a layer from a quarter
    of that on (`ConvLifSpec`: 2**23 - 1). Convolutions that do not sum products one by one (Winograd, FFT)
    err by less than half a step of z, which the neuron's rounding undoes. Autocast and TF32 are off inside.

    Args:
        in_channels, out_channels: features.
        kernel_size, stride: pixels, or (vertical, horizontal).
        padding: pixels, or (vertical, horizontal); None for half the kernel.
        threshold, leak: the neuron's initial values.
        per_channel: one threshold and one leak for every output channel, not one for the layer.
        reset: `soft` or `hard`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int],
        threshold: float,
        leak: float,
        padding: int | tuple[int, int] | None = None,
        per_channel: bool = False,
        reset: str = "soft",
    ) -> None:
        kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        super().__init__(
            neuron_params={
                "threshold": threshold,
                "leak": leak,
                "channels": out_channels if per_channel else None,
                "reset": reset,
            },
            in_features=in_channels,
            out_features=out_channels,
            kernel_size=kernel,
            stride=stride,
            padding=(kernel[0] // 2, kernel[1] // 2) if padding is None else padding,
            weight_scale=INITIAL_WEIGHT_BOUND * math.sqrt(in_channels * math.prod(kernel)),
            delay_shift=False,
        )
        self.neuron = LifNeuron(**self.neuron_params)
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
        spikes, membranes = self.neuron(self.synaptic_sums(events))
        return spikes, membranes

    def synaptic_sums(self, events: torch.Tensor) -> torch.Tensor:
        """z of every step, float32 (N, C_out, h, w, T), of events as `forward` takes them."""
        clips, steps = events.shape[0], events.shape[-1]
        # SLAYER's convolution is a 3-D one with a kernel of one step. As images of all steps, channels last, it is the
        # same sums without a copy between layers.
        images = events.permute(4, 0, 1, 2, 3).flatten(0, 1)
        hook = self.synapse.pre_hook_fx
        weight = self.synapse.weight if hook is None else hook(self.synapse.weight)
        with _full_float32(events.device):
            sums = torch.nn.functional.conv2d(
                images.contiguous(memory_format=torch.channels_last),
                weight.squeeze(-1),
                stride=self.synapse.stride[:2],
                padding=self.synapse.padding[:2],
            )
        return sums.unflatten(0, (steps, clips)).permute(1, 2, 3, 4, 0)


@contextlib.contextmanager
def _full_float32(device: torch.device) -> Iterator[None]:
    """Neither autocast nor cuDNN's TF32 inside; what was set before is set again."""
    if device.type == "meta":  # shapes only, and no autocast to turn off
        yield
        return
    with torch.autocast(device.type, enabled=False):
        if device.type != "cuda":
            yield
            return
        cudnn = torch.backends.cudnn
        # torch 2.9 names the precision per operator, and refuses to be asked in the old way once that was used.
        place, name, full = (
            (cudnn.conv, "fp32_precision", "ieee") if hasattr(cudnn, "conv") else (cudnn, "allow_tf32", False)
        )
        before = getattr(place, name)
        setattr(place, name, full)
        try:
            yield
        finally:
            setattr(place, name, before)


class SpikingTemporalModulator(torch.nn.Module):
    """One stream's ConvLIF layers; the output is the last layer's membrane after the last step.

    Args:
        in_channels: 2 for motion, 3 for residual, 5 for both in one.
        config: sizes.
        strides: a layer; None for the config's.
    """

    def __init__(self, in_channels: int, config: StmConfig, strides: tuple[int, ...] | None = None) -> None:
        super().__init__()
        layers = []
        for channels, stride in zip(config.channels, strides or config.strides, strict=True):
            layers.append(
                ConvLif(
                    in_channels,
                    channels,
                    config.kernel_size,
                    stride,
                    config.threshold,
                    config.leak,
                    per_channel=config.neuron_parameters == "channel",
                    reset=config.reset,
                )
            )
            in_channels = channels
        self.layers = torch.nn.ModuleList(layers)
        for block in self.blocks:
            block.neuron.threshold_value.requires_grad_(config.learned)
            block.neuron.leak_value.requires_grad_(config.learned)

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
