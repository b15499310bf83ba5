"""The HTML report of a run: one page that needs nothing but itself, for one video or a batch.

The page loads nothing. Its plots are drawn by plotly.js, which it holds once (1.9 MB, packed); beside every plot stands
a table, so that the page is whole without scripts. It takes 2.1 MB for one video and up to 150 kB for each further one;
of more than `FULL_PICTURES` videos the pictures are small, and one takes up to 65 kB: 20 MB for 300. File names,
labels and errors are a user's and are escaped, in the figures too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.records import EnergyEstimate, EnergyTerm, PaperTables, Percentiles, RecomputedEnergy, Report
from hybrid_cvar.reporting.accuracy_plot import accuracy_plot, circle_sizes, method_name
from hybrid_cvar.reporting.clip_pictures import ClipPicture, clip_pictures
from hybrid_cvar.reporting.failures import VideoFailure
from hybrid_cvar.reporting.figures import (
    TIME_NOTE,
    DenseOperator,
    Pace,
    StageLatency,
    clip_latency,
    dense_operators,
    pace,
    partition_joules,
    spike_rate,
    stage_latencies,
    step_rates,
    video_spreads,
)
from hybrid_cvar.reporting.machine import this_machine
from hybrid_cvar.reporting.operation_rows import OperationRow, operation_rows
from hybrid_cvar.reporting.page import render_page
from hybrid_cvar.reporting.paper_section import not_comparable, our_joules
from hybrid_cvar.reporting.plots import Plot
from hybrid_cvar.reporting.run_plots import batch_plot, energy_plot, latency_plot, operations_plot, spike_plot

__all__ = ["render_html", "write_html"]

FULL_PICTURES = 8
"""Videos on a page up to which their pictures are large."""

Kind = TypeVar("Kind")


@dataclass(frozen=True, eq=False)
class _VideoView:
    """A report and the figures the page derives from it.

    Attributes:
        anchor: id of its section on the page.
        name: file name without its folders.
        operators: ANN operators.
        operations: every count, with its convention.
        pace: speed of the run.
        stages: time a stage, with percentiles over the clips. clip: of all of them.
        spiking_joules, dense_joules: energy by partition.
        spike_rate: over all layers, 0 to 1.
        largest_rate: the highest spike rate of a layer; the scale of their bars.
        step_rates: (layer, rate a step). steps: of a clip; 0 where no layer took one.
        energy_plots: (title, plot) of each partition that takes energy.
        operations_plot, latency_plot, spike_plot: None where there is nothing to draw.
        pictures: of the clip that was kept; empty if none was.
    """

    anchor: str
    name: str
    report: Report
    operators: tuple[DenseOperator, ...]
    operations: tuple[OperationRow, ...]
    pace: Pace
    stages: tuple[StageLatency, ...]
    clip: Percentiles | None
    spiking_joules: float
    dense_joules: float
    spike_rate: float
    largest_rate: float
    step_rates: tuple[tuple[str, tuple[float, ...]], ...]
    steps: int
    energy_plots: tuple[tuple[str, Plot], ...]
    operations_plot: Plot | None
    latency_plot: Plot | None
    spike_plot: Plot | None
    pictures: tuple[ClipPicture, ...]

    def partitions(self) -> tuple[tuple[str, float, tuple[EnergyTerm, ...]], ...]:
        """Name, joules and terms of the spiking and of the dense partition."""
        terms = self.report.energy.terms
        return tuple(
            (name, joules, tuple(term for term in terms if term.partition == name))
            for name, joules in (("spiking", self.spiking_joules), ("dense", self.dense_joules))
        )


def write_html(
    reports: Sequence[Report],
    failures: Sequence[VideoFailure],
    path: Path,
    *,
    command: str | None = None,
    paper: PaperTables | None = None,
    recomputed: Sequence[RecomputedEnergy] = (),
) -> None:
    """Writes `render_html` to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, render_html(reports, failures, command=command, paper=paper, recomputed=recomputed))


def render_html(
    reports: Sequence[Report],
    failures: Sequence[VideoFailure] = (),
    *,
    command: str | None = None,
    paper: PaperTables | None = None,
    recomputed: Sequence[RecomputedEnergy] = (),
) -> str:
    """The run as one HTML page.

    Args:
        reports: the videos that ran; more than one gives an index at the top.
        failures: those that did not.
        command: the command line that reproduces the page, shown as it is.
        paper: its tables; Table 1 is drawn beside the run's energy.
        recomputed: the energies of Table 1 from its own operations, in its order.
    """
    small = len(reports) > FULL_PICTURES
    videos = [_view(index, report, small) for index, report in enumerate(reports, start=1)]
    several = batch_plot(reports)
    ours = our_joules(reports, paper) if paper else ()
    accuracy = accuracy_plot(paper.table1, ours) if paper else None
    return render_page(
        "report.html",
        videos=videos,
        failures=failures,
        command=command,
        machine=this_machine(),
        time_note=TIME_NOTE,
        batch_plot=several,
        spreads=video_spreads(reports) if reports else (),
        paper=paper,
        recomputed={row.method: row for row in recomputed},
        method_name=method_name,
        circle_sizes=circle_sizes(paper.table1) if paper else "",
        our_joules=ours,
        not_comparable=not_comparable(reports),
        accuracy_plot=accuracy,
        bases=_distinct([_basis(report.energy) for report in reports]),
        parities=_distinct([report.parity for report in reports if report.parity]),
        resource_reports=_distinct([report.resources for report in reports if report.resources]),
        has_plots=any(
            (video.energy_plots, video.operations_plot, video.latency_plot, video.spike_plot) != ((), None, None, None)
            for video in videos
        )
        or several is not None
        or accuracy is not None,
    )


def _view(index: int, report: Report, small: bool) -> _VideoView:
    trace = report.trace
    stages = stage_latencies(trace)
    plots = (
        ("spiking partition, by layer", energy_plot(report.energy, "spiking")),
        ("ANN partition, by operator", energy_plot(report.energy, "dense")),
    )
    return _VideoView(
        anchor=f"video-{index}",
        name=PurePath(trace.video.path).name or trace.video.path,
        report=report,
        operators=dense_operators(trace),
        operations=operation_rows(trace),
        pace=pace(trace),
        stages=stages,
        clip=clip_latency(trace),
        spiking_joules=partition_joules(report.energy, "spiking"),
        dense_joules=partition_joules(report.energy, "dense"),
        spike_rate=spike_rate(trace),
        largest_rate=max((layer.spike_rate for layer in trace.spiking), default=0.0),
        step_rates=tuple((layer.name, step_rates(layer)) for layer in trace.spiking),
        steps=max((len(layer.step_spikes) for layer in trace.spiking), default=0),
        energy_plots=tuple((title, plot) for title, plot in plots if plot is not None),
        operations_plot=operations_plot(trace),
        latency_plot=latency_plot(stages),
        spike_plot=spike_plot(trace.spiking),
        pictures=clip_pictures(trace.view, small=small) if trace.view is not None else (),
    )


def _basis(energy: EnergyEstimate) -> EnergyEstimate:
    """An estimate without its terms: what it was priced with."""
    return EnergyEstimate(
        energy.profile, energy.description, energy.source, energy.strict, (), energy.constants, energy.not_priced
    )


def _distinct(values: Sequence[Kind]) -> tuple[Kind, ...]:
    """Each value once, in order; a batch shares most."""
    found: list[Kind] = []
    for value in values:
        if value not in found:
            found.append(value)
    return tuple(found)
