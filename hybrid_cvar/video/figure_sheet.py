"""Figures of a GOP, as in the paper's Fig. 2: raw beside accumulated motion and residual, with their legends.

A sheet shows some P-frames of one GOP:          An instant of a film shows one frame:

    title                                            title
    I-frame    | t = 1 | t = 4 | ...  frame          frame   | motion, raw | residual, raw
    wheel      |       |       |      motion, raw    I-frame | accumulated | accumulated
    wheel      |       |       |      accumulated    legends
    grey ramp  |       |       |      residual, raw
    grey ramp  |       |       |      accumulated
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hybrid_cvar.clip_colours import colour_wheel, flow_colours, residual_colours
from hybrid_cvar.records import Gop
from hybrid_cvar.video.figure import FigureScale
from hybrid_cvar.video.figure_text import draw_text, text_height, text_width

__all__ = ["SMALLEST_WIDTH", "FigureTitle", "compose_instant", "compose_sheet"]

SMALLEST_WIDTH = 480
PAPER, EDGE = (255, 255, 255), (205, 205, 210)
TALLEST_SHARE = 0.3
"""A panel's height at most, as a share of the figure's width: upright videos get narrower panels instead."""

WIDEST_LEGEND = "from the frame before"
LEGEND_LETTERS = 13
"""Room for a legend beside narrow panels, in font sizes."""


@dataclass(frozen=True)
class _Legend:
    """What stands at the left of a row of a sheet."""

    name: str
    against: str
    meaning: str
    is_motion: bool


@dataclass(frozen=True)
class FigureTitle:
    """The lines at the top.

    Attributes:
        name: what is shown.
        facts: about it, smaller.
    """

    name: str
    facts: str


def compose_sheet(
    raw: Gop,
    accumulated: Gop,
    frames: NDArray[np.uint8],
    steps: Sequence[int],
    scale: FigureScale,
    title: FigureTitle,
    *,
    width: int,
    pixel_aspect: float = 1.0,
) -> NDArray[np.uint8]:
    """A sheet of one GOP.

    Args:
        raw, accumulated: the two forms of the GOP.
        frames: uint8 (T, H, W, 3), RGB, its P-frames.
        steps: P-frames to show, from 1 to T.
        scale: what full colour stands for.
        title: the lines at the top.
        width: of the sheet at most, pixels; at least `SMALLEST_WIDTH`.
        pixel_aspect: a pixel's width over its height.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    gap, size = max(width // 130, 5), max(width // 88, 11)
    line = text_height(size)
    across = len(steps)
    narrowest = min(size * LEGEND_LETTERS, width // 3)
    room = (width - (across + 2) * gap) // (across + 1)
    if room < narrowest:
        room = (width - narrowest - (across + 2) * gap) // across
    panel = _panel_size(raw.iframe, room, round(width * TALLEST_SHARE), pixel_aspect)
    left = max(panel[0], narrowest)
    row = max(panel[1], 5 * line) + gap
    top = _title_height(size, gap) + line
    needed = left + across * (panel[0] + gap) + 2 * gap
    # At least half as wide as asked for, so that the title has room over the narrowest panels.
    sheet = Image.new("RGB", (max(needed, width // 2), top + 5 * row), PAPER)
    draw = ImageDraw.Draw(sheet)
    _title(draw, title, sheet.width, size, gap)
    draw_text(draw, (gap, top - line), f"{_anchor(accumulated)}, {accumulated.pts_seconds:.2f} s", size, left)
    _paste(sheet, raw.iframe, (gap, top), panel)
    anchor = _anchor(accumulated)
    legends = (
        _Legend("Motion, raw", "from the frame before", f"full colour: {scale.raw_motion} px", True),
        _Legend(
            "Motion, accumulated",
            f"from the {anchor}",
            f"full colour: {scale.accumulated_motion} px",
            True,
        ),
        _Legend("Residual, raw", "to the frame before", _levels(scale.raw_residual), False),
        _Legend("Residual, accumulated", f"to the {anchor}", _levels(scale.accumulated_residual), False),
    )
    for index, legend in enumerate(legends, start=1):
        _legend(sheet, (gap, top + index * row), (left, panel[1]), size, legend)
    for column, step in enumerate(steps):
        x = 2 * gap + left + column * (panel[0] + gap)
        draw_text(draw, (x, top - line), f"P-frame, t = {step}", size, panel[0])
        for index, picture in enumerate(_pictures(raw, accumulated, frames, step, scale, panel[0])):
            _paste(sheet, picture, (x, top + index * row), panel)
    return np.asarray(sheet)


def compose_instant(
    raw: Gop,
    accumulated: Gop,
    frames: NDArray[np.uint8],
    step: int,
    scale: FigureScale,
    title: FigureTitle,
    *,
    width: int,
    pixel_aspect: float = 1.0,
) -> NDArray[np.uint8]:
    """One frame of a film; every one of a video has the same size, and its sides are even.

    Args:
        raw, accumulated, frames, scale, title, width, pixel_aspect: as `compose_sheet`.
        step: from 0, the I-frame, which has neither motion nor residual, to T.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    gap, size = max(width // 130, 5), max(width // 80, 11)
    line = text_height(size)
    panel = _panel_size(raw.iframe, (width - 4 * gap) // 3, round(width * TALLEST_SHARE), pixel_aspect)
    # Narrow panels stand apart, so that their headings have room.
    pitch = (width - gap) // 3
    row = line + panel[1] + gap
    top = _title_height(size, gap)
    mark = 3 * line
    film = Image.new("RGB", (width + width % 2, _even(top + 2 * row + mark + gap)), PAPER)
    draw = ImageDraw.Draw(film)
    _title(draw, title, film.width, size, gap)
    blank = np.full_like(raw.iframe, 255), np.full_like(raw.iframe, 128)
    if step:
        frame, *parts = _pictures(raw, accumulated, frames, step, scale, panel[0])
    else:
        frame, parts = raw.iframe, [blank[0], blank[0], blank[1], blank[1]]
    cells = (
        (0, 0, f"P-frame, t = {step}" if step else f"{_anchor(accumulated)}, t = 0", frame),
        (0, 1, f"{_anchor(accumulated)}, {accumulated.pts_seconds:.2f} s", raw.iframe),
        (1, 0, "Motion, raw", parts[0]),
        (1, 1, "Motion, accumulated", parts[1]),
        (2, 0, "Residual, raw", parts[2]),
        (2, 1, "Residual, accumulated", parts[3]),
    )
    for column, index, heading, picture in cells:
        x, y = gap + column * pitch, top + index * row
        draw_text(draw, (x, y), heading, size, pitch - gap)
        _paste(film, picture, (x, y + line), panel)
    y = top + 2 * row
    x = gap + pitch
    _wheel(film, (x, y), mark)
    for index, text in enumerate(
        ("full colour", f"raw: {scale.raw_motion} px", f"accumulated: {scale.accumulated_motion} px")
    ):
        draw_text(draw, (x + mark + gap, y + index * line), text, size, pitch - mark - 2 * gap)
    x += pitch
    _ramp(film, (x, y), pitch - 2 * gap, line - 2)
    for index, (name, limit) in enumerate(
        (("raw", scale.raw_residual), ("accumulated", scale.accumulated_residual)), start=1
    ):
        draw_text(draw, (x, y + index * line), f"{name}: {_levels(limit)}", size, pitch - 2 * gap)
    return np.asarray(film)


def _pictures(
    raw: Gop, accumulated: Gop, frames: NDArray[np.uint8], step: int, scale: FigureScale, panel_width: int
) -> list[NDArray[np.uint8]]:
    # Two pixels a panel's pixel are enough; more would only be averaged away.
    thin = max(raw.iframe.shape[1] // (2 * panel_width), 1)
    raw_motion, motion, raw_residual, residual = (
        part[step - 1, ::thin, ::thin] for part in (raw.motion, accumulated.motion, raw.residual, accumulated.residual)
    )
    return [
        frames[step - 1],
        flow_colours(raw_motion, scale.raw_motion),
        flow_colours(motion, scale.accumulated_motion),
        residual_colours(raw_residual, scale.raw_residual),
        residual_colours(residual, scale.accumulated_residual),
    ]


def _panel_size(picture: NDArray[np.uint8], widest: int, tallest: int, pixel_aspect: float) -> tuple[int, int]:
    """Width and height that keep the picture's shape; larger than the picture only by a whole factor."""
    height, width = picture.shape[0], picture.shape[1] * pixel_aspect
    factor = min(widest / width, tallest / height)
    if factor > 1:
        factor = int(factor)
    return max(int(width * factor), 1), max(int(height * factor), 1)


def _paste(figure: Image.Image, picture: NDArray[np.uint8], place: tuple[int, int], panel: tuple[int, int]) -> None:
    image = Image.fromarray(picture)
    if image.size != panel:
        # Blocks stay blocks when enlarged; pixels are averaged when shrunk.
        enlarged = panel[0] >= image.width
        image = image.resize(panel, Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX)
    figure.paste(image, place)
    x, y = place
    ImageDraw.Draw(figure).rectangle((x - 1, y - 1, x + panel[0], y + panel[1]), outline=EDGE)


def _legend(figure: Image.Image, place: tuple[int, int], room: tuple[int, int], size: int, legend: _Legend) -> None:
    """Its lines, and the wheel below or beside them, where it is larger; the ramp always below."""
    (x, y), (width, height), line = place, room, text_height(size)
    draw = ImageDraw.Draw(figure)
    draw_text(draw, (x, y), legend.name, size, width)
    draw_text(draw, (x, y + line), legend.against, size, width, faint=True)
    below = min(width, height - 3 * line - line // 2)
    beside = min(width - text_width(WIDEST_LEGEND, size) - line, height)
    if legend.is_motion and beside > below:
        _wheel(figure, (x + width - beside, y), beside)
        draw_text(draw, (x, y + 2 * line), legend.meaning, size, width - beside)
        return
    if legend.is_motion:
        high = max(below, 2 * line)
        _wheel(figure, (x, y + 2 * line + line // 4), high)
    else:
        high = line
        _ramp(figure, (x, y + 2 * line + line // 4), min(width, 8 * size), line)
    draw_text(draw, (x, y + 2 * line + line // 2 + high), legend.meaning, size, width)


def _wheel(figure: Image.Image, place: tuple[int, int], side: int) -> None:
    # Drawn larger and shrunk, so that its edge is smooth.
    disc = Image.fromarray(colour_wheel(3 * side)).resize((side, side), Image.Resampling.BOX)
    figure.paste(disc, place)


def _ramp(figure: Image.Image, place: tuple[int, int], width: int, height: int) -> None:
    levels = np.round(np.linspace(-255, 255, width)).astype(np.int16)
    ramp = np.broadcast_to(residual_colours(levels[:, None].repeat(3, axis=1), 255), (height, width, 3))
    figure.paste(Image.fromarray(np.ascontiguousarray(ramp)), place)
    x, y = place
    ImageDraw.Draw(figure).rectangle((x, y, x + width - 1, y + height - 1), outline=EDGE)


def _levels(limit: int) -> str:
    return f"{-limit} to {limit} levels"


def _title_height(size: int, gap: int) -> int:
    return gap + text_height(round(1.3 * size)) + text_height(size) + gap


def _title(draw: ImageDraw.ImageDraw, title: FigureTitle, width: int, size: int, gap: int) -> None:
    big = round(1.3 * size)
    draw_text(draw, (gap, gap), title.name, big, width - 2 * gap)
    draw_text(draw, (gap, gap + text_height(big)), title.facts, size, width - 2 * gap, faint=True)


def _even(value: int) -> int:
    return value + value % 2


def _anchor(gop: Gop) -> str:
    """What the frame is that a GOP begins with: pieces of longer ones begin with a decoded P-frame."""
    return "I-frame" if gop.first_frame == 0 else "first frame"
