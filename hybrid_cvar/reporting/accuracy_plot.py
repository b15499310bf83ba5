"""Accuracy against energy, as the paper's Fig. 6 draws it: published methods as circles, our energy as a line.

A run has no accuracy on the paper's datasets, so it has none here.
"""

import textwrap
from collections.abc import Sequence

from hybrid_cvar.records import Table1Row
from hybrid_cvar.reporting.plots import SERIES, Plot, axis, layout, plot_text

__all__ = ["accuracy_plot", "circle_sizes", "method_name"]

DIAMETER = 3.2
"""Pixels of a circle's diameter for the square root of a million parameters: areas are proportional to size."""

UNKNOWN_SIZE = 12
"""Diameter of a method whose size is not printed, pixels."""

LONGEST_NAME = 34
"""Characters of a row of a line's name, which says model, clips and how it was priced: a phone is narrow."""

MARGIN = 3.0
"""Percentage points of room above and below."""


def accuracy_plot(rows: Sequence[Table1Row], joules: Sequence[tuple[str, float]]) -> Plot | None:
    """Published accuracy on UCF-101 against energy, with energies of ours as vertical lines; None without rows.

    Args:
        rows: of the paper's Table 1.
        joules: (what, J a video) of every line.
    """
    if not rows:
        return None
    groups = (
        ("reads decoded frames", [row for row in rows if "RD" in row.modality], SERIES[3], "circle-open"),
        ("compressed domain", [row for row in rows if "RD" not in row.modality and not row.own], SERIES[1], "circle"),
        ("the paper's own", [row for row in rows if row.own], SERIES[2], "circle"),
    )
    data: list[dict[str, object]] = [
        {
            "type": "scatter",
            "mode": "markers+text",
            "name": name,
            "x": [row.energy_joules.value for row in members],
            "y": [row.ucf101_percent.value for row in members],
            "text": [plot_text(method_name(row), 14) for row in members],
            "textposition": [_place(row, rows) for row in members],
            "textfont": {"size": 10, "color": "var(--soft)"},
            "cliponaxis": False,
            "marker": {
                "color": colour,
                "symbol": symbol,
                "opacity": 0.8,
                "size": [
                    DIAMETER * row.params_millions.value**0.5 if row.params_millions else UNKNOWN_SIZE
                    for row in members
                ],
                "line": {"width": 2, "color": colour},
            },
            "hovertemplate": "%{text}: %{y:.1f} %, %{x:.3g} J<extra></extra>",
        }
        for name, members, colour, symbol in groups
        if members
    ]
    percents = [row.ucf101_percent.value for row in rows]
    span = [min(percents) - MARGIN, max(percents) + MARGIN]
    for index, (name, value) in enumerate(one for one in joules if one[1] > 0):
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": _lines(name),
                "x": [value, value],
                "y": span,
                "line": {"color": "var(--spiking)", "width": 2, "dash": ("dash", "dot", "dashdot")[index % 3]},
                "hovertemplate": "%{x:.3g} J<extra>" + _lines(name) + "</extra>",
            }
        )
    return Plot(
        label="Accuracy on UCF-101 against energy a video of published methods"
        + (", and the energy of this run." if any(value > 0 for _, value in joules) else "."),
        height=420,
        data=tuple(data),
        layout=layout(
            axis("J a video, logarithmic (modelled)", type="log", dtick=1),
            axis("top-1 on UCF-101, %", range=span),
        ),
    )


def circle_sizes(rows: Sequence[Table1Row]) -> str:
    """What the circles' areas say, in words."""
    unknown = [method_name(row) for row in rows if row.params_millions is None]
    words = "circle areas are proportional to the number of parameters"
    if not unknown:
        return words
    return f"{words}, but for {', '.join(unknown)}, of which none is printed"


def method_name(row: Table1Row) -> str:
    """The method, as a reader of this page knows it: the paper calls its own `Ours`."""
    return "paper's own" if row.own else row.method


def _lines(name: str) -> str:
    """A name in as many rows as it takes."""
    return "<br>".join(plot_text(row, LONGEST_NAME) for row in textwrap.wrap(name, LONGEST_NAME))


def _place(row: Table1Row, rows: Sequence[Table1Row]) -> str:
    """A name stands above its circle, or below it where another circle close by is higher."""
    joules, percent = row.energy_joules.value, row.ucf101_percent.value
    above = any(
        (other.ucf101_percent.value, other.method) > (percent, row.method)
        for other in rows
        if other is not row
        and abs(other.ucf101_percent.value - percent) < MARGIN
        and 0.4 < other.energy_joules.value / joules < 2.5
    )
    return "bottom center" if above else "top center"
