"""A benchmark's JSON as records: what `bench --json` wrote, this release's or an older one's, and the fuzz run's file.

The schema is `hybrid_cvar.benchmark.results`'; files of before "schema" was written are told by their structure.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Provenance
from hybrid_cvar.reporting.record_json import field_of

__all__ = [
    "BENCH_SCHEMA",
    "BENCH_VERSION",
    "BenchDocument",
    "BenchMachineFacts",
    "BenchRow",
    "is_bench",
    "machine_facts",
    "missed_targets",
    "read_bench",
]

BENCH_SCHEMA = "hybrid-cvar/bench"
BENCH_VERSION = 1
REMEDY = "make it with hybrid-cvar bench --json FILE"

NUMBER = r"([-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?)"
TARGET = re.compile(rf"(>=|<=|==|>|<)\s*{NUMBER}$")
WITHIN = re.compile(rf"{NUMBER} within {NUMBER}\s*%$")
MOST_MARGIN = 100.0
"""Of a value that hits its aim, or all but hits it."""

LARGER_IS_BETTER = ("frames/s", "videos/s", "G accumulates/s", "of peak")
SMALLER_IS_BETTER = ("ms", "s", "MiB", "J", "mJ", "faults")


@dataclass(frozen=True)
class BenchMachineFacts:
    """The machine of a file; fields that it does not say are empty.

    Attributes:
        line: processor, cores, memory, operating system.
        software: `name version`, Python first.
    """

    line: str
    software: tuple[str, ...]


@dataclass(frozen=True)
class BenchRow:
    """A result, with what its detail says of target and rounds.

    Attributes:
        name: `suite.row`.
        value: in `unit`.
        provenance: `measured`, `emulated` or `modelled`.
        target: as written, `>= 0.6` say; empty where there is none.
        met: whether it was reached; None where there is none.
        medians: ours and the other's; None where the row is no ratio.
        medians_unit: of both.
        rounds: (what, seconds of every round), of at least two rounds.
        facts: (name, value) of the detail's plain values.
    """

    name: str
    value: float
    unit: str
    provenance: str
    target: str
    met: bool | None
    medians: tuple[float, float] | None
    medians_unit: str
    rounds: tuple[tuple[str, tuple[float, ...]], ...]
    facts: tuple[tuple[str, str], ...]

    @property
    def is_fitted(self) -> bool:
        """Whether the thing measured was made to meet the target; the fact `what_was_fitted` says how."""
        return any(name == "what_was_fitted" for name, _ in self.facts)

    @property
    def machine_limit(self) -> float | None:
        """The value, in `unit`, that its cores reached with nothing else to do; None where that was not measured."""
        text = next((value for name, value in self.facts if name == "machine_limit"), "")
        try:
            limit = float(text)
        except ValueError:
            return None
        return limit if math.isfinite(limit) else None

    @property
    def suite(self) -> str:
        """The name's first part."""
        return self.name.partition(".")[0]

    @property
    def better(self) -> str:
        """`higher`, `lower`, `nearer` (to the aim), or empty where neither target nor unit tells."""
        if self.aim is not None:
            return "nearer"
        match = TARGET.match(self.target)
        if match:
            return "higher" if match[1].startswith(">") else "lower"
        if self.unit in LARGER_IS_BETTER:
            return "higher"
        return "lower" if self.unit in SMALLER_IS_BETTER else ""

    @property
    def margin(self) -> float | None:
        """How many times a target is met: 1 or more meets it; None where that is no ratio.

        Value over a target that is a lower bound, target over value for an upper one; of an aim (`0.734 within 3%`),
        the distance that it allows over the value's, at most `MOST_MARGIN`.
        """
        match = TARGET.match(self.target)
        within = WITHIN.match(self.target)
        if within:
            allowed = abs(float(within[1])) * float(within[2]) / 100
            off = abs(self.value - float(within[1]))
            ratio = min(allowed / off, MOST_MARGIN) if off else MOST_MARGIN
        elif match and match[1] != "==":
            bound = float(match[2])
            if self.value <= 0 or bound <= 0:
                return None
            ratio = self.value / bound if match[1].startswith(">") else bound / self.value
        else:
            return None
        return ratio if math.isfinite(ratio) and ratio > 0 else None

    @property
    def aim(self) -> float | None:
        """What the value should be, of a target such as `0.734 within 3%`; None where there is none."""
        match = WITHIN.match(self.target)
        aim = float(match[1]) if match else math.inf
        return aim if math.isfinite(aim) else None


