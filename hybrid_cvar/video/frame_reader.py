"""Decoded frames with the motion vectors they were coded with, of any video; several GOPs at a time.

Frame threads would hand out other frames' vectors. So cores are kept busy in another way: where decoding can start
afresh, at the GOPs of a stream whose pictures never reach across them, each thread decodes a GOP of its own. It also
converts the pixels, which its core's cache still holds: on another core that takes longer than the decoding saves.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import chain, groupby, islice
from queue import SimpleQueue
from typing import NamedTuple

from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

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
from hybrid_cvar.video.motion_field import kept_vectors
from hybrid_cvar.video.packet_scan import packet_seconds
from hybrid_cvar.video.rgb import RgbConverter

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
        beyond decoding are left out. Those that wait for their turn take 128 MB at most; the memory of those that you
        have let go is used again, and given back when the reading ends. The very last frame of a pipe or an open file
        may come without its vectors; anywhere else every frame has them.

    Raises:
        UnsupportedVideoError, CorruptVideoError: it cannot be opened, or no frame can be decoded.
        ConfigError: `workers` is not a positive whole number.
    """
    workers = usable_cores() if workers is None else workers
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise ConfigError(f"workers = {workers!r}", "must be a positive whole number")
    found = False
    frames: Iterator[CodedFrame]
    with open_video(source) as (container, stream):
        packets = read_packets(container, stream)
        first = next(packets, None)
        first_seconds = packet_seconds(first) if first is not None else 0.0
        packets = chain([first] if first is not None else [], packets)
        reader = header_reader(stream.codec.canonical_name, stream.codec_context.extradata)
        if reader is None or is_stream(source):
            frames = _converted(decode_what_can_be(stream.codec_context, packets), RgbConverter(), first_seconds)
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
    # A GOP leaves its decoder clean, and the memory that it and its converter hold is worth keeping.
    free: SimpleQueue[_Worker] = SimpleQueue()
    for _ in range(workers):
        free.put(_Worker(vector_decoder(decoder.name, decoder), RgbConverter()))
    rgb = RgbConverter()
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
                    batches = _in_batches(_decode_with_one_of(free, head, first_seconds), most_bytes // FRAMES_TOGETHER)
                    waiting.append(Ahead(batches, most_bytes, _Batch.weigh))
                    pool.submit(waiting[-1].work)
                while waiting and (len(waiting) >= gops_ahead or not can_wait):
                    yield from _one_by_one(waiting[0])
                    waiting.popleft()
                if not can_wait:
                    # Too long to wait in memory, or what comes before the first I-frame.
                    decode = decode_what_can_be if number == 0 else _decode_past_damage
                    frames = decode(vector_decoder(decoder.name, decoder), chain(head, gop))
                    yield from _converted(frames, rgb, first_seconds)
            while waiting:
                yield from _one_by_one(waiting[0])
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


class _Batch(NamedTuple):
    """Frames that another thread is handed at once, and the bytes of their pixels and vectors."""

    frames: list[CodedFrame]
    byte_count: int

    def weigh(self) -> int:
        """Bytes."""
        return self.byte_count


class _Worker(NamedTuple):
    """What a thread decodes with."""

    decoder: VideoCodecContext
    rgb: RgbConverter


def _decode_with_one_of(
    free: "SimpleQueue[_Worker]", packets: "list[Packet[VideoStream]]", first_seconds: float
) -> Generator[CodedFrame, None, None]:
    worker = free.get()
    try:
        yield from _converted(_decode_past_damage(worker.decoder, packets), worker.rgb, first_seconds)
    finally:
        free.put(worker)


def _in_batches(frames: Generator[CodedFrame, None, None], most_bytes: int) -> Generator[_Batch, None, None]:
    """Up to FRAMES_TOGETHER at once, and one at least; fewer if they are large. Closes `frames`."""
    some: list[CodedFrame] = []
    byte_count = 0
    with closing(frames):
        for frame in frames:
            some.append(frame)
            byte_count += frame.picture.nbytes + frame.vectors.nbytes
            if len(some) == FRAMES_TOGETHER or byte_count > most_bytes:
                yield _Batch(some, byte_count)
                some, byte_count = [], 0
        if some:
            yield _Batch(some, byte_count)


def _one_by_one(batches: Iterable[_Batch]) -> Iterator[CodedFrame]:
    return chain.from_iterable(batch.frames for batch in batches)


def _decode_past_damage(
    decoder: VideoCodecContext, packets: "Iterable[Packet[VideoStream]]"
) -> Generator[VideoFrame, None, None]:
    return decode_gop(decoder, packets, past_damage=True)


def _converted(
    frames: Iterable[VideoFrame], rgb: RgbConverter, first_seconds: float
) -> Generator[CodedFrame, None, None]:
    """Frames whose pixels can be converted, in our form."""
    for frame in frames:
        if not fits_limits(frame.width, frame.height):
            continue
        vectors = kept_vectors(frame)
        try:
            picture = rgb.view(frame)
        except (FFmpegError, ValueError):
            continue
        seconds = frame.time - first_seconds if frame.time is not None else 0.0
        yield CodedFrame(picture, vectors, PictureType(frame.pict_type).name, max(seconds, 0.0))
