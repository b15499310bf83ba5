"""Transformer encoders over the tokens of all modalities (paper Sec. 3.3, Table 4b)."""

import torch
from torch import nn
from torch.nn.functional import gelu

from hybrid_cvar.model.attention import DilatedAttention, dilated_index, dilation_phases
from hybrid_cvar.model.config import ModelConfig

__all__ = ["ModalityTransformers", "TransformerBlock", "UnifiedTransformer", "build_encoder"]


class TransformerBlock(nn.Module):
    """Pre-norm block: dilated attention, then a two-layer MLP, each with a residual connection.

        x = x + Attention(LN(x)),    x = x + MLP(LN(x))

    Args:
        width: token width D. heads: attention heads. mlp_width: hidden width.
        dilation, phase: which tokens are keys, see `dilated_index`.
    """

    def __init__(self, width: int, heads: int, mlp_width: int, dilation: int, phase: tuple[int, int]) -> None:
        super().__init__()
        self.dilation = dilation
        self.phase = phase
        self.norm_attention = nn.LayerNorm(width)
        self.attention = DilatedAttention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.expand = nn.Linear(width, mlp_width)
        self.contract = nn.Linear(mlp_width, width)

    def forward(self, tokens: torch.Tensor, context: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
        """One block.

        Args:
            tokens: (N, L, D).
            context: (N, M' * h * w, D), whose keys and values are met: the tokens themselves, or other modalities'.
            grid: (h, w).

        Returns:
            As tokens.
        """
        rows, columns = grid
        chosen = dilated_index(context.shape[1] // (rows * columns), rows, columns, self.dilation, self.phase)
        index = torch.tensor(chosen, device=tokens.device)
        asking = self.norm_attention(tokens)
        answering = asking if context is tokens else self.norm_attention(context)
        tokens = tokens + self.attention(asking, answering, index)
        return tokens + self.contract(gelu(self.expand(self.norm_mlp(tokens))))


def _blocks(config: ModelConfig) -> nn.ModuleList:
    """Blocks whose dilation phase goes round: after dilation**2 blocks every token has been a key once."""
    phases = dilation_phases(config.dilation)
    return nn.ModuleList(
        TransformerBlock(config.width, config.heads, config.mlp_width, config.dilation, phases[index % len(phases)])
        for index in range(config.depth)
    )


class UnifiedTransformer(nn.Module):
    """One encoder over the concatenated tokens of all modalities (the paper's)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.blocks = _blocks(config)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, M, h, w, D) to the same shape."""
        modalities, rows, columns = tokens.shape[1:4]
        passing = tokens.flatten(1, 3)
        for block in self.blocks:
            passing = block(passing, passing, (rows, columns))
        return self.norm(passing).unflatten(1, (modalities, rows, columns))


class ModalityTransformers(nn.Module):
    """An encoder of its own for each modality (Table 4b).

    Args:
        config: sizes.
        modalities: M.
        cross: False, "Separate": attention stays inside a modality. True, "Cross-att.": queries only meet keys and
            values of the other modalities, as these stood before the block.
    """

    def __init__(self, config: ModelConfig, modalities: int, *, cross: bool) -> None:
        super().__init__()
        self.cross = cross
        self.encoders = nn.ModuleList(_blocks(config) for _ in range(modalities))
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(modalities))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, M, h, w, D) to the same shape."""
        grid = (tokens.shape[2], tokens.shape[3])
        parts = [part.flatten(1, 2) for part in tokens.unbind(1)]
        for blocks in zip(*self.encoders, strict=True):
            contexts = [self._context(parts, own) for own in range(len(parts))]
            parts = [block(part, context, grid) for block, part, context in zip(blocks, parts, contexts, strict=True)]
        ends = [norm(part).unflatten(1, grid) for norm, part in zip(self.norms, parts, strict=True)]
        return torch.stack(ends, dim=1)

    def _context(self, parts: list[torch.Tensor], own: int) -> torch.Tensor:
        return torch.cat(parts[:own] + parts[own + 1 :], dim=1) if self.cross else parts[own]


def build_encoder(config: ModelConfig) -> nn.Module:
    """The encoder that `config.encoder` names; takes and gives (N, M, h, w, D)."""
    if config.encoder == "unified":
        return UnifiedTransformer(config)
    return ModalityTransformers(config, len(config.token_modalities), cross=config.encoder == "cross")
