"""Spatial Modulator: learned patch embedding and positional encodings (paper Sec. 3.2 and 3.3, Fig. 4)."""

import torch
from torch import nn

__all__ = ["PatchEmbedding", "PositionalEncoding"]


class PatchEmbedding(nn.Module):
    """Non-overlapping patches by a strided convolution on the features, not a linear layer on pixels.

    Args:
        in_channels: 3 for the I-frame, the STM's channels for a membrane.
        width: token width D.
        patch: side of a patch in this input's own pixels.
    """

    def __init__(self, in_channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_channels, width, kernel_size=patch, stride=patch)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """float32 (N, C, H, W) to (N, D, H / patch, W / patch); a partial patch at the edge is dropped."""
        return self.project(features)


class PositionalEncoding(nn.Module):
    """Adds learned encodings of place, time and modality to every token (after MM-ViT).

    The I-frame stands at the clip's first instant, the two membranes at its last.

    Args:
        modalities: M, the I-frame first.
        grid: tokens along one side of a modality's grid.
        width: token width D.
    """

    def __init__(self, modalities: int, grid: int, width: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(1, 1, grid, grid, width) * 0.02)
        self.time = nn.Parameter(torch.randn(1, 2, 1, 1, width) * 0.02)
        self.modality = nn.Parameter(torch.randn(1, modalities, 1, 1, width) * 0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, M, g, g, D) to the same shape."""
        first, last = self.time[:, :1], self.time[:, 1:]
        instant = torch.cat([first, last.expand(-1, self.modality.shape[1] - 1, -1, -1, -1)], dim=1)
        return tokens + self.place + instant + self.modality
