"""The ANN partition: everything after the spiking one (paper Fig. 4)."""

from collections.abc import Mapping

import torch
from torch import nn

from hybrid_cvar.model.config import ModelConfig
from hybrid_cvar.model.contextualiser import build_contextualiser
from hybrid_cvar.model.mixer import build_mixer
from hybrid_cvar.model.pooling import build_pooling
from hybrid_cvar.model.rrdb import ResidualInResidualDenseBlock

__all__ = ["AnnPartition"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class AnnPartition(nn.Module):
    """Patch embeddings, positional encodings, transformer, mixer, RRDB, pooling and classifier (paper Fig. 4).

    Args:
        config: sizes and switches; `config.ann_inputs` names the inputs.
        classes: logits.
    """

    def __init__(self, config: ModelConfig, classes: int) -> None:
        super().__init__()
        self.inputs = config.ann_inputs
        self.modalities = config.token_modalities
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1) * 255, persistent=False)
        self.context = build_contextualiser(config)
        self.mixer = build_mixer(config)
        self.rrdb = nn.Sequential(
            *(
                ResidualInResidualDenseBlock(config.fuse_width, config.rrdb_growth, config.rrdb_scale)
                for _ in range(config.rrdb_blocks)
            )
        )
        self.pool = build_pooling(config)
        self.classifier = nn.Linear(config.fuse_width, classes)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """From the I-frame and the streams to logits.

        Args:
            inputs: in the order of `config.ann_inputs`: I-frame uint8 (N, H, W, 3), RGB; membranes float32
                (N, C, h, w), float units; events int8 (N, T, H, W, C).

        Returns:
            float32 (N, classes).
        """
        return self.classify(
            {
                modality: self.prepare(kind.kind, values)
                for modality, kind, values in zip(self.modalities, self.inputs, inputs, strict=True)
            }
        )

    def prepare(self, kind: str, values: torch.Tensor) -> torch.Tensor:
        """One input as its patch embedding takes it: the I-frame normalised, channels before rows and columns."""
        if kind == "iframe":
            return (values.permute(0, 3, 1, 2).to(torch.float32) - self.mean) / self.std
        if kind == "events":
            return values.permute(0, 1, 4, 2, 3).to(torch.float32)
        return values

    def classify(self, features: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """From what the patch embeddings take, by modality, to logits."""
        tokens, low = self.context(features)
        return self.classifier(self.pool(self.rrdb(self.mixer(tokens, low))))
