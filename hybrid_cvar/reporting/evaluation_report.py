"""The JSON of an evaluation, for programs, and its way back to a record.

    {
      "schema": "hybrid-cvar/evaluation",
      "schema_version": 1,
      "hybrid_cvar_version": "0.1.0",
      "created": "2026-01-31T12:00:00+00:00",               ISO 8601, UTC
      "command": "hybrid-cvar eval ..." or null,
      "interrupted": false,                                 true: Ctrl-C left out the videos that "missing" says
      "top1": 0.95, "top5": 0.99,                           shares of "videos", 0 to 1
      "videos": 640,                                        that gave an answer
      "accuracy": {"provenance": "measured", "right", "top1_interval": [low, high], "top5_interval": [low, high],
                   "chance"},                               95 % Wilson intervals; chance: one over the classes
      "model": {"name", "source": "bundle" or "checkpoint", "sha256", "engine": "native", "lava", "torch" or
                "torch-float", "provider", "precision", "labels": [...]},
      "dataset": {"kind", "subset", "split", "clips"},      clips: wanted a video
      "classes": [{"label", "videos", "top1": share or null}, ...],
      "confusion": [[videos, ...], ...],                    row: the class, column: the answer, as in "labels"
      "answers": [{"name", "label", "answer", "top5": [...], "clips", "energy_joules": number or null, "seconds"}, ...],
      "missing": [{"name", "reason"}, ...],                 listed, and without an answer
      "energy": {"provenance": "modelled", "count_provenance": "emulated", "profile", "total_joules",
                 "joules_per_video": {"mean", "p50", "p95"}} or null,
      "time": {"provenance": "measured", "note", "seconds", "seconds_per_video": {"mean", "p50", "p95"}},
      "machine": "CPU, cores, operating system"
    }

Accuracy and time are measured on this host; energy is modelled from counts that were emulated. "top1", "top5",
"classes", "confusion" and "answers" are measured too; "energy_joules" of an answer is modelled. An answer's clips were
averaged before the classes were ranked. "seconds" of a video is wall-clock time, reading included.

"schema_version" rises with every change of the names or of what they mean.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import ClassScore, Evaluation, Provenance, Scores, VideoAnswer
from hybrid_cvar.reporting.evaluation_figures import energy_spread, seconds_spread, wilson_interval
from hybrid_cvar.reporting.figures import TIME_NOTE
from hybrid_cvar.reporting.record_json import check_finite, check_schema, field_of, read_json, read_value
from hybrid_cvar.version import __version__

__all__ = [
    "SCHEMA",
    "SCHEMA_VERSION",
    "StoredEvaluation",
    "evaluation_to_dict",
    "load_evaluation",
    "load_stored_evaluation",
    "render_evaluation",
    "write_evaluation",
]

SCHEMA = "hybrid-cvar/evaluation"
SCHEMA_VERSION = 1
REMEDY = "make it with hybrid-cvar eval BUNDLE DATA --json FILE"


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation as it lies in a file.

    Attributes:
        evaluation: the answers.
        command: the command line that made it; empty if it does not say.
        created: ISO 8601, UTC.
        version: of hybrid-cvar that wrote it.
        interrupted: True if Ctrl-C left videos out.
    """

    evaluation: Evaluation
    command: str
    created: str
    version: str
    interrupted: bool


def write_evaluation(
    evaluation: Evaluation, path: Path, *, command: str | None = None, interrupted: bool = False
) -> None:
    """Writes `render_evaluation` to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written, or a number is not finite.
    """
    write_atomically(path, render_evaluation(evaluation, command=command, interrupted=interrupted))


