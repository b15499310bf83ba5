"""The whole model of the paper's Fig. 4, in its two partitions."""

from collections.abc import Mapping

import torch
from torch import nn

from hybrid_cvar.model.ann_partition import AnnPartition
from hybrid_cvar.model.config import ModelConfig
from hybrid_cvar.model.stm import SpikingTemporalModulator
from hybrid_cvar.records import STREAM_CHANNELS

__all__ = ["HybridCvarModel", "as_slayer_events"]


class HybridCvarModel(nn.Module):
    """An STM for every spiking stream (the spiking partition), then the ANN partition.

    Args:
        config: sizes and switches.
        classes: logits.

    Attributes:
        stm: SpikingTemporalModulator by stream: `motion` and `residual`, or what the config leaves of them.
        ann: the ANN partition.
    """

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        self.stm = nn.ModuleDict(
            {name: SpikingTemporalModulator(STREAM_CHANNELS[name], config.stm) for name in config.spiking_streams}
        )
        self.ann = AnnPartition(config, classes)

    @property
    def modulators(self) -> dict[str, SpikingTemporalModulator]:
        """`stm`, typed."""
        return {name: stm for name, stm in self.stm.items() if isinstance(stm, SpikingTemporalModulator)}

    def forward(self, iframe: torch.Tensor, motion_events: torch.Tensor, residual_events: torch.Tensor) -> torch.Tensor:
        """From a batch of clips to logits.

        Args:
            iframe: uint8 (N, H, W, 3), RGB.
            motion_events: int8 (N, T, H, W, 2), graded events.
            residual_events: int8 (N, T, H, W, 3), graded events.
                An input that the config does not use may be anything.

        Returns:
            float32 (N, classes).
        """
        events = self.stream_events(motion_events, residual_events)
        inputs = []
        for name in self.config.token_modalities:
            if name == "iframe":
                inputs.append(iframe)
            elif name in self.stm:
                inputs.append(self.stm[name](as_slayer_events(events[name])))
            else:
                inputs.append(events[name])
        return self.ann(*inputs)

    def stream_events(self, motion_events: torch.Tensor, residual_events: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Events of every stream of the config, int8 (N, T, H, W, C)."""
        known = {"motion": lambda: motion_events, "residual": lambda: residual_events}
        known["common"] = lambda: torch.cat([motion_events, residual_events], dim=-1)
        return {name: known[name]() for name in self.config.streams}

    def set_fixed_point(self, fixed_point: bool) -> None:
        """Runs the spiking partition in quantised (True, the default) or plain float arithmetic."""
        for stm in self.modulators.values():
            stm.set_fixed_point(fixed_point)


def as_slayer_events(events: torch.Tensor) -> torch.Tensor:
    """int8 (N, T, H, W, C) to SLAYER's float32 (N, C, H, W, T)."""
    # In memory steps come first and channels last, as the ConvLIF layers work.
    return events.transpose(0, 1).contiguous().to(torch.float32).permute(1, 4, 2, 3, 0)
