"""Local and global space, time and modality: from inputs to one map a modality (paper Sec. 3.3, Fig. 4, Table 4a)."""

from collections.abc import Mapping

import torch
from torch import nn

from hybrid_cvar.model.config import ModelConfig
from hybrid_cvar.model.patch_embedding import PatchEmbedding
from hybrid_cvar.model.positional_encoding import PositionalEncoding
from hybrid_cvar.model.stream_embedding import StmOverPatches, build_stream_embedding, embed_steps
from hybrid_cvar.model.transformer import build_encoder
from hybrid_cvar.records import STREAM_CHANNELS

__all__ = ["GlobalLast", "TemporalLast", "build_contextualiser"]

Maps = tuple[torch.Tensor, list[torch.Tensor]]
"""Tokens (N, M, g, g, D) after global mixing, and the low-level temporal maps, (N, D, g, g) a stream."""


class GlobalLast(nn.Module):
    """T-LS-GS (the paper's) and LS-T-GS: every modality becomes one map of tokens, then all tokens are mixed.

    The I-frame stands at the clip's first instant, the streams at its last.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed = nn.ModuleDict(
            {
                name: PatchEmbedding(3, config.width, config.patch)
                if name == "iframe"
                else build_stream_embedding(config, name)
                for name in config.token_modalities
            }
        )
        self.instants = [0 if name == "iframe" else 1 for name in config.token_modalities]
        self.position = PositionalEncoding(len(self.instants), config.grid, 2, config.width)
        self.encoder = build_encoder(config)

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> Maps:
        """Features by modality: `iframe` (N, 3, H, W), streams as their embedding takes them."""
        maps = [embed(inputs[name]) for name, embed in self.embed.items()]
        tokens = torch.stack(maps, dim=1).permute(0, 1, 3, 4, 2)
        low = [features for features, instant in zip(maps, self.instants, strict=True) if instant]
        return self.encoder(self.position(tokens, self.instants)), low


class TemporalLast(nn.Module):
    """LS-GS-T: the tokens of every step are mixed with the I-frame's, then STMs run over the mixed maps.

    The I-frame's tokens of all steps are averaged.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.has_iframe = "iframe" in config.token_modalities
        self.embed = nn.ModuleDict(
            {
                name: PatchEmbedding(3 if name == "iframe" else STREAM_CHANNELS[name], config.width, config.patch)
                for name in config.token_modalities
            }
        )
        self.modulate = nn.ModuleList(StmOverPatches(config) for _ in config.streams)
        self.steps = config.input.timesteps
        self.position = PositionalEncoding(
            len(config.token_modalities), config.grid, config.input.timesteps + 1, config.width
        )
        self.encoder = build_encoder(config)

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> Maps:
        """Features by modality: `iframe` (N, 3, H, W), streams' events (N, T, C, H, W)."""
        low, patches = [], []
        for name, embed in self.embed.items():
            if name == "iframe":
                patches.append(embed(inputs[name])[:, None].expand(-1, self.steps, -1, -1, -1))
            else:
                patches.append(embed_steps(embed, inputs[name]))
                low.append(patches[-1].mean(dim=1))
        steps = torch.stack(patches, dim=2).permute(0, 1, 2, 4, 5, 3)  # (N, T, M, g, g, D)
        encoded = [self.position(steps[:, step], self._instants(step)) for step in range(self.steps)]
        mixed = self.encoder(torch.stack(encoded, dim=1).flatten(0, 1)).unflatten(0, (-1, self.steps))
        ends = [mixed[:, :, 0].mean(dim=1)] if self.has_iframe else []
        first = len(ends)
        for index, modulate in enumerate(self.modulate):
            maps = mixed[:, :, first + index].permute(0, 1, 4, 2, 3)
            ends.append(modulate(maps).permute(0, 2, 3, 1))
        return torch.stack(ends, dim=1), low

    def _instants(self, step: int) -> list[int]:
        return [0] * self.has_iframe + [step + 1] * len(self.modulate)


def build_contextualiser(config: ModelConfig) -> nn.Module:
    """The order that the config names."""
    return TemporalLast(config) if config.order == "LS-GS-T" else GlobalLast(config)
