"""The plots of a benchmark: every row against its target, and the rounds of a row's timings."""

import math
from collections.abc import Sequence
from typing import Any

from hybrid_cvar.reporting.bench_document import BenchRow
from hybrid_cvar.reporting.plots import SERIES, Plot, axis, categories, layout, plot_text

__all__ = ["LINE_AT_1", "ratio_axis", "rounds_plot", "targets_plot"]

ROW, FRAME = 30, 96
LONGEST = 34
LINE_AT_1 = {
    "type": "line", "xref": "x", "yref": "paper", "x0": 1, "x1": 1, "y0": 0, "y1": 1,
    "line": {"color": "var(--soft)", "width": 1, "dash": "dash"},
}  # fmt: skip
DECADES = tuple(10.0**power for power in range(-12, 13))
TICKS = tuple(digit * 10.0**power for power in range(-3, 6) for digit in (1, 1.5, 2, 3, 5))


def targets_plot(rows: Sequence[BenchRow]) -> Plot | None:
    """How many times its target every row reaches; None where no row has a target to divide by."""
    some = [(row, row.margin) for row in rows if row.margin is not None]
    if not some:
        return None
    names = [row.name.partition(".")[2] or row.name for row, _ in some]
    margins = [margin for _, margin in some if margin is not None]
    data = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "y": [place for place, (row, _) in enumerate(some) if (row.met is False) == missed],
            "x": [margin for row, margin in some if (row.met is False) == missed],
            "hovertext": [
                f"{plot_text(row.name, 60)}: {row.value:.4g} {plot_text(row.unit)}, target {plot_text(row.target)}"
                for row, _ in some
                if (row.met is False) == missed
            ],
            "marker": {"color": colour, "symbol": symbol, "size": 11},
            "hovertemplate": "%{hovertext}<extra></extra>",
        }
        for name, missed, colour, symbol in (
            ("met", False, "var(--good)", "circle"),
            ("missed", True, "var(--bad)", "x"),
        )
    ]
    return Plot(
        label="Every row against its target: right of the line at 1 it is met.",
        height=FRAME + ROW * len(names),
        data=tuple(data),
        layout=layout(
            ratio_axis("times its target", margins),
            categories(names, LONGEST),
            shapes=[LINE_AT_1],
        ),
    )  # fmt: skip


def ratio_axis(title: str, ratios: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis around 1, with few and round ticks."""
    low, high = min(*ratios, 1.0) / 1.25, max(*ratios, 1.0) * 1.25
    ticks = [tick for tick in (TICKS if high / low < 50 else DECADES) if low <= tick <= high]
    limits = [math.log10(low), math.log10(high)]
    text = [f"{tick:g}" for tick in ticks]
    return axis(title, type="log", range=limits, tickmode="array", tickvals=ticks, ticktext=text)


def rounds_plot(row: BenchRow) -> Plot | None:
    """Every round of a row's timings as a point, a series a line; None where it has none."""
    if not row.rounds:
        return None
    names = [name for name, _ in row.rounds]
    data = [
        {
            "type": "box",
            "orientation": "h",
            "name": plot_text(name, 60),
            "y": [index] * len(seconds),
            "x": list(seconds),
            "boxpoints": "all",
            "jitter": 0.5,
            "pointpos": 0,
            "fillcolor": "rgba(0,0,0,0)",
            "line": {"color": SERIES[index % len(SERIES)], "width": 1},
            "marker": {"color": SERIES[index % len(SERIES)], "size": 6},
            "hovertemplate": "%{x:.4g} s<extra>" + plot_text(name, 60) + "</extra>",
        }
        for index, (name, (_, seconds)) in enumerate(zip(names, row.rounds, strict=True))
    ]
    return Plot(
        label=f"Seconds of every round of {row.name}, with quartiles.",
        height=FRAME + ROW * len(names),
        data=tuple(data),
        layout=layout(axis("s", rangemode="tozero"), categories(names, LONGEST), showlegend=False),
    )
