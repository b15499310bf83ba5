"""Accuracy against energy, as the paper's Fig. 6 draws it: published methods as circles, our energy as a line.

A run has no accuracy on the paper's datasets, so it has none here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hybrid_cvar.reporting.plots import SERIES, Plot, axis, layout, plot_text

__all__ = ["PublishedMethod", "accuracy_plot"]

DIAMETER = 3.2
"""Pixels of a circle's diameter for the square root of a million parameters: areas are proportional to size."""

UNKNOWN_SIZE = 12


@dataclass(frozen=True)
class PublishedMethod:
    """A row of a published table.

    Attributes:
        name: of the method.
        accuracy: top-1 on `dataset`, per cent, as printed.
        joules: energy a video, as printed.
        parameters_millions: size; None where it is not printed.
        modality: what it reads: `RD` (decoded frames), `CD` (compressed domain), `OF` (optical flow).
        at_least: True where the table says the energy is more than that.
    """

    name: str
    accuracy: float
    joules: float
    parameters_millions: float | None
    modality: str
    at_least: bool = False


def accuracy_plot(methods: Sequence[PublishedMethod], dataset: str, joules: Sequence[tuple[str, float]]) -> Plot | None:
    """Published accuracy against energy, with energies of ours as vertical lines; None without methods.

    Args:
        methods: rows of the table.
        dataset: whose accuracy it is.
        joules: (what, J a video) of every line.
    """
    if not methods:
        return None
    groups = (
        ("reads decoded frames", [one for one in methods if "RD" in one.modality], SERIES[3], "circle-open"),
        ("compressed domain", [one for one in methods if "RD" not in one.modality], SERIES[1], "circle"),
    )
    data: list[dict[str, object]] = [
        {
            "type": "scatter",
            "mode": "markers+text",
            "name": name,
            "x": [one.joules for one in members],
            "y": [one.accuracy for one in members],
            "text": [plot_text(one.name, 14) for one in members],
            "textposition": [_place(one, methods) for one in members],
            "textfont": {"size": 10, "color": "var(--soft)"},
            "cliponaxis": False,
            "marker": {
                "color": colour,
                "symbol": symbol,
                "opacity": 0.8,
                "size": [
                    DIAMETER * one.parameters_millions**0.5 if one.parameters_millions else UNKNOWN_SIZE
                    for one in members
                ],
                "line": {"width": 2, "color": colour},
            },
            "hovertemplate": "%{text}: %{y:.1f} %, %{x:.3g} J<extra></extra>",
        }
        for name, members, colour, symbol in groups
        if members
    ]
    lows = [one.accuracy for one in methods]
    span = [min(lows) - 3, max(lows) + 3]
    for index, (name, value) in enumerate(one for one in joules if one[1] > 0):
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plot_text(name, 40),
                "x": [value, value],
                "y": span,
                "line": {"color": "var(--spiking)", "width": 2, "dash": ("dash", "dot", "dashdot")[index % 3]},
                "hovertemplate": "%{x:.3g} J<extra>" + plot_text(name, 40) + "</extra>",
            }
        )
    return Plot(
        label=f"Accuracy on {dataset} against energy a video of published methods, and the energy of this run.",
        height=420,
        data=tuple(data),
        layout=layout(
            axis("J a video, logarithmic (modelled)", type="log", dtick=1),
            axis(f"top-1 on {dataset}, %", range=span),
        ),
    )


def _place(one: PublishedMethod, methods: Sequence[PublishedMethod]) -> str:
    """A name stands above its circle, or below it where another circle close by is higher."""
    close = [
        other
        for other in methods
        if other is not one and abs(other.accuracy - one.accuracy) < 3 and 0.4 < other.joules / one.joules < 2.5
    ]
    above = any((other.accuracy, other.name) > (one.accuracy, one.name) for other in close)
    return "bottom center" if above else "top center"
