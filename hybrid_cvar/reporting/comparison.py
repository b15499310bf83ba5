"""Several JSON files of one kind side by side: every number they share, and how far each differs from the first file's.

    change = 100 (value - first) / |first|, per cent

Files are what `run --json`, `bench --json` and `eval --json` write, told by their "schema"; benchmark files of before
that key was written are told by their structure.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.reporting import evaluation_report, json_report
from hybrid_cvar.reporting.bench_document import BENCH_SCHEMA, is_bench, read_bench
from hybrid_cvar.reporting.compared_measures import (
    Measure,
    bench_measures,
    evaluation_measures,
    run_measures,
    run_settings,
)
from hybrid_cvar.reporting.record_json import MAX_REPORT_BYTES

__all__ = ["ComparedFile", "Comparison", "ComparisonRow", "compare_files", "read_json_file"]

REMEDY = "give files that run --json, bench --json or eval --json wrote"
KINDS = {json_report.SCHEMA: "run", BENCH_SCHEMA: "bench", evaluation_report.SCHEMA: "evaluation"}


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
        answers: (video, answer) of a run or an evaluation.
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
        better: `higher`, `lower` or empty.
        values: one a file; None where it lacks the number.
        changes: against the first file, per cent; None where either lacks the number, or the first is 0 and it is not.
    """

    name: str
    unit: str
    provenance: str
    better: str
    values: tuple[float | None, ...]
    changes: tuple[float | None, ...]

    def verdict(self, index: int) -> str:
        """`better`, `worse`, or empty where it is the same or nobody knows."""
        change = self.changes[index]
        if not change or not self.better:
            return ""
        return "better" if (change > 0) == (self.better == "higher") else "worse"


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
    return Comparison(first.kind, files, tuple(_rows(files)), tuple(_notices(files)))


def read_json_file(path: Path) -> Any:
    """The JSON values of a file.

    Raises:
        ConfigError: it is missing, too large, or no JSON.
    """
    try:
        if path.stat().st_size > MAX_REPORT_BYTES:
            raise ConfigError(f"{path}: over {MAX_REPORT_BYTES} bytes", "no report is that large", REMEDY)
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", "a JSON file is read there", REMEDY) from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ConfigError(f"{path}: no JSON ({reason})", "a JSON file is read there", REMEDY) from error


def _read(path: Path, label: str) -> ComparedFile:
    content = read_json_file(path)
    where = str(path)
    if is_bench(content):
        document = read_bench(content, where)
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
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema not in KINDS:
        found = f"schema {schema!r}" if isinstance(content, dict) else f"a {type(content).__name__}"
        raise ConfigError(f"{where}: {found}", f"must be one of {', '.join(KINDS)}", REMEDY)
    return _read_run(path, label) if KINDS[schema] == "run" else _read_evaluation(path, label)


def _read_run(path: Path, label: str) -> ComparedFile:
    run = json_report.read_run_json(path)
    machine = run.get("machine")
    facts = machine if isinstance(machine, dict) else {}
    measures, answers = run_measures(run, str(path))
    return ComparedFile(
        label=label,
        path=str(path),
        kind="run",
        created=str(run.get("created") or ""),
        version=str(run.get("hybrid_cvar_version") or ""),
        command=str(run.get("command") or ""),
        machine=f"{facts.get('cpu_model') or 'unknown CPU'}, {facts.get('cpu_usable')} cores, {facts.get('platform')}",
        measures=measures,
        answers=answers,
        settings=run_settings(run),
    )


def _read_evaluation(path: Path, label: str) -> ComparedFile:
    stored = evaluation_report.load_stored_evaluation(path)
    measures, answers = evaluation_measures(stored.evaluation)
    return ComparedFile(
        label=label,
        path=str(path),
        kind="evaluation",
        created=stored.created,
        version=stored.version,
        command=stored.command,
        machine=stored.evaluation.machine,
        measures=measures,
        answers=answers,
        settings=(
            ("model", stored.evaluation.model),
            ("engine", stored.evaluation.engine),
            ("provider", stored.evaluation.provider),
            ("precision", stored.evaluation.precision),
            ("energy profile", stored.evaluation.profile),
        ),
    )


def _labels(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that differ from each other; a path given twice is numbered."""
    for depth in range(1, 1 + max(len(path.parts) for path in paths)):
        labels = ["/".join(path.with_suffix("").parts[-depth:]) for path in paths]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{path} ({number})" for number, path in enumerate(paths, start=1)]


def _rows(files: Sequence[ComparedFile]) -> list[ComparisonRow]:
    tables = [{measure.name: measure for measure in file.measures} for file in files]
    names = dict.fromkeys(name for table in tables for name in table)
    rows = []
    for name in names:
        known = next(table[name] for table in tables if name in table)
        values = tuple(table[name].value if name in table else None for table in tables)
        changes = tuple(_change(values[0], value) for value in values)
        rows.append(ComparisonRow(name, known.unit, known.provenance, known.better, values, changes))
    shared = _shared_answers(files)
    if shared:
        rows.append(ComparisonRow("answers as in the first file", "%", "measured", "", shared, (0.0,) * len(shared)))
    return rows


def _change(first: float | None, value: float | None) -> float | None:
    if first is None or value is None:
        return None
    if first == 0:
        return 0.0 if value == 0 else None
    change = 100 * (value - first) / abs(first)
    return change if math.isfinite(change) else None


def _shared_answers(files: Sequence[ComparedFile]) -> tuple[float | None, ...]:
    """Per cent of the first file's videos that every file answers as it does; empty where there are none."""
    first = dict(files[0].answers)
    if not first:
        return ()
    shares: list[float | None] = []
    for file in files:
        theirs = dict(file.answers)
        both = [name for name in first if name in theirs]
        shares.append(100 * sum(first[name] == theirs[name] for name in both) / len(both) if both else None)
    return tuple(shares)


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
    videos = {tuple(sorted(name for name, _ in file.answers)) for file in files}
    if len(videos) > 1:
        notices.append("The files are not of the same videos.")
    return notices
