"""Every frame of a video as a point: of its pixels, of its accumulated motion, of its accumulated residual."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hybrid_cvar.errors import ConfigError, ShortVideoError
from hybrid_cvar.records import Gop
from hybrid_cvar.video import VideoSource, read_gops, source_name

__all__ = ["REPRESENTATIONS", "FramePoints", "decoded_frames", "read_frame_points"]

REPRESENTATIONS = ("rgb", "motion", "residual")
WIDTH, HEIGHT = 32, 24
"""Every frame is averaged down to so many pixels."""

TIMESTEPS = 11
FEWEST_GOPS = 2
FRAME_WIDTH, FRAME_HEIGHT = 340, 256
"""Motion is in pixels of the paper's frame (Sec. 4.1), so that videos of different sizes compare."""


@dataclass(frozen=True, eq=False)
class FramePoints:
    """The frames of one video, N of them, in order.

    Attributes:
        name: how the video is called in pictures.
        gop: int64 (N,), the GOP that a frame is in, counted from 0 over those read.
        step: int64 (N,), its place in the GOP: 0 for the I-frame, 1 to T for the P-frames. (A GOP of more than T + 1
            frames is cut into pieces, and a later piece's step 0 is a decoded P-frame; see `read_gops`.)
        rgb: float32 (N, 24 * 32 * 3), the decoded frames, grey levels.
        motion: float32 (N, 24 * 32 * 2), accumulated motion, pixels of the 340x256 frame, x then y; 0 at step 0.
        residual: float32 (N, 24 * 32 * 3), accumulated residual, grey levels; 0 at step 0.
    """

    name: str
    gop: NDArray[np.int64]
    step: NDArray[np.int64]
    rgb: NDArray[np.float32]
    motion: NDArray[np.float32]
    residual: NDArray[np.float32]

    def values(self, representation: str) -> NDArray[np.float32]:
        """The points of one of `REPRESENTATIONS`, float32 (N, F)."""
        found: NDArray[np.float32] = {"rgb": self.rgb, "motion": self.motion, "residual": self.residual}[representation]
        return found


def read_frame_points(video: VideoSource, *, name: str | None = None, most_frames: int = 300) -> FramePoints:
    """Read a video's frames as points, GOP by GOP (T = 11), each averaged down to 32x24 pixels.

    Args:
        video: as `read_gops` takes it.
        name: for pictures; the source's own name if None.
        most_frames: what comes later in the video is left out; whole GOPs are taken.

    Raises:
        VideoError: as `read_gops`.
        ShortVideoError: there is only one GOP, so there is no way from one to the next.
        ConfigError: `most_frames` is below two GOPs.
    """
    name = source_name(video) if name is None else name
    most_gops = most_frames // (TIMESTEPS + 1)
    if most_gops < FEWEST_GOPS:
        raise ConfigError(
            f"most_frames = {most_frames}",
            f"must be at least {FEWEST_GOPS * (TIMESTEPS + 1)}",
            f"that is {FEWEST_GOPS} GOPs of {TIMESTEPS + 1} frames",
        )
    gops = [_points(gop) for gop in islice(read_gops(video, timesteps=TIMESTEPS), most_gops)]
    if len(gops) < FEWEST_GOPS:
        raise ShortVideoError(
            f"{name}: {len(gops)} GOP",
            f"a curve over time needs {FEWEST_GOPS} of {TIMESTEPS + 1} frames",
            "give a longer video",
        )
    rgb, motion, residual = (np.concatenate(parts) for parts in zip(*gops, strict=True))
    order = np.arange(len(rgb))
    return FramePoints(name, order // (TIMESTEPS + 1), order % (TIMESTEPS + 1), rgb, motion, residual)


def decoded_frames(gop: Gop) -> NDArray[np.uint8]:
    """The P-frames of an accumulated GOP, uint8 (T, H, W, 3), RGB, by the identity of `hybrid_cvar.video`."""
    y, x = np.mgrid[: gop.iframe.shape[0], : gop.iframe.shape[1]]
    reference = gop.iframe[y - gop.motion[..., 1], x - gop.motion[..., 0]]
    return (reference + gop.residual).astype(np.uint8)


def _points(gop: Gop) -> tuple[NDArray[np.float32], ...]:
    """(T + 1, F) of each representation: the I-frame, then the P-frames."""
    height, width = gop.iframe.shape[:2]
    to_paper = np.array([FRAME_WIDTH / width, FRAME_HEIGHT / height], np.float32)
    rgb = [_averaged(frame) for frame in (gop.iframe, *decoded_frames(gop))]
    motion = [_averaged(field * to_paper) for field in gop.motion]
    residual = [_averaged(difference) for difference in gop.residual]
    return (
        np.stack(rgb),
        np.stack([np.zeros_like(motion[0]), *motion]),
        np.stack([np.zeros_like(residual[0]), *residual]),
    )


def _averaged(values: NDArray[np.generic]) -> NDArray[np.float32]:
    """(H, W, C) to float32 (24 * 32 * C): the mean over the area that each small pixel covers."""
    channels = np.moveaxis(values.astype(np.float32), -1, 0)
    small = [
        np.asarray(Image.fromarray(np.ascontiguousarray(channel)).resize((WIDTH, HEIGHT), Image.Resampling.BOX))
        for channel in channels
    ]
    return np.stack(small, axis=-1).astype(np.float32).reshape(-1)
