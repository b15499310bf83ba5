"""The JSON of an ablation and its way back to a record.

    {
      "schema": "hybrid-cvar/ablation",
      "schema_version": 1,
      "hybrid_cvar_version": "0.1.0",
      "created": "2026-01-31T12:00:00+00:00",               ISO 8601, UTC
      "command": "hybrid-cvar ablate ..." or null,
      "provenance": "measured",                             of accuracies and times; parameters and MACs are counted
      "recipe", "preset", "seeds": [...], "epochs", "batch", "clips",
      "dataset", "is_drawn", "subset", "split", "classes", "train_videos", "test_videos",
      "tables": [["3", caption], ...],
      "results": [{"variant", "table", "row", "in_paper", "paper_top1", "paper_top5", "seed",
                   "state": "measured", "failed" or "not run", "reason", "measurement": {...} or null}, ...],
      "rows": [{"variant", "table", ...}, ...],             over the seeds, as the page shows them
      "agreement": {"compared", "same_sign", "told_apart", "covered", "tables"}
    }

Fields mean what `Ablation`, `AblationResult`, `AblationMeasurement`, `VariantRow` and `OrderAgreement` say. The paper's
numbers are per cent of UCF-101's test videos, as printed; shares of ours are 0 to 1. "rows" and "agreement" follow
from "results" and are not read back. "schema_version" rises with every change of the names or of what they mean.
"""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import FULL_MODEL, Ablation, Provenance
from hybrid_cvar.reporting.ablation_figures import ablation_tables, order_agreement
from hybrid_cvar.reporting.record_json import check_finite, field_of, load_report, read_value
from hybrid_cvar.version import __version__

__all__ = [
    "SCHEMA",
    "SCHEMA_VERSION",
    "StoredAblation",
    "load_ablation",
    "load_stored_ablation",
    "render_ablation",
    "write_ablation",
]

SCHEMA = "hybrid-cvar/ablation"
SCHEMA_VERSION = 1
REMEDY = "make it with hybrid-cvar ablate RECIPE"


@dataclass(frozen=True)
class StoredAblation:
    """An ablation as it lies in a file.

    Attributes:
        ablation: the results.
        command: the command line that made it; empty if it does not say.
        created: ISO 8601, UTC.
        version: of hybrid-cvar that wrote it.
    """

    ablation: Ablation
    command: str
    created: str
    version: str


def write_ablation(ablation: Ablation, path: Path, *, command: str | None = None) -> None:
    """Writes `render_ablation` to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written, or a number is not finite.
    """
    write_atomically(path, render_ablation(ablation, command=command))


def render_ablation(ablation: Ablation, *, command: str | None = None) -> str:
    """The ablation as JSON text, ASCII, ending in a newline.

    Raises:
        OutputError: a number is not finite.
    """
    tables = ablation_tables(ablation)
    rows = [row for at, table in enumerate(tables) for row in table.rows if row.variant != FULL_MODEL or not at]
    content = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "hybrid_cvar_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "provenance": Provenance.MEASURED.value,
        **asdict(ablation),
        "rows": [asdict(row) | {"table": "" if row.variant == FULL_MODEL else row.table} for row in rows],
        "agreement": asdict(order_agreement(tables)),
    }
    check_finite(content, "ablation")
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def load_ablation(path: Path) -> Ablation:
    """Reads what `write_ablation` wrote.

    Raises:
        ConfigError: it is missing, damaged, or of another schema or version.
    """
    return load_stored_ablation(path).ablation


def load_stored_ablation(path: Path) -> StoredAblation:
    """As `load_ablation`, with what the file says of its making."""
    content = load_report(path, SCHEMA, SCHEMA_VERSION, REMEDY)
    try:
        ablation: Ablation = read_value(Ablation, content, str(path))
    except ConfigError as error:
        raise ConfigError(error.found, error.rule, REMEDY) from error
    known = {number for number, _ in ablation.tables}
    seen = [(result.variant, result.seed) for result in ablation.results]
    odd = next(
        (result for result in ablation.results if result.table not in known and result.variant != FULL_MODEL), None
    )
    if odd is not None or len(set(seen)) != len(seen):
        found = f"table {odd.table!r} of {odd.variant}" if odd is not None else "a variant and seed twice"
        raise ConfigError(f"{path}: {found}", "results are one a variant and seed of the tables", REMEDY)
    return StoredAblation(
        ablation,
        command=str(content.get("command") or ""),
        created=field_of(content, "created", str, str(path)),
        version=field_of(content, "hybrid_cvar_version", str, str(path)),
    )
