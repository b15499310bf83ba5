"""Residual in residual dense block (Wang et al., ESRGAN, 2018; paper Sec. 3.3)."""

import torch
from torch import nn
from torch.nn.functional import leaky_relu

__all__ = ["DenseBlock", "ResidualInResidualDenseBlock"]

CONVOLUTIONS = 5
DENSE_BLOCKS = 3


class DenseBlock(nn.Module):
    """Five 3x3 convolutions, each fed with all maps before it; scaled residual.

    Args:
        features: channels in and out. growth: channels a convolution adds. scale: residual scaling.
    """

    def __init__(self, features: int, growth: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.convs = nn.ModuleList(
            nn.Conv2d(
                features + index * growth, growth if index < CONVOLUTIONS - 1 else features, kernel_size=3, padding=1
            )
            for index in range(CONVOLUTIONS)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, F, h, w) to the same shape."""
        maps = [features]
        for conv in self.convs[:-1]:
            maps.append(leaky_relu(conv(torch.cat(maps, dim=1)), 0.2))
        return features + self.scale * self.convs[-1](torch.cat(maps, dim=1))


class ResidualInResidualDenseBlock(nn.Module):
    """Three dense blocks inside another scaled residual."""

    def __init__(self, features: int, growth: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.blocks = nn.Sequential(*(DenseBlock(features, growth, scale) for _ in range(DENSE_BLOCKS)))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, F, h, w) to the same shape."""
        return features + self.scale * self.blocks(features)
