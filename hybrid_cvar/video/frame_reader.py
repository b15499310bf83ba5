"""Decoded frames with the motion vectors they were coded with, of any video; several GOPs at a time.

Frame threads would hand out other frames' vectors. So cores are kept busy in another way: where decoding can start
afresh, at the GOPs of a stream whose pictures never reach across them, each thread decodes a GOP of its own.
"""

import os
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from hybrid_cvar.errors import ConfigError, CorruptVideoError
from hybrid_cvar.records import CodedFrame
from hybrid_cvar.video.bitstream import PictureType as CodedType
from hybrid_cvar.video.bitstream import header_reader
from hybrid_cvar.video.container import (
    VideoSource,
    fits_limits,
    is_stream,
    open_video,
    read_packets,
    source_name,
    vector_decoder,
)
from hybrid_cvar.video.decoding import decode_gop, decode_what_can_be
from hybrid_cvar.video.gop_builder import frame_rgb
from hybrid_cvar.video.motion_field import motion_vectors
from hybrid_cvar.video.packet_scan import scan_packets

__all__ = ["read_frames"]

MOST_BYTES_AHEAD = 128 << 20
"""Of decoded frames that wait for their turn, all threads together; longer GOPs are decoded on one thread."""


def read_frames(source: VideoSource, *, workers: int | None = None) -> Generator[CodedFrame, None, None]:
    """Read every frame of a video and its motion vectors as FFmpeg exports them; nothing is accumulated.

    Args:
        source: as in `read_gops`; B-frames and several references are fine here.
        workers: threads that decode; the usable cores if None. The frames do not depend on it.

    Yields:
        Frames in order of presentation; those that are damaged beyond decoding are left out. A few GOPs are in memory
        at a time, 128 MB at most. FFmpeg gives out the very last frame of a stream, or of MPEG-4 and MPEG-2 with
        B-frames, without its vectors; anywhere else it has them.

    Raises:
        UnsupportedVideoError, CorruptVideoError: it cannot be opened, or no frame can be decoded.
        ConfigError: `workers` is not a positive whole number.
    """
    workers = len(os.sched_getaffinity(0)) if workers is None else workers
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise ConfigError(f"workers = {workers!r}", "must be a positive whole number")
    found = False
    segments = None if is_stream(source) else _independent_gops(Path(str(source)), workers)
    frames = _in_one_go(source) if segments is None else _gop_by_gop(Path(str(source)), segments, workers)
    for frame in frames:
        found = True
        yield frame
    if not found:
        raise CorruptVideoError(
            f"{source_name(source)}: no frame can be decoded", "at least one must be whole", "copy it again"
        )


@dataclass(frozen=True)
class _Segments:
    """GOPs that can be decoded apart: the packet after each one's last; the time of the first frame."""

    ends: tuple[int, ...]
    first_seconds: float


def _independent_gops(path: Path, workers: int) -> _Segments | None:
    """None where GOPs cannot be decoded apart, or are too large to wait in memory."""
    with open_video(path) as (container, stream):
        codec, decoder = stream.codec.canonical_name, stream.codec_context
        reader = header_reader(codec, decoder.extradata)
        if reader is None:
            return None
        scan = scan_packets(read_packets(container, stream), reader, 0.0)
        frame_bytes = 3 * decoder.width * decoder.height
    # H.264's start with an IDR picture, which nothing reaches across. In MPEG-4 and MPEG-2 a B-frame may.
    apart = codec == "h264" or not scan.types[CodedType.BIDIRECTIONAL]
    if not apart or not scan.gops or (workers + 1) * scan.longest_gop * frame_bytes > MOST_BYTES_AHEAD:
        return None
    return _Segments(tuple(gop.last_packet + 1 for gop in scan.gops), scan.first_seconds)


def _in_one_go(source: VideoSource) -> Iterator[CodedFrame]:
    first_seconds: float | None = None
    reformatter = VideoReformatter()
    with open_video(source) as (container, stream):
        for frame in decode_what_can_be(stream.codec_context, read_packets(container, stream)):
            if first_seconds is None:
                first_seconds = frame.time or 0.0
            coded = _coded_frame(frame, reformatter, first_seconds)
            if coded is not None:
                yield coded


def _gop_by_gop(path: Path, segments: _Segments, workers: int) -> Iterator[CodedFrame]:
    waiting: deque[Future[list[CodedFrame]]] = deque()
    with open_video(path) as (container, stream), ThreadPoolExecutor(workers, "read_frames") as pool:
        packets = read_packets(container, stream)
        position = 0
        try:
            for end in segments.ends:
                batch = list(islice(packets, end - position))
                position = end
                waiting.append(pool.submit(_decode_apart, stream.codec_context, batch, segments.first_seconds))
                if len(waiting) > workers:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _decode_apart(
    like: VideoCodecContext, packets: "list[Packet[VideoStream]]", first_seconds: float
) -> list[CodedFrame]:
    """Decode one GOP with a decoder of its own."""
    decoder = vector_decoder(like.codec.name, like)
    reformatter = VideoReformatter()
    coded = (
        _coded_frame(frame, reformatter, first_seconds) for frame in decode_gop(decoder, packets, past_damage=True)
    )
    return [frame for frame in coded if frame is not None]


def _coded_frame(frame: VideoFrame, reformatter: VideoReformatter, first_seconds: float) -> CodedFrame | None:
    if not fits_limits(frame.width, frame.height):
        return None
    try:
        picture = frame_rgb(frame, reformatter)
    except (FFmpegError, ValueError):
        return None
    seconds = frame.time - first_seconds if frame.time is not None else 0.0
    return CodedFrame(picture, motion_vectors(frame).copy(), PictureType(frame.pict_type).name, max(seconds, 0.0))
