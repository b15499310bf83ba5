"""The report of one video for the terminal: legible at 80 columns, without colour and in ASCII too."""

from collections.abc import Sequence

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hybrid_cvar.records import ChipLatency, ParityRow, Percentiles, Provenance, Report, ResourceReport, Trace
from hybrid_cvar.reporting.figures import (
    TIME_NOTE,
    clip_latency,
    dense_operators,
    pace,
    partition_joules,
    spike_rate,
    stage_latencies,
)
from hybrid_cvar.reporting.terminal_page import TerminalPage
from hybrid_cvar.reporting.units import count, counted, duration, percent, si

__all__ = ["print_report", "print_report_line"]

_CONVENTIONS = (
    ("events", "non-zero inputs, each once a step (ours)"),
    ("acc.", "accumulates, non-zero input x non-zero weight (NeuroBench: effective ACs)"),
    ("stored", "accumulates, zero weights too (dense-stored)"),
    ("active", "updates of neurons whose membrane is or becomes non-zero (ours)"),
    ("at rest", "the other updates: zero that stays zero (ours)"),
    ("spikes", "each once (ours)"),
    ("rate", "spikes a neuron and step (ours)"),
    ("MACs", "outputs x products for each (torch FlopCounterMode: FLOPs / 2)"),
)
"""(heading, what is counted and whose convention that is); in full they stand in `--report` and `--json`."""

_MOST_STARTS = 16
"""Clips whose starts are listed one by one."""


def print_report(report: Report, console: Console) -> None:
    """Prints one video: header, notices, answer, operations, energy and time; parity and resources in a line each.

    Every section is marked measured (on this host), emulated (counted in the simulator) or modelled (a count
    times a sourced constant).
    """
    page = TerminalPage(console)
    _header(report.trace, page)
    if report.notices:
        lines = Text("\n").join(page.text(notice) for notice in report.notices)
        title = "Notice" if len(report.notices) == 1 else "Notices"
        panel = Panel(lines, title=title, title_align="left", border_style="yellow", width=page.width)
        page.put(panel)
    _answer(report, page)
    _operations(report.trace, page)
    _energy(report, page)
    _time(report.trace, page)
    if report.chip_latency is not None:
        _chip(report.chip_latency, page)
    if report.parity:
        _parity(report.parity, page)
    if report.resources is not None:
        _resources(report.resources, page)
    page.put(Text())
    page.note("The rest: --report FILE (a page: plots, conventions, constants, sources), --json FILE (every number).")


def print_report_line(report: Report, console: Console) -> None:
    """Prints one video of several in one line: the answer, energy and time, and how it was read."""
    trace, best = report.trace, report.predictions[0]
    page = TerminalPage(console)
    line = page.text(trace.video.path)
    line.append("  ")
    line.append(page.text(best.label, style="bold"))
    line.append(
        f" {percent(best.probability)}  {si(report.energy.total_joules, 'J')}  "
        f"{duration(trace.wall_seconds / trace.clips)} a clip  {counted(trace.clips, 'clip')}  "
        f"{'encoded again' if trace.video.transcoded else 'native'}"
    )
    console.print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)


def _header(trace: Trace, page: TerminalPage) -> None:
    video = trace.video
    facts = [video.codec, f"{video.width}x{video.height}"]
    if video.frames_per_second:
        facts.append(f"{video.frames_per_second:.4g} frames/s")
    if video.duration_seconds:
        facts.append(duration(video.duration_seconds))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim")
    grid.add_column(overflow="fold")
    grid.add_row("codec", page.text(", ".join(facts)))
    grid.add_row("read", page.text(f"{'transcoded' if video.transcoded else 'native'}: {video.reason}"))
    grid.add_row("clips", page.text(f"{trace.clips}, from {_starts(trace.clip_pts_seconds)} s"))
    named = f"{trace.model} {trace.bundle_sha256[:12]}".rstrip()
    grid.add_row("model", page.text(f"{named}, {'trained' if trace.trained else 'NOT TRAINED'}"))
    grid.add_row("engine", page.text(f"{trace.engine}; ANN on {trace.provider} in {trace.precision}"))
    page.put(page.text(video.path, style="bold"))
    page.put_table(grid)


