"""What a stopped run needs to go on as if it had not been stopped."""

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.precision import Precision

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.errors import TrainingError
from hybrid_cvar.records import EpochRow, LabelledVideo
from hybrid_cvar.training.recipe import Recipe

__all__ = ["STATE_FILE", "TrainState", "load_state", "run_identity", "save_state"]

STATE_FILE = "state.pt"
STATE_VERSION = 2


@dataclass
class TrainState:
    """Where a run is.

    Attributes:
        epoch: the one under way, from 1.
        epoch_step: optimiser steps of it that are done.
        step: optimiser steps of the run that are done.
        learning_rate: of the last step.
        spike_rates: of the epoch under way, after its last step; see `EpochRow`.
        loss_sum, right: of the epoch under way: summed loss of its steps, videos answered right.
        rows: finished epochs.
        best_top1, best_epoch: of the validation; epoch 0 before the first.
        worse: validations since then.
        seconds: wall clock of the run, before this session.
        cache_seconds: of decoding, before its first step.
    """

    epoch: int = 1
    epoch_step: int = 0
    step: int = 0
    learning_rate: float = 0.0
    spike_rates: tuple[tuple[str, float], ...] = ()
    loss_sum: float = 0.0
    right: int = 0
    rows: list[EpochRow] = field(default_factory=list)
    best_top1: float = -1.0
    best_epoch: int = 0
    worse: int = 0
    seconds: float = 0.0
    cache_seconds: float = 0.0


def run_identity(recipe: Recipe, videos: Iterable[LabelledVideo]) -> str:
    """Differs where the recipe or the training videos differ."""
    plain = asdict(recipe)
    del plain["folder"]
    content = json.dumps([plain, [(video.name, video.label) for video in videos]], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def save_state(
    folder: Path,
    identity: str,
    state: TrainState,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    precision: Precision,
) -> None:
    """Writes all of it, whole or not at all.

    Raises:
        OutputError: the folder cannot be written.
    """
    content = {
        "version": STATE_VERSION,
        "identity": identity,
        "state": json.dumps(asdict(state)),
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "scaler": precision.state_dict(),
        "random": torch.get_rng_state(),
    }
    file = io.BytesIO()
    torch.save(content, file)
    write_atomically(folder / STATE_FILE, file.getvalue())


def load_state(
    folder: Path, identity: str, model: torch.nn.Module, optimiser: torch.optim.Optimizer, precision: Precision
) -> TrainState | None:
    """The state of the run in `folder`, put into model and optimiser; None if there is none.

    Raises:
        TrainingError: it is of another recipe or other videos, or damaged.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        known = content["version"], content["identity"]
    except Exception as error:  # torch's reader answers damaged files with errors of any kind
        raise TrainingError(
            f"{path}: cannot be read ({' '.join(str(error).split())[:120]})",
            "a run goes on from it",
            "give --restart to begin anew, or another --out",
        ) from error
    if known != (STATE_VERSION, identity):
        raise TrainingError(
            f"{path}: the run there is of another recipe, of other videos or of another release",
            "a run goes on only where all are the same",
            "give --restart to begin anew, or another --out",
        )
    model.load_state_dict(content["model"])
    optimiser.load_state_dict(content["optimiser"])
    precision.load_state_dict(content["scaler"])
    torch.set_rng_state(content["random"])
    plain = json.loads(content["state"])
    rows = [EpochRow(**_with_tuples(row)) for row in plain.pop("rows")]
    return TrainState(**_with_tuples(plain), rows=rows)


def _with_tuples(plain: dict[str, Any]) -> dict[str, Any]:
    return {**plain, "spike_rates": tuple((name, rate) for name, rate in plain["spike_rates"])}
