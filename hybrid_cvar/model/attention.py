"""Dilated global feature mixing by self-attention (paper Sec. 3.3)."""

import torch
from torch import nn

__all__ = ["DilatedAttention", "dilated_index", "dilation_phases"]


class DilatedAttention(nn.Module):
    """Attention of every token to a dilated subset of tokens.

    Keys and values are computed only for every `dilation`-th row and column of each modality's grid
    (`dilated_index`): dilation**2 times fewer keys, and as much less work in the attention products. The paper names
    dilated attention without its details; this form is this project's choice.

    Args:
        width: token width D. heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor, context: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """softmax(Q K^T / sqrt(D / heads)) V, then the output projection.

        Args:
            tokens: (N, L, D), which ask.
            context: (N, L', D), which answer: the same tokens, or other modalities'.
            index: int64, which of the L' are keys and values.

        Returns:
            As tokens.
        """
        seen = context.index_select(1, index)
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(tokens), self.key(seen), self.value(seen))
        )
        weights = torch.softmax(torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(2, 3)), dim=-1)
        return self.out(torch.matmul(weights, value).transpose(1, 2).flatten(2))


def dilated_index(modalities: int, rows: int, columns: int, dilation: int, phase: tuple[int, int]) -> list[int]:
    """Positions, in flattened (modality, row, column) order, of every `dilation`-th row and column from `phase` on."""
    first_row, first_column = phase
    return [
        (modality * rows + row) * columns + column
        for modality in range(modalities)
        for row in range(first_row, rows, dilation)
        for column in range(first_column, columns, dilation)
    ]


def dilation_phases(dilation: int) -> list[tuple[int, int]]:
    """All (row, column) phases, diagonal after diagonal; neighbours in a diagonal share neither row nor column."""
    return [(row, (row + shift) % dilation) for shift in range(dilation) for row in range(dilation)]
