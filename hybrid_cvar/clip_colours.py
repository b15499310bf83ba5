"""Motion and residual as colours.

Motion is a colour: its hue is the direction, its saturation the length, white is no motion. With the picture's y
axis pointing down, hue = atan2(y, x): right is red, down is yellow-green, left is cyan, up is violet. A residual is its
RGB difference around mid-grey. What full colour stands for is written on every figure.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["colour_wheel", "flow_colours", "residual_colours"]

WHITE = 255
MID_GREY = 128
DARKENING = 0.12
"""Full colours are a little darker than pure ones, so that yellow and cyan stand off from white."""

SATURATION_POWER = 0.75
"""Below 1, so that short vectors are seen beside long ones."""

TABLE_REACH = 256


def flow_colours(motion: NDArray[np.int16], limit: float) -> NDArray[np.uint8]:
    """Motion as colours: hue is the direction, saturation the length.

    Args:
        motion: int16 (..., 2), pixels, x then y (down).
        limit: length of full saturation, pixels, above 0; longer vectors look the same.

    Returns:
        uint8 (..., 3), RGB; white where there is no motion.
    """
    x, y = motion[..., 0], motion[..., 1]
    reach = int(max(abs(int(motion.min())), abs(int(motion.max())))) if motion.size else 0
    if reach > TABLE_REACH:
        return _direction_colours(x.astype(np.float32), y.astype(np.float32), limit)
    table, reach = _colour_table(float(limit), 1 << max(reach - 1, 0).bit_length())
    colours: NDArray[np.uint8] = table[y.astype(np.intp) + reach, x.astype(np.intp) + reach]
    return colours


@lru_cache(maxsize=16)
def _colour_table(limit: float, reach: int) -> tuple[NDArray[np.uint8], int]:
    """Colours of all whole vectors up to `reach`: many times faster than an angle a pixel."""
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    return _direction_colours(x, y, limit), reach


def _direction_colours(x: NDArray[np.float32], y: NDArray[np.float32], limit: float) -> NDArray[np.uint8]:
    saturation = (np.minimum(np.hypot(x, y) / limit, 1.0) ** SATURATION_POWER)[..., None]
    # Red, green and blue peak at 0, 120 and 240 degrees (the HSV hexcone).
    angle = np.degrees(np.arctan2(y, x))[..., None]
    distance = np.abs((angle - np.array([0.0, 120.0, 240.0]) + 180.0) % 360.0 - 180.0)
    pure = np.clip(2.0 - distance / 60.0, 0.0, 1.0)
    colours = (1.0 - saturation * (1.0 - pure)) * (1.0 - DARKENING * saturation)
    return np.round(255.0 * colours).astype(np.uint8)


def colour_wheel(size: int) -> NDArray[np.uint8]:
    """The legend of `flow_colours`: each point of a disc has the colour of the vector from the centre to it.

    Args:
        size: side, pixels; the disc's edge has full saturation.

    Returns:
        uint8 (size, size, 3), RGB; white outside the disc.
    """
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2).astype(np.float32)
    colours = _direction_colours(x, y, size / 2)
    colours[np.hypot(x, y) > size / 2] = WHITE
    return colours


def residual_colours(residual: NDArray[np.int16], limit: float) -> NDArray[np.uint8]:
    """A residual around mid-grey: each channel is `128 + 127 * residual / limit`, clipped.

    Args:
        residual: int16 (..., 3), RGB.
        limit: grey levels of full contrast, above 0.

    Returns:
        uint8 (..., 3), RGB.
    """
    levels = np.arange(-255, 256)
    table = np.clip(np.round(MID_GREY + 127.0 * levels / limit), 0, 255).astype(np.uint8)
    colours: NDArray[np.uint8] = table[np.clip(residual, -255, 255).astype(np.intp) + 255]
    return colours
