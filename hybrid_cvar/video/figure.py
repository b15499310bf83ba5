"""Motion and residual of a GOP as they are drawn: accumulated with the path of every pixel, and what full colour means.

The colours themselves are `clip_colours`'.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.jit import compiled
from hybrid_cvar.records import Gop

__all__ = [
    "FigureScale",
    "accumulate",
    "figure_scale",
]

ROUND_LIMITS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 255)
MOTION_SHARE, RESIDUAL_SHARE = 0.95, 0.99


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
