"""What a caller says of a run beside its recipe, and what it is told."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.records import EpochRow, MissingVideo

__all__ = ["HALF", "TrainObserver", "TrainOptions"]

HALF = "16-mixed"
"""Its scaler skips steps whose gradients overflow, so they are no error."""


@dataclass(frozen=True)
class TrainOptions:
    """How a run uses the machine. With one device no result but speed depends on it, beside another device's rounding;
    several share each batch, and batch normalisation sees a device's own part of it (all of it on GPUs).

    Attributes:
        out: folder of the run; made if it is not there.
        cache: folder of decoded GOPs.
        accelerator: Lightning Fabric's name: `auto`, `cpu`, `cuda`.
        devices: how many.
        precision: Lightning Fabric's name: `32-true`, `bf16-mixed`, `16-mixed`.
        workers: processes that read clips ahead, a device.
    """

    out: Path
    cache: Path
    accelerator: str = "auto"
    devices: int = 1
    precision: str = "32-true"
    workers: int = 1


@dataclass(frozen=True)
class TrainObserver:
    """Told of progress, on the first device.

    Attributes:
        on_cache: (videos) decoding begins.
        on_cached: one is decoded.
        on_start: (missing videos, finished epochs, epochs, steps an epoch) training begins or goes on.
        on_step: (epoch, its step, loss) a step is done.
        on_validation: validation begins.
        on_interrupt: Ctrl-C was heard; the run ends after the step or validation under way.
        on_epoch: (row, whether it is the best) an epoch is done.
    """

    on_cache: Callable[[int], None] = lambda videos: None
    on_cached: Callable[[], None] = lambda: None
    on_start: Callable[[tuple[MissingVideo, ...], int, int, int], None] = lambda missing, done, epochs, steps: None
    on_step: Callable[[int, int, float], None] = lambda epoch, step, loss: None
    on_validation: Callable[[], None] = lambda: None
    on_interrupt: Callable[[], None] = lambda: None
    on_epoch: Callable[[EpochRow, bool], None] = lambda row, best: None
