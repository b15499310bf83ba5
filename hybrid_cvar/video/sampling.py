"""Clips taken uniformly from a video (paper Sec. 4.1: 8 a video, centre crop)."""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Clip, Gop, InputSpec, VideoInfo
from hybrid_cvar.video.container import VideoSource, is_stream
from hybrid_cvar.video.geometry import cut_clip
from hybrid_cvar.video.gop_reader import decode_gops, locate_gops, no_readable_gop
from hybrid_cvar.video.live import read_live_gops
from hybrid_cvar.video.read_meter import ReadMeter, accumulating
from hybrid_cvar.video.stream_info import check_request

__all__ = ["ClipStream", "GopStream", "SampledVideo", "open_clips", "open_gops", "read_clips", "segment_centres"]


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
class GopStream:
    """A video's sampled GOPs, decoded one at a time as they are taken.

    Attributes:
        info: the probe.
        gops: complete GOPs in the video.
        expected: how many will come; fewer come if GOPs at the video's end are damaged.
        sampled: in order, different ones; taking one may raise as `read_clips` does.
    """

    info: VideoInfo
    gops: int
    expected: int
    sampled: Iterator[Gop]


@dataclass(frozen=True, eq=False)
class ClipStream:
    """A video's clips, decoded one at a time as they are taken.

    Attributes:
        info: the probe.
        gops: complete GOPs in the video.
        expected: clips that will come; fewer come if GOPs at the video's end are damaged.
        clips: in order, from different GOPs; taking one may raise as `read_clips` does.
    """

    info: VideoInfo
    gops: int
    expected: int
    clips: Iterator[Clip]


def open_gops(
    source: VideoSource,
    timesteps: int,
    count: int = 8,
    *,
    accumulated: bool = True,
    domain: str = "auto",
    meter: ReadMeter | None = None,
) -> GopStream:
    """The GOPs at the centres of `count` equal segments, as they are coded, with the memory of one.

    Args:
        source: the video; see `read_gops`.
        timesteps: P-frames a GOP.
        count: GOPs wanted.
        accumulated: see `read_gops`.
        domain: as in `read_gops`.
        meter: told what reading does.

    Raises:
        As `read_clips`.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise ConfigError(f"clips = {count!r}", "must be a positive whole number")
    if is_stream(source):
        check_request(timesteps, domain)
        infos: list[VideoInfo] = []
        live = read_live_gops(
            source, timesteps, accumulated=accumulated, domain=domain, on_info=infos.append, meter=meter
        )
        # What the stream is, is known once its first GOP is there.
        first = next(live)
        return GopStream(infos[0], count, count, islice(chain([first], live), count))
    located = locate_gops(Path(str(source)), timesteps, domain)
    targets = segment_centres(located.gops, count)

    def sampled() -> Iterator[Gop]:
        taken = 0

        def is_due(position: int) -> bool:
            return taken < bisect_right(targets, position)

        with closing(decode_gops(located, accumulated=accumulated, wanted=is_due, meter=meter)) as gops:
            for gop in gops:
                taken += 1
                yield gop
                if taken == len(targets):
                    return
        if not taken:
            raise no_readable_gop(located)

    return GopStream(located.info, located.gops, len(targets), sampled())


def open_clips(
    source: VideoSource,
    spec: InputSpec | None = None,
    count: int = 8,
    *,
    domain: str = "auto",
    meter: ReadMeter | None = None,
) -> ClipStream:
    """As `read_clips`, with the memory of one GOP; `meter`, if there is one, is told what reading does."""
    spec = InputSpec() if spec is None else spec
    if not isinstance(spec, InputSpec):
        raise ConfigError(f"spec = {spec!r}", "must be an InputSpec", "name the number of clips: count=8")
    stream = open_gops(source, spec.timesteps, count, accumulated=spec.accumulated, domain=domain, meter=meter)

    def cut(gop: Gop) -> Clip:
        with accumulating(meter):
            return cut_clip(gop, spec)

    return ClipStream(stream.info, stream.gops, stream.expected, map(cut, stream.sampled))


def read_clips(
    source: VideoSource,
    spec: InputSpec | None = None,
    count: int = 8,
    *,
    domain: str = "auto",
) -> SampledVideo:
    """Cut clips from the GOPs at the centres of `count` equal segments of a video (paper Sec. 4.1).

    A file is sought through to just these GOPs; nothing else is decoded but what leads to them from the keyframe
    before. In the place of one that is damaged comes the next whole one after it. Of a stream the first GOPs are taken.

    Args:
        source: the video; see `read_gops`.
        spec: the model's input, of accumulated or raw motion and residual; 112x112, T = 11, accumulated if None.
        count: clips wanted.
        domain: as in `read_gops`.

    Returns:
        The clips; their number is that of its `clips`, from 1 to `count`. No GOP is used twice.

    Raises:
        UnsupportedVideoError, CorruptVideoError, ShortVideoError: as `read_gops`.
        ConfigError: `count` is not a positive whole number, or `spec` no InputSpec; as `read_gops`.
    """
    stream = open_clips(source, spec, count, domain=domain)
    return SampledVideo(stream.info, stream.gops, tuple(stream.clips))
