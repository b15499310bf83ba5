"""Video in the compressed domain, and what a model takes of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.fixed_point import EVENT_MAX

__all__ = [
    "STREAM_CHANNELS",
    "Clip",
    "CodedFrame",
    "Gop",
    "GopStructure",
    "InputSpec",
    "VideoInfo",
    "graded_events",
    "stream_events",
]

STREAM_CHANNELS: Mapping[str, int] = {"motion": 2, "residual": 3, "common": 5}
"""Input channels of every stream that a spiking partition can have, in the order of its streams. `common` takes both
modalities at once, motion's channels first."""

MAX_PIXELS = 2**27
"""Pixels of a clip; more would not fit the memory of the machines this is for."""


LARGEST_STEP = 32767
"""Pixels or grey levels an event: no int16 value reaches a larger one."""


@dataclass(frozen=True)
class GopStructure:
    """How a video's pictures are coded, told from every packet's headers.

    Attributes:
        gops: groups that begin with a picture at which a decoder can start.
        shortest, longest: frames of the shortest and the longest group, the first one counted.
        median: frames of the middle one.
        i_frames, p_frames, b_frames: pictures of each type; 0 for codecs whose headers are not read.
        reference_frames: the most pictures that a block may choose its reference from; 0 where that is not read.
        native_clips: pieces of an I-frame (or a decoded P-frame) and T P-frames that the groups can be cut into.
    """

    gops: int
    shortest: int
    median: float
    longest: int
    i_frames: int
    p_frames: int
    b_frames: int
    reference_frames: int
    native_clips: int


