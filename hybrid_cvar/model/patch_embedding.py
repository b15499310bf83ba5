"""Local spatial modulator: learned patch embedding by convolution (paper Sec. 3.2, "Spatial Modulator", Fig. 4)."""

import torch
from torch import nn
from torch.nn.functional import pad

__all__ = ["PatchEmbedding"]


class PatchEmbedding(nn.Module):
    """Non-overlapping patches by a strided convolution on the features, not a linear layer on pixels.

    Any input size will do: zeros complete a partial patch at the right or lower edge.

    Args:
        in_channels: 3 for the I-frame, the STM's channels for a membrane.
        width: token width D.
        patch: side of a patch in this input's own pixels.
    """

    def __init__(self, in_channels: int, width: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.project = nn.Conv2d(in_channels, width, kernel_size=patch, stride=patch)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """float32 (N, C, H, W) to (N, D, ceil(H / patch), ceil(W / patch))."""
        below, right = -features.shape[-2] % self.patch, -features.shape[-1] % self.patch
        if below or right:
            features = pad(features, (0, right, 0, below))
        return self.project(features)
