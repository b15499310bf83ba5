"""Several JSON files of one kind side by side: every number they share, and how far each differs from the first file's.

    change = 100 (value - first) / |first|, per cent

Files are what `run --json`, `bench --json` and `eval --json` write, told by their "schema"; benchmark files of before
that key was written are told by their structure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.reporting import evaluation_report, json_report
from hybrid_cvar.reporting.bench_document import BENCH_SCHEMA, BenchDocument, is_bench, machine_facts, read_bench
from hybrid_cvar.reporting.compared_answers import same_videos, shared_answers, told_apart
from hybrid_cvar.reporting.compared_measures import (
    Measure,
    bench_measures,
    evaluation_measures,
    run_measures,
    run_settings,
)
from hybrid_cvar.reporting.record_json import read_json

__all__ = ["ComparedFile", "Comparison", "ComparisonRow", "compare_files"]

REMEDY = "give files that run --json, bench --json or eval --json wrote"
SCHEMAS = (json_report.SCHEMA, BENCH_SCHEMA, evaluation_report.SCHEMA)


@dataclass(frozen=True)
class ComparedFile:
    """A file of a comparison.

    Attributes:
        label: a short name that no other file of the comparison has.
        path: as given.
        kind: `run`, `bench` or `evaluation`.
        created: ISO 8601, UTC; empty if it does not say.
        version: of hybrid-cvar that wrote it; empty if it does not say.
        command: that made it; empty if it does not say.
        machine: in one line.
        measures: its numbers, in order.
        answers: (video, answer) of a run, by path, or of an evaluation, by name.
        settings: (what, its values) that decide the numbers: model, engine, energy profile, ...
    """

    label: str
    path: str
    kind: str
    created: str
    version: str
    command: str
    machine: str
    measures: tuple[Measure, ...]
    answers: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ComparisonRow:
    """A number in every file.

    Attributes:
        name, unit, provenance: of the number.
        better: `higher`, `lower`, `nearer` (to the aim) or empty.
        values: one a file; None where it lacks the number.
        changes: against the first file, per cent; None where either lacks the number, or the first is 0 and it is not.
        aim: what it should be; None but for `nearer`.
    """

    name: str
    unit: str
    provenance: str
    better: str
    values: tuple[float | None, ...]
    changes: tuple[float | None, ...]
    aim: float | None = None

    def differs(self, index: int) -> bool:
        """Whether a file's value is another than the first's; False where either lacks it."""
        first, value = self.values[0], self.values[index]
        return first is not None and value is not None and value != first

    def verdict(self, index: int) -> str:
        """`better`, `worse`, or empty where it is the same, as good, or nobody knows."""
        first, value = self.values[0], self.values[index]
        if first is None or value is None:
            return ""
        if self.better == "nearer" and self.aim is not None:
            gain = abs(first - self.aim) - abs(value - self.aim)
        elif self.better:
            gain = value - first if self.better == "higher" else first - value
        else:
            return ""
        return "better" if gain > 0 else "worse" if gain < 0 else ""


@dataclass(frozen=True)
class Comparison:
    """Files of one kind, the first of them the baseline.

    Attributes:
        kind: `run`, `bench` or `evaluation`.
        files: two or more.
        rows: numbers that at least one file has, in the order of the files.
        notices: what a reader must know to take the differences right.
    """

    kind: str
    files: tuple[ComparedFile, ...]
    rows: tuple[ComparisonRow, ...]
    notices: tuple[str, ...]


def compare_files(paths: Sequence[Path]) -> Comparison:
    """Reads and compares files; the first is the baseline.

    Raises:
        ConfigError: fewer than two files, one that cannot be read or is of no known schema or version, or kinds that
            differ.
    """
    if len(paths) < 2:
        raise ConfigError(f"{len(paths)} file(s) to compare", "two or more are needed", REMEDY)
    labels = _labels(paths)
    files = tuple(_read(path, label) for path, label in zip(paths, labels, strict=True))
    first = files[0]
    for file in files[1:]:
        if file.kind != first.kind:
            raise ConfigError(
                f"{file.path} is of the kind {file.kind}, {first.path} of the kind {first.kind}",
                "only files of one kind are compared",
                REMEDY,
            )
    # An evaluation names each video by its place in the dataset, a run by the path that it was given.
    answers = told_apart([file.answers for file in files]) if first.kind == "run" else [file.answers for file in files]
    rows = _rows(files, shared_answers(answers))
    return Comparison(first.kind, files, tuple(rows), (*_notices(files), *same_videos(files, answers)))


def _read(path: Path, label: str) -> ComparedFile:
    content = read_json(path, REMEDY)
    where = str(path)
    if is_bench(content):
        return _bench_file(read_bench(content, where), where, label)
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema == json_report.SCHEMA:
        return _run_file(json_report.run_from_json(content, where), where, label)
    if schema == evaluation_report.SCHEMA:
        return _evaluation_file(evaluation_report.stored_evaluation_from_json(content, where), where, label)
    found = f"schema {schema!r}"[:80] if isinstance(content, dict) else f"a {type(content).__name__}"
    raise ConfigError(f"{where}: {found}", f"must be one of {', '.join(SCHEMAS)}", REMEDY)


def _bench_file(document: BenchDocument, where: str, label: str) -> ComparedFile:
    return ComparedFile(
        label=label,
        path=where,
        kind="bench",
        created=document.created,
        version=document.version,
        command=document.command,
        machine=document.machine.line,
        measures=bench_measures(document),
        answers=(),
    )


def _run_file(run: dict[str, Any], where: str, label: str) -> ComparedFile:
    machine = run.get("machine")
    measures, answers = run_measures(run, where)
    return ComparedFile(
        label=label,
        path=where,
        kind="run",
        created=str(run.get("created") or ""),
        version=str(run.get("hybrid_cvar_version") or ""),
        command=str(run.get("command") or ""),
        machine=machine_facts(machine if isinstance(machine, dict) else {}).line,
        measures=measures,
        answers=answers,
        settings=run_settings(run),
    )


def _evaluation_file(stored: evaluation_report.StoredEvaluation, where: str, label: str) -> ComparedFile:
    evaluation = stored.evaluation
    measures, answers = evaluation_measures(evaluation)
    return ComparedFile(
        label=label,
        path=where,
        kind="evaluation",
        created=stored.created,
        version=stored.version,
        command=stored.command,
        machine=evaluation.machine,
        measures=measures,
        answers=answers,
        settings=(
            ("model", evaluation.model),
            ("engine", evaluation.engine),
            ("provider", evaluation.provider),
            ("precision", evaluation.precision),
            ("energy profile", evaluation.profile),
            ("clips a video", str(evaluation.clips)),
            ("dataset", f"{evaluation.dataset}, {evaluation.subset}, split {evaluation.split}"),
        ),
    )


def _labels(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that differ from each other; a path given twice is numbered."""
    for depth in range(1, 1 + max(len(path.parts) for path in paths)):
        labels = ["/".join(path.with_suffix("").parts[-depth:]) for path in paths]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{path} ({number})" for number, path in enumerate(paths, start=1)]


