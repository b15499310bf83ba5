"""Plots of a page: figures for plotly.js, which the page holds once, packed.

A figure is plain JSON values, as plotly.js takes them. Its colours are the page's own (`var(--spiking)`): the page's
script looks them up when it draws, so that a plot follows light, dark and print. Text is escaped twice: for plotly.js,
which reads tags in text, and for the page, which holds the figure in a script element.

plotly.js is 4.8 MB; packed with gzip and as base64 it adds 1.9 MB to a page, and the browser unpacks it.
"""

import base64
import gzip
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from hybrid_cvar.reporting.units import shown

__all__ = ["MARKS", "SERIES", "Plot", "axis", "categories", "layout", "packed_plotly", "plot_text"]

SERIES = tuple(f"var(--series-{number})" for number in range(1, 7))
"""Colours of series, in order."""

MARKS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
"""Marks of series, in order: colour alone is not enough for everybody."""

LONGEST_NAME = 26


@dataclass(frozen=True, eq=False)
class Plot:
    """A figure on a page.

    Attributes:
        label: what it shows, in one sentence, for who cannot see it.
        height: pixels.
        data: traces, as plotly.js takes them.
        layout: as plotly.js takes it.
    """

    label: str
    height: int
    data: tuple[Mapping[str, Any], ...]
    layout: Mapping[str, Any]

    @property
    def figure(self) -> dict[str, Any]:
        """What plotly.js draws."""
        return {"data": list(self.data), "layout": dict(self.layout)}

    @property
    def json(self) -> str:
        """The figure as JSON that cannot end the script element that holds it.

        Raises:
            ValueError: a number is not finite.
        """
        text = json.dumps(self.figure, separators=(",", ":"), allow_nan=False)
        return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def plot_text(value: str, longest: int = LONGEST_NAME) -> str:
    """A user's string as text of a figure: short, and without tags that plotly.js would obey."""
    text = shown(value)
    return html.escape(text if len(text) <= longest else f"{text[: longest - 1]}\u2026", quote=False)


def axis(title: str = "", **changes: Any) -> dict[str, Any]:
    """An axis in the page's colours; it cannot be dragged, so that a finger scrolls the page."""
    return {
        "title": {"text": title, "font": {"size": 12, "color": "var(--soft)"}, "standoff": 8},
        "gridcolor": "var(--line)",
        "zerolinecolor": "var(--line)",
        "linecolor": "var(--line)",
        "tickfont": {"size": 11, "color": "var(--soft)"},
        "fixedrange": True,
        "automargin": True,
        **changes,
    }


def layout(x: Mapping[str, Any], y: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A figure's layout in the page's colours, its legend below."""
    return {
        "xaxis": dict(x),
        "yaxis": dict(y),
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8, "pad": 4},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "var(--ink)"},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}},
        "hoverlabel": {"bgcolor": "var(--card)", "bordercolor": "var(--line)", "font": {"color": "var(--ink)"}},
        "hovermode": "closest",
        "bargap": 0.35,
        **changes,
    }


def categories(names: Sequence[str], longest: int = LONGEST_NAME) -> dict[str, Any]:
    """A vertical axis of users' names, the first at the top: they stand at 0, 1, 2, ..., so that none hides another."""
    return axis(
        tickmode="array",
        tickvals=list(range(len(names))),
        ticktext=[plot_text(name, longest) for name in names],
        range=[len(names) - 0.5, -0.5],
        zeroline=False,
        showgrid=False,
        tickfont={"size": 12, "color": "var(--ink)"},
    )


@cache
def packed_plotly() -> str:
    """plotly.js from the installed package, with gzip, as base64."""
    from plotly.offline import get_plotlyjs

    packed = gzip.compress(get_plotlyjs().encode("utf-8"), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode("ascii")
