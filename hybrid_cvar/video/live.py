"""GOPs of a stream, as they come: nothing can be looked up ahead or again."""

from collections.abc import Callable, Generator, Iterator
from itertools import chain, count, groupby, repeat

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hybrid_cvar.errors import ShortVideoError, UnsupportedVideoError
from hybrid_cvar.records import Gop, VideoInfo
from hybrid_cvar.video.bitstream import header_reader
from hybrid_cvar.video.container import VideoSource, open_video, read_packets, source_name
from hybrid_cvar.video.decoding import decode_gop, decode_what_can_be
from hybrid_cvar.video.gop_builder import GopBuilder, GopTimes
from hybrid_cvar.video.packet_scan import Coded, coded_picture, look_ahead, packet_seconds
from hybrid_cvar.video.reencoder import Reencoder
from hybrid_cvar.video.stream_info import (
    MOST_BYTES_ASKED_FOR,
    codec_obstacle,
    describe_stream,
)

__all__ = ["read_live_gops"]


def read_live_gops(
    source: VideoSource,
    timesteps: int,
    *,
    accumulated: bool,
    domain: str,
    on_info: Callable[[VideoInfo], None] = lambda info: None,
) -> Generator[Gop, None, None]:
    """As `read_gops`, for a stream.

    `auto` looks at the pictures up to the first whole GOP (T + 1 frames from an I-frame on) and holds to what it finds:
    a natively read stream in which other pictures appear later ends with an error, rather than with wrong motion.

    Args:
        source: see `container.is_stream`.
        timesteps, accumulated, domain: as in `read_gops`.
        on_info: told what the stream is and how it is read, before the first Gop.

    Yields:
        A Gop as soon as its last frame is there.

    Raises:
        As `read_gops`.
    """
    name = source_name(source)
    found = False
    with open_video(source) as (container, stream):
        packets = read_packets(container, stream)
        codec = stream.codec.canonical_name
        obstacle = codec_obstacle(stream, timesteps, domain)
        head: list[Coded] = []
        reader = header_reader(codec, stream.codec_context.extradata)
        if domain != "transcode" and not obstacle and reader is not None:
            head, found_obstacle = look_ahead(packets, reader, timesteps + 1)
            obstacle = f"{codec} with {found_obstacle}" if found_obstacle else ""
        info = describe_stream(name, container, stream, obstacle, timesteps, domain)
        on_info(info)
        native = reader is not None and not info.transcoded
        builder = GopBuilder(name, timesteps, accumulated=accumulated, most_bytes=MOST_BYTES_ASKED_FOR, upright=native)
        if native and reader is not None:
            coded = chain(head, ((packet, coded_picture(packet, reader)) for packet in packets))
            gops = _native(coded, stream, builder, name)
        else:
            rest = chain((packet for packet, _ in head), packets)
            frames = decode_what_can_be(stream.codec_context, rest)
            gops = _transcoded(frames, name, builder, timesteps)
        for gop in gops:
            found = True
            yield gop
    if not found:
        raise ShortVideoError(
            f"{name}: ended before a whole GOP",
            f"a GOP needs {timesteps + 1} frames (an I-frame and {timesteps} P-frames)",
            "check that the stream is sending, or read it with the domain transcode",
        )


def _native(coded: Iterator[Coded], stream: VideoStream, builder: GopBuilder, name: str) -> Iterator[Gop]:
    decoder, rate = stream.codec_context, float(stream.average_rate or 0)
    started = 0

    def gop_number(item: Coded) -> int:
        nonlocal started
        started += item[1] is not None and item[1].random_access
        return started

    first_seconds: float | None = None
    for number, group in groupby(coded, gop_number):
        if not number:
            continue
        head = next(group)
        seconds = packet_seconds(head[0])
        first_seconds = seconds if first_seconds is None else first_seconds
        frames = decode_gop(decoder, _sound_packets(chain([head], group), name))  # noqa: B031
        yield from builder.cut(frames, number - 1, GopTimes(first_seconds, seconds, rate), repeat(True))


def _sound_packets(coded: Iterator[Coded], name: str) -> "Iterator[Packet[VideoStream]]":
    """The packets of a GOP up to where a picture is missing."""
    for packet, picture in coded:
        if picture is not None and picture.obstacle:
            raise UnsupportedVideoError(
                f"{name}: {picture.obstacle} appeared in mid-stream",
                "a stream that is read natively must stay as it began",
                "use the domain transcode",
            )
        if picture is not None and picture.lost:
            return
        yield packet


def _transcoded(frames: Iterator[VideoFrame], name: str, builder: GopBuilder, timesteps: int) -> Iterator[Gop]:
    first = next(frames, None)
    if first is None:
        return
    reencoder = Reencoder(name, builder, timesteps, first.time or 0.0, 0.0)
    scaled = reencoder.scale(chain([first], frames))
    for index in count():
        gop = reencoder.next_gop(scaled, index)
        if gop is None:
            return
        yield gop
