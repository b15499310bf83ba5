"""The whole model of the paper's Fig. 4, in its two partitions."""

import torch
from torch import nn

from hybrid_cvar.fixed_point import MEMBRANE_SCALE
from hybrid_cvar.model.config import ModelConfig
from hybrid_cvar.model.mixer import MultiModalMixer
from hybrid_cvar.model.patch_embedding import PatchEmbedding, PositionalEncoding
from hybrid_cvar.model.rrdb import ResidualInResidualDenseBlock
from hybrid_cvar.model.stm import SpikingTemporalModulator
from hybrid_cvar.model.transformer import UnifiedTransformer

__all__ = ["AnnPartition", "DeployedAnn", "HybridCvarModel", "as_slayer_events"]

MODALITIES = 3
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class AnnPartition(nn.Module):
    """Everything after the STM: patch embeddings to logits. This is what is exported to ONNX.

    Args:
        config: sizes.
        classes: logits.
    """

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        self.mean: torch.Tensor
        self.std: torch.Tensor
        membrane_channels = config.stm.channels[-1]
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1) * 255, persistent=False)
        self.normalise_motion = nn.BatchNorm2d(membrane_channels)
        self.normalise_residual = nn.BatchNorm2d(membrane_channels)
        self.embed_iframe = PatchEmbedding(3, config.width, config.patch)
        self.embed_motion = PatchEmbedding(membrane_channels, config.width, config.membrane_patch)
        self.embed_residual = PatchEmbedding(membrane_channels, config.width, config.membrane_patch)
        self.position = PositionalEncoding(MODALITIES, config.grid, config.width)
        self.transformer = UnifiedTransformer(
            config.width, config.depth, config.heads, config.mlp_ratio, config.dilation, config.grid
        )
        self.mixer = MultiModalMixer(
            MODALITIES, config.width, config.fold_width, config.fold_stride, config.fuse_width, config.width
        )
        self.rrdb = nn.Sequential(
            *(
                ResidualInResidualDenseBlock(config.fuse_width, config.rrdb_growth, config.rrdb_scale)
                for _ in range(config.rrdb_blocks)
            )
        )
        self.classifier = nn.Linear(config.fuse_width, classes)

    def forward(
        self, iframe: torch.Tensor, motion_membrane: torch.Tensor, residual_membrane: torch.Tensor
    ) -> torch.Tensor:
        """From the I-frame and the STM's read-out to logits.

        Args:
            iframe: uint8 (N, H, W, 3), RGB.
            motion_membrane, residual_membrane: float32 (N, C, h, w), float units.

        Returns:
            float32 (N, classes).
        """
        image = (iframe.permute(0, 3, 1, 2).to(torch.float32) - self.mean) / self.std
        maps = [
            self.embed_iframe(image),
            self.embed_motion(self.normalise_motion(motion_membrane)),
            self.embed_residual(self.normalise_residual(residual_membrane)),
        ]
        tokens = torch.stack(maps, dim=1).permute(0, 1, 3, 4, 2)
        tokens = self.transformer(self.position(tokens))
        fused = self.mixer(tokens, maps[1:])
        return self.classifier(self.rrdb(fused).mean(dim=(2, 3)))


class DeployedAnn(nn.Module):
    """The ANN partition with the spiking partition's integers as its input, as a bundle runs it."""

    def __init__(self, ann: AnnPartition) -> None:
        super().__init__()
        self.ann = ann

    def forward(
        self, iframe: torch.Tensor, motion_membrane: torch.Tensor, residual_membrane: torch.Tensor
    ) -> torch.Tensor:
        """uint8 (N, H, W, 3) and int32 (N, h, w, C) membranes to float32 (N, classes)."""
        motion, residual = (
            membrane.permute(0, 3, 1, 2).to(torch.float32) / MEMBRANE_SCALE
            for membrane in (motion_membrane, residual_membrane)
        )
        return self.ann(iframe, motion, residual)


class HybridCvarModel(nn.Module):
    """Two-stream STM (the spiking partition), then the ANN partition.

    Args:
        config: sizes.
        classes: logits.
    """

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        self.config = config
        self.stm_motion = SpikingTemporalModulator(2, config.stm)
        self.stm_residual = SpikingTemporalModulator(3, config.stm)
        self.ann = AnnPartition(config, classes)

    def forward(self, iframe: torch.Tensor, motion_events: torch.Tensor, residual_events: torch.Tensor) -> torch.Tensor:
        """From a batch of clips to logits.

        Args:
            iframe: uint8 (N, H, W, 3), RGB.
            motion_events: int8 (N, T, H, W, 2), graded events.
            residual_events: int8 (N, T, H, W, 3), graded events.

        Returns:
            float32 (N, classes).
        """
        motion = self.stm_motion(as_slayer_events(motion_events))
        residual = self.stm_residual(as_slayer_events(residual_events))
        return self.ann(iframe, motion, residual)

    def set_fixed_point(self, fixed_point: bool) -> None:
        """Runs the STM in quantised (True, the default) or plain float arithmetic."""
        self.stm_motion.set_fixed_point(fixed_point)
        self.stm_residual.set_fixed_point(fixed_point)


def as_slayer_events(events: torch.Tensor) -> torch.Tensor:
    """int8 (N, T, H, W, C) to SLAYER's float32 (N, C, H, W, T)."""
    return events.permute(0, 4, 2, 3, 1).to(torch.float32).contiguous()
