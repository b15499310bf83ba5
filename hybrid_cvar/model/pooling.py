"""From the RRDB's maps to one vector: global average pooling, or a class token (paper Sec. 3.3, Table 4d)."""

import torch
from torch import nn

from hybrid_cvar.model.config import ModelConfig

__all__ = ["ClassTokenPooling", "GlobalAveragePooling", "build_pooling"]


class GlobalAveragePooling(nn.Module):
    """The mean over all places."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, F, h, w) to (N, F)."""
        return maps.mean(dim=(2, 3))


class ClassTokenPooling(nn.Module):
    """A learned class token that attends to all places ("GAP -> Class Token").

        c' = c + softmax(Q(LN(c)) K(LN(X))^T / sqrt(F / heads)) V(LN(X)) W,    then LN(c')

    Args:
        features: F. heads: attention heads; they divide F.
    """

    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.token = nn.Parameter(torch.randn(1, 1, features) * 0.02)
        self.norm = nn.LayerNorm(features)
        self.query = nn.Linear(features, features)
        self.key_value = nn.Linear(features, 2 * features)
        self.out = nn.Linear(features, features)
        self.norm_out = nn.LayerNorm(features)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, F, h, w) to (N, F)."""
        places = self.norm(maps.flatten(2).transpose(1, 2))  # (N, h * w, F)
        token = self.token.expand(maps.shape[0], -1, -1)
        query = self._heads(self.query(self.norm(token)))
        key, value = (self._heads(part) for part in self.key_value(places).chunk(2, dim=-1))
        weights = torch.softmax(torch.matmul(query * query.shape[-1] ** -0.5, key.transpose(2, 3)), dim=-1)
        mixed = torch.matmul(weights, value).transpose(1, 2).flatten(2)
        return self.norm_out(token + self.out(mixed))[:, 0]

    def _heads(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, L, F) to (N, heads, L, F / heads)."""
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)


def build_pooling(config: ModelConfig) -> nn.Module:
    """The pooling that `config.pool` names; takes (N, F, h, w), gives (N, F)."""
    return GlobalAveragePooling() if config.pool == "gap" else ClassTokenPooling(config.fuse_width, config.heads)
