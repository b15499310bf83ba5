"""What the reports' PNG pictures share."""

import io
from pathlib import Path
from typing import Any

from hybrid_cvar.atomic_file import check_writable, write_atomically
from hybrid_cvar.errors import MissingPartError

__all__ = ["check_picture", "new_figure", "save_figure"]


def check_picture(path: Path) -> None:
    """Finds out before long work whether a picture can be written.

    Raises:
        MissingPartError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    new_figure(1, 1)
    check_writable(path)


def new_figure(width_inches: float, height_inches: float) -> Any:
    """A matplotlib figure on white, whatever the user's style.

    Raises:
        MissingPartError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingPartError(
            "matplotlib is not installed", "pictures are drawn with it", "install it: pip install 'hybrid-cvar[train]'"
        ) from error
    return Figure(figsize=(width_inches, height_inches), dpi=150, layout="constrained", facecolor="white")


def save_figure(figure: Any, path: Path) -> None:
    """Writes a PNG, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    content = io.BytesIO()
    # No date and no version in the file: the same result gives the same bytes.
    figure.savefig(content, format="png", metadata={"Software": None})
    write_atomically(path, content.getvalue())