@dataclass(frozen=True)
class BenchDocument:
    """A file.

    Attributes:
        source: its name, or what made it.
        machine: where it was measured.
        rows: results, in order.
        failures: (row, error) of what could not be measured.
        command: the command line that made it; empty if it does not say.
        created: ISO 8601, UTC; empty if it does not say.
        version: of hybrid-cvar that wrote it; empty if it does not say.
    """

    source: str
    machine: BenchMachineFacts
    rows: tuple[BenchRow, ...]
    failures: tuple[tuple[str, str], ...]
    command: str
    created: str
    version: str


def missed_targets(documents: Sequence[BenchDocument]) -> tuple[tuple[str, BenchRow], ...]:
    """(name, row) of every missed target; where several files have the row, its name says which."""
    times = Counter(row.name for document in documents for row in document.rows)
    return tuple(
        (f"{row.name} of {PurePath(document.source).name}" if times[row.name] > 1 else row.name, row)
        for document in documents
        for row in document.rows
        if row.met is False
    )


def is_bench(content: object) -> bool:
    """Whether JSON values are a benchmark's, by schema or, where they have none, by structure."""
    if not isinstance(content, dict):
        return False
    if "schema" in content:
        return content["schema"] == BENCH_SCHEMA
    return isinstance(content.get("machine"), dict) and ("results" in content or _is_fuzz(content))


def read_bench(content: Mapping[str, Any], where: str) -> BenchDocument:
    """A benchmark's JSON values as records.

    Args:
        content: for which `is_bench` holds.
        where: the file, for errors and as the document's source.

    Raises:
        ConfigError: another version, or a field is missing or of another type.
    """
    version = content.get("schema_version", BENCH_VERSION)
    if version != BENCH_VERSION:
        raise ConfigError(
            f"{where}: {BENCH_SCHEMA} version {version!r}",
            f"this release reads version {BENCH_VERSION}",
            f"{REMEDY}, or install the release that wrote it",
        )
    machine = machine_facts(field_of(content, "machine", dict, where))
    source = PurePath(where).name
    if "results" not in content:
        rows: tuple[BenchRow, ...] = (_fuzz_row(content, where),)
        return BenchDocument(source, machine, rows, (), _fuzz_command(content), "", "")
    return BenchDocument(
        source=source,
        machine=machine,
        rows=tuple(
            _row(row, f"{where}: results[{index}]")
            for index, row in enumerate(field_of(content, "results", list, where))
        ),
        failures=tuple(
            (field_of(row, "name", str, where), field_of(row, "error", str, where))
            for row in (field_of(content, "failures", list, where) if "failures" in content else ())
            if isinstance(row, dict)
        ),
        command=str(content.get("command") or ""),
        created=str(content.get("created") or ""),
        version=str(content.get("hybrid_cvar_version") or ""),
    )


def machine_facts(machine: Mapping[str, Any]) -> BenchMachineFacts:
    """The machine of a benchmark or a run, from its file's "machine"; what it does not say is left out."""
    cores = machine.get("cpu_count")
    memory = machine.get("memory_bytes")
    parts = [
        str(machine.get("cpu_model") or "unknown CPU"),
        f"{machine.get('cpu_usable', cores)} of {cores} cores" if cores else "",
        f"{memory / 2**30:.1f} GiB of memory" if _is_finite(memory) and memory else "",
        str(machine.get("platform") or ""),
    ]
    packages = machine.get("packages")
    software = [f"Python {machine['python']}"] if machine.get("python") else []
    software += [f"{name} {version}" for name, version in (packages.items() if isinstance(packages, dict) else ())]
    return BenchMachineFacts(", ".join(part for part in parts if part), tuple(software))


