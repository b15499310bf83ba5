"""Looks into a model while it trains: how busy its neurons are, and where a number stopped being one."""

import contextlib
import math
from collections.abc import Iterator
from typing import NoReturn

import torch

from hybrid_cvar.errors import TrainingError
from hybrid_cvar.model import ConvLif, HybridCvarModel

__all__ = ["check_gradients", "check_loss", "record_spike_rates"]

REMEDY = "give a smaller learning rate or clip_norm, or a longer warm-up, and begin anew with --restart"


@contextlib.contextmanager
def record_spike_rates(model: HybridCvarModel, *, enabled: bool) -> Iterator[list[tuple[str, float]]]:
    """Lists (layer, spikes a neuron and step) of every ConvLIF layer that runs inside the block."""
    rates: list[tuple[str, float]] = []
    handles = []
    if enabled:
        for name, module in model.named_modules():
            if isinstance(module, ConvLif):
                short = name.removeprefix("stm.").replace(".layers.", ".")
                handles.append(
                    module.register_forward_hook(
                        lambda layer, given, result, short=short: rates.append(
                            (short, float(result[0].detach().mean()))
                        )
                    )
                )
    try:
        yield rates
    finally:
        for handle in handles:
            handle.remove()


def check_loss(
    model: HybridCvarModel, inputs: tuple[torch.Tensor, ...], loss: float, epoch: int, step: int
) -> NoReturn:
    """Says where a loss that is no number came from.

    Raises:
        TrainingError: always; names the first weight, or else the first layer's output, that is not finite.
    """
    for name, values in model.state_dict().items():
        if values.is_floating_point() and not bool(torch.isfinite(values).all()):
            _stop(epoch, step, f"the loss is {loss}: {name} is not finite")
    places: list[str] = []

    def look(name: str, result: object) -> None:
        values = result[0] if isinstance(result, tuple) else result
        if isinstance(values, torch.Tensor) and not places and not bool(torch.isfinite(values).all()):
            places.append(name)

    handles = [
        module.register_forward_hook(lambda layer, given, result, name=name: look(name, result))
        for name, module in model.named_modules()
        if name and not list(module.children())
    ]
    try:
        with torch.no_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    _stop(
        epoch,
        step,
        f"the loss is {loss}: {f'the output of {places[0]} is not finite' if places else 'in the loss itself'}",
    )


def check_gradients(model: HybridCvarModel, epoch: int, step: int) -> None:
    """One pass over all gradients.

    Raises:
        TrainingError: one is not finite; names its parameter.
    """
    gradients = [(name, each.grad) for name, each in model.named_parameters() if each.grad is not None]
    if gradients and math.isfinite(float(torch.stack([gradient.norm() for _, gradient in gradients]).norm())):
        return
    for name, gradient in gradients:
        if not bool(torch.isfinite(gradient).all()):
            _stop(epoch, step, f"the gradient of {name} is not finite")


def _stop(epoch: int, step: int, found: str) -> NoReturn:
    raise TrainingError(f"epoch {epoch}, step {step}: {found}", "training cannot go on with it", REMEDY)
