"""The JSON of a training run, its way back to a record, and its curves as a picture.

    {
      "schema": "hybrid-cvar/training",
      "schema_version": 1,
      "hybrid_cvar_version": "0.1.0",
      "created": "2026-01-31T12:00:00+00:00",               ISO 8601, UTC
      "command": "hybrid-cvar train ..." or null,
      "provenance": "measured",                             of every number below
      "recipe", "model", "parameters", "dataset", "labels": [...],
      "train_videos", "validation_videos", "missing_videos", "seed", "batch", "segments",
      "epochs": [{"epoch", "steps", "train_loss", "train_top1", "validation_top1": share or null, "learning_rate",
                  "spike_rates": {layer: spikes a neuron and step}, "seconds"}, ...],
      "best_epoch", "ended", "seconds", "cache_seconds", "machine", "device", "precision", "checkpoint_sha256"
    }

Fields mean what `TrainingRun` and `EpochRow` say. "schema_version" rises with every change of the names or of what
they mean.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Provenance, TrainingRun
from hybrid_cvar.reporting.pictures import new_figure, save_figure
from hybrid_cvar.reporting.record_json import check_finite, load_report, read_value
from hybrid_cvar.reporting.units import shown
from hybrid_cvar.version import __version__

__all__ = [
    "SCHEMA",
    "SCHEMA_VERSION",
    "load_training",
    "render_training",
    "training_command",
    "write_curves",
    "write_training",
]

SCHEMA = "hybrid-cvar/training"
SCHEMA_VERSION = 1
REMEDY = "make it with hybrid-cvar train RECIPE"
LOGARITHMIC_FROM = 20.0
"""Ratio of the largest to the least learning rate from which their axis is logarithmic."""


def write_training(run: TrainingRun, path: Path, *, command: str | None = None) -> None:
    """Writes `render_training` to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written, or a number is not finite.
    """
    write_atomically(path, render_training(run, command=command))


def render_training(run: TrainingRun, *, command: str | None = None) -> str:
    """The run as JSON text, ASCII, ending in a newline.

    Args:
        run: the finished run.
        command: the command line that made it.

    Raises:
        OutputError: a number is not finite.
    """
    epochs = [asdict(row) | {"spike_rates": dict(row.spike_rates)} for row in run.epochs]
    content = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "hybrid_cvar_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "provenance": Provenance.MEASURED.value,
        **asdict(run),
        "epochs": epochs,
    }
    check_finite(content, "training")
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def load_training(path: Path) -> TrainingRun:
    """Reads what `write_training` wrote.

    Raises:
        ConfigError: it is missing, damaged, or of another schema or version.
    """
    content = load_report(path, SCHEMA, SCHEMA_VERSION, REMEDY)
    epochs = content.get("epochs")
    if isinstance(epochs, list):
        content["epochs"] = [_with_listed_rates(row) for row in epochs]
    run: TrainingRun = read_value(TrainingRun, content, str(path))
    if not run.epochs or run.best_epoch not in [row.epoch for row in run.epochs]:
        raise ConfigError(
            f"{path}: best_epoch {run.best_epoch} of {len(run.epochs)} epochs", "it must be one of them", REMEDY
        )
    return run


def training_command(path: Path) -> str:
    """The command line that made a training report; empty if it does not say.

    Raises:
        ConfigError: as `load_training`.
    """
    return str(load_report(path, SCHEMA, SCHEMA_VERSION, REMEDY).get("command") or "")


def write_curves(run: TrainingRun, path: Path) -> None:
    """Draws loss, top-1, learning rate and spike rates over the epochs, as a PNG file.

    Args:
        run: the run, one epoch at least.
        path: the file; it appears whole or not at all.

    Raises:
        MissingPartError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    figure = new_figure(10, 6.4)
    (loss, top1), (rate, spikes) = figure.subplots(2, 2, sharex=True)
    epochs = [row.epoch for row in run.epochs]
    style: dict[str, Any] = {"linewidth": 1.3, "marker": "o" if len(epochs) <= 40 else "", "markersize": 3}
    loss.plot(epochs, [row.train_loss for row in run.epochs], color="C0", **style)
    loss.set(title="training loss", ylabel="cross-entropy, nats", ylim=(0, None))
    top1.plot(epochs, [100 * row.train_top1 for row in run.epochs], color="C0", label="training, augmented", **style)
    held = [(row.epoch, 100 * row.validation_top1) for row in run.epochs if row.validation_top1 is not None]
    if held:
        top1.plot(*zip(*held, strict=True), color="C1", label="validation, held out", **style)
    top1.axvline(run.best_epoch, color="0.5", linestyle="--", linewidth=1, label=f"kept: epoch {run.best_epoch}")
    top1.set(title="top-1", ylabel="videos that are right, %", ylim=(0, 101))
    top1.legend(fontsize=8, loc="lower right")
    rates = [row.learning_rate for row in run.epochs]
    rate.plot(epochs, rates, color="C2", **style)
    if min(rates) > 0 and max(rates) / min(rates) > LOGARITHMIC_FROM:
        rate.set_yscale("log")
    else:
        rate.set_ylim(0, None)
    rate.set(title="learning rate, at the epoch's end", xlabel="epoch")
    for layer in dict.fromkeys(name for row in run.epochs for name, _ in row.spike_rates):
        points = [
            (row.epoch, 100 * dict(row.spike_rates)[layer]) for row in run.epochs if layer in dict(row.spike_rates)
        ]
        spikes.plot(*zip(*points, strict=True), label=shown(layer), **style)
    spikes.set(title="spike rates", xlabel="epoch", ylabel="spikes a neuron and step, %", ylim=(0, None))
    if spikes.lines:
        spikes.legend(fontsize=8)
    for axes in (loss, top1, rate, spikes):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(
        f"{shown(run.recipe)}: {run.train_videos} training videos, seed {run.seed}", fontsize=11, parse_math=False
    )
    save_figure(figure, path)


def _with_listed_rates(row: Any) -> Any:
    """An epoch's table of spike rates as the record's pairs."""
    if isinstance(row, dict) and isinstance(row.get("spike_rates"), dict):
        return row | {"spike_rates": [list(pair) for pair in row["spike_rates"].items()]}
    return row