def _rows(files: Sequence[ComparedFile], shared: tuple[float | None, ...]) -> list[ComparisonRow]:
    tables = [{measure.name: measure for measure in file.measures} for file in files]
    names = dict.fromkeys(name for table in tables for name in table)
    rows = []
    for name in names:
        known = next(table[name] for table in tables if name in table)
        values = tuple(table[name].value if name in table else None for table in tables)
        changes = tuple(_change(values[0], value) for value in values)
        rows.append(ComparisonRow(name, known.unit, known.provenance, known.better, values, changes, known.aim))
    if shared:
        rows.append(ComparisonRow("answers as in the first file", "%", "measured", "", shared, (0.0,) * len(shared)))
    return rows


def _change(first: float | None, value: float | None) -> float | None:
    if first is None or value is None:
        return None
    if first == 0:
        return 0.0 if value == 0 else None
    change = 100 * ((value - first) / abs(first))  # twice as much is 100 exactly
    return change if math.isfinite(change) else None


def _notices(files: Sequence[ComparedFile]) -> list[str]:
    notices = []
    if len({file.machine for file in files}) > 1:
        notices.append("The files were measured on different machines: differences of times are theirs too.")
    if len({file.version for file in files if file.version}) > 1:
        notices.append("The files were written by different versions of hybrid-cvar.")
    for name in dict.fromkeys(name for file in files for name, _ in file.settings):
        values = dict.fromkeys(dict(file.settings).get(name, "none") for file in files)
        if len(values) > 1:
            notices.append(f"The files differ in {name}: {', '.join(values)}.")
    return notices
