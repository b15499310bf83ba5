"""`hybrid-cvar compare`: JSON files side by side, and the benchmarks' committed results as one document."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hybrid_cvar.cli.console import one_line_errors, stderr
from hybrid_cvar.cli.options import JsonOption, json_target, refuse_overlap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hybrid_cvar.reporting.bench_document import BenchRow

__all__ = ["compare_command"]


def compare_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[A.json B.json ...]",
            help="Two or more files of one kind, by run --json, bench --json or eval --json; first the baseline.",
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results", metavar="DIR", help="Instead of files: every benchmark result in a folder as one document."
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write a self-contained HTML page.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the tables as Markdown.")
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Compare runs, benchmarks or evaluations, number by number, against the first file.

    With --results a folder's benchmarks are drawn, not compared: --report and --markdown alone are written.

    Example: [bold]hybrid-cvar compare before.json after.json --report difference.html[/]
    """
    given = files or []
    if (results is None) == (not given):
        raise typer.BadParameter("give either two or more files, or --results DIR")
    if given and len(given) < 2:
        raise typer.BadParameter(f"{given[0]} alone cannot be compared; give two or more files of one kind")
    json_path = json_target(json_file)
    outputs = [path for path in (report, markdown, json_path) if path is not None]
    refuse_overlap(given, outputs)
    with one_line_errors():
        from hybrid_cvar.atomic_file import check_writable

        for path in outputs:
            check_writable(path)
        command = f"hybrid-cvar {shlex.join(sys.argv[1:])}"
        if results is not None:
            if json_file is not None:
                raise typer.BadParameter("--results draws a page (--report) or Markdown (--markdown), no JSON")
            _draw_results(results, report, markdown, command)
        else:
            _compare(given, report, markdown, json_file, command)
        if outputs:
            stderr.print(f"wrote {escape(', '.join(map(str, outputs)))}", highlight=False)


def _compare(
    files: list[Path], report: Path | None, markdown: Path | None, json_file: str | None, command: str
) -> None:
    from hybrid_cvar.atomic_file import write_atomically
    from hybrid_cvar.reporting.comparison import compare_files
    from hybrid_cvar.reporting.comparison_output import (
        comparison_markdown,
        print_comparison,
        render_comparison_json,
        write_comparison_html,
    )

    comparison = compare_files(files)
    print_comparison(comparison, stderr if json_file == "-" else Console())
    if json_file == "-":
        print(render_comparison_json(comparison, command=command), end="")
    json_path = json_target(json_file)
    if json_path is not None:
        write_atomically(json_path, render_comparison_json(comparison, command=command))
    if report is not None:
        write_comparison_html(comparison, report, command=command)
    if markdown is not None:
        write_atomically(markdown, comparison_markdown(comparison, command=command))


def _print_rows(rows: "Sequence[BenchRow]", console: Console, title: str) -> None:
    table = Table(title=f"[bold]{escape(title)}[/]", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name, justify in (("name", "left"), ("value", "right"), ("unit", "left"), ("target", "right"), ("met", "left")):
        table.add_column(name, justify=justify, no_wrap=name == "name")  # type: ignore[arg-type]
    for row in rows:
        met = {True: "yes, fitted" if row.is_fitted else "yes", False: "[red]no[/]", None: ""}[row.met]
        table.add_row(escape(row.name), f"{row.value:.4g}", escape(row.unit), escape(row.target), met)
    console.print(table)


def _draw_results(folder: Path, report: Path | None, markdown: Path | None, command: str) -> None:
    from hybrid_cvar.atomic_file import write_atomically
    from hybrid_cvar.energy import load_paper_tables, recompute_energy
    from hybrid_cvar.reporting.bench_document import missed_targets
    from hybrid_cvar.reporting.bench_page import write_bench_html
    from hybrid_cvar.reporting.bench_results import read_results, results_markdown

    documents = read_results(folder)
    paper = load_paper_tables()
    again = [recompute_energy(row) for row in paper.table1]
    rows = [row for document in documents for row in document.rows]
    missed = missed_targets(documents)
    for document in documents:
        _print_rows(document.rows, Console(), Path(document.source).name)
    names = escape(", ".join(name for name, _ in missed)) or "none"
    Console().print(
        f"{len(rows)} rows of {len(documents)} files; missed targets: {names}",
        highlight=False,
    )
    if report is not None:
        write_bench_html(documents, report, command=command, paper=paper, recomputed=again)
    if markdown is not None:
        write_atomically(markdown, results_markdown(documents, command=command, paper=paper, recomputed=again))
