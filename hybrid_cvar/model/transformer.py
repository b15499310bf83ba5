"""Unified transformer over the tokens of all modalities (paper Sec. 3.3)."""

import torch
from torch import nn
from torch.nn.functional import gelu

__all__ = ["DilatedAttention", "TransformerBlock", "UnifiedTransformer", "dilation_phases"]


class DilatedAttention(nn.Module):
    """Self-attention of every token to a dilated subset of all modalities' tokens.

    Keys and values are computed only for every `dilation`-th row and column of each modality's grid,
    starting at `phase`: dilation**2 times fewer keys, and as much less work in the attention products.

    Args:
        width: token width D. heads: attention heads. dilation: grid step of keys and values.
        phase: first row and first column taken, each 0 to dilation - 1.
    """

    def __init__(self, width: int, heads: int, dilation: int, phase: tuple[int, int]) -> None:
        super().__init__()
        self.heads = heads
        self.dilation = dilation
        self.phase = phase
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, M, g, g, D) to the same shape."""
        batch, modalities, rows, columns, width = tokens.shape
        head_width = width // self.heads
        first_row, first_column = self.phase
        seen = tokens[:, :, first_row :: self.dilation, first_column :: self.dilation]
        query = self.query(tokens).reshape(batch, -1, self.heads, head_width).transpose(1, 2)
        key_value = self.key_value(seen).reshape(batch, -1, 2, self.heads, head_width)
        key = key_value[:, :, 0].permute(0, 2, 3, 1)
        value = key_value[:, :, 1].transpose(1, 2)
        weights = torch.softmax(torch.matmul(query * head_width**-0.5, key), dim=-1)
        mixed = torch.matmul(weights, value).transpose(1, 2)
        return self.out(mixed.reshape(batch, modalities, rows, columns, width))


class TransformerBlock(nn.Module):
    """Pre-norm block: dilated attention, then a two-layer MLP, each with a residual connection."""

    def __init__(self, width: int, heads: int, mlp_ratio: int, dilation: int, phase: tuple[int, int]) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = DilatedAttention(width, heads, dilation, phase)
        self.norm_mlp = nn.LayerNorm(width)
        self.expand = nn.Linear(width, mlp_ratio * width)
        self.contract = nn.Linear(mlp_ratio * width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, M, g, g, D) to the same shape."""
        tokens = tokens + self.attention(self.norm_attention(tokens))
        return tokens + self.contract(gelu(self.expand(self.norm_mlp(tokens))))


class UnifiedTransformer(nn.Module):
    """Blocks whose dilation phase goes round: after dilation**2 blocks every token has been a key once.

    Args:
        width, heads, mlp_ratio, dilation: see `TransformerBlock`.
        depth: blocks.
        grid: tokens along one side; the phase stays below it.
    """

    def __init__(self, width: int, depth: int, heads: int, mlp_ratio: int, dilation: int, grid: int) -> None:
        super().__init__()
        phases = dilation_phases(min(dilation, grid))
        self.blocks = nn.ModuleList(
            TransformerBlock(width, heads, mlp_ratio, dilation, phases[index % len(phases)]) for index in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, M, g, g, D) to the same shape."""
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)


def dilation_phases(dilation: int) -> list[tuple[int, int]]:
    """All (row, column) phases, diagonal after diagonal, so that neighbours in the list share neither."""
    return [(row, (row + shift) % dilation) for shift in range(dilation) for row in range(dilation)]
