"""Initial thresholds: every layer of every STM is made to spike on a given share of its steps.

A guessed threshold can leave a layer silent, and a silent layer learns nothing.
"""

import torch

from hybrid_cvar.model.hybrid_cvar_model import HybridCvarModel
from hybrid_cvar.model.stm import ConvLif, SpikingTemporalModulator

__all__ = ["SPIKE_RATE", "calibrate_thresholds"]

SPIKE_RATE = 0.1
"""Spikes a neuron and step; trained models end below it."""
HALVINGS = 16
LOWEST, HIGHEST = 0.02, 2000.0


@torch.no_grad()
def calibrate_thresholds(model: HybridCvarModel, *clips: torch.Tensor, rate: float = SPIKE_RATE) -> None:
    """Sets each threshold, layer by layer, on one batch of clips.

    Args:
        model: its thresholds are changed, nothing else.
        clips: I-frames, motion events and residual events, as `HybridCvarModel.forward` takes them.
        rate: spikes a neuron and step, at most, 0 to 1.
    """
    training = model.training
    model.eval()
    for stm in model.modules():
        if isinstance(stm, SpikingTemporalModulator):
            passing = _input_of(model, stm, clips)
            for layer in stm.blocks:
                passing = _calibrate_layer(layer, passing, rate)
    model.train(training)


def _input_of(model: HybridCvarModel, stm: SpikingTemporalModulator, clips: tuple[torch.Tensor, ...]) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    hook = stm.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    try:
        model(*clips)
    finally:
        hook.remove()
    return seen[0]


def _calibrate_layer(layer: ConvLif, passing: torch.Tensor, rate: float) -> torch.Tensor:
    """The lowest threshold, on a logarithmic scale, that keeps the rate; gives the layer's spikes with it."""
    low, high = LOWEST, HIGHEST
    sums = layer.synaptic_sums(passing)
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        layer.neuron.threshold_value.fill_(middle)
        low, high = (middle, high) if layer.neuron(sums)[0].mean().item() > rate else (low, middle)
    layer.neuron.threshold_value.fill_(high)
    spikes: torch.Tensor = layer.neuron(sums)[0]
    return spikes
