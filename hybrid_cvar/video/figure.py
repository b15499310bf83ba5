"""Motion and residual as colours.

Motion is a colour: its hue is the direction, its saturation the length, white is no motion. With the picture's y
axis pointing down, hue = atan2(y, x): right is red, down is yellow-green, left is cyan, up is violet. A residual is its
RGB difference around mid-grey. What full colour stands for is written on every figure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.jit import compiled
from hybrid_cvar.records import Gop

__all__ = [
    "FigureScale",
    "accumulate",
    "colour_wheel",
    "figure_scale",
    "flow_colours",
    "residual_colours",
]

WHITE = 255
MID_GREY = 128
DARKENING = 0.12
"""Full colours are a little darker than pure ones, so that yellow and cyan stand off from white."""

ROUND_LIMITS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 255)
MOTION_SHARE, RESIDUAL_SHARE = 0.95, 0.99
SATURATION_POWER = 0.75
"""Below 1, so that short vectors are seen beside long ones."""

TABLE_REACH = 256


@dataclass(frozen=True)
class FigureScale:
    """What full colour stands for.

    Attributes:
        raw_motion, accumulated_motion: pixels.
        raw_residual, accumulated_residual: grey levels.
    """

    raw_motion: int
    accumulated_motion: int
    raw_residual: int
    accumulated_residual: int


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


def accumulate(raw: Gop) -> tuple[Gop, NDArray[np.uint8]]:
    """The accumulated form of a raw GOP (paper Eq. 1 and 2), and the frames that both forms describe.

    Args:
        raw: motion and residual against the frame before.

    Returns:
        The same GOP against its I-frame, as the reader gives it, and its P-frames: uint8 (T, H, W, 3), RGB, the
        decoder's own to the last bit.
    """
    width = raw.iframe.shape[1]
    motion, residual = np.empty_like(raw.motion), np.empty_like(raw.residual)
    frames = np.empty(raw.residual.shape, np.uint8)
    frame, path = raw.iframe, np.zeros_like(raw.motion[0])
    for step in range(len(frames)):
        _follow(
            raw.motion[step].reshape(-1),
            raw.residual[step].reshape(-1),
            frame.reshape(-1),
            path.reshape(-1),
            raw.iframe.reshape(-1),
            width,
            frames[step].reshape(-1),
            motion[step].reshape(-1),
            residual[step].reshape(-1),
        )
        frame, path = frames[step], motion[step]
    return replace(raw, motion=motion, residual=residual, accumulated=True), frames


@compiled
def _follow(tau, delta, before, path_before, iframe, width, frame, path, residual):  # type: ignore[no-untyped-def]
    """One P-frame, every array flat: the frame, its path to the I-frame and what remains; the last three are filled."""
    for i in range(tau.shape[0] // 2):
        source = i - tau[2 * i] - tau[2 * i + 1] * width
        path[2 * i] = path_before[2 * source] + tau[2 * i]
        path[2 * i + 1] = path_before[2 * source + 1] + tau[2 * i + 1]
        origin = i - path[2 * i] - path[2 * i + 1] * width
        for channel in range(3):
            value = before[3 * source + channel] + delta[3 * i + channel]
            frame[3 * i + channel] = value
            residual[3 * i + channel] = value - iframe[3 * origin + channel]


def figure_scale(gops: Iterable[tuple[Gop, Gop]]) -> FigureScale:
    """A scale at which nearly all of what moves and changes is below full colour.

    Args:
        gops: (raw, accumulated) of each GOP that is shown.

    Returns:
        For motion the 95th percentile of the lengths above 0, for residuals the 99th of the largest channel, each
        rounded up; the largest over the GOPs.
    """
    largest = [2, 2, 16, 16]
    for raw, accumulated in gops:
        for index, part in enumerate((raw.motion, accumulated.motion, raw.residual, accumulated.residual)):
            step = max(part.shape[1] // 128, 1)  # a sparse grid tells a percentile well enough
            some = part[:, ::step, ::step].astype(np.float32)
            sizes = np.hypot(some[..., 0], some[..., 1]) if index < 2 else np.abs(some).max(axis=-1)
            sizes = sizes[sizes > 0]
            if sizes.size:
                largest[index] = max(
                    largest[index], _round_up(float(np.quantile(sizes, MOTION_SHARE if index < 2 else RESIDUAL_SHARE)))
                )
    return FigureScale(*largest)


def _round_up(value: float) -> int:
    return next((limit for limit in ROUND_LIMITS if limit >= value), ROUND_LIMITS[-1])
