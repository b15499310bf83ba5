"""Optimiser and learning rate of a recipe."""

import math

import torch

from hybrid_cvar.model import HybridCvarModel
from hybrid_cvar.training.recipe import OptimiserRecipe, ScheduleRecipe

__all__ = ["build_optimiser", "learning_rate_at", "set_learning_rate"]

MOMENTUM = 0.9


def build_optimiser(model: HybridCvarModel, recipe: OptimiserRecipe) -> torch.optim.Optimizer:
    """Two groups, spiking and ANN partition, that differ in weight decay; biases and norms have none."""
    spiking = [each for each in model.stm.parameters() if each.requires_grad]
    decayed: list[torch.nn.Parameter] = []
    plain: list[torch.nn.Parameter] = []
    for each in model.ann.parameters():
        if each.requires_grad:
            (decayed if each.dim() > 1 else plain).append(each)
    groups = [
        {"params": spiking, "weight_decay": recipe.spiking_weight_decay},
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.kind == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=MOMENTUM)
    kind = torch.optim.AdamW if recipe.kind == "adamw" else torch.optim.Adam
    return kind(groups, lr=recipe.learning_rate, eps=recipe.eps)


def learning_rate_at(step: int, steps_an_epoch: int, recipe: ScheduleRecipe) -> float:
    """Share of the largest learning rate in optimiser step `step` (from 0)."""
    if step < recipe.warm_up_steps:
        return (step + 1) / recipe.warm_up_steps
    if recipe.decay == "constant":
        return 1.0
    if recipe.decay == "steps":
        return recipe.factor ** sum(step >= epoch * steps_an_epoch for epoch in recipe.milestones)
    total = recipe.epochs * steps_an_epoch
    done = (step - recipe.warm_up_steps) / max(1, total - recipe.warm_up_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The same for every group."""
    for group in optimiser.param_groups:
        group["lr"] = rate