def _row(row: Any, where: str) -> BenchRow:
    if not isinstance(row, dict):
        raise ConfigError(f"{where} is {type(row).__name__}", "must be an object", REMEDY)
    detail = row.get("detail", {})
    if not isinstance(detail, dict):
        raise ConfigError(f"{where}: detail is {type(detail).__name__}", "must be an object", REMEDY)
    medians = detail.get("medians")
    pair = isinstance(medians, list) and len(medians) == 2 and all(map(_is_finite, medians))
    met = detail.get("met")
    provenance = field_of(row, "provenance", str, where)
    if provenance not in tuple(Provenance):
        raise ConfigError(f"{where}: provenance {provenance!r}", f"must be one of {', '.join(Provenance)}", REMEDY)
    return BenchRow(
        name=field_of(row, "name", str, where),
        value=field_of(row, "value", float, where),
        unit=field_of(row, "unit", str, where),
        provenance=provenance,
        target=str(detail.get("target", "")),
        met=met if isinstance(met, bool) else None,
        medians=(float(medians[0]), float(medians[1])) if pair and medians else None,
        medians_unit=str(detail.get("medians_unit", "")),
        rounds=tuple(_rounds(detail)),
        facts=tuple(
            (name, _text(value))
            for name, value in detail.items()
            if name not in ("target", "met", "medians", "medians_unit") and not isinstance(value, dict | list)
        ),
    )


def _rounds(detail: Any, where: tuple[str, ...] = ()) -> list[tuple[str, tuple[float, ...]]]:
    """Every list of two or more seconds in a detail, named by the way to it."""
    found = []
    for name, value in detail.items() if isinstance(detail, dict) else ():
        path = (*where, str(name))
        if isinstance(value, dict):
            found += _rounds(value, path)
        elif isinstance(value, list) and _is_rounds(path, value):
            found.append((", ".join(_plain(path)), tuple(float(one) for one in value)))
    return found


def _is_rounds(path: tuple[str, ...], values: list[Any]) -> bool:
    return (
        len(values) > 1 and any(re.fullmatch(r"(.*_)?seconds", part) for part in path) and all(map(_is_finite, values))
    )


def _is_finite(value: object) -> bool:
    """Whether a JSON value is a number that a float can hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _plain(path: tuple[str, ...]) -> list[str]:
    """A path without the words that say only that seconds follow."""
    names = {"seconds": "ours", "other_seconds": "other", "fast_seconds": "faster", "slow_seconds": "slower"}
    parts = [names.get(part, part.removesuffix("_seconds")) for part in path if part not in ("files", "candidates")]
    return [part for part in parts if part != "ours"] or ["ours"]


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _is_fuzz(content: Mapping[str, Any]) -> bool:
    return {"seed", "outcomes", "faults"} <= content.keys()


def _fuzz_row(content: Mapping[str, Any], where: str) -> BenchRow:
    """The fuzz run's own file, as the row that `bench --suite fuzz` gives."""
    faults = field_of(content, "faults", list, where)
    outcomes = field_of(content, "outcomes", dict, where)
    facts = [("seed", content["seed"]), ("files", content.get("files")), ("seconds", content.get("seconds"))]
    facts += [(f"outcome {name}", number) for name, number in outcomes.items()]
    facts += [(name, content.get(name)) for name in ("gops_read", "peak_mb", "left_mb")]
    return BenchRow(
        name="video.fuzz_faults",
        value=float(len(faults)),
        unit="faults",
        provenance=Provenance.MEASURED.value,
        target="== 0",
        met=not faults,
        medians=None,
        medians_unit="",
        rounds=(),
        facts=tuple((name, _text(value)) for name, value in facts if value is not None),
    )


def _fuzz_command(content: Mapping[str, Any]) -> str:
    return f"python -m hybrid_cvar.benchmark.video_fuzz --files {content.get('files')} --seed {content['seed']}"
