"""Spatio-temporal-modality positional encodings (paper Sec. 3.3, after MM-ViT's)."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import interpolate

__all__ = ["PositionalEncoding"]


class PositionalEncoding(nn.Module):
    """Adds learned encodings of place, time and modality to every token.

    Place is learned on a grid and resampled (bilinear) for inputs that give another one.

    Args:
        modalities: M.
        grid: tokens along one side of a modality's grid.
        instants: different points in time that tokens can stand at.
        width: token width D.
    """

    def __init__(self, modalities: int, grid: int, instants: int, width: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(1, 1, grid, grid, width) * 0.02)
        self.time = nn.Parameter(torch.randn(1, instants, 1, 1, width) * 0.02)
        self.modality = nn.Parameter(torch.randn(1, modalities, 1, 1, width) * 0.02)

    def forward(self, tokens: torch.Tensor, instants: Sequence[int]) -> torch.Tensor:
        """Encodes where, when and what every token is.

        Args:
            tokens: (N, M, h, w, D).
            instants: of each modality, M of them.

        Returns:
            As tokens.
        """
        when = torch.cat([self.time[:, instant : instant + 1] for instant in instants], dim=1)
        return tokens + (self._place_on(tokens.shape[2], tokens.shape[3]) + when + self.modality)

    def _place_on(self, rows: int, columns: int) -> torch.Tensor:
        """(1, 1, rows, columns, D)."""
        if (rows, columns) == self.place.shape[2:4]:
            return self.place
        maps = self.place[0].permute(0, 3, 1, 2)
        resampled = interpolate(maps, size=(rows, columns), mode="bilinear", align_corners=False)
        return resampled.permute(0, 2, 3, 1)[None]
