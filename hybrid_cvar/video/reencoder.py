"""From decoded frames of any format to GOPs of the paper's."""

from collections.abc import Iterator
from itertools import islice

from av.video.frame import VideoFrame

from hybrid_cvar.records import Gop
from hybrid_cvar.video.gop_builder import GopBuilder
from hybrid_cvar.video.transcode import PaperScaler, reencode_gop

__all__ = ["Reencoder"]


class Reencoder:
    """Takes frames of one video, T + 1 at a time.

    Args:
        name: the video, for messages.
        builder: of its GOPs.
        timesteps: P-frames a GOP (T).
        first_seconds: time of the video's first frame; None where the times cannot be believed, and are counted.
        frames_per_second: to count by, and for frames that carry no time; 0.0 if unknown.
    """

    def __init__(
        self, name: str, builder: GopBuilder, timesteps: int, first_seconds: float | None, frames_per_second: float
    ) -> None:
        self._name = name
        self._builder = builder
        self._length = timesteps + 1
        self._first_seconds = first_seconds
        self._rate = frames_per_second
        self._scaler = PaperScaler(name)

    def skip(self, frames: Iterator[VideoFrame]) -> bool:
        """Leave out the next T + 1 frames; False if there are not so many."""
        return sum(1 for _ in islice(frames, self._length)) == self._length

    def next_gop(self, frames: Iterator[VideoFrame], index: int) -> Gop | None:
        """Encode the next T + 1 frames that can be converted.

        Args:
            frames: decoded, in order of presentation.
            index: of the GOP.

        Returns:
            The Gop; None if there are too few frames.

        Raises:
            VideoError: FFmpeg refuses to encode them.
        """
        pictures: list[VideoFrame] = []
        seconds = 0.0
        for frame in frames:
            picture = self._scaler.scale(frame)
            if picture is None:
                continue
            if not pictures:
                seconds = self._seconds(frame, index)
            pictures.append(picture)
            if len(pictures) == self._length:
                break
        if len(pictures) < self._length:
            return None
        copies = reencode_gop(pictures, self._name)
        return self._builder.build(next(copies), copies, index, seconds)

    def _seconds(self, frame: VideoFrame, index: int) -> float:
        if frame.time is None or self._first_seconds is None:
            return index * self._length / self._rate if self._rate > 0 else 0.0
        return max(frame.time - self._first_seconds, 0.0)
