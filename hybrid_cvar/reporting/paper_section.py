"""What may stand beside the paper's energies: runs that were priced as the paper prices."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from hybrid_cvar.records import PaperTables, PrintedNumber, RecomputedEnergy, Report, Table1Row, Table2Row
from hybrid_cvar.reporting.figures import video_spreads

__all__ = ["PAPER_PROFILE", "not_comparable", "our_joules", "paper_to_dict"]

PAPER_PROFILE = "paper-45nm"
"""The one profile whose energies stand beside the paper's: profiles are never mixed."""


def our_joules(reports: Sequence[Report], paper: PaperTables) -> tuple[tuple[str, float], ...]:
    """(what, J a video) of a run: of one video, or the mean and the median of several.

    Empty where there is no video, or one was priced by another profile than the paper's.
    """
    if not reports or not_comparable(reports):
        return ()
    name = _setting(reports, paper)
    if len(reports) == 1:
        return ((f"this run, {name}", reports[0].energy.total_joules),)
    energy = video_spreads(reports)[0].videos
    return (
        (f"{len(reports)} videos, mean, {name}", energy.mean),
        (f"{len(reports)} videos, median, {name}", energy.p50),
    )


def not_comparable(reports: Sequence[Report]) -> str:
    """Why a run's energy is not beside the paper's, and what would set it there; empty where it is."""
    others = dict.fromkeys(report.energy.profile for report in reports if report.energy.profile != PAPER_PROFILE)
    if not others:
        return ""
    return (
        f"This run was priced with {', '.join(others)}: other constants and operations than the paper's, so its energy "
        f"is not set beside the paper's. To see it here, run again with --profile {PAPER_PROFILE}."
    )


def paper_to_dict(
    reports: Sequence[Report], paper: PaperTables, recomputed: Sequence[RecomputedEnergy]
) -> dict[str, Any]:
    """The paper's tables and the run's energy beside them as plain JSON values, "paper" of the run's schema.

    Args:
        reports: the videos that ran.
        paper: its tables.
        recomputed: E_Total of Table 1's rows, in its order.
    """
    return {
        "source": paper.source,
        "table1": [_row(row) for row in paper.table1],
        "table1_recomputed": [_recomputed(row) for row in recomputed],
        "table2": [_row(row) for row in paper.table2],
        "this_run": [
            {"provenance": "modelled", "what": what, "energy_joules": float(joules)}
            for what, joules in our_joules(reports, paper)
        ],
        "not_comparable": not_comparable(reports) or None,
    }


def _recomputed(row: RecomputedEnergy) -> dict[str, Any]:
    """Modelled numbers alone: what it is compared with stands in the row itself."""
    values = asdict(row)
    del values["printed_joules"]
    return {"provenance": "modelled", **values, "closes": row.closes}


def _row(row: Table1Row | Table2Row) -> dict[str, Any]:
    """A row as it is printed; null where the paper prints a dash."""
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    numbers = {name: value for name, value in values.items() if isinstance(value, PrintedNumber)}
    return {
        "provenance": "printed",
        **values,
        **{name: number.value for name, number in numbers.items()},
        "own": row.own,
        "at_least": [name for name, number in numbers.items() if number.at_least],
    }


def _setting(reports: Sequence[Report], paper: PaperTables) -> str:
    """Model and clips of a run, the paper's clips, and --strict where it was given."""
    models = ", ".join(dict.fromkeys(report.trace.model for report in reports))
    least, most = (choose(report.trace.clips for report in reports) for choose in (min, max))
    clips = f"{least} to {most}" if least != most else str(least)
    own = dict.fromkeys(row.temporal_views * row.spatial_crops for row in paper.table1 if row.own)
    theirs = f" (the paper: {', '.join(map(str, own))})" if own else ""
    strict = ", --strict" if any(report.energy.strict for report in reports) else ""
    return f"{models}, {clips} {'clip' if most == 1 else 'clips'}{theirs}{strict}"
