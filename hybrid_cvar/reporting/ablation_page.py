"""The page of an ablation: the paper's tables with our rows beside them, as Markdown, and its picture and JSON."""

import shlex
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.records import Ablation
from hybrid_cvar.reporting.ablation_figures import (
    Difference,
    Share,
    VariantRow,
    ablation_tables,
    order_agreement,
)
from hybrid_cvar.reporting.ablation_picture import write_drops
from hybrid_cvar.reporting.ablation_report import write_ablation
from hybrid_cvar.reporting.units import exact, percent, shown, si

__all__ = ["JSON_FILE", "PAGE_FILE", "PICTURE_FILE", "render_page", "write_page"]

JSON_FILE = "ablation.json"
PAGE_FILE = "ablation.md"
PICTURE_FILE = "ablation.png"
NOT_LEGIBLE = "not legible in the text we have"
NOT_IN_PAPER = "not in the paper"


def write_page(ablation: Ablation, folder: Path, *, command: str | None = None) -> tuple[Path, ...]:
    """Writes `ablation.json`, `ablation.png` and `ablation.md` into a folder, each whole or not at all.

    Args:
        ablation: the results, those not run yet included.
        folder: is there.
        command: the command line that made them.

    Returns:
        The files.

    Raises:
        MissingPartError: matplotlib is not installed.
        OutputError: a file cannot be written, or a number is not finite.
    """
    files = (folder / JSON_FILE, folder / PICTURE_FILE, folder / PAGE_FILE)
    write_ablation(ablation, files[0], command=command)
    write_drops(ablation, files[1])
    write_atomically(files[2], render_page(ablation, command=command))
    return files


def render_page(ablation: Ablation, *, command: str | None = None) -> str:
    """The page as Markdown.

    Args:
        ablation: the results, those not run yet included.
        command: the command line that made them.
    """
    # Markdown, not HTML: user strings go through the filter `text`.
    environment = Environment(
        loader=PackageLoader("hybrid_cvar.reporting"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "difference": _difference,
        "epochs": _epochs,
        "exact": exact,
        "interval": _interval,
        "listed": lambda names: ", ".join(names) or "none",
        "minutes": lambda seconds: "-" if seconds is None else f"{seconds / 60:.1f}",
        "points": lambda points: "-" if points is None else f"{points:+.2f}",
        "si": lambda value: "-" if value is None else si(value),
        "text": _text,
    }
    tables = ablation_tables(ablation)
    measured = [result.measurement for result in ablation.results if result.measurement is not None]
    done = sum(result.state == "measured" for result in ablation.results)
    page = environment.get_template("ablation.md").render(
        ablation=ablation,
        tables=tables,
        agreement=order_agreement(tables),
        measured=measured,
        machines=sorted({(one.machine, one.device, one.precision) for one in measured}),
        steps=sorted({one.steps for one in measured}),
        training_minutes=sum(one.training_seconds for one in measured) / 60,
        done=done,
        failed=[result for result in ablation.results if result.state == "failed"],
        paper_top1=lambda row: _paper(row, row.paper_top1),
        paper_top5=lambda row: _paper(row, row.paper_top5),
        top1=lambda row: _share(row, row.top1),
        top5=lambda row: _share(row, row.top5),
        direction=lambda row: _share(row, row.direction),
        command=shown(command) if command else _default_command(ablation),
    )
    return page.rstrip() + "\n"


def _paper(row: VariantRow, value: float | None) -> str:
    if value is not None:
        return f"{value:.2f}"
    return NOT_LEGIBLE if row.in_paper else NOT_IN_PAPER


def _share(row: VariantRow, share: Share | None) -> str:
    if share is None:
        return row.state if row.state != "measured" else "-"
    found = percent(share.mean, 2)
    return f"{found} ({_interval((share.low, share.high))}){_spread(row, share)}"


def _spread(row: VariantRow, share: Share) -> str:
    if len(row.seeds) < 2:
        return ""
    return f"; {len(row.seeds)} seeds, {percent(share.least, 2)} to {percent(share.most, 2)}"


def _interval(ends: tuple[float, float]) -> str:
    return f"{percent(ends[0])} to {percent(ends[1])}"


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    return f"{difference.points:+.2f} ({difference.low:+.1f} to {difference.high:+.1f})"


def _epochs(epochs: tuple[int, int] | None) -> str:
    if epochs is None:
        return "-"
    return str(epochs[0]) if epochs[0] == epochs[1] else f"{epochs[0]} to {epochs[1]}"


def _default_command(ablation: Ablation) -> str:
    tables = ",".join(number for number, _ in ablation.tables)
    seeds = ",".join(map(str, ablation.seeds))
    words = ("hybrid-cvar", "ablate", "RECIPE", "--tables", tables, "--epochs", str(ablation.epochs), "--seeds", seeds)
    return shown(shlex.join(words))


def _text(value: Any) -> str:
    """A user's string as a Markdown cell or line shows it, and nothing else."""
    text = shown(str(value))
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text