def _starts(seconds: Sequence[float]) -> str:
    """Where clips begin; of many, the first and the last."""
    if len(seconds) > _MOST_STARTS:
        return f"{seconds[0]:.4g} to {seconds[-1]:.4g}"
    return ", ".join(f"{start:.4g}" for start in seconds)


def _answer(report: Report, page: TerminalPage) -> None:
    page.title("Answer", Provenance.MEASURED)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(overflow="fold")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    for index, prediction in enumerate(report.predictions):
        style = "bold" if index == 0 else ""
        grid.add_row(
            page.text(prediction.label, style=style),
            Text(percent(prediction.probability), style=style),
            page.bar(prediction.probability, 24, "green"),
        )
    page.put_table(grid)


def _operations(trace: Trace, page: TerminalPage) -> None:
    page.title("Operations, all clips", Provenance.EMULATED)
    headings = ("layer", "input", "events", "acc.", "stored", "active", "at rest", "spikes", "rate")
    table = page.table(*headings, footer=True)
    for layer in trace.spiking:
        table.add_row(
            page.text(layer.name),
            "graded" if layer.graded_input else "binary",
            count(layer.events_in),
            count(layer.synaptic_operations),
            count(layer.stored_operations),
            count(layer.active_updates),
            count(layer.inactive_updates),
            count(layer.spikes_out),
            percent(layer.spike_rate),
        )
    totals = [
        "total",
        "",
        count(sum(layer.events_in for layer in trace.spiking)),
        count(trace.synaptic_operations),
        count(sum(layer.stored_operations for layer in trace.spiking)),
        count(sum(layer.active_updates for layer in trace.spiking)),
        count(sum(layer.inactive_updates for layer in trace.spiking)),
        count(sum(layer.spikes_out for layer in trace.spiking)),
        percent(spike_rate(trace)),
    ]
    for column, total in zip(table.columns, totals, strict=True):
        column.footer = total
    page.put_table(table)
    page.note(
        f"{count(trace.spikes_sent)} spikes were sent on (a stream's last layer is read instead), "
        f"{count(sum(layer.saturated_states for layer in trace.spiking))} updates clipped at 24 bits."
    )
    page.note(
        f"Reading [{Provenance.MEASURED}]: {count(trace.reading.frames_decoded)} frames decoded, "
        f"{count(trace.reading.motion_vectors)} motion vectors and {count(trace.reading.accumulated_pixels)} pixels "
        "accumulated (ours)."
    )
    page.put(Text())
    table = page.table("ANN operator", "nodes", "MACs a clip", "MACs", footer=True)
    operators = dense_operators(trace)
    for operator in operators:
        table.add_row(
            page.text(operator.op_type), str(operator.nodes), count(operator.macs_per_clip), count(operator.macs)
        )
    totals = [
        "total",
        str(sum(operator.nodes for operator in operators)),
        count(sum(operator.macs_per_clip for operator in operators)),
        count(trace.dense_macs),
    ]
    for column, total in zip(table.columns, totals, strict=True):
        column.footer = total
    page.put_table(table)
    legend = Table.grid(padding=(0, 2))
    legend.add_column(style="dim", no_wrap=True)
    legend.add_column(style="dim", overflow="fold")
    for heading, convention in _CONVENTIONS:
        legend.add_row(heading, page.text(convention))
    page.put_table(legend)


