"""What every page shares: its templates, filters, marks, and plotly.js where it has a plot."""

import statistics
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hybrid_cvar.records import Provenance
from hybrid_cvar.reporting.figures import PROVENANCE_MEANING
from hybrid_cvar.reporting.plots import packed_plotly
from hybrid_cvar.reporting.units import count, duration, exact, percent, shown, si
from hybrid_cvar.version import __version__

__all__ = ["render_page"]


def render_page(template: str, **values: Any) -> str:
    """A template as one HTML page that needs nothing but itself.

    Args:
        template: its file name; it extends `base.html`.
        values: what the template shows; strings are escaped.
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
        "median": statistics.median,
    }
    return environment.get_template(template).render(
        version=__version__,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        meanings={str(provenance): meaning for provenance, meaning in PROVENANCE_MEANING.items()},
        measured=str(Provenance.MEASURED),
        emulated=str(Provenance.EMULATED),
        modelled=str(Provenance.MODELLED),
        plotly=packed_plotly,
        **values,
    )


def _share(part: float, whole: float) -> str:
    """Width of a bar as a CSS percentage; 0 where there is no whole."""
    return f"{100 * min(part / whole, 1.0):.2f}%" if whole > 0 else "0%"