@dataclass(frozen=True)
class VideoInfo:
    """What a probe of a video found, and how it is read.

    Attributes:
        path: the file, or the stream's address, as the user named it.
        codec: FFmpeg's codec name (`mpeg4`, `h264`, ...).
        width, height: coded frame size, pixels.
        frames_per_second: average rate; 0.0 when the container does not say.
        duration_seconds: length; 0.0 when the container does not say.
        transcoded: True if the frames are encoded again, in memory, to the paper's format.
        reason: why the native path was taken or not, one short phrase.
        container: FFmpeg's name of the container format (`avi`, `mov,mp4,...`).
        profile: the codec's profile; empty when unknown.
        pixel_format: FFmpeg's name (`yuv420p`, `yuv420p10le`, ...); empty when unknown.
        sample_aspect_ratio: a pixel's width over its height; 1.0 where the video does not say.
        rotation_degrees: turn, counterclockwise, that a player applies to show the picture upright: 0, 90, 180, 270.
        interlaced: True if the first frame is.
        frames: pictures in the file; 0 for a stream.
        frames_missing: that its header promises after the last of them, as in a file that was cut off.
        structure: how they are coded; None for a stream, and where it was not asked for.
    """

    path: str
    codec: str
    width: int
    height: int
    frames_per_second: float
    duration_seconds: float
    transcoded: bool
    reason: str
    container: str = ""
    profile: str = ""
    pixel_format: str = ""
    sample_aspect_ratio: float = 1.0
    rotation_degrees: int = 0
    interlaced: bool = False
    frames: int = 0
    frames_missing: int = 0
    structure: GopStructure | None = None

    @property
    def domain(self) -> str:
        """`native` (the file's own vectors) or `transcode`."""
        return "transcode" if self.transcoded else "native"


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
        pts_seconds: presentation time of the I-frame, seconds from the video's first frame.
        first_frame: frame of the coded GOP that `iframe` is: 0 for its I-frame; T + 1, 2 * (T + 1), ... for
            the pieces that a longer GOP is cut into, whose `iframe` is a decoded P-frame.
    """

    iframe: NDArray[np.uint8]
    motion: NDArray[np.int16]
    residual: NDArray[np.int16]
    accumulated: bool
    index: int
    pts_seconds: float
    first_frame: int = 0


@dataclass(frozen=True, eq=False)
class CodedFrame:
    """One decoded frame and the motion vectors it was coded with, as FFmpeg exports them.

    Attributes:
        picture: uint8 (H, W, 3), RGB; rows may be followed by padding (`numpy.ascontiguousarray` copies without).
        vectors: structured (N,), one row a block, FFmpeg's AVMotionVector: `source` (below 0 for an earlier frame,
            above 0 for a later one), `w`, `h`, `src_x`, `src_y`, `dst_x`, `dst_y` (blocks' centres, pixels),
            `motion_x`, `motion_y` (source - destination, in units of 1 / `motion_scale` pixels), `motion_scale`,
            `flags`. Empty for I-frames, and for codecs whose vectors FFmpeg does not export.
        type: `I`, `P` or `B`.
        pts_seconds: presentation time, seconds from the video's first frame.
    """

    picture: NDArray[np.uint8]
    vectors: NDArray[np.void]
    type: str
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
        accumulated: True for motion and residual against the I-frame (paper Eq. 1 and 2), False for the raw ones,
            against the previous frame (the ablation of the paper's Table 4d).

    Raises:
        ConfigError: a value is not positive, the crop does not fit the frame, or `accumulated` is no bool.
    """

    size: int = 112
    timesteps: int = 11
    motion_step: int = 1
    residual_step: int = 2
    frame_width: int = 340
    frame_height: int = 256
    crop: int = 224
    accumulated: bool = True

    def __post_init__(self) -> None:
        for name in ("size", "timesteps", "motion_step", "residual_step", "frame_width", "frame_height", "crop"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"input.{name} = {value!r}", "must be a positive whole number")
        if self.size > 4096 or self.timesteps > 4096:
            raise ConfigError(
                f"input.size = {self.size}, input.timesteps = {self.timesteps}", "must each be at most 4096"
            )
        if max(self.motion_step, self.residual_step) > LARGEST_STEP:
            raise ConfigError(
                f"input.motion_step = {self.motion_step}, input.residual_step = {self.residual_step}",
                f"must each be at most {LARGEST_STEP}",
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
        if not isinstance(self.accumulated, bool):
            raise ConfigError(f"input.accumulated = {self.accumulated!r}", "must be true or false")


def graded_events(values: NDArray[np.int16], step: int) -> NDArray[np.int8]:
    """Signed 8-bit graded events: `values / step`, truncated toward zero, clipped to [-127, 127].

    Args:
        values: int16, any shape; pixels of motion or grey levels of residual.
        step: units an event, 1 to 32767.

    Returns:
        int8, same shape, C-contiguous.
    """
    # Floor division is what NumPy has; step - 1 more makes it round negative values toward zero.
    towards_zero = values + ((values >> 15) & np.int16(step - 1))
    return np.ascontiguousarray(np.clip(towards_zero // np.int16(step), -EVENT_MAX, EVENT_MAX).astype(np.int8))


@dataclass(frozen=True, eq=False)
class Clip:
    """A GOP cut and scaled to a model's input; I-frame, motion and residual share one geometry.

    Attributes:
        iframe: uint8 (H, W, 3), RGB; H = W = `InputSpec.size` where it was cut for a model.
        motion: int16 (T, H, W, 2), pixels of the scaled frame, x then y, destination - source; accumulated or
            raw, as the GOP was.
        residual: int16 (T, H, W, 3), RGB; accumulated or raw, as the GOP was.
        gop_index: the GOP it was cut from.
        pts_seconds: presentation time of the I-frame.
    """

    iframe: NDArray[np.uint8]
    motion: NDArray[np.int16]
    residual: NDArray[np.int16]
    gop_index: int
    pts_seconds: float


def stream_events(clip: Clip, spec: InputSpec, stream: str) -> NDArray[np.int8]:
    """What a stream of the spiking partition takes of a clip.

    Args:
        clip: cut for `spec`.
        spec: holds the steps of motion and residual.
        stream: one of `STREAM_CHANNELS`.

    Returns:
        Graded events, int8 (T, H, W, C), C-contiguous; motion's channels, then the residual's, for `common`.

    Raises:
        ConfigError: there is no such stream.
    """
    if stream not in STREAM_CHANNELS:
        raise ConfigError(f"stream {stream!r}", f"must be one of {', '.join(STREAM_CHANNELS)}")
    if stream == "motion":
        return graded_events(clip.motion, spec.motion_step)
    if stream == "residual":
        return graded_events(clip.residual, spec.residual_step)
    return np.concatenate(
        [graded_events(clip.motion, spec.motion_step), graded_events(clip.residual, spec.residual_step)], axis=-1
    )
