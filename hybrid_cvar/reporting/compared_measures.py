"""The numbers of a run, a benchmark or an evaluation that can stand beside another's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Evaluation, Provenance
from hybrid_cvar.reporting.bench_document import BenchDocument
from hybrid_cvar.reporting.evaluation_figures import energy_spread, seconds_spread
from hybrid_cvar.reporting.record_json import field_of

__all__ = ["Measure", "bench_measures", "evaluation_measures", "run_measures", "run_settings"]

MEASURED, EMULATED, MODELLED = (mark.value for mark in (Provenance.MEASURED, Provenance.EMULATED, Provenance.MODELLED))
REMEDY = "make it with hybrid-cvar run VIDEO --json FILE"

Answers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Measure:
    """A number that two files may share.

    Attributes:
        name: the same in every file.
        value: in `unit`.
        unit: SI symbol or word; empty for a count.
        provenance: `measured`, `emulated` or `modelled`.
        better: `higher`, `lower` or empty.
    """

    name: str
    value: float
    unit: str
    provenance: str
    better: str = ""


RUN_FIELDS = (
    ("energy a video", "energy.total_joules", "J", MODELLED, "lower"),
    ("energy, spiking partition", "energy.spiking_joules", "J", MODELLED, "lower"),
    ("energy, ANN partition", "energy.dense_joules", "J", MODELLED, "lower"),
    ("wall clock a video", "time.wall_seconds", "s", MEASURED, "lower"),
    ("wall clock a clip", "time.seconds_per_clip", "s", MEASURED, "lower"),
    ("first prediction", "time.first_prediction_seconds", "s", MEASURED, "lower"),
    ("accumulates", "operations.synaptic_operations", "", EMULATED, "lower"),
    ("accumulates, stored zeros too", "operations.stored_operations", "", EMULATED, "lower"),
    ("neuron updates, active", "operations.active_updates", "", EMULATED, "lower"),
    ("neuron updates, at rest", "operations.inactive_updates", "", EMULATED, "lower"),
    ("spikes sent", "operations.spikes_out", "", EMULATED, "lower"),
    ("multiply-accumulates", "operations.macs", "", EMULATED, "lower"),
)
"""(name, field, unit, provenance, better): means over the videos."""


def run_measures(run: dict[str, Any], where: str) -> tuple[tuple[Measure, ...], Answers]:
    """A run's numbers, means over its videos, and its answers.

    Args:
        run: from `read_run_json`.
        where: the file, for errors.

    Raises:
        ConfigError: no video ran, or a field is missing or of another type.
    """
    videos = run["videos"]
    if not videos:
        raise ConfigError(f"{where}: no video ran", "there is nothing to compare", REMEDY)

    found = [Measure("videos", float(len(videos)), "", MEASURED)]
    for name, field, unit, mark, better in RUN_FIELDS:
        total = sum(field_of(video, field, float, f"{where}: videos[{index}]") for index, video in enumerate(videos))
        found.append(Measure(name, total / len(videos), unit, mark, better))
    seconds = next(measure.value for measure in found if measure.name == "wall clock a video")
    if seconds > 0:
        found.append(Measure("videos a second", 1 / seconds, "videos/s", MEASURED, "higher"))
    for name in ("p50", "p95", "p99"):
        values = [_inner(video, "time", "clip", name) for video in videos]
        found += _mean_of(f"work a clip, {name}", values, "s", MEASURED)
    stages = dict.fromkeys(
        stage.get("stage") for video in videos for stage in _table(video, "time", "stages") if stage.get("stage")
    )
    for stage in stages:
        values = [
            row.get("seconds_per_clip")
            for video in videos
            for row in _table(video, "time", "stages")
            if row.get("stage") == stage
        ]
        found += _mean_of(f"{stage} a clip", values, "s", MEASURED)
    layers = dict.fromkeys(row.get("layer") for video in videos for row in _table(video, "operations", "spiking"))
    for layer in layers:
        rates = [
            row.get("spike_rate")
            for video in videos
            for row in _table(video, "operations", "spiking")
            if row.get("layer") == layer
        ]
        percents = [100 * rate for rate in rates if isinstance(rate, int | float)]
        found += _mean_of(f"spike rate of {layer}", percents, "%", EMULATED, better="")
    chips = [_inner(video, "chip_latency", "clip_seconds") for video in videos]
    found += _mean_of("spiking partition on the chip, a clip", chips, "s", MODELLED)
    answers = tuple((PurePath(field_of(video, "video.path", str, where)).name, _answer(video)) for video in videos)
    return tuple(found), answers


def run_settings(run: dict[str, Any]) -> Answers:
    """(what, its values over the videos) of what decides a run's numbers."""
    fields = (
        ("model", ("model", "name")),
        ("engine", ("model", "engine")),
        ("provider", ("model", "provider")),
        ("precision", ("model", "precision")),
        ("energy profile", ("energy", "profile")),
        ("clips a video", ("clips", "count")),
    )
    return tuple(
        (name, ", ".join(dict.fromkeys(str(_inner(video, *path)) for video in run["videos"]))) for name, path in fields
    )


def bench_measures(document: BenchDocument) -> tuple[Measure, ...]:
    """A benchmark's rows."""
    return tuple(Measure(row.name, row.value, row.unit, row.provenance, row.better) for row in document.rows)


def evaluation_measures(evaluation: Evaluation) -> tuple[tuple[Measure, ...], Answers]:
    """Accuracy, energy and time of an evaluation, and its answers."""
    scores = evaluation.scores
    found = [
        Measure("top-1", 100 * scores.top1, "%", MEASURED, "higher"),
        Measure("top-5", 100 * scores.top5, "%", MEASURED, "higher"),
        Measure("videos", float(scores.videos), "", MEASURED),
        Measure("videos without an answer", float(len(evaluation.missing)), "", MEASURED, "lower"),
    ]
    seconds = seconds_spread(evaluation)
    energy = energy_spread(evaluation)
    for what, spread, unit, mark in (("energy", energy, "J", MODELLED), ("time", seconds, "s", MEASURED)):
        if spread is not None:
            found += [
                Measure(f"{what} a video, {name}", getattr(spread, name), unit, mark, "lower")
                for name in ("mean", "p50", "p95")
            ]
    answers = tuple((answer.name, evaluation.labels[answer.answer]) for answer in evaluation.answers)
    return tuple(found), answers


def _inner(table: Any, *names: str) -> Any:
    for name in names:
        table = table.get(name) if isinstance(table, dict) else None
    return table


def _table(video: dict[str, Any], *names: str) -> list[dict[str, Any]]:
    rows = _inner(video, *names)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _mean_of(name: str, values: Sequence[Any], unit: str, mark: str, better: str = "lower") -> list[Measure]:
    """The mean over the videos that have a value; none where no video has."""
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return [Measure(name, sum(numbers) / len(numbers), unit, mark, better)] if numbers else []


def _answer(video: dict[str, Any]) -> str:
    top = _table(video, "predictions", "top")
    return str(top[0].get("label")) if top else ""
