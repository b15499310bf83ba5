"""A comparison for people and programs: terminal, Markdown, HTML, JSON.

The JSON:

    {
      "schema": "hybrid-cvar/comparison",
      "schema_version": 1,
      "hybrid_cvar_version": "0.1.0",
      "created": "2026-01-31T12:00:00+00:00",               ISO 8601, UTC
      "command": "hybrid-cvar compare ..." or null,
      "kind": "run" or "bench" or "evaluation",
      "notices": ["...", ...],
      "files": [{"label", "path", "created", "version", "command", "machine"}, ...],       the first is the baseline
      "rows": [{"name", "unit", "provenance", "better": "higher" or "lower" or "nearer" or "",
                "aim": number or null,                       what "nearer" is nearer to
                "values": [number or null, ...],             one a file
                "changes_percent": [number or null, ...]}, ...]      against the first file; null from 0
    }
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.reporting.bench_plots import LINE_AT_1, ratio_axis
from hybrid_cvar.reporting.comparison import Comparison, ComparisonRow
from hybrid_cvar.reporting.page import render_page
from hybrid_cvar.reporting.plots import MARKS, SERIES, Plot, categories, layout, plot_text
from hybrid_cvar.reporting.units import shown, si
from hybrid_cvar.version import __version__

__all__ = [
    "comparison_markdown",
    "comparison_to_dict",
    "print_comparison",
    "render_comparison_html",
    "render_comparison_json",
    "value_text",
    "write_comparison_html",
]

SCHEMA = "hybrid-cvar/comparison"
SCHEMA_VERSION = 1
ROW, FRAME = 26, 96
SCALED_UNITS = ("J", "s", "")


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Every number of every file, with differences to the first."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(comparison.kind, overflow="fold")
    for index, file in enumerate(comparison.files):
        table.add_column(Text(shown(file.label), overflow="fold"), justify="right")
        if index:
            table.add_column("change", justify="right", no_wrap=True)
    for row in comparison.rows:
        cells = [Text(shown(row.name))]
        for index in range(len(comparison.files)):
            cells.append(Text(value_text(row, index)))
            if index:
                style = {"better": "green", "worse": "red"}.get(row.verdict(index), "")
                cells.append(Text(change_text(row, index), style=style))
        table.add_row(*cells)
    console.print(table)
    for notice in comparison.notices:
        console.print(Text(f"note: {notice}", style="yellow"))


def value_text(row: ComparisonRow, index: int) -> str:
    """A value with its unit; empty where the file lacks it."""
    value = row.values[index]
    if value is None:
        return ""
    if row.unit in SCALED_UNITS:
        return str(int(value)) if not row.unit and value == int(value) and abs(value) < 1000 else si(value, row.unit)
    return f"{value:.4g} {row.unit}"


def change_text(row: ComparisonRow, index: int) -> str:
    """A change in per cent with its sign, `from 0` where there is no ratio; empty where there is none to tell."""
    change = row.changes[index]
    if row.name == "answers as in the first file":
        return ""
    if row.differs(index) and row.values[0] == 0:
        return "from 0"
    if change is None:
        return ""
    return "same" if change == 0 else f"{change:+.1f} %" if abs(change) >= 0.05 else f"{change:+.1g} %"


def comparison_markdown(comparison: Comparison, *, command: str | None = None) -> str:
    """The comparison as Markdown, ending in a newline."""
    lines = [f"# Comparison of {len(comparison.files)} files ({comparison.kind})", ""]
    heads = ["number", "provenance"]
    for index, file in enumerate(comparison.files):
        heads += [cell(file.label)] + (["change"] if index else [])
    lines += [f"| {' | '.join(heads)} |", f"|{'---|' * 2}{'---:|' * (len(heads) - 2)}"]
    for row in comparison.rows:
        cells = [cell(row.name), row.provenance]
        for index in range(len(comparison.files)):
            cells += [cell(value_text(row, index))] + ([change_text(row, index)] if index else [])
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"> {notice}" for notice in comparison.notices), ""] if comparison.notices else [""]
    for file in comparison.files:
        lines.append(f"- {cell(file.label)}: {cell(file.path)}; {cell(file.machine)}")
    if command:
        lines += ["", f"Made by `{command}`."]
    return "\n".join(lines) + "\n"


def cell(text: str) -> str:
    """A user's string inside a Markdown table."""
    safe = shown(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for mark in "\\`*_[]|":
        safe = safe.replace(mark, f"\\{mark}")
    return safe


def comparison_to_dict(comparison: Comparison, *, command: str | None = None) -> dict[str, Any]:
    """The comparison as plain JSON values, in the schema above."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "hybrid_cvar_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "kind": comparison.kind,
        "notices": list(comparison.notices),
        "files": [
            {
                "label": file.label,
                "path": file.path,
                "created": file.created,
                "version": file.version,
                "command": file.command,
                "machine": file.machine,
            }
            for file in comparison.files
        ],
        "rows": [
            {
                "name": row.name,
                "unit": row.unit,
                "provenance": row.provenance,
                "better": row.better,
                "aim": row.aim,
                "values": list(row.values),
                "changes_percent": list(row.changes),
            }
            for row in comparison.rows
        ],
    }


def render_comparison_json(comparison: Comparison, *, command: str | None = None) -> str:
    """`comparison_to_dict` as JSON text, ASCII, ending in a newline."""
    return json.dumps(comparison_to_dict(comparison, command=command), indent=2, allow_nan=False) + "\n"


def write_comparison_html(comparison: Comparison, path: Path, *, command: str | None = None) -> None:
    """Writes `render_comparison_html` to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_atomically(path, render_comparison_html(comparison, command=command))


def render_comparison_html(comparison: Comparison, *, command: str | None = None) -> str:
    """The comparison as one HTML page, as self-contained as a run's."""
    plot = changes_plot(comparison)
    others = range(1, len(comparison.files))
    return render_page(
        "comparison.html",
        comparison=comparison,
        others=others,
        plot=plot,
        better=sum(row.verdict(index) == "better" for row in comparison.rows for index in others),
        worse=sum(row.verdict(index) == "worse" for row in comparison.rows for index in others),
        value_text=value_text,
        change_text=change_text,
        command=command,
        machine=None,
        has_plots=plot is not None,
    )


def changes_plot(comparison: Comparison) -> Plot | None:
    """Every number that differs over the first file's, a mark a file; None where nothing differs."""
    others = range(1, len(comparison.files))
    rows = [row for row in comparison.rows if any(row.changes[index] for index in others)]
    marks = [
        [(place, 1 + (row.changes[index] or 0.0) / 100) for place, row in enumerate(rows) if row.changes[index]]
        for index in others
    ]
    # A logarithm needs what is above 0: a number that fell to nothing is in the table.
    marks = [[(place, ratio) for place, ratio in some if ratio > 0] for some in marks]
    ratios = [ratio for some in marks for _, ratio in some]
    if not ratios:
        return None
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": plot_text(comparison.files[index].label, 40),
            "y": [place for place, _ in some],
            "x": [ratio for _, ratio in some],
            "hovertext": [
                plot_text(
                    f"{rows[place].name}: {value_text(rows[place], index)}, {change_text(rows[place], index)}", 90
                )
                for place, _ in some
            ],
            "marker": {
                "color": SERIES[(index - 1) % len(SERIES)],
                "symbol": MARKS[(index - 1) % len(MARKS)],
                "size": 10,
            },
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
        for index, some in zip(others, marks, strict=True)
    ]
    return Plot(
        label=f"Every number that differs, over that of {comparison.files[0].label}.",
        height=FRAME + ROW * len(rows),
        data=tuple(data),
        layout=layout(
            ratio_axis("times the first file", ratios),
            categories([row.name for row in rows], 34),
            shapes=[LINE_AT_1],
            showlegend=len(others) > 1,
        ),
    )
