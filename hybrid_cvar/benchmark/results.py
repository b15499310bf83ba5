"""What a benchmark found, and its JSON.

    {
      "schema": "hybrid-cvar/bench",
      "schema_version": 1,
      "hybrid_cvar_version": "0.1.0",
      "created": "2026-01-31T12:00:00+00:00",                  ISO 8601, UTC
      "command": "hybrid-cvar bench ..." or null,
      "machine": {"platform", "python", "cpu_model", "cpu_count", "cpu_usable", "packages": {name: version},
                  "memory_bytes", "ffmpeg": {library: version}},
      "results": [{"name", "value", "unit", "provenance", "detail": {...}}, ...],
      "failures": [{"name", "error"}, ...]                     rows that could not be measured
    }

A result that has a target says so in its detail: "target" (">= 0.6") and "met". Names are a contract. The keys above
"machine" are new; files without them are read as version 1.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.benchmark.machine import BenchMachine
from hybrid_cvar.errors import EngineError
from hybrid_cvar.records import Provenance
from hybrid_cvar.reporting.bench_document import BENCH_SCHEMA, BENCH_VERSION
from hybrid_cvar.version import __version__

__all__ = ["BenchFailure", "BenchResult", "BenchRun", "machine_to_dict", "render_bench_json", "write_bench_json"]


@dataclass(frozen=True)
class BenchResult:
    """One number.

    Attributes:
        name: `suite.row`.
        value: in `unit`; ratios have the unit `x`.
        unit: of the value.
        provenance: how it was come by.
        detail: JSON values that explain it: both medians of a ratio, each file's numbers, the target.

    Raises:
        EngineError: the value is not finite.
    """

    name: str
    value: float
    unit: str
    provenance: Provenance = Provenance.MEASURED
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise EngineError(f"{self.name} = {self.value}", "a result must be finite", "run it again with more rounds")


@dataclass(frozen=True)
class BenchFailure:
    """A row that could not be measured.

    Attributes:
        name: the row.
        error: what was found, the rule and the remedy, in one line.
    """

    name: str
    error: str


@dataclass(frozen=True)
class BenchRun:
    """Everything that one call measured.

    Attributes:
        machine: where.
        results: in the order of the rows.
        failures: rows that could not be measured.
    """

    machine: BenchMachine
    results: tuple[BenchResult, ...]
    failures: tuple[BenchFailure, ...]


def machine_to_dict(machine: BenchMachine) -> dict[str, Any]:
    """The machine as plain JSON values."""
    host = asdict(machine.host)
    host["packages"] = dict(host["packages"])
    return {**host, "memory_bytes": machine.memory_bytes, "ffmpeg": dict(machine.ffmpeg)}


def render_bench_json(run: BenchRun, *, command: str | None = None) -> str:
    """The run as JSON text in the schema above, ASCII, ending in a newline.

    Args:
        run: what was measured.
        command: the command line that made it.
    """
    content = {
        "schema": BENCH_SCHEMA,
        "schema_version": BENCH_VERSION,
        "hybrid_cvar_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "machine": machine_to_dict(run.machine),
        "results": [
            {
                "name": result.name,
                "value": float(result.value),
                "unit": result.unit,
                "provenance": result.provenance.value,
                "detail": dict(result.detail),
            }
            for result in run.results
        ],
        "failures": [asdict(failure) for failure in run.failures],
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def write_bench_json(run: BenchRun, path: Path, *, command: str | None = None) -> None:
    """Writes `render_bench_json` to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, render_bench_json(run, command=command))
