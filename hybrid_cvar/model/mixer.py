"""Multi-Modal Mixer Block: token folding, conv folding, conv fusion (paper Sec. 3.3, Fig. 4)."""

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d, gelu

__all__ = ["ConvFolding", "ConvFusion", "MultiModalMixer", "fold_tokens"]


def fold_tokens(tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Token folding: puts the tokens back in their places, a map a modality.

    Args:
        tokens: (N, M, g, g, D).

    Returns:
        M maps (N, D, g, g).
    """
    return tuple(tokens.permute(1, 0, 4, 2, 3).unbind(0))


class ConvFolding(nn.Module):
    """An overlapping 3x3 convolution that condenses one modality's map.

    Args:
        width: channels in. fold_width: channels out. stride: grid cells.
    """

    def __init__(self, width: int, fold_width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, fold_width, kernel_size=3, stride=stride, padding=1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, D, g, g) to (N, F, g', g')."""
        return gelu(self.conv(features))


class ConvFusion(nn.Module):
    """Fuses the folded maps with the low-level temporal maps by pointwise convolutions.

    The low-level maps are mixed across channels, brought to the folded grid by averaging, joined to the
    folded maps and mixed again.

    Args:
        fold_width: channels of each folded map. low_width: channels of each low-level map.
        folded, low: how many of each. fuse_width: channels out.
    """

    def __init__(self, fold_width: int, low_width: int, folded: int, low: int, fuse_width: int) -> None:
        super().__init__()
        self.mix_low = nn.ModuleList(nn.Conv2d(low_width, fold_width, kernel_size=1) for _ in range(low))
        self.fuse = nn.Conv2d((folded + low) * fold_width, fuse_width, kernel_size=1)

    def forward(self, folded: list[torch.Tensor], low: list[torch.Tensor]) -> torch.Tensor:
        """Folded maps (N, F, g', g') and low-level maps (N, L, h, w) to (N, fuse_width, g', g')."""
        height, width = folded[0].shape[-2:]
        mixed = [
            adaptive_avg_pool2d(gelu(mix(features)), (height, width))
            for mix, features in zip(self.mix_low, low, strict=True)
        ]
        return self.fuse(torch.cat([*folded, *mixed], dim=1))


class MultiModalMixer(nn.Module):
    """Conv folding of every modality, then conv fusion with skips from the low-level temporal maps.

    Args:
        modalities: M. width: token width D. fold_width, fold_stride, fuse_width: see the parts.
        low_width: channels of the low-level temporal maps (the patch embeddings of the two membranes).
    """

    def __init__(
        self, modalities: int, width: int, fold_width: int, fold_stride: int, fuse_width: int, low_width: int
    ) -> None:
        super().__init__()
        self.fold = nn.ModuleList(ConvFolding(width, fold_width, fold_stride) for _ in range(modalities))
        self.fusion = ConvFusion(fold_width, low_width, modalities, modalities - 1, fuse_width)

    def forward(self, tokens: torch.Tensor, low: list[torch.Tensor]) -> torch.Tensor:
        """Tokens (N, M, g, g, D) and M - 1 low-level maps (N, L, h, w) to (N, fuse_width, g', g')."""
        folded = [fold(features) for fold, features in zip(self.fold, fold_tokens(tokens), strict=True)]
        return self.fusion(folded, low)
