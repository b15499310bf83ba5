"""The ANN partition as a bundle runs it: integers in, normalisation folded into the patch embeddings."""

import copy

import torch
from torch import nn

from hybrid_cvar.fixed_point import MEMBRANE_SCALE
from hybrid_cvar.model.ann_partition import AnnPartition
from hybrid_cvar.model.patch_embedding import PatchEmbedding
from hybrid_cvar.model.stream_embedding import MembraneEmbedding

__all__ = ["DeployedAnn", "FoldedPatchEmbedding"]


class FoldedPatchEmbedding(nn.Module):
    """A patch embedding of integers, `embed(scale * x + shift)`, as one matrix product of patches.

    The scale lies in the weights and the shift in the bias, so that integers are moved, a quarter to a tenth of the
    bytes of what is normalised, and cast once.

    Args:
        embed: the embedding; its patch must divide the input.
        scale, shift: float32 (C,), a channel.
    """

    def __init__(self, embed: PatchEmbedding, scale: torch.Tensor, shift: torch.Tensor) -> None:
        super().__init__()
        weight = embed.project.weight.detach().double()  # (D, C, p, p)
        assert embed.project.bias is not None
        folded = weight * scale.double().view(1, -1, 1, 1)
        bias = embed.project.bias.detach().double() + (weight * shift.double().view(1, -1, 1, 1)).sum(dim=(1, 2, 3))
        self.patch = embed.patch
        self.weight = nn.Parameter(folded.permute(2, 3, 1, 0).flatten(0, 2).float().contiguous())
        self.bias = nn.Parameter(bias.float())

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Integers (N, H, W, C) to float32 (N, D, H / patch, W / patch)."""
        batch, height, width, channels = values.shape
        rows, columns, patch = height // self.patch, width // self.patch, self.patch
        patches = values.reshape(batch, rows, patch, columns, patch, channels).permute(0, 1, 3, 2, 4, 5)
        flat = patches.reshape(batch, rows * columns, patch * patch * channels).to(torch.float32)
        return (torch.matmul(flat, self.weight) + self.bias).transpose(1, 2).unflatten(2, (rows, columns))


class DeployedAnn(nn.Module):
    """The ANN partition with the spiking partition's integers as its input.

    Computes what `AnnPartition` does in evaluation mode; a copy, so later training of the original does not reach it.

    Args:
        ann: the partition.
    """

    def __init__(self, ann: AnnPartition) -> None:
        super().__init__()
        self.ann = copy.deepcopy(ann).eval().requires_grad_(False)
        self.folded = tuple(
            self._fold(modality, kind.kind, kind.shape[0])
            for modality, kind in zip(ann.modalities, ann.inputs, strict=True)
        )

    def _fold(self, modality: str, kind: str, side: int) -> bool:
        """Folds one modality's normalisation into its embedding, where it has one and no patch is partial."""
        embeddings = self.ann.context.embed
        assert isinstance(embeddings, nn.ModuleDict)
        embed = embeddings[modality]
        if isinstance(embed, PatchEmbedding) and kind == "iframe":
            scale, shift = 1 / self.ann.std.flatten(), -(self.ann.mean / self.ann.std).flatten()
        elif isinstance(embed, MembraneEmbedding):
            scale, shift = _affine(embed.normalise)
            scale, embed = scale / MEMBRANE_SCALE, embed.embed
        else:
            return False
        if side % embed.patch:
            return False
        embeddings[modality] = FoldedPatchEmbedding(embed, scale, shift)
        return True

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """From arrays as the runtime has them to logits.

        Args:
            inputs: in the order of `config.ann_inputs`: I-frame uint8 (N, H, W, 3); membranes int32 (N, h, w, C), in
                units of 2**-12 of the float model's; events int8 (N, T, H, W, C).

        Returns:
            float32 (N, classes).
        """
        ann = self.ann
        features = {}
        for modality, kind, folded, values in zip(ann.modalities, ann.inputs, self.folded, inputs, strict=True):
            if folded:
                features[modality] = values
            elif kind.kind == "membrane":
                features[modality] = values.permute(0, 3, 1, 2).to(torch.float32) / MEMBRANE_SCALE
            else:
                features[modality] = ann.prepare(kind.kind, values)
        return ann.classify(features)


def _affine(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Batch normalisation with its running statistics as (scale, shift), float32 (C,)."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.detach() / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias.detach() - norm.running_mean * scale
