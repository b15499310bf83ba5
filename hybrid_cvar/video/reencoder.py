"""From decoded frames of any format to GOPs of the paper's."""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from av.video.frame import VideoFrame

from hybrid_cvar.records import Gop
from hybrid_cvar.video.gop_builder import GopBuilder
from hybrid_cvar.video.read_meter import ReadMeter
from hybrid_cvar.video.transcode import PaperScaler, reencode_gop

__all__ = ["Reencoder", "ScaledFrame"]


@dataclass(frozen=True, eq=False)
class ScaledFrame:
    """A frame as the paper's format has it, and its time in the source, seconds; None if it carries none."""

    picture: VideoFrame
    seconds: float | None


class Reencoder:
    """Takes frames of one video, T + 1 at a time.

    Args:
        name: the video, for messages.
        builder: of its GOPs.
        timesteps: P-frames a GOP (T).
        first_seconds: time of the video's first frame; None where the times cannot be believed, and are counted.
        frames_per_second: to count by, and for frames that carry no time; 0.0 if unknown.
        meter: told of the copies' frames.
    """

    def __init__(
        self,
        name: str,
        builder: GopBuilder,
        timesteps: int,
        first_seconds: float | None,
        frames_per_second: float,
        meter: ReadMeter | None = None,
    ) -> None:
        self._name = name
        self._builder = builder
        self._length = timesteps + 1
        self._first_seconds = first_seconds
        self._rate = frames_per_second
        self._meter = meter
        self._scaler = PaperScaler(name)

    @property
    def length(self) -> int:
        """Frames that a GOP takes."""
        return self._length

    def scale(self, frames: Iterable[VideoFrame]) -> Generator[ScaledFrame, None, None]:
        """The frames that can be converted, one at a time."""
        for frame in frames:
            picture = self._scaler.scale(frame)
            if picture is not None:
                yield ScaledFrame(picture, frame.time)

    def next_gop(self, frames: Iterator[ScaledFrame], index: int) -> Gop | None:
        """Encode the next T + 1 frames.

        Args:
            frames: in order of presentation.
            index: of the GOP.

        Returns:
            The Gop; None if there are too few frames.

        Raises:
            VideoError: FFmpeg refuses to encode them.
        """
        batch = list(islice(frames, self._length))
        if len(batch) < self._length:
            return None
        copies = reencode_gop([frame.picture for frame in batch], self._name, self._meter)
        return self._builder.build(next(copies), copies, index, self._seconds(batch[0], index))

    def _seconds(self, frame: ScaledFrame, index: int) -> float:
        if frame.seconds is None or self._first_seconds is None:
            return index * self._length / self._rate if self._rate > 0 else 0.0
        return max(frame.seconds - self._first_seconds, 0.0)
