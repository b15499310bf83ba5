"""The HTML page of benchmark results: one call's, or the committed ones of every suite; self-contained as a run's."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.records import PaperTables, RecomputedEnergy
from hybrid_cvar.reporting.accuracy_plot import accuracy_plot, circle_sizes, method_name
from hybrid_cvar.reporting.bench_document import BenchDocument, BenchMachineFacts, BenchRow, missed_targets, read_bench
from hybrid_cvar.reporting.bench_plots import rounds_plot, targets_plot
from hybrid_cvar.reporting.page import render_page
from hybrid_cvar.reporting.plots import Plot
from hybrid_cvar.reporting.units import counted

__all__ = ["bench_document", "our_paper_joules", "render_bench_html", "same_machines", "write_bench_html"]

PAPER_ROWS = {"energy.base_paper_joules": "ours, base", "energy.large_paper_joules": "ours, large"}
"""Rows that stand beside the paper's energies."""


@dataclass(frozen=True, eq=False)
class _SuiteView:
    """A file on the page.

    Attributes:
        anchor: id of its section.
        document: the file.
        targets: every row against its target; None where none has one.
        rounds: (row, plot) of the rows with timings.
    """

    anchor: str
    document: BenchDocument
    targets: Plot | None
    rounds: tuple[tuple[BenchRow, Plot | None], ...]


def bench_document(text: str, source: str) -> BenchDocument:
    """The JSON text of one call of `bench` as a document."""
    return read_bench(json.loads(text), source)


def write_bench_html(
    documents: Sequence[BenchDocument],
    path: Path,
    *,
    command: str | None = None,
    paper: PaperTables | None = None,
    recomputed: Sequence[RecomputedEnergy] = (),
) -> None:
    """Writes `render_bench_html` to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, render_bench_html(documents, command=command, paper=paper, recomputed=recomputed))


def render_bench_html(
    documents: Sequence[BenchDocument],
    *,
    command: str | None = None,
    paper: PaperTables | None = None,
    recomputed: Sequence[RecomputedEnergy] = (),
) -> str:
    """Benchmark results as one HTML page.

    Args:
        documents: a section each.
        command: the command line that draws the page.
        paper: its tables, shown where a document holds energies to stand beside them. recomputed: its Table 1's.
    """
    ours = our_paper_joules(documents)
    shown_paper = paper if ours else None
    suites = [
        _SuiteView(
            anchor=f"suite-{index}",
            document=document,
            targets=targets_plot(document.rows),
            rounds=tuple((row, rounds_plot(row)) for row in document.rows),
        )
        for index, document in enumerate(documents, start=1)
    ]
    rows = [row for document in documents for row in document.rows]
    return render_page(
        "bench.html",
        suites=suites,
        machines=same_machines(documents),
        rows=rows,
        with_target=[row for row in rows if row.met is not None],
        missed=missed_targets(documents),
        command=command,
        machine=None,
        paper=shown_paper,
        recomputed={row.method: row for row in recomputed},
        method_name=method_name,
        circle_sizes=circle_sizes(shown_paper.table1) if shown_paper else "",
        our_joules=ours,
        accuracy_plot=accuracy_plot(shown_paper.table1, ours) if shown_paper else None,
        has_plots=any(suite.targets or any(plot for _, plot in suite.rounds) for suite in suites),
    )


def our_paper_joules(documents: Sequence[BenchDocument]) -> tuple[tuple[str, float], ...]:
    """(what, J a video) of the rows that are the paper's models under the paper's energy profile."""
    return tuple(
        (f"{PAPER_ROWS[row.name]}{_clips(row)}", row.value)
        for document in documents
        for row in document.rows
        if row.name in PAPER_ROWS
    )


def _clips(row: BenchRow) -> str:
    clips = dict(row.facts).get("clips")
    return f", {counted(int(clips), 'clip')}" if clips else ""


def same_machines(documents: Sequence[BenchDocument]) -> tuple[tuple[BenchMachineFacts, tuple[str, ...]], ...]:
    """(machine, sources measured on it), each machine once."""
    found: dict[BenchMachineFacts, list[str]] = {}
    for document in documents:
        found.setdefault(document.machine, []).append(document.source)
    return tuple((machine, tuple(sources)) for machine, sources in found.items())
