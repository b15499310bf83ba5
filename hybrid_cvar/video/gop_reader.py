"""A video as a stream of GOPs: I-frame, motion and residual of each, one GOP in memory at a time."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from hybrid_cvar.errors import CorruptVideoError, ShortVideoError
from hybrid_cvar.records import Gop, VideoInfo
from hybrid_cvar.video.accumulation import Accumulator
from hybrid_cvar.video.container import fits_limits, open_video, read_packets
from hybrid_cvar.video.motion_field import dense_motion, motion_vectors
from hybrid_cvar.video.packet_scan import GopSpan, scan_packets
from hybrid_cvar.video.stream_info import MOST_NATIVE_PIXELS, inspect_video
from hybrid_cvar.video.transcode import transcode_video

__all__ = ["GopSource", "decode_gops", "locate_gops", "no_readable_gop", "read_gops"]


@dataclass(frozen=True, eq=False)
class GopSource:
    """A video whose GOPs are located, not yet decoded.

    Attributes:
        path: the file.
        info: its probe.
        content: the encoded copy that is read instead, None where the file itself is.
        gops: those with enough P-frames, in order.
        timesteps: P-frames that are taken of each.
    """

    path: Path
    info: VideoInfo
    content: BinaryIO | None
    gops: tuple[GopSpan, ...]
    timesteps: int

    def close(self) -> None:
        """Give back the copy's memory or temporary file."""
        if self.content is not None:
            self.content.close()


def read_gops(path: Path | str, *, timesteps: int = 11, accumulated: bool = True) -> Iterator[Gop]:
    """Read a video's GOPs in order.

    Of a GOP with more P-frames the first `timesteps` are taken; one with fewer, such as a last one cut short, is
    skipped, and so is a damaged one, in which a frame cannot be decoded. A GOP is decoded on its own, so
    what is yielded does not depend on what was read before it.

    Args:
        path: the video, of any format that FFmpeg decodes; see `probe_video`.
        timesteps: P-frames a GOP (T).
        accumulated: True for motion and residual against the I-frame (paper Eq. 2), False for those against
            the previous frame.

    Yields:
        GOPs, `motion[..., 0]` being x and `motion[..., 1]` y: pixel (y, x) of P-frame t came from pixel
        (y - motion[t, y, x, 1], x - motion[t, y, x, 0]) of the reference. Memory is about one GOP, whatever
        the video's length.

    Raises:
        UnsupportedVideoError: it cannot be opened, or holds no usable video stream.
        CorruptVideoError: its headers, or all of its GOPs, are damaged.
        ShortVideoError: it has too few frames.
        ConfigError: `timesteps` is out of range.
    """
    found = False
    with closing(locate_gops(Path(path), timesteps)) as source:
        for gop in decode_gops(source, accumulated=accumulated):
            found = True
            yield gop
    if not found:
        raise no_readable_gop(source)


def locate_gops(path: Path, timesteps: int) -> GopSource:
    """Find the GOPs of a video, through an encoded copy where its own cannot be used.

    Args:
        path: the video.
        timesteps: P-frames a GOP needs.

    Returns:
        The source, with at least one GOP; close it after use.

    Raises:
        As `read_gops`.
    """
    info, scan = inspect_video(path, timesteps)
    content = None
    if scan is None:
        content = transcode_video(path, timesteps)
        with open_video(path, content) as (container, stream):
            scan = scan_packets(read_packets(container, stream), info.frames_per_second)
    source = GopSource(path, info, content, scan.qualifying(timesteps), timesteps)
    if not source.gops:
        source.close()
        raise ShortVideoError(
            f"{path}: {scan.frames} frames",
            f"a GOP needs {timesteps + 1} (an I-frame and {timesteps} P-frames)",
            "give a longer video, or copy it again if it was cut off",
        )
    return source


def no_readable_gop(source: GopSource) -> CorruptVideoError:
    """The error for a video of whose GOPs none could be decoded."""
    return CorruptVideoError(
        f"{source.path}: none of its {len(source.gops)} GOPs can be decoded",
        "at least one must be whole",
        "copy or download it again",
    )


def decode_gops(
    source: GopSource, *, accumulated: bool = True, wanted: Callable[[int], bool] | None = None
) -> Generator[Gop, None, None]:
    """Decode located GOPs in order, damaged ones left out.

    Packets of unwanted GOPs are read past, not decoded; going by packets rather than by seeking gives the same
    frames in every container, with or without an index.

    Args:
        source: from `locate_gops`.
        accumulated: as in `read_gops`.
        wanted: asked, just before its packets are decoded, for each position in `source.gops`; all if None.

    Yields:
        GOPs of `source.timesteps` P-frames.
    """
    reformatter = VideoReformatter()
    with open_video(source.path, source.content) as (container, stream):
        decoder = stream.codec_context
        packets = enumerate(read_packets(container, stream))
        for position, span in enumerate(source.gops):
            if wanted is not None and not wanted(position):
                continue
            frames = _decode_span(decoder, packets, span, source.timesteps + 1)
            gop = _build_gop(frames, reformatter, span, source.timesteps, accumulated)
            if gop is not None:
                yield gop


def _decode_span(
    decoder: VideoCodecContext, packets: "Iterator[tuple[int, Packet[VideoStream]]]", span: GopSpan, limit: int
) -> Iterator[VideoFrame]:
    """The first `limit` frames of a GOP, fewer if a packet cannot be decoded."""
    # A decoder keeps frames back, and hides damage with the pictures of the GOP before: start clean.
    decoder.flush_buffers()
    decoded = 0
    try:
        for packet in _span_packets(packets, span):
            for frame in decoder.decode(packet):
                decoded += 1
                yield frame
                if decoded == limit:
                    return
        for frame in decoder.decode(None)[: limit - decoded]:
            yield frame
    except FFmpegError:
        return


def _span_packets(
    packets: "Iterator[tuple[int, Packet[VideoStream]]]", span: GopSpan
) -> "Iterator[Packet[VideoStream]]":
    for position, packet in packets:
        if position >= span.first_packet:
            yield packet
        if position == span.last_packet:
            return


def _build_gop(
    frames: Iterator[VideoFrame], reformatter: VideoReformatter, span: GopSpan, timesteps: int, accumulated: bool
) -> Gop | None:
    """The GOP, or None if its frames do not begin with an I-frame, change size or are too few."""
    first = next(frames, None)
    if first is None or first.pict_type != PictureType.I:
        return None
    width, height = first.width, first.height
    if not fits_limits(width, height) or width * height > MOST_NATIVE_PIXELS:
        return None
    iframe = _rgb(first, reformatter)
    motion = np.empty((timesteps, height, width, 2), np.int16)
    residual = np.empty((timesteps, height, width, 3), np.int16)
    accumulator = Accumulator(iframe, accumulated=accumulated)
    steps = 0
    for frame in frames:
        if (frame.width, frame.height) != (width, height):
            return None
        field = dense_motion(motion_vectors(frame), height, width)
        accumulator.add(field, _rgb(frame, reformatter), motion[steps], residual[steps])
        steps += 1
    if steps < timesteps:
        return None
    return Gop(iframe, motion, residual, accumulated, span.index, span.pts_seconds)


def _rgb(frame: VideoFrame, reformatter: VideoReformatter) -> NDArray[np.uint8]:
    # One context for all frames, on one thread: twice the speed of VideoFrame.to_ndarray, same values.
    pixels = reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()
    # PyAV leaves out a row's padding only by a view.
    return np.ascontiguousarray(pixels, np.uint8)