def render_evaluation(evaluation: Evaluation, *, command: str | None = None, interrupted: bool = False) -> str:
    """The evaluation as JSON text, ASCII, ending in a newline.

    Raises:
        OutputError: a number is not finite.
    """
    content = evaluation_to_dict(evaluation, command=command, interrupted=interrupted)
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def evaluation_to_dict(
    evaluation: Evaluation, *, command: str | None = None, interrupted: bool = False
) -> dict[str, Any]:
    """The evaluation as plain JSON values, in the schema above.

    Args:
        evaluation: the answers, one at least.
        command: the command line that made it.
        interrupted: True if Ctrl-C left videos out.

    Raises:
        OutputError: a number is not finite.
    """
    for answer in evaluation.answers:
        check_finite([answer.energy_joules, answer.seconds], f"energy_joules, seconds of {answer.name}")
    scores, labels = evaluation.scores, evaluation.labels
    energy = energy_spread(evaluation)
    content = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "hybrid_cvar_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "interrupted": interrupted,
        "top1": scores.top1,
        "top5": scores.top5,
        "videos": scores.videos,
        "accuracy": {
            "provenance": Provenance.MEASURED.value,
            "right": sum(answer.answer == answer.label for answer in evaluation.answers),
            "top1_interval": list(wilson_interval(scores.top1, scores.videos)),
            "top5_interval": list(wilson_interval(scores.top5, scores.videos)),
            "chance": 1 / len(labels),
        },
        "model": {
            "name": evaluation.model,
            "source": evaluation.source,
            "sha256": evaluation.sha256,
            "engine": evaluation.engine,
            "provider": evaluation.provider,
            "precision": evaluation.precision,
            "labels": list(labels),
        },
        "dataset": {
            "kind": evaluation.dataset,
            "subset": evaluation.subset,
            "split": evaluation.split,
            "clips": evaluation.clips,
        },
        "classes": [asdict(one) for one in scores.classes],
        "confusion": [list(row) for row in scores.confusion],
        "answers": [
            {
                **asdict(answer),
                "label": labels[answer.label],
                "answer": labels[answer.answer],
                "top5": [labels[index] for index in answer.top5],
            }
            for answer in evaluation.answers
        ],
        "missing": [{"name": name, "reason": reason} for name, reason in evaluation.missing],
        "energy": energy
        and {
            "provenance": Provenance.MODELLED.value,
            "count_provenance": Provenance.EMULATED.value,
            "profile": evaluation.profile,
            "total_joules": sum(answer.energy_joules or 0.0 for answer in evaluation.answers),
            "joules_per_video": asdict(energy),
        },
        "time": {
            "provenance": Provenance.MEASURED.value,
            "note": TIME_NOTE,
            "seconds": evaluation.seconds,
            "seconds_per_video": asdict(seconds_spread(evaluation)),
        },
        "machine": evaluation.machine,
    }
    check_finite(content, "evaluation")
    return content


def load_evaluation(path: Path) -> Evaluation:
    """Reads what `write_evaluation` wrote.

    Raises:
        ConfigError: it is missing, damaged, of another schema or version, or its scores are not those of its answers.
    """
    return load_stored_evaluation(path).evaluation


def load_stored_evaluation(path: Path) -> StoredEvaluation:
    """As `load_evaluation`, with what the file says of its making."""
    return stored_evaluation_from_json(read_json(path, REMEDY, what=f"a {SCHEMA} file"), str(path))


