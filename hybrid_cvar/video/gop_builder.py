"""From T + 1 decoded frames to a Gop."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from av.error import FFmpegError
from av.video.frame import PictureType, VideoFrame
from numpy.typing import NDArray

from hybrid_cvar.errors import UnsupportedVideoError
from hybrid_cvar.records import Gop
from hybrid_cvar.video.accumulation import Accumulator
from hybrid_cvar.video.container import fits_limits
from hybrid_cvar.video.motion_field import motion_vectors
from hybrid_cvar.video.orientation import UPRIGHT, frame_orientation, turn_gop_arrays
from hybrid_cvar.video.read_meter import ReadMeter, accumulating
from hybrid_cvar.video.rgb import RgbConverter

__all__ = ["BYTES_PER_PIXEL_AND_STEP", "GopBuilder", "GopTimes"]

BYTES_PER_PIXEL_AND_STEP = 10
"""Of a Gop: int16 motion, two components, and int16 residual, three."""


@dataclass(frozen=True)
class GopTimes:
    """When a GOP's frames are shown.

    Attributes:
        first_seconds: time of the video's first frame.
        iframe_seconds: time of the I-frame, for frames that carry none.
        frames_per_second: rate, for those; 0.0 if unknown.
    """

    first_seconds: float
    iframe_seconds: float
    frames_per_second: float

    def of(self, frame: VideoFrame, number: int) -> float:
        """Seconds from the video's first frame to frame `number` of the GOP, its I-frame being 0."""
        if frame.time is not None:
            return max(frame.time - self.first_seconds, 0.0)
        since = number / self.frames_per_second if self.frames_per_second > 0 else 0.0
        return max(self.iframe_seconds - self.first_seconds + since, 0.0)


class GopBuilder:
    """Builds the GOPs of one video.

    Args:
        name: the video, for messages.
        timesteps: P-frames a GOP (T).
        accumulated: True for motion and residual against the I-frame, False for those against the previous frame.
        most_bytes: of motion and residual of one GOP; larger frames give none.
        upright: True to turn the arrays as the frames' display matrix says, False where that is already done.
        meter: told of the accumulation's time, and of what each GOP was built of.
    """

    def __init__(
        self,
        name: str,
        timesteps: int,
        *,
        accumulated: bool,
        most_bytes: int,
        upright: bool = True,
        meter: ReadMeter | None = None,
    ) -> None:
        self._name = name
        self._timesteps = timesteps
        self._accumulated = accumulated
        self._most_bytes = most_bytes
        self._upright = upright
        self._meter = meter
        self._rgb = RgbConverter()

    def cut(self, frames: Iterator[VideoFrame], index: int, times: GopTimes, wanted: Iterator[bool]) -> Iterator[Gop]:
        """Cut one coded GOP into pieces of T + 1 frames.

        Args:
            frames: in order, from the I-frame on.
            index: of the GOP.
            times: of the GOP.
            wanted: asked for each piece in turn, just before its frames are decoded.

        Yields:
            The wanted pieces. The first begins with an I-frame, each later one with a decoded P-frame in its place.
            An incomplete last one is left out, and so is everything from a frame of another size on.

        Raises:
            UnsupportedVideoError: as `build`.
        """
        length = self._timesteps + 1
        for number, is_wanted in enumerate(wanted):
            if not is_wanted:
                if sum(1 for _ in islice(frames, length)) < length:
                    return
                continue
            anchor = next(frames, None)
            if anchor is None or (number == 0 and anchor.pict_type != PictureType.I):
                return
            gop = self.build(anchor, frames, index, times.of(anchor, number * length), number * length)
            if gop is None:
                return
            yield gop

    def build(
        self, anchor: VideoFrame, frames: Iterator[VideoFrame], index: int, pts_seconds: float, first_frame: int = 0
    ) -> Gop | None:
        """Build one Gop.

        Args:
            anchor: the I-frame, or the frame in its place.
            frames: those that follow; T are taken.
            index, pts_seconds, first_frame: as in `Gop`.

        Returns:
            The Gop; None if frames are missing, change their size, or are too large.

        Raises:
            UnsupportedVideoError: FFmpeg does not convert their colours.
        """
        width, height = anchor.width, anchor.height
        pixels = width * height
        if not fits_limits(width, height) or pixels * self._timesteps * BYTES_PER_PIXEL_AND_STEP > self._most_bytes:
            return None
        orientation = frame_orientation(anchor, self._name) if self._upright else UPRIGHT
        iframe = self._pixels(anchor)
        motion = np.empty((self._timesteps, height, width, 2), np.int16)
        residual = np.empty((self._timesteps, height, width, 3), np.int16)
        accumulator = Accumulator(iframe, accumulated=self._accumulated)
        steps = vectors_used = 0
        for frame in islice(frames, self._timesteps):
            if (frame.width, frame.height) != (width, height):
                return None
            rgb = self._pixels(frame)
            with accumulating(self._meter):
                vectors = motion_vectors(frame)
                accumulator.add(vectors, rgb, motion[steps], residual[steps])
            vectors_used += len(vectors)
            steps += 1
        if steps < self._timesteps:
            return None
        if self._meter is not None:
            self._meter.add_gop(vectors_used, pixels * steps)
        with accumulating(self._meter):
            iframe, motion, residual = turn_gop_arrays(orientation, iframe, motion, residual)
        return Gop(iframe, motion, residual, self._accumulated, index, pts_seconds, first_frame)

    def _pixels(self, frame: VideoFrame) -> NDArray[np.uint8]:
        try:
            return self._rgb.array(frame)
        except (FFmpegError, ValueError) as error:
            raise UnsupportedVideoError(
                f"{self._name}: {frame.format.name}, matrix {int(frame.colorspace)}: no RGB comes of it ({error})",
                "FFmpeg must know the colours",
                "encode it again, for example `ffmpeg -i VIDEO -colorspace bt709 -c:v libx264 out.mp4`",
            ) from error
