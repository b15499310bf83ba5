"""The numbers of a run, a benchmark or an evaluation that can stand beside another's."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Evaluation, Provenance
from hybrid_cvar.reporting.bench_document import BenchDocument
from hybrid_cvar.reporting.compared_answers import Answers
from hybrid_cvar.reporting.evaluation_figures import energy_spread, seconds_spread
from hybrid_cvar.reporting.record_json import field_of, read_value

__all__ = ["Measure", "bench_measures", "evaluation_measures", "run_measures", "run_settings"]

MEASURED, EMULATED, MODELLED = (mark.value for mark in (Provenance.MEASURED, Provenance.EMULATED, Provenance.MODELLED))
REMEDY = "make it with hybrid-cvar run VIDEO --json FILE"


@dataclass(frozen=True)
class Measure:
    """A number that two files may share.

    Attributes:
        name: the same in every file.
        value: in `unit`.
        unit: SI symbol or word; empty for a count.
        provenance: `measured`, `emulated` or `modelled`.
        better: `higher`, `lower`, `nearer` (to the aim) or empty.
        aim: what it should be; None but for `nearer`.
    """

    name: str
    value: float
    unit: str
    provenance: str
    better: str = ""
    aim: float | None = None


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
    ("spikes", "operations.spikes_out", "", EMULATED, "lower"),
    ("spikes sent on", "operations.spikes_sent", "", EMULATED, "lower"),
    ("multiply-accumulates", "operations.macs", "", EMULATED, "lower"),
)
"""(name, field, unit, provenance, better): means over the videos."""


def run_measures(run: dict[str, Any], where: str) -> tuple[tuple[Measure, ...], Answers]:
    """A run's numbers, means over its videos, and its answers by the videos' paths.

    Args:
        run: from `read_run_json`.
        where: the file, for errors.

    Raises:
        ConfigError: no video ran, a field is missing or of another type, or a number is not finite.
    """
    videos = [(video, f"{where}: videos[{index}]") for index, video in enumerate(run["videos"])]
    if not videos:
        raise ConfigError(f"{where}: no video ran", "there is nothing to compare", REMEDY)

    failures = len(field_of(run, "failures", list, where))
    found = [
        Measure("videos", float(len(videos)), "", MEASURED),
        Measure("videos without an answer", float(failures), "", MEASURED, "lower"),
    ]
    for name, field, unit, mark, better in RUN_FIELDS:
        values = [field_of(video, field, float, place) for video, place in videos]
        found += _mean_of(name, values, unit, mark, where, better)
    seconds = next(measure.value for measure in found if measure.name == "wall clock a video")
    if seconds > 0:
        found += _mean_of("videos a second", [1 / seconds], "videos/s", MEASURED, where, "higher")
    clips = [(_part(video, "time.clip", place), f"{place}: time.clip") for video, place in videos]
    for name in ("p50", "p95", "p99"):
        values = [field_of(clip, name, float, place) for clip, place in clips if clip is not None]
        found += _mean_of(f"work a clip, {name}", values, "s", MEASURED, where)
    for stage, values in _by_name(videos, "time.stages", "stage", "seconds_per_clip").items():
        found += _mean_of(f"{stage} a clip", values, "s", MEASURED, where)
    for layer, rates in _by_name(videos, "operations.spiking", "layer", "spike_rate").items():
        found += _mean_of(f"spike rate of {layer}", [100 * rate for rate in rates], "%", EMULATED, where, "")
    chips = [(_part(video, "chip_latency", place), f"{place}: chip_latency") for video, place in videos]
    values = [field_of(chip, "clip_seconds", float, place) for chip, place in chips if chip is not None]
    found += _mean_of("spiking partition on the chip, a clip", values, "s", MODELLED, where)
    answers = tuple((field_of(video, "video.path", str, place), _answer(video, place)) for video, place in videos)
    return tuple(found), answers


def run_settings(run: dict[str, Any]) -> Answers:
    """(what, its values over the videos) of what decides a run's numbers."""
    fields = (
        ("model", ("model", "name")),
        ("bundle's SHA-256", ("model", "sha256")),
        ("engine", ("model", "engine")),
        ("provider", ("model", "provider")),
        ("precision", ("model", "precision")),
        ("energy profile", ("energy", "profile")),
        ("--strict", ("energy", "strict")),
        ("clips a video", ("clips", "count")),
    )
    return tuple(
        (name, ", ".join(dict.fromkeys(str(_inner(video, *path)) for video in run["videos"]))) for name, path in fields
    )


def bench_measures(document: BenchDocument) -> tuple[Measure, ...]:
    """A benchmark's rows."""
    return tuple(Measure(row.name, row.value, row.unit, row.provenance, row.better, row.aim) for row in document.rows)


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


def _part(video: dict[str, Any], name: str, where: str) -> dict[str, Any] | None:
    """An object that may be null or not there."""
    return None if _inner(video, *name.split(".")) is None else field_of(video, name, dict, where)


def _by_name(videos: Sequence[tuple[dict[str, Any], str]], table: str, name: str, field: str) -> dict[str, list[float]]:
    """A number of a table's rows, over the videos, by the rows' names in the order of the first."""
    found: dict[str, list[float]] = {}
    for video, where in videos:
        for index, row in enumerate(field_of(video, table, list, where)):
            place = f"{where}: {table}[{index}]"
            values: dict[str, Any] = read_value(dict, row, place)
            found.setdefault(field_of(values, name, str, place), []).append(field_of(values, field, float, place))
    return found


def _mean_of(
    name: str, values: Sequence[float], unit: str, mark: str, where: str, better: str = "lower"
) -> list[Measure]:
    """The mean over the videos that have a value; none where no video has."""
    if not values:
        return []
    mean = sum(values) / len(values)
    if not math.isfinite(mean):
        raise ConfigError(f"{where}: {name} = {mean}", "must be a finite number", REMEDY)
    return [Measure(name, mean, unit, mark, better)]


def _answer(video: dict[str, Any], where: str) -> str:
    top = field_of(video, "predictions.top", list, where)
    if not top:
        return ""
    best: dict[str, Any] = read_value(dict, top[0], f"{where}: predictions.top[0]")
    return field_of(best, "label", str, f"{where}: predictions.top[0]")
