"""`hybrid-cvar bench`: the benchmark suites."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from hybrid_cvar.cli.console import hear_ctrl_c, one_line_errors, print_error, progress_bar, stderr
from hybrid_cvar.cli.options import JsonOption, json_target, refuse_overlap

if TYPE_CHECKING:
    from hybrid_cvar.benchmark import BenchFailure, BenchObserver, BenchRun

__all__ = ["bench_command"]

WIDE_ENOUGH_FOR_MEDIANS = 110


class Suite(StrEnum):
    """What is measured."""

    video = "video"
    spiking = "spiking"
    ann = "ann"
    energy = "energy"
    latency = "latency"
    operations = "operations"
    fuzz = "fuzz"
    all = "all"


def bench_command(
    suite: Annotated[
        list[Suite] | None,
        typer.Option("--suite", "-s", help="What to run; may be given several times. all leaves out fuzz."),
    ] = None,
    json_file: JsonOption = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write a self-contained HTML page.")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option("--plots", metavar="DIR", help="Draw the results that have a picture, as PNG files.")
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", "-r", min=1, max=1000, help="Rounds of every timing; medians are reported.")
    ] = 5,
) -> None:
    """Run the benchmark suites on this machine: speed, latency, operations, energy, robustness.

    video, spiking and ann are mostly ratios of medians taken in turn in one run; latency is mostly percentiles.
    operations (beside other tools' counts) and energy (beside the paper's) time nothing; fuzz reads damaged files.

    A row that cannot be measured is named and the others still are; the exit status is then 1. A target that is
    missed is shown, and is no failure.

    Example: [bold]hybrid-cvar bench --suite video --json video.json[/]
    """
    with one_line_errors():
        from hybrid_cvar.atomic_file import check_writable
        from hybrid_cvar.benchmark import check_plots, render_bench_json, run_bench, write_bench_json, write_plots
        from hybrid_cvar.energy import load_paper_tables, recompute_energy
        from hybrid_cvar.reporting.bench_page import bench_document, write_bench_html

        hear_ctrl_c()
        refuse_overlap([], [each for each in (json_target(json_file), report) if each is not None])
        path = json_target(json_file)
        if path is not None:
            check_writable(path)
        if report is not None:
            check_writable(report)
        if plots is not None:
            check_plots(plots)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with progress_bar(*columns, TimeElapsedColumn()) as progress:
            task = progress.add_task("starting", total=None)
            run = run_bench(
                [each.value for each in suite or [Suite.all]], rounds=rounds, observer=_observer(progress, task)
            )
        command = f"hybrid-cvar {shlex.join(sys.argv[1:])}"
        _print_results(run, stderr if json_file == "-" else Console())
        if json_file == "-":
            print(render_bench_json(run, command=command), end="")
        if path is not None:
            write_bench_json(run, path, command=command)
            stderr.print(f"wrote {escape(str(path))}", highlight=False)
        if report is not None:
            document = bench_document(render_bench_json(run, command=command), "this run")
            paper = load_paper_tables()
            again = [recompute_energy(row) for row in paper.table1]
            write_bench_html([document], report, command=command, paper=paper, recomputed=again)
            stderr.print(f"wrote {escape(str(report))}", highlight=False)
        for plot in write_plots(run, plots) if plots is not None else ():
            stderr.print(f"wrote {escape(str(plot))}", highlight=False)
    if run.failures:
        raise typer.Exit(1)


def _observer(progress: Progress, task: TaskID) -> "BenchObserver":
    from hybrid_cvar.benchmark import BenchObserver

    def show_row(row: str, number: int, rows: int) -> None:
        progress.update(task, description=f"{row} ({number} of {rows})", total=None, completed=0)

    def show_failure(failure: "BenchFailure") -> None:
        progress.stop()
        print_error(f"{failure.name}: {failure.error}")
        progress.start()

    return BenchObserver(
        on_row=show_row,
        on_failure=show_failure,
        on_step=lambda done, total: progress.update(task, completed=done, total=total),
    )


def _print_results(run: "BenchRun", console: Console) -> None:
    if not run.results:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    with_medians = console.width >= WIDE_ENOUGH_FOR_MEDIANS
    table.add_column("name", no_wrap=True)
    table.add_column("value", justify="right")
    table.add_column("target", justify="right")
    table.add_column("unit")
    table.add_column("met")
    if with_medians:
        table.add_column("medians", justify="right", no_wrap=True)
    for result in run.results:
        met = result.detail.get("met")
        yes = "yes, fitted" if "what_was_fitted" in result.detail else "yes"
        colour = {True: "green", False: "red"}.get(met, "default") if met is not None else "default"
        cells = (
            escape(result.name),
            f"[{colour}]{result.value:.4g}[/]",
            escape(str(result.detail.get("target", ""))),
            escape(result.unit),
            {True: yes, False: "[red]no[/]"}.get(met, "") if met is not None else "",
        )
        table.add_row(*cells, *([escape(_medians(result.detail))] if with_medians else []))
    console.print(table)


def _medians(detail: Any) -> str:
    if "medians" not in detail:
        return ""
    ours, other = detail["medians"]
    return f"{ours:.4g} / {other:.4g} {detail['medians_unit']}"
