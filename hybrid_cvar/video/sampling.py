"""Clips taken uniformly from a video (paper Sec. 4.1: 8 a video, centre crop)."""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Clip, InputSpec, VideoInfo
from hybrid_cvar.video.geometry import cut_clip
from hybrid_cvar.video.gop_reader import decode_gops, locate_gops, no_readable_gop

__all__ = ["ClipStream", "SampledVideo", "open_clips", "sample_clips", "segment_centres"]


@dataclass(frozen=True, eq=False)
class SampledVideo:
    """A video's clips, and how it was read.

    Attributes:
        info: the probe.
        gops: complete GOPs in the video.
        clips: as many as were asked for, fewer if the video has fewer GOPs; in order, from different GOPs.
    """

    info: VideoInfo
    gops: int
    clips: tuple[Clip, ...]


def segment_centres(length: int, count: int) -> tuple[int, ...]:
    """Positions at the centres of `count` equal segments of `length` items.

    Args:
        length: items there are.
        count: items wanted.

    Returns:
        `count` different positions from 0 to `length - 1`, rising; all of them if `length` is not more than `count`.
    """
    if length <= count:
        return tuple(range(length))
    return tuple((2 * k + 1) * length // (2 * count) for k in range(count))


@dataclass(frozen=True, eq=False)
class ClipStream:
    """A video's clips, decoded one at a time as they are taken.

    Attributes:
        info: the probe.
        gops: complete GOPs in the video.
        expected: clips that will come; fewer come if GOPs at the video's end are damaged.
        clips: in order, from different GOPs; taking one may raise as `sample_clips` does.
    """

    info: VideoInfo
    gops: int
    expected: int
    clips: Iterator[Clip]


def open_clips(path: Path | str, spec: InputSpec, count: int = 8, *, accumulated: bool = True) -> ClipStream:
    """As `sample_clips`, with the memory of one GOP."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ConfigError(f"clips = {count!r}", "must be a positive whole number")
    source = locate_gops(Path(path), spec.timesteps)
    targets = segment_centres(len(source.gops), count)

    def clips() -> Iterator[Clip]:
        taken = 0

        def is_due(position: int) -> bool:
            return taken < bisect_right(targets, position)

        with closing(source):
            for gop in decode_gops(source, accumulated=accumulated, wanted=is_due):
                taken += 1
                yield cut_clip(gop, spec)
                if taken == len(targets):
                    return
        if not taken:
            raise no_readable_gop(source)

    return ClipStream(source.info, len(source.gops), len(targets), clips())


def sample_clips(path: Path | str, spec: InputSpec, count: int = 8, *, accumulated: bool = True) -> SampledVideo:
    """Cut clips from the GOPs at the centres of `count` equal segments of a video.

    Only those GOPs are decoded. In the place of one that is damaged comes the next whole one after it.

    Args:
        path: the video, of any format that FFmpeg decodes; see `probe_video`.
        spec: the model's input.
        count: clips wanted.
        accumulated: as in `read_gops`.

    Returns:
        The clips; their number is `len(clips)`, from 1 to `count`. No GOP is used twice.

    Raises:
        UnsupportedVideoError, CorruptVideoError, ShortVideoError: as `read_gops`.
        ConfigError: `count` is not a positive whole number.
    """
    stream = open_clips(path, spec, count, accumulated=accumulated)
    return SampledVideo(stream.info, stream.gops, tuple(stream.clips))
