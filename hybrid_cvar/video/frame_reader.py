"""Decoded frames with the motion vectors they were coded with, of any video; several GOPs at a time.

Frame threads would hand out other frames' vectors. So cores are kept busy in another way: where decoding can start
afresh, at the GOPs of a stream whose pictures never reach across them, each thread decodes a GOP of its own. Pixels are
converted as the frames are taken, so that those that wait take half the memory.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, groupby, islice
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError, CorruptVideoError
from hybrid_cvar.records import CodedFrame
from hybrid_cvar.video.background import Ahead, usable_cores
from hybrid_cvar.video.bitstream import HeaderReader, header_reader
from hybrid_cvar.video.bitstream import PictureType as CodedType
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
from hybrid_cvar.video.gop_builder import rgb_view
from hybrid_cvar.video.motion_field import kept_vectors
from hybrid_cvar.video.packet_scan import packet_seconds

__all__ = ["read_frames"]

MOST_BYTES_AHEAD = 128 << 20
"""Of decoded frames that wait for their turn, all threads together; longer GOPs are decoded on one thread."""

FRAMES_TOGETHER = 8
"""Handed from thread to thread at once: to wake one for each frame takes time from both."""

GOPS_THAT_WAIT = 2
"""For a thread to be free, beside those being decoded: GOPs differ in length."""


def read_frames(source: VideoSource, *, workers: int | None = None) -> Generator[CodedFrame, None, None]:
    """Read every frame of a video and its motion vectors as FFmpeg exports them; nothing is accumulated.

    Args:
        source: as in `read_gops`; B-frames and several references are fine here.
        workers: threads that decode; the usable cores if None. The frames do not depend on it.

    Yields:
        Frames in order of presentation, as they are coded (rotation metadata is not applied); those that are damaged
        beyond decoding are left out. A few GOPs are in memory at a time, 128 MB at most. FFmpeg gives out the very last
        frame of a stream, or of MPEG-4 and MPEG-2 with B-frames, without its vectors; anywhere else it has them.

    Raises:
        UnsupportedVideoError, CorruptVideoError: it cannot be opened, or no frame can be decoded.
        ConfigError: `workers` is not a positive whole number.
    """
    workers = usable_cores() if workers is None else workers
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise ConfigError(f"workers = {workers!r}", "must be a positive whole number")
    found = False
    with open_video(source) as (container, stream):
        packets = read_packets(container, stream)
        first = next(packets, None)
        first_seconds = packet_seconds(first) if first is not None else 0.0
        packets = chain([first] if first is not None else [], packets)
        reader = header_reader(stream.codec.canonical_name, stream.codec_context.extradata)
        if reader is None or is_stream(source):
            frames = _converted(_with_vectors(decode_what_can_be(stream.codec_context, packets)), first_seconds)
        else:
            frames = _gop_by_gop(stream.codec_context, packets, reader, workers, first_seconds)
        for frame in frames:
            found = True
            yield frame
    if not found:
        raise CorruptVideoError(
            f"{source_name(source)}: no frame can be decoded", "at least one must be whole", "copy it again"
        )


def _gop_by_gop(
    decoder: VideoCodecContext,
    packets: "Iterator[Packet[VideoStream]]",
    reader: HeaderReader,
    workers: int,
    first_seconds: float,
) -> Iterator[CodedFrame]:
    gops_ahead = workers + GOPS_THAT_WAIT
    most_bytes = MOST_BYTES_AHEAD // gops_ahead
    most_frames = most_bytes // (3 * decoder.width * decoder.height)
    # A GOP leaves its decoder clean, and its picture buffers are worth keeping.
    decoders: SimpleQueue[VideoCodecContext] = SimpleQueue()
    for _ in range(workers):
        decoders.put(vector_decoder(decoder.name, decoder))
    waiting: deque[Ahead[_Batch]] = deque()
    started = 0

    def gop_number(pair: _Pair) -> int:
        nonlocal started
        started += _starts_apart(pair, reader, decoder.name)
        return started

    with ThreadPoolExecutor(workers, "read_frames") as pool:
        try:
            for number, pairs in groupby(_with_followers(packets), gop_number):
                gop = (pair.packet for pair in pairs)
                head = list(islice(gop, most_frames + 1))
                can_wait = number > 0 and len(head) <= most_frames
                if can_wait:
                    waiting.append(Ahead(_decode_with_one_of(decoders, head, most_bytes), most_bytes, _Batch.weigh))
                    pool.submit(waiting[-1].work)
                while waiting and (len(waiting) >= gops_ahead or not can_wait):
                    yield from _converted(_one_by_one(waiting[0]), first_seconds)
                    waiting.popleft()
                if not can_wait:
                    # Too long to wait in memory, or what comes before the first I-frame.
                    decode = decode_what_can_be if number == 0 else _decode_past_damage
                    frames = decode(vector_decoder(decoder.name, decoder), chain(head, gop))
                    yield from _converted(_with_vectors(frames), first_seconds)
            while waiting:
                yield from _converted(_one_by_one(waiting[0]), first_seconds)
                waiting.popleft()
        finally:
            for ahead in waiting:
                ahead.stop()
            pool.shutdown(wait=True, cancel_futures=True)


class _Pair(NamedTuple):
    """A packet and the one after it."""

    packet: "Packet[VideoStream]"
    follower: "Packet[VideoStream] | None"


def _with_followers(packets: "Iterator[Packet[VideoStream]]") -> Iterator[_Pair]:
    packet = next(packets, None)
    while packet is not None:
        follower = next(packets, None)
        yield _Pair(packet, follower)
        packet = follower


def _starts_apart(pair: _Pair, reader: HeaderReader, codec: str) -> bool:
    """True if neither this picture nor those shown after it need anything from before.

    Nothing reaches across an IDR picture of H.264. Over an I-picture of MPEG-4 and MPEG-2 B-pictures may; they follow
    it in the file.
    """
    if not pair.packet.is_keyframe:
        return False
    picture = reader.read(bytes(pair.packet))
    if picture is None or not picture.random_access:
        return False
    next_picture = reader.read(bytes(pair.follower)) if codec != "h264" and pair.follower is not None else None
    return next_picture is None or next_picture.type != CodedType.BIDIRECTIONAL


class _Decoded(NamedTuple):
    """A frame as FFmpeg gives it, and its vectors."""

    frame: VideoFrame
    vectors: NDArray[np.void]


def _with_vectors(frames: Iterable[VideoFrame]) -> Iterator[_Decoded]:
    for frame in frames:
        yield _Decoded(frame, kept_vectors(frame))


class _Batch(NamedTuple):
    """Frames that another thread is handed at once, and the bytes of their pixels."""

    frames: list[_Decoded]
    byte_count: int

    def weigh(self) -> int:
        """Bytes."""
        return self.byte_count


def _decode_with_one_of(
    decoders: "SimpleQueue[VideoCodecContext]", packets: "list[Packet[VideoStream]]", most_bytes: int
) -> Generator[_Batch, None, None]:
    decoder = decoders.get()
    try:
        yield from _in_batches(_with_vectors(_decode_past_damage(decoder, packets)), most_bytes // FRAMES_TOGETHER)
    finally:
        decoders.put(decoder)


def _in_batches(decoded: Iterable[_Decoded], most_bytes: int) -> Iterator[_Batch]:
    """Up to FRAMES_TOGETHER at once, and one at least; fewer if they are large."""
    frames: list[_Decoded] = []
    byte_count = 0
    for one in decoded:
        frames.append(one)
        byte_count += sum(plane.buffer_size for plane in one.frame.planes)
        if len(frames) == FRAMES_TOGETHER or byte_count > most_bytes:
            yield _Batch(frames, byte_count)
            frames, byte_count = [], 0
    if frames:
        yield _Batch(frames, byte_count)


def _one_by_one(batches: Iterable[_Batch]) -> Iterator[_Decoded]:
    return chain.from_iterable(batch.frames for batch in batches)


def _decode_past_damage(
    decoder: VideoCodecContext, packets: "Iterable[Packet[VideoStream]]"
) -> Generator[VideoFrame, None, None]:
    return decode_gop(decoder, packets, past_damage=True)


def _converted(decoded: Iterable[_Decoded], first_seconds: float) -> Iterator[CodedFrame]:
    """Frames whose pixels can be converted, in our form."""
    reformatter = VideoReformatter()
    for frame, vectors in decoded:
        if not fits_limits(frame.width, frame.height):
            continue
        try:
            picture = rgb_view(frame, reformatter)
        except (FFmpegError, ValueError):
            continue
        seconds = frame.time - first_seconds if frame.time is not None else 0.0
        yield CodedFrame(picture, vectors, PictureType(frame.pict_type).name, max(seconds, 0.0))
