"""Parameters, multiply-accumulates and output shape of every part of a model, counted without giving it memory."""

from collections.abc import Iterator

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hybrid_cvar.model.ann_partition import AnnPartition
from hybrid_cvar.model.config import ModelConfig
from hybrid_cvar.model.hybrid_cvar_model import HybridCvarModel
from hybrid_cvar.model.mixer import MultiModalMixer
from hybrid_cvar.records import STREAM_CHANNELS, ModelDescription, PartDescription

__all__ = ["describe_model"]

TITLES = {"iframe": "I-frame", "motion": "motion", "residual": "residual", "common": "motion + residual"}


def describe_model(config: ModelConfig, classes: int, changes: tuple[str, ...] = ()) -> ModelDescription:
    """Counts a model on torch's meta device: shapes only.

    MACs are half of what torch's FlopCounterMode counts, attention products included; padding counts.

    Args:
        config: sizes and switches.
        classes: logits.
        changes: stored in the description.
    """
    with torch.device("meta"):
        model = HybridCvarModel(config, classes).eval().requires_grad_(False)
    shapes: dict[nn.Module, tuple[int, ...]] = {}
    parts = list(_parts(model))
    hooks = [part.register_forward_hook(lambda part, _, out: shapes.update({part: _shape(out)})) for _, part in parts]
    size, steps = config.input.size, config.input.timesteps
    clip = [torch.empty((1, size, size, 3), dtype=torch.uint8, device="meta")] + [
        torch.empty((1, steps, size, size, STREAM_CHANNELS[name]), dtype=torch.int8, device="meta")
        for name in ("motion", "residual")
    ]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*clip)
    for hook in hooks:
        hook.remove()
    names = {part: f"{type(model).__name__}.{name}" for name, part in model.named_modules()}
    counts = counter.get_flop_counts()
    rows = []
    for title, part in parts:
        macs = sum(counts.get(names[part], {}).values()) // 2
        spiking = names[part].split(".")[1] == "stm"
        parameters = sum(parameter.numel() for parameter in part.parameters())
        rows.append(
            PartDescription(title, spiking, shapes[part], parameters, 0 if spiking else macs, macs if spiking else 0)
        )
    return ModelDescription(config.name, classes, size, steps, tuple(rows), changes)


def _shape(output: object) -> tuple[int, ...]:
    """Without the batch, of a module's first output."""
    first = output[0] if isinstance(output, tuple) else output
    assert isinstance(first, torch.Tensor)
    return tuple(first.shape[1:])


def _parts(model: HybridCvarModel) -> Iterator[tuple[str, nn.Module]]:
    """(name, module) of every part that holds parameters or changes the shape; together they are the model."""
    for stream, stm in model.modulators.items():
        for index, block in enumerate(stm.blocks):
            yield f"ConvLIF {TITLES[stream]} {index}", block
    ann: AnnPartition = model.ann
    modulate = iter(getattr(ann.context, "modulate", ()))
    for name, embed in ann.context.embed.items():  # type: ignore[union-attr, operator]
        yield f"patch embedding {TITLES[name]}", embed
    yield "positional encodings", ann.context.position  # type: ignore[misc]
    yield f"transformer ({model.config.encoder})", ann.context.encoder  # type: ignore[misc]
    for name, module in zip(model.config.streams, modulate, strict=False):
        yield f"STM over tokens {TITLES[name]}", module
    if isinstance(ann.mixer, MultiModalMixer):
        for name, fold in zip(model.config.token_modalities, ann.mixer.fold, strict=True):
            yield f"conv folding {TITLES[name]}", fold
        yield "conv fusion", ann.mixer.fusion
    else:
        yield "pointwise projection", ann.mixer
    for index, rrdb in enumerate(ann.rrdb):
        yield f"RRDB {index}" if len(ann.rrdb) > 1 else "RRDB", rrdb
    yield {"gap": "global average pooling", "class-token": "class token"}[model.config.pool], ann.pool
    yield "classifier", ann.classifier