def stored_evaluation_from_json(values: object, where: str) -> StoredEvaluation:
    """As `load_stored_evaluation`, of values that were read already; `where` names the file."""
    content = check_schema(values, where, SCHEMA, SCHEMA_VERSION, REMEDY)
    labels: tuple[str, ...] = read_value(tuple[str, ...], _part(content, "model.labels", where), f"{where}: labels")
    if not labels or len(set(labels)) != len(labels):
        raise ConfigError(f"{where}: model.labels are not different names", "one name a class is needed", REMEDY)
    answers = tuple(
        _read_answer(row, labels, f"{where}: answers[{index}]")
        for index, row in enumerate(field_of(content, "answers", list, where))
    )
    energy = content.get("energy")
    evaluation = Evaluation(
        model=field_of(content, "model.name", str, where),
        source=field_of(content, "model.source", str, where),
        sha256=field_of(content, "model.sha256", str, where),
        engine=field_of(content, "model.engine", str, where),
        provider=field_of(content, "model.provider", str, where),
        precision=field_of(content, "model.precision", str, where),
        dataset=field_of(content, "dataset.kind", str, where),
        subset=field_of(content, "dataset.subset", str, where),
        split=field_of(content, "dataset.split", int, where),
        clips=field_of(content, "dataset.clips", int, where),
        labels=labels,
        scores=Scores(
            videos=field_of(content, "videos", int, where),
            top1=field_of(content, "top1", float, where),
            top5=field_of(content, "top5", float, where),
            classes=read_value(tuple[ClassScore, ...], _part(content, "classes", where), f"{where}: classes"),
            confusion=read_value(
                tuple[tuple[int, ...], ...], _part(content, "confusion", where), f"{where}: confusion"
            ),
        ),
        answers=answers,
        missing=tuple(
            (field_of(row, "name", str, f"{where}: missing"), field_of(row, "reason", str, f"{where}: missing"))
            for row in field_of(content, "missing", list, where)
        ),
        profile="" if energy is None else field_of(content, "energy.profile", str, where),
        seconds=field_of(content, "time.seconds", float, where),
        machine=field_of(content, "machine", str, where),
    )
    _check_scores(evaluation, where)
    return StoredEvaluation(
        evaluation,
        command=str(content.get("command") or ""),
        created=field_of(content, "created", str, where),
        version=field_of(content, "hybrid_cvar_version", str, where),
        interrupted=field_of(content, "interrupted", bool, where),
    )


def _part(content: dict[str, Any], name: str, where: str) -> Any:
    """A list of the report, its items not looked at yet."""
    return field_of(content, name, list, where)


def _read_answer(row: Any, labels: tuple[str, ...], where: str) -> VideoAnswer:
    if not isinstance(row, dict):
        raise ConfigError(f"{where} is {type(row).__name__}", "must be an object", REMEDY)
    places = {label: index for index, label in enumerate(labels)}
    named: tuple[str, ...] = read_value(tuple[str, ...], row.get("top5"), f"{where}.top5")
    classes = [field_of(row, "label", str, where), field_of(row, "answer", str, where), *named]
    unknown = next((label for label in classes if label not in places), None)
    if unknown is not None:
        raise ConfigError(f"{where}: class {unknown!r}", "must be one of model.labels", REMEDY)
    return VideoAnswer(
        name=field_of(row, "name", str, where),
        label=places[classes[0]],
        answer=places[classes[1]],
        top5=tuple(places[label] for label in named),
        clips=field_of(row, "clips", int, where),
        energy_joules=read_value(float | None, row.get("energy_joules"), f"{where}.energy_joules"),
        seconds=field_of(row, "seconds", float, where),
    )


def _check_scores(evaluation: Evaluation, where: str) -> None:
    """The scores must be those of the answers: an edited or mixed file is refused."""
    size = len(evaluation.labels)
    counted = [[0] * size for _ in range(size)]
    for answer in evaluation.answers:
        counted[answer.label][answer.answer] += 1
    right = sum(counted[index][index] for index in range(size))
    scores, videos = evaluation.scores, len(evaluation.answers)
    names = {answer.name for answer in evaluation.answers}
    classes = tuple((label, sum(row)) for label, row in zip(evaluation.labels, counted, strict=True))
    if not videos or len(names) != videos or scores.videos != videos:
        raise ConfigError(f"{where}: {videos} answers, {scores.videos} videos", "there must be one a video", REMEDY)
    if (
        scores.confusion != tuple(map(tuple, counted))
        or tuple((one.label, one.videos) for one in scores.classes) != classes
        or abs(scores.top1 - right / videos) > 1e-9
        or not scores.top1 <= scores.top5 <= 1
    ):
        raise ConfigError(
            f"{where}: top-1 {scores.top1:g} or the confusion matrix is not that of its answers",
            "scores and answers must fit",
            REMEDY,
        )
