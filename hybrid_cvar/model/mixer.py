"""Multi-Modal Mixer Block: token folding, conv folding, conv fusion (paper Sec. 3.3, Fig. 4)."""

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, gelu

from hybrid_cvar.model.config import ModelConfig

__all__ = ["ConvFolding", "ConvFusion", "MultiModalMixer", "PlainMixer", "build_mixer", "fold_tokens"]

FOLD_KERNEL = 3


def fold_tokens(tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Token folding: puts the tokens back in their places, a map a modality.

    Args:
        tokens: (N, M, g, g, D).

    Returns:
        M maps (N, D, g, g).
    """
    return tuple(tokens.permute(1, 0, 4, 2, 3).unbind(0))


def average_to_folded_grid(maps: torch.Tensor, stride: int) -> torch.Tensor:
    """(N, C, g, g) to (N, C, g', g'), each cell the mean of those that conv folding sees there; stride 1 keeps them."""
    if stride == 1:
        return maps
    return avg_pool2d(maps, FOLD_KERNEL, stride, padding=FOLD_KERNEL // 2, count_include_pad=False)


class ConvFolding(nn.Module):
    """An overlapping 3x3 convolution that condenses one modality's map.

    Args:
        width: channels in. fold_width: channels out. stride: grid cells.
    """

    def __init__(self, width: int, fold_width: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, fold_width, kernel_size=FOLD_KERNEL, stride=stride, padding=FOLD_KERNEL // 2)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, D, g, g) to (N, F, g', g'), g' = ceil(g / stride)."""
        return gelu(self.conv(features))


class ConvFusion(nn.Module):
    """Fuses the folded maps with the low-level temporal maps by pointwise convolutions.

    The low-level maps are mixed across channels, brought to the folded grid by averaging, joined to the
    folded maps and mixed again.

    Args:
        fold_width: channels of each folded map. low_width: channels of each low-level map.
        folded, low: how many of each. fuse_width: channels out. stride: of conv folding.
    """

    def __init__(self, fold_width: int, low_width: int, folded: int, low: int, fuse_width: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.mix_low = nn.ModuleList(nn.Conv2d(low_width, fold_width, kernel_size=1) for _ in range(low))
        self.fuse = nn.Conv2d((folded + low) * fold_width, fuse_width, kernel_size=1)

    def forward(self, folded: list[torch.Tensor], low: list[torch.Tensor]) -> torch.Tensor:
        """Folded maps (N, F, g', g') and low-level maps (N, L, g, g) to (N, fuse_width, g', g')."""
        mixed = [
            average_to_folded_grid(gelu(mix(features)), self.stride)
            for mix, features in zip(self.mix_low, low, strict=True)
        ]
        return self.fuse(torch.cat([*folded, *mixed], dim=1))


class MultiModalMixer(nn.Module):
    """Conv folding of every modality, then conv fusion with skips from the low-level temporal maps.

    The low-level temporal maps are the streams' patch embeddings, before global mixing. Without `config.skips`
    they stay out.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        modalities, skips = len(config.token_modalities), len(config.streams) if config.skips else 0
        self.fold = nn.ModuleList(
            ConvFolding(config.width, config.fold_width, config.fold_stride) for _ in range(modalities)
        )
        self.fusion = ConvFusion(
            config.fold_width, config.width, modalities, skips, config.fuse_width, config.fold_stride
        )

    def forward(self, tokens: torch.Tensor, low: list[torch.Tensor]) -> torch.Tensor:
        """Tokens (N, M, g, g, D) and a low-level map (N, D, g, g) a stream to (N, fuse_width, g', g')."""
        folded = [fold(features) for fold, features in zip(self.fold, fold_tokens(tokens), strict=True)]
        return self.fusion(folded, low[: len(self.fusion.mix_low)])


class PlainMixer(nn.Module):
    """What is left without the mixer (Table 4d): the mean of the modalities' maps, averaged to the folded grid and
    brought to the RRDB's channels by one pointwise convolution.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.stride = config.fold_stride
        self.project = nn.Conv2d(config.width, config.fuse_width, kernel_size=1)

    def forward(self, tokens: torch.Tensor, low: list[torch.Tensor]) -> torch.Tensor:
        """Tokens (N, M, g, g, D) to (N, fuse_width, g', g'); the low-level maps are not used."""
        mean = torch.stack(fold_tokens(tokens)).mean(dim=0)
        return self.project(average_to_folded_grid(mean, self.stride))


def build_mixer(config: ModelConfig) -> nn.Module:
    """The mixer, or its plain stand-in; takes tokens and low-level maps, gives (N, fuse_width, g', g')."""
    return MultiModalMixer(config) if config.mixer else PlainMixer(config)
