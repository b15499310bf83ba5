"""Video in the compressed domain, and what a model takes of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.fixed_point import EVENT_MAX

__all__ = ["Clip", "Gop", "InputSpec", "VideoInfo", "graded_events"]

MAX_PIXELS = 2**27
"""Pixels of a clip; more would not fit the memory of the machines this is for."""


@dataclass(frozen=True)
class VideoInfo:
    """What a probe of a video found, and how it is read.

    Attributes:
        path: the file as the user named it.
        codec: FFmpeg's codec name (`mpeg4`, `h264`, ...).
        width, height: coded frame size, pixels.
        frames_per_second: average rate; 0.0 when the container does not say.
        duration_seconds: length; 0.0 when the container does not say.
        transcoded: True if the frames were encoded again, in memory, to the paper's format.
        reason: why the native path was taken or not, one short phrase.
    """

    path: str
    codec: str
    width: int
    height: int
    frames_per_second: float
    duration_seconds: float
    transcoded: bool
    reason: str


@dataclass(frozen=True, eq=False)
class Gop:
    """One I-frame and the P-frames that follow it (paper Sec. 3.1, Eq. 1 and 2).

    Accumulated form, for every pixel i and P-frame t, to the last bit:
    `frame[t][i] == iframe[i - motion[t][i]] + residual[t][i]`. In the raw form the reference is the
    previous frame instead of the I-frame.

    Attributes:
        iframe: uint8 (H, W, 3), RGB.
        motion: int16 (T, H, W, 2), pixels, x then y, sign destination - source.
        residual: int16 (T, H, W, 3), RGB.
        accumulated: True for the accumulated form, False for the raw one.
        index: position of the GOP in its video, from 0.
        pts_seconds: presentation time of the I-frame.
    """

    iframe: NDArray[np.uint8]
    motion: NDArray[np.int16]
    residual: NDArray[np.int16]
    accumulated: bool
    index: int
    pts_seconds: float


@dataclass(frozen=True)
class InputSpec:
    """How a GOP becomes the input of a model.

    The frame is thought of as `frame_width` x `frame_height`, a centred `crop` x `crop` square is cut,
    and the square is resized to `size` x `size` (paper Sec. 4.1). Motion and residual become signed
    8-bit graded events by division through their step.

    Attributes:
        size: side of the model's square input, pixels.
        timesteps: P-frames a clip (T).
        motion_step: pixels an event unit of motion.
        residual_step: grey levels an event unit of the residual.
        frame_width, frame_height: the paper's frame, pixels.
        crop: side of the centre crop in that frame, pixels.

    Raises:
        ConfigError: a value is not positive, or the crop does not fit the frame.
    """

    size: int = 112
    timesteps: int = 11
    motion_step: int = 1
    residual_step: int = 2
    frame_width: int = 340
    frame_height: int = 256
    crop: int = 224

    def __post_init__(self) -> None:
        for name in ("size", "timesteps", "motion_step", "residual_step", "frame_width", "frame_height", "crop"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"input.{name} = {value!r}", "must be a positive whole number")
        if self.size > 4096 or self.timesteps > 4096:
            raise ConfigError(
                f"input.size = {self.size}, input.timesteps = {self.timesteps}", "must each be at most 4096"
            )
        if self.size**2 * self.timesteps > MAX_PIXELS:
            raise ConfigError(
                f"input.size = {self.size}, input.timesteps = {self.timesteps}",
                f"size**2 x timesteps must be at most {MAX_PIXELS}",
            )
        if self.crop > min(self.frame_width, self.frame_height):
            raise ConfigError(
                f"input.crop = {self.crop}",
                f"must fit the {self.frame_width}x{self.frame_height} frame",
                "choose a smaller crop",
            )


def graded_events(values: NDArray[np.int16], step: int) -> NDArray[np.int8]:
    """Signed 8-bit graded events: `values / step`, truncated toward zero, clipped to [-127, 127].

    Args:
        values: int16, any shape; pixels of motion or grey levels of residual.
        step: units an event, at least 1.

    Returns:
        int8, same shape, C-contiguous.
    """
    magnitude = np.minimum(np.abs(values.astype(np.int32)) // step, EVENT_MAX)
    return np.ascontiguousarray(np.sign(values) * magnitude, dtype=np.int8)


@dataclass(frozen=True, eq=False)
class Clip:
    """A GOP cut and scaled to a model's input; I-frame, motion and residual share one geometry.

    Attributes:
        iframe: uint8 (S, S, 3), RGB.
        motion: int16 (T, S, S, 2), accumulated, pixels of the scaled frame, x then y.
        residual: int16 (T, S, S, 3), accumulated, RGB.
        gop_index: the GOP it was cut from.
        pts_seconds: presentation time of the I-frame.
    """

    iframe: NDArray[np.uint8]
    motion: NDArray[np.int16]
    residual: NDArray[np.int16]
    gop_index: int
    pts_seconds: float
