"""The slope of a logit at a model's inputs, through the spiking partition's surrogate gradients. Needs torch."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hybrid_cvar.model import HybridCvarModel
from hybrid_cvar.records import Clip, InputSpec, stream_events

__all__ = ["class_probabilities", "contributions"]

NOISY_COPIES = 16
NOISE = 0.1
"""Standard deviation of SmoothGrad's noise, as a share of the I-frame's range; 0.1 to 0.2 in Smilkov et al."""


@torch.no_grad()
def class_probabilities(model: HybridCvarModel, clips: Sequence[Clip]) -> NDArray[np.float64]:
    """Softmax of the clips' mean logits, float64 (classes,)."""
    logits = torch.cat([model(*_inputs(clip, model.config.input).values()) for clip in clips])
    found: NDArray[np.float64] = logits.double().mean(dim=0).softmax(dim=0).numpy()
    return found


def contributions(
    model: HybridCvarModel, clip: Clip, target: int, *, seed: int = 0
) -> Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """What each pixel adds to a logit, to first order: gradient x input, summed over channels and timesteps.

        I-frame   sum over c     of  mean over n of d logit / d x[c] at x + noise_n  *  (x[c] - mean[c])
        events    sum over t, c  of  d logit / d e[t, c]                             *  e[t, c]

    x: pixels; mean: the colour at which the model's normalised input is 0; e: graded events. The gradient of the
    I-frame is the mean over 16 noisy copies (SmoothGrad, Smilkov et al., 2017, arXiv:1706.03825), sigma a tenth of the
    I-frame's range. Events are whole numbers that the STM is exact on, so theirs has no noise. Spikes pass the
    surrogate gradient of `LifDynamics`.

    Args:
        model: in evaluation mode; neither its weights nor their gradients change.
        clip: cut for the model's input.
        target: position of the logit.
        seed: of the noise; the caller's random state is kept.

    Returns:
        For each modality of the config (contribution, magnitude of the input itself), float64 (H, W); the magnitude is
        |x - mean| or |e|, summed over the same axes.
    """
    clean = _inputs(clip, model.config.input)
    exact = _gradients(model, clean, target, [name for name in clean if name != "iframe"])
    found = {}
    for name in model.config.modalities:
        values = clean[name] - _black_point(model) if name == "iframe" else clean[name]
        slope = _smoothed_gradient(model, clean, target, seed) if name == "iframe" else exact[name]
        over = tuple(axis for axis in range(values.dim()) if axis not in (values.dim() - 3, values.dim() - 2))
        found[name] = ((slope * values).double().sum(dim=over).numpy(), values.abs().double().sum(dim=over).numpy())
    return found


def _inputs(clip: Clip, spec: InputSpec) -> dict[str, torch.Tensor]:
    """What `HybridCvarModel.forward` takes, as float32, which a gradient can be taken at."""
    values = {"iframe": clip.iframe} | {name: stream_events(clip, spec, name) for name in ("motion", "residual")}
    return {name: torch.from_numpy(value)[None].to(torch.float32) for name, value in values.items()}


def _black_point(model: HybridCvarModel) -> torch.Tensor:
    """The pixel that the normalised input has 0 for, (1, 1, 1, 3)."""
    return model.ann.mean.permute(0, 2, 3, 1)


def _gradients(
    model: HybridCvarModel, inputs: Mapping[str, torch.Tensor], target: int, wanted: Sequence[str]
) -> dict[str, torch.Tensor]:
    """The logit's gradient at the wanted inputs; 0 for those that the model does not use."""
    leaves = {name: inputs[name].clone().requires_grad_(name in wanted) for name in inputs}
    asked = [leaves[name] for name in wanted]
    logits = model(*leaves.values())
    if not logits.requires_grad:
        return {name: torch.zeros_like(inputs[name]) for name in wanted}
    slopes = torch.autograd.grad(logits[0, target], asked, allow_unused=True, materialize_grads=True)
    return dict(zip(wanted, slopes, strict=True))


def _smoothed_gradient(
    model: HybridCvarModel, inputs: Mapping[str, torch.Tensor], target: int, seed: int
) -> torch.Tensor:
    iframe = inputs["iframe"]
    noise = torch.Generator().manual_seed(seed)
    sigma = NOISE * (iframe.max() - iframe.min())
    total = torch.zeros_like(iframe)
    for _ in range(NOISY_COPIES):
        noisy = iframe + sigma * torch.randn(iframe.shape, generator=noise)
        total += _gradients(model, dict(inputs) | {"iframe": noisy}, target, ["iframe"])["iframe"]
    return total / NOISY_COPIES
