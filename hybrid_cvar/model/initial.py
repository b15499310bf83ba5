"""A checkpoint with untrained weights, whose layers all spike."""

from collections.abc import Sequence

import numpy as np
import torch

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.model.calibration import SPIKE_RATE, calibrate_thresholds
from hybrid_cvar.model.checkpoint import Checkpoint
from hybrid_cvar.model.config import ModelConfig
from hybrid_cvar.model.hybrid_cvar_model import HybridCvarModel
from hybrid_cvar.model.stm import SpikingTemporalModulator
from hybrid_cvar.records import Clip, stream_events

__all__ = ["initial_checkpoint"]


def initial_checkpoint(config: ModelConfig, labels: tuple[str, ...], seed: int, clips: Sequence[Clip]) -> Checkpoint:
    """Seeded weights; thresholds set on clips, and the membranes' normalisation to what they then are.

    Args:
        config: sizes and switches.
        labels: class names.
        seed: of the weights; the caller's random state is kept.
        clips: cut for `config.input`, at least one.

    Raises:
        ConfigError: no clips.
    """
    if not clips:
        raise ConfigError("no clips", "thresholds are set on at least one", "give a longer video")
    batch = [
        torch.from_numpy(np.stack([clip.iframe for clip in clips])),
        *(
            torch.from_numpy(np.stack([stream_events(clip, config.input, name) for clip in clips]))
            for name in ("motion", "residual")
        ),
    ]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = HybridCvarModel(config, len(labels))
    calibrate_thresholds(model, *batch)
    _fit_normalisation(model, batch)
    spiking = any(isinstance(module, SpikingTemporalModulator) for module in model.modules())
    thresholds = f", thresholds set for {SPIKE_RATE:.0%} spikes on sample clips" if spiking else ""
    notice = f"Untrained weights of seed {seed}{thresholds}: it recognises nothing."
    return Checkpoint(config, labels, model.eval().state_dict(), trained=False, notice=notice)


def _fit_normalisation(model: HybridCvarModel, batch: Sequence[torch.Tensor]) -> None:
    """One pass in training mode that takes the batch's own mean and variance for the running ones."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(*batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
