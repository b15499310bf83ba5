"""The HTML report: one page that needs nothing but itself, for one video or a batch.

The page holds no script and loads nothing. File names, labels and errors are a user's and are escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath

from jinja2 import Environment, PackageLoader, StrictUndefined

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.records import EnergyTerm, Provenance, Report
from hybrid_cvar.reporting.failures import VideoFailure
from hybrid_cvar.reporting.figures import (
    PROVENANCE_MEANING,
    TIME_NOTE,
    DenseOperator,
    Pace,
    dense_operators,
    pace,
    partition_joules,
    spike_rate,
)
from hybrid_cvar.reporting.machine import this_machine
from hybrid_cvar.reporting.units import count, duration, exact, percent, shown, si
from hybrid_cvar.version import __version__

__all__ = ["render_html", "write_html"]


@dataclass(frozen=True, eq=False)
class _VideoView:
    """A report and the figures the page derives from it.

    Attributes:
        anchor: id of its section on the page.
        name: file name without its folders.
        operators: ANN operators.
        pace: speed of the run.
        spiking_joules, dense_joules: energy by partition.
        spike_rate: over all layers, 0 to 1.
        largest_rate: the highest spike rate of a layer; the scale of their bars.
    """

    anchor: str
    name: str
    report: Report
    operators: tuple[DenseOperator, ...]
    pace: Pace
    spiking_joules: float
    dense_joules: float
    spike_rate: float
    largest_rate: float

    def partitions(self) -> tuple[tuple[str, float, tuple[EnergyTerm, ...]], ...]:
        """Name, joules and terms of the spiking and of the dense partition."""
        terms = self.report.energy.terms
        return tuple(
            (name, joules, tuple(term for term in terms if term.partition == name))
            for name, joules in (("spiking", self.spiking_joules), ("dense", self.dense_joules))
        )


def write_html(
    reports: Sequence[Report], failures: Sequence[VideoFailure], path: Path, *, command: str | None = None
) -> None:
    """Writes `render_html` to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, render_html(reports, failures, command=command))


def render_html(reports: Sequence[Report], failures: Sequence[VideoFailure] = (), *, command: str | None = None) -> str:
    """The run as one HTML page.

    Args:
        reports: the videos that ran; more than one gives an index at the top.
        failures: those that did not.
        command: the command line that reproduces the page, shown as it is.
    """
    environment = Environment(
        loader=PackageLoader("hybrid_cvar.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "count": count,
        "duration": duration,
        "exact": exact,
        "percent": percent,
        "shown": shown,
        "si": si,
        "share": _share,
    }
    return environment.get_template("report.html").render(
        videos=[_view(index, report) for index, report in enumerate(reports, start=1)],
        failures=failures,
        command=command,
        version=__version__,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=this_machine(),
        meanings={str(provenance): meaning for provenance, meaning in PROVENANCE_MEANING.items()},
        time_note=TIME_NOTE,
        measured=str(Provenance.MEASURED),
        emulated=str(Provenance.EMULATED),
        modelled=str(Provenance.MODELLED),
    )


def _view(index: int, report: Report) -> _VideoView:
    trace = report.trace
    return _VideoView(
        anchor=f"video-{index}",
        name=PurePath(trace.video.path).name or trace.video.path,
        report=report,
        operators=dense_operators(trace),
        pace=pace(trace),
        spiking_joules=partition_joules(report.energy, "spiking"),
        dense_joules=partition_joules(report.energy, "dense"),
        spike_rate=spike_rate(trace),
        largest_rate=max((layer.spike_rate for layer in trace.spiking), default=0.0),
    )


def _share(part: float, whole: float) -> str:
    """Width of a bar as a CSS percentage; 0 where there is no whole."""
    return f"{100 * min(part / whole, 1.0):.2f}%" if whole > 0 else "0%"
