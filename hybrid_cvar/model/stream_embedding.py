"""From one P-frame stream to a map of tokens: where the temporal and the local spatial modelling meet (Table 4a, 4c).

Every module gives (N, D, g, g). `MembraneEmbedding` is the paper's model; the others are its ablations.
"""

import torch
from torch import nn

from hybrid_cvar.model.config import ModelConfig
from hybrid_cvar.model.conv_lstm import ConvLstm
from hybrid_cvar.model.patch_embedding import PatchEmbedding
from hybrid_cvar.model.stm import SpikingTemporalModulator
from hybrid_cvar.records import STREAM_CHANNELS

__all__ = [
    "LstmEmbedding",
    "MembraneEmbedding",
    "PatchThenStm",
    "StackedEmbedding",
    "StmOverPatches",
    "build_stream_embedding",
]

EVENT_SCALE = 1 / 64
"""What one event counts in a float network: SLAYER's weight of 1 for a graded event is 64 integer steps."""


class MembraneEmbedding(nn.Module):
    """T then LS: the STM's read-out, normalised and cut into patches (the paper's order)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.normalise = nn.BatchNorm2d(config.stm.channels[-1])
        self.embed = PatchEmbedding(config.stm.channels[-1], config.width, config.membrane_patch)

    def forward(self, membrane: torch.Tensor) -> torch.Tensor:
        """float32 (N, C, h, w), float units, to (N, D, g, g)."""
        return self.embed(self.normalise(membrane))


class LstmEmbedding(nn.Module):
    """T then LS, with a convolutional LSTM in the STM's place ("STM -> LSTM")."""

    def __init__(self, config: ModelConfig, stream: str) -> None:
        super().__init__()
        self.lstm = ConvLstm(STREAM_CHANNELS[stream], config.stm)
        self.embed = MembraneEmbedding(config)

    def forward(self, events: torch.Tensor) -> torch.Tensor:
        """float32 (N, T, C, H, W), events, to (N, D, g, g)."""
        return self.embed(self.lstm(events * EVENT_SCALE))


class StackedEmbedding(nn.Module):
    """LS alone: the steps are the channels of one image ("W/o STM"), as earlier stateless methods feed P-frames."""

    def __init__(self, config: ModelConfig, stream: str) -> None:
        super().__init__()
        channels = config.input.timesteps * STREAM_CHANNELS[stream]
        self.normalise = nn.BatchNorm2d(channels)
        self.embed = PatchEmbedding(channels, config.width, config.patch)

    def forward(self, events: torch.Tensor) -> torch.Tensor:
        """float32 (N, T, C, H, W), events, to (N, D, g, g)."""
        return self.embed(self.normalise(events.flatten(1, 2)))


class StmOverPatches(nn.Module):
    """T after LS: an STM, of stride 1 and in float arithmetic, over maps of tokens, and a projection back to width D.

    Its inputs are not events, so it has no place on a neuromorphic core.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.stm = SpikingTemporalModulator(config.width, config.stm, strides=(1,) * len(config.stm.strides))
        self.stm.set_fixed_point(False)
        self.normalise = nn.BatchNorm2d(config.stm.channels[-1])
        self.project = nn.Conv2d(config.stm.channels[-1], config.width, kernel_size=1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, T, D, g, g) to (N, D, g, g)."""
        return self.project(self.normalise(self.stm(maps.permute(0, 2, 3, 4, 1))))


class PatchThenStm(nn.Module):
    """LS then T: every P-frame is cut into patches, then an STM runs over their maps."""

    def __init__(self, config: ModelConfig, stream: str) -> None:
        super().__init__()
        self.embed = PatchEmbedding(STREAM_CHANNELS[stream], config.width, config.patch)
        self.modulate = StmOverPatches(config)

    def forward(self, events: torch.Tensor) -> torch.Tensor:
        """float32 (N, T, C, H, W), events, to (N, D, g, g)."""
        return self.modulate(embed_steps(self.embed, events))


def embed_steps(embed: nn.Module, events: torch.Tensor) -> torch.Tensor:
    """A `PatchEmbedding` of every step: (N, T, C, H, W) to (N, T, D, g, g)."""
    steps = events.shape[1]
    patches: torch.Tensor = embed(events.flatten(0, 1) * EVENT_SCALE)
    return patches.unflatten(0, (-1, steps))


def build_stream_embedding(config: ModelConfig, stream: str) -> nn.Module:
    """The embedding of one stream that order and temporal ask for."""
    if stream in config.spiking_streams:
        return MembraneEmbedding(config)
    if config.temporal == "lstm":
        return LstmEmbedding(config, stream)
    if config.temporal == "none":
        return StackedEmbedding(config, stream)
    return PatchThenStm(config, stream)
