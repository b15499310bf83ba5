"""How a video's frames are to be shown: the display matrix that phones write instead of turning the pixels.

A matrix that turns by quarters, with or without a mirror, moves pixels only; it is applied to pictures and to
motion vectors alike, and every identity between them stays.
"""

from dataclasses import dataclass

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from hybrid_cvar.errors import UnsupportedVideoError

__all__ = ["UPRIGHT", "Orientation", "frame_orientation", "turn_gop_arrays"]


@dataclass(frozen=True)
class Orientation:
    """What a player does with a decoded frame.

    Attributes:
        quarter_turns: turns by 90 degrees, counterclockwise, 0 to 3; first.
        mirrored: then left and right are swapped.
    """

    quarter_turns: int
    mirrored: bool

    @property
    def degrees(self) -> int:
        """The turn, degrees counterclockwise."""
        return 90 * self.quarter_turns


UPRIGHT = Orientation(0, False)

# The matrix's two-by-two part, (a, b, c, d): a pixel at (x, y) is shown at (a x + c y, b x + d y), y downwards.
ORIENTATIONS = {
    (1, 0, 0, 1): UPRIGHT,
    (0, -1, 1, 0): Orientation(1, False),
    (-1, 0, 0, -1): Orientation(2, False),
    (0, 1, -1, 0): Orientation(3, False),
    (-1, 0, 0, 1): Orientation(0, True),
    (0, -1, -1, 0): Orientation(1, True),
    (1, 0, 0, -1): Orientation(2, True),
    (0, 1, 1, 0): Orientation(3, True),
}
MATRIX_INTEGERS = 9
TOLERANCE = 0.01


def frame_orientation(frame: VideoFrame, name: str) -> Orientation:
    """Read a frame's display matrix (FFmpeg's AV_FRAME_DATA_DISPLAYMATRIX, 16.16 fixed point).

    Args:
        frame: decoded.
        name: the video, for the message.

    Returns:
        The orientation; upright where there is no matrix.

    Raises:
        UnsupportedVideoError: it turns by something other than quarters.
    """
    # `frame.side_data` would tie the frame to itself, and its memory would wait for a full garbage collection.
    data = SideDataContainer(frame).get("DISPLAYMATRIX")  # type: ignore[call-arg]  # stub lacks it
    if data is None:
        return UPRIGHT
    matrix = np.frombuffer(bytes(data), np.int32)
    if matrix.size < MATRIX_INTEGERS:
        return UPRIGHT
    linear = matrix[[0, 1, 3, 4]].astype(np.float64)
    scale = np.sqrt(abs(linear[0] * linear[3] - linear[1] * linear[2]))
    if scale == 0:
        return UPRIGHT
    whole = np.rint(linear / scale)
    orientation = ORIENTATIONS.get((int(whole[0]), int(whole[1]), int(whole[2]), int(whole[3])))
    if orientation is None or np.abs(linear / scale - whole).max() > TOLERANCE:
        raise UnsupportedVideoError(
            f"{name}: its frames are to be turned by {frame.rotation} degrees",
            "only quarter turns can be applied to motion vectors",
            "turn it first, for example `ffmpeg -i VIDEO out.mp4`",
        )
    return orientation


def turn_gop_arrays(
    orientation: Orientation, iframe: NDArray[np.uint8], motion: NDArray[np.int16], residual: NDArray[np.int16]
) -> tuple[NDArray[np.uint8], NDArray[np.int16], NDArray[np.int16]]:
    """Turn a GOP's arrays upright: pixels move, and vectors turn with them.

    Args:
        orientation: what a player does.
        iframe: uint8 (H, W, 3).
        motion: int16 (T, H, W, 2), x then y.
        residual: int16 (T, H, W, 3).

    Returns:
        The three, C-contiguous; height and width are swapped by odd turns.
    """
    if orientation == UPRIGHT:
        return iframe, motion, residual
    turns = orientation.quarter_turns
    iframe = np.rot90(iframe, turns, (0, 1))
    motion = np.rot90(motion, turns, (1, 2))
    residual = np.rot90(residual, turns, (1, 2))
    x, y = motion[..., 0], motion[..., 1]
    # One turn counterclockwise takes right to up, and down (positive y) to right.
    x, y = ((x, y), (y, -x), (-x, -y), (-y, x))[turns]
    if orientation.mirrored:
        iframe, residual, x, y = iframe[:, ::-1], residual[:, :, ::-1], -x[..., ::-1], y[..., ::-1]
    # np.stack keeps the order in memory of what it is given.
    motion = np.ascontiguousarray(np.stack([x, y], axis=-1))
    return np.ascontiguousarray(iframe), motion, np.ascontiguousarray(residual)
