"""The model that a recipe starts from."""

from pathlib import Path

import torch

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.model import (
    HybridCvarModel,
    ModelConfig,
    calibrate_thresholds,
    find_variant,
    load_checkpoint,
    preset_config,
    variant_config,
)
from hybrid_cvar.training.clips import ClipBatch
from hybrid_cvar.training.recipe import ModelRecipe, Recipe

__all__ = ["build_start", "check_start", "model_config"]

CLASSIFIER = "ann.classifier."


def model_config(recipe: ModelRecipe) -> ModelConfig:
    """The preset with the recipe's variant and changes applied.

    Raises:
        ConfigError: no such preset, variant or field, or the values do not fit.
    """
    changes = dict(find_variant(recipe.variant).changes) if recipe.variant else {}
    changes |= dict(recipe.changes)
    if changes:
        changes.setdefault("name", f"{recipe.preset}, {recipe.variant or 'changed'}")
    return variant_config(preset_config(recipe.preset), changes)


def check_start(recipe: ModelRecipe, folder: Path) -> None:
    """What can be said of a recipe's model before any video is read.

    Args:
        recipe: preset, variant, changes and weights.
        folder: of the recipe's file.

    Raises:
        ConfigError: no such preset, variant or field, or the values do not fit.
        CheckpointError: the checkpoint that it starts from cannot be read.
    """
    model_config(recipe)
    if recipe.weights:
        load_checkpoint(folder / recipe.weights)


def build_start(recipe: Recipe, config: ModelConfig, labels: tuple[str, ...], sample: ClipBatch) -> HybridCvarModel:
    """Seeded weights with thresholds set on a sample, or a checkpoint's weights.

    Args:
        recipe: seed, and the checkpoint if any.
        config: sizes.
        labels: class names, in the order of the logits.
        sample: training clips that new thresholds are calibrated on.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ConfigError: its tensors do not fit the config.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = HybridCvarModel(config, len(labels))
    if recipe.model.weights:
        _load_weights(model, recipe.folder / recipe.model.weights, labels)
    else:
        clips = (values.flatten(0, 1) for values in (sample.iframe, sample.motion, sample.residual))
        calibrate_thresholds(model, *clips, rate=recipe.model.spike_rate)
    return model


def _load_weights(model: HybridCvarModel, path: Path, labels: tuple[str, ...]) -> None:
    checkpoint = load_checkpoint(path)
    stored = checkpoint.state_dict
    own = model.state_dict()
    for name in sorted(own.keys() | stored.keys()):
        if name.startswith(CLASSIFIER) and name in own and checkpoint.labels != labels:
            stored[name] = own[name]  # of other classes, or in another order: it starts anew
        elif name not in own or name not in stored or own[name].shape != stored[name].shape:
            raise ConfigError(
                f"model.weights = {path}: tensor {name} does not fit",
                "all but the classifier must be of the recipe's model",
                "start from a checkpoint of the same preset and changes",
            )
    model.load_state_dict(stored)