def _energy(report: Report, page: TerminalPage) -> None:
    energy = report.energy
    total = energy.total_joules
    page.title("Energy, all clips", Provenance.MODELLED)
    table = page.table("part", "operations", "pJ each", "energy", "share")
    for partition in ("spiking", "dense"):
        for term in (term for term in energy.terms if term.partition == partition):
            table.add_row(
                page.text(term.part),
                page.text(f"{count(term.count)} {term.operation}"),
                f"{term.picojoules_per_operation:g}",
                page.text(si(term.energy_joules, "J")),
                percent(term.energy_joules / total) if total else "",
            )
        joules = partition_joules(energy, partition)
        table.add_row(
            Text(f"{partition} total", style="bold"),
            "",
            "",
            page.text(si(joules, "J"), style="bold"),
            Text(percent(joules / total) if total else "", style="bold"),
            end_section=True,
        )
    table.add_row(Text("total", style="bold"), "", "", page.text(si(total, "J"), style="bold"), "")
    page.put_table(table)
    page.note(f"{si(total / report.trace.clips, 'J')} a clip. Profile {energy.profile}: {energy.source}.")
    page.note(f"Not priced: {'; '.join(energy.not_priced)}.")


def _time(trace: Trace, page: TerminalPage) -> None:
    page.title("Time", Provenance.MEASURED)
    speed = pace(trace)
    table = page.table("stage", "total", "a clip: p50", "p95", "p99", "share", footer=True)
    for stage in stage_latencies(trace):
        table.add_row(
            page.text(stage.stage),
            page.text(duration(stage.seconds)),
            *_percentiles(stage.clip, page),
            page.bar(stage.seconds / speed.seconds if speed.seconds else 0.0, 14, "blue"),
        )
    totals = [page.text("work"), page.text(duration(speed.seconds)), *_percentiles(clip_latency(trace), page), Text()]
    for column, total in zip(table.columns, totals, strict=True):
        column.footer = total
    page.put_table(table)
    rate = f", {speed.videos_per_second:.3g} videos/s" if speed.videos_per_second else ""
    page.note(
        f"Wall clock {duration(speed.wall_seconds)}{', stages side by side' if speed.overlapped else ''}: "
        f"{duration(speed.seconds_per_clip)} a clip{rate}; first prediction "
        f"({speed.first_answered}) after {duration(speed.first_prediction_seconds)}."
    )
    page.note(TIME_NOTE)


def _percentiles(spread: Percentiles | None, page: TerminalPage) -> list[Text]:
    if spread is None:
        return [Text(), Text(), Text()]
    return [page.text(duration(value)) for value in (spread.p50, spread.p95, spread.p99)]


def _chip(chip: ChipLatency, page: TerminalPage) -> None:
    page.title(f"Latency on {chip.chip}, a clip", Provenance.MODELLED)
    busiest = max(chip.layers, key=lambda layer: layer.seconds, default=None)
    most = f", busiest {busiest.name} with {duration(busiest.seconds)}" if busiest else ""
    page.put_table(_one_row(page, f"{duration(chip.clip_seconds)}: {chip.steps} steps, {chip.cores} cores{most}"))
    page.note(f"Profile {chip.profile}; {'; '.join(chip.assumptions)}.")


def _parity(rows: Sequence[ParityRow], page: TerminalPage) -> None:
    page.title("Parity, when the bundle was compiled", Provenance.MEASURED)
    ruled = [row for row in rows if row.rule]
    failed = [row.compared for row in ruled if not row.passed]
    line = f"{len(ruled) - len(failed)} of {len(ruled)} comparisons hold"
    if len(rows) > len(ruled):
        line += f", {len(rows) - len(ruled)} for information"
    page.put_table(_one_row(page, line + (f"; FAILED: {', '.join(failed)}" if failed else "")))


def _resources(resources: ResourceReport, page: TerminalPage) -> None:
    page.title("Cores that the spiking partition takes", Provenance.MODELLED)
    chips = [
        f"{chip.chip} at least {chip.cores_at_least}, "
        + ("no mapping in tiles" if chip.cores_tiled is None else f"{chip.cores_tiled} in tiles")
        + (f", {counted(len(chip.violations), 'limit')} broken" if chip.violations else "")
        for chip in resources.chips
    ]
    page.put_table(_one_row(page, "; ".join(chips)))


def _one_row(page: TerminalPage, line: str) -> Table:
    grid = Table.grid()
    grid.add_column(overflow="fold")
    grid.add_row(page.text(line))
    return grid
