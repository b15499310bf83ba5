"""The pictures of one clip: I-frame, motion, residual, and the membranes that the spiking partition hands on.

Pillow is imported where it is needed: a run without a page does without it.

They are embedded in a page as data URIs. Photographs become JPEG, maps become PNG with a palette; none is larger than
it is shown.
"""

import base64
import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.clip_colours import flow_colours, residual_colours
from hybrid_cvar.records import ClipView

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ClipPicture", "clip_pictures"]

LARGEST_SIDE, SMALL_SIDE = 336, 128
"""Longest side of a picture, pixels: alone on its page, and where many videos share one."""

LARGEST_MAP, SMALL_MAP = 112, 32
"""Longest side of one channel's membrane map, pixels."""

LEVELS, FEW_LEVELS = 127, 15
"""Shades of either sign; few compress better."""

SMALLEST_MOTION, SMALLEST_RESIDUAL = 2.0, 16.0
"""What full colour stands for at least: a still clip stays white, noise stays grey."""

UNITS_OF_FLOAT = 2**12
"""Membrane units of one unit of the float model."""

GAP = 2
NEGATIVE, MIDDLE, POSITIVE = (33, 102, 172), (247, 247, 247), (178, 24, 43)
"""Blue, near white, red: tells signs apart without green."""


@dataclass(frozen=True)
class ClipPicture:
    """A picture on a page.

    Attributes:
        title: what it is.
        caption: what its colours mean, with the scale.
        alt: the same for who cannot see it.
        uri: `data:image/...;base64,...`.
        width, height: pixels.
        is_map: True for membrane maps, which take more room.
        is_motion: True for motion, whose colours need the wheel.
    """

    title: str
    caption: str
    alt: str
    uri: str
    width: int
    height: int
    is_map: bool = False
    is_motion: bool = False


def clip_pictures(view: ClipView, *, small: bool = False) -> tuple[ClipPicture, ...]:
    """The pictures of a clip, in the order of the flow.

    Args:
        view: the clip.
        small: True where many videos share a page.
    """
    from PIL import Image

    side = SMALL_SIDE if small else LARGEST_SIDE
    reach = _limit(np.hypot(*(view.motion[..., axis].astype(np.float64) for axis in (0, 1))), 95, SMALLEST_MOTION)
    level = _limit(np.abs(view.residual.astype(np.float64)), 99, SMALLEST_RESIDUAL)
    moving = float(view.motion.any(axis=-1).mean())
    changed = float((view.residual != 0).mean())
    pictures = [
        _picture(
            Image.fromarray(view.iframe), side, "JPEG", "I-frame", "what the transformer sees of the scene",
            f"I-frame of clip {view.clip + 1}",
        ),
        _picture(
            Image.fromarray(flow_colours(view.motion, reach)), side, "PNG", "Accumulated motion",
            f"hue: direction; full colour from {reach:g} pixels; {moving:.0%} of pixels moved",
            f"motion of the last P-frame as colours; {moving:.0%} of its pixels moved", is_motion=True,
        ),
        _picture(
            Image.fromarray(residual_colours(view.residual, level)), side, "JPEG", "Accumulated residual",
            f"around mid-grey; full contrast from {level:g} levels; {changed:.0%} of values are not 0",
            f"residual of the last P-frame around mid-grey; {changed:.0%} of its values are not zero",
        ),
    ]  # fmt: skip
    for stream, readout in zip(view.streams, view.readouts, strict=True):
        pictures.append(_membranes(stream, readout, small))
    return tuple(pictures)


def _membranes(stream: str, readout: NDArray[np.int32], small: bool) -> ClipPicture:
    """Every channel's last membrane, side by side, on one scale around zero."""
    from PIL import Image

    values = readout.astype(np.float32) / UNITS_OF_FLOAT
    limit = _limit(np.abs(values), 99, 0.0)
    height, width, channels = values.shape
    scale = min((SMALL_MAP if small else LARGEST_MAP) / max(height, width), 1.0)
    levels = FEW_LEVELS if small else LEVELS
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    columns = math.ceil(math.sqrt(channels))
    rows = math.ceil(channels / columns)
    sheet = np.full((rows * (size[1] + GAP) - GAP, columns * (size[0] + GAP) - GAP), 255, np.uint8)
    for channel in range(channels):
        plane = Image.fromarray(np.ascontiguousarray(values[..., channel]))
        plane = plane.resize(size, Image.Resampling.BOX)
        share = np.clip(np.asarray(plane) / limit, -1, 1) if limit else np.zeros((size[1], size[0]), np.float32)
        top, left = channel // columns * (size[1] + GAP), channel % columns * (size[0] + GAP)
        sheet[top : top + size[1], left : left + size[0]] = np.round(levels + levels * share)
    picture = Image.fromarray(sheet)
    picture.putpalette(_palette(levels))  # the levels become indices
    active = float((readout != 0).mean())
    text = f"{channels} channels, blue below 0, red above; full colour from \u00b1{limit:.3g}; {active:.0%} are not 0"
    return ClipPicture(
        title=f"Membranes of {stream}",
        caption=text,
        alt=f"last membrane potential of every channel of the {stream} stream; {active:.0%} are not zero",
        uri=_uri(picture, "PNG", transparency=255),
        width=picture.width,
        height=picture.height,
        is_map=True,
    )


def _palette(levels: int) -> list[int]:
    """Blue over near white to red, so many shades of either; the 256th colour, of the gaps, is transparent."""
    low, middle, high = (np.array(colour, np.float64) for colour in (NEGATIVE, MIDDLE, POSITIVE))
    share = np.clip((np.arange(255) - levels) / levels, -1, 1)[:, None]
    colours = middle + np.abs(share) * (np.where(share < 0, low, high) - middle)
    return [round(value) for value in colours.reshape(-1)] + [0, 0, 0]


def _limit(values: NDArray[np.floating], share: float, least: float) -> float:
    """The percentile of the values above 0, to two digits."""
    some = values[values > 0]
    found = float(np.percentile(some, share)) if some.size else 0.0
    return max(float(f"{found:.2g}"), least)


def _picture(
    image: "Image.Image", side: int, form: str, title: str, caption: str, alt: str, is_motion: bool = False
) -> ClipPicture:
    from PIL import Image

    image.thumbnail((side, side), Image.Resampling.BOX if form == "PNG" else Image.Resampling.LANCZOS)
    if form == "PNG":
        image = image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return ClipPicture(title, caption, alt, _uri(image, form), image.width, image.height, is_motion=is_motion)


def _uri(image: "Image.Image", form: str, **options: int) -> str:
    content = io.BytesIO()
    extra = {"quality": 86} if form == "JPEG" else {"optimize": True}
    image.save(content, format=form, **extra, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(content.getvalue()).decode('ascii')}"
