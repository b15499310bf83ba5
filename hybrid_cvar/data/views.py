"""What of the frame a clip shows: TSN's scale jitter and flip for training, the centre for test (paper Sec. 4.1).

One view serves the I-frame, the motion and the residual of a clip, and every segment of a video.
"""

from dataclasses import dataclass

import numpy as np

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import InputSpec
from hybrid_cvar.video import Crop

__all__ = ["CENTRE_VIEW", "View", "random_view", "segment_positions"]

TSN_SCALES = (1.0, 0.875, 0.75, 0.66)
"""Sides of the crop, as shares of the frame's shorter side (Temporal Segment Networks, Sec. 4.1)."""
MOST_DISTORTION = 1
"""Steps in the list of scales that a crop's width and height may lie apart (the same source)."""


@dataclass(frozen=True)
class View:
    """One geometry for all parts of a clip.

    Attributes:
        crop: box of the 340x256 frame; None for the centre crop of the input spec.
        flip: mirrored left to right, motion x negated.
    """

    crop: Crop | None
    flip: bool


CENTRE_VIEW = View(None, False)


def random_view(rng: np.random.Generator, spec: InputSpec, scales: tuple[float, ...], *, flip: bool) -> View:
    """A crop of jittered scale at one of TSN's 13 fixed places, flipped half of the times.

    Width and height are drawn from the scales, at most one step of the list apart; the places are the corners, the
    centre, the edges' middles and the quarter points.

    Args:
        rng: draws scale, place and flip.
        spec: the frame.
        scales: shares of the frame's shorter side, largest first, each above 0 and at most 1.
        flip: whether clips may be flipped.

    Raises:
        ConfigError: a scale is out of its range, or there is none.
    """
    if not scales or not all(0 < scale <= 1 for scale in scales):
        raise ConfigError(f"scales = {scales}", "must be one or more numbers above 0 and at most 1")
    shortest = min(spec.frame_width, spec.frame_height)
    sizes = [
        (shortest * wide, shortest * high)
        for i, wide in enumerate(scales)
        for j, high in enumerate(scales)
        if abs(i - j) <= MOST_DISTORTION
    ]
    width, height = sizes[rng.integers(len(sizes))]
    across, down = _PLACES[rng.integers(len(_PLACES))]
    left = across * (spec.frame_width - width)
    top = down * (spec.frame_height - height)
    return View(Crop(left, top, width, height), bool(flip and rng.random() < 0.5))


_PLACES = tuple([(x / 2, y / 2) for x in range(3) for y in range(3)] + [(x / 4, y / 4) for x in (1, 3) for y in (1, 3)])
"""Shares of the room left over, across and down."""


def segment_positions(rng: np.random.Generator, length: int, count: int) -> tuple[int, ...]:
    """One random position in each of `count` equal segments of `length` items (TSN's sampling in training).

    Args:
        rng: draws them.
        length: GOPs of the video, at least 1.
        count: segments; where there are fewer items than segments, positions repeat.

    Returns:
        `count` positions from 0 to `length - 1`, rising.
    """
    return tuple(min(int((k + rng.random()) * length / count), length - 1) for k in range(count))
