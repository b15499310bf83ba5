"""GOPs of a stream, as they come: nothing can be looked up ahead or again."""

from collections.abc import Generator, Iterator
from itertools import chain, count, groupby, islice, repeat

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hybrid_cvar.errors import ShortVideoError, UnsupportedVideoError
from hybrid_cvar.records import Gop
from hybrid_cvar.video.bitstream import CodedPicture, HeaderReader, header_reader
from hybrid_cvar.video.container import VideoSource, open_video, read_packets, source_name
from hybrid_cvar.video.decoding import decode_gop, decode_what_can_be
from hybrid_cvar.video.gop_builder import GopBuilder, GopTimes
from hybrid_cvar.video.packet_scan import coded_picture, packet_seconds
from hybrid_cvar.video.reencoder import Reencoder
from hybrid_cvar.video.stream_info import MOST_BYTES_ASKED_FOR, codec_obstacle, native_refused

__all__ = ["read_live_gops"]

LOOK_AHEAD = 300
"""Packets that may come before the first GOP that decides."""

Coded = tuple["Packet[VideoStream]", CodedPicture | None]


def read_live_gops(
    source: VideoSource, timesteps: int, *, accumulated: bool, domain: str
) -> Generator[Gop, None, None]:
    """As `read_gops`, for a stream.

    `auto` looks at the pictures up to the first whole GOP (T + 1 frames from an I-frame on) and holds to what it finds:
    a natively read stream in which other pictures appear later ends with an error, rather than with wrong motion.

    Args:
        source: see `container.is_stream`.
        timesteps, accumulated, domain: as in `read_gops`.

    Yields:
        A Gop as soon as its last frame is there.

    Raises:
        As `read_gops`.
    """
    name = source_name(source)
    found = False
    with open_video(source) as (container, stream):
        packets = read_packets(container, stream)
        obstacle = codec_obstacle(stream, timesteps, domain)
        head: list[Coded] = []
        reader = header_reader(stream.codec.canonical_name, stream.codec_context.extradata)
        if domain != "transcode" and not obstacle and reader is not None:
            head, obstacle = _look_ahead(packets, reader, timesteps + 1)
        if obstacle and domain == "native":
            raise native_refused(name, f"{stream.codec.canonical_name} with {obstacle}" if head else obstacle)
        native = reader is not None and not obstacle and domain != "transcode"
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


def _look_ahead(packets: "Iterator[Packet[VideoStream]]", reader: HeaderReader, length: int) -> tuple[list[Coded], str]:
    """Packets up to the first whole GOP, and why it cannot be read natively, if it cannot."""
    head: list[Coded] = []
    frames = longest = 0
    for packet in islice(packets, LOOK_AHEAD + length):
        picture = coded_picture(packet, reader)
        head.append((packet, picture))
        if picture is None:
            continue
        if picture.obstacle:
            return head, picture.obstacle
        if picture.random_access:
            frames = 1
        elif frames:
            frames += 1
        longest = max(longest, frames)
        if longest == length:
            return head, ""
    return head, f"GOPs of {longest} frames where {length} are needed" if longest else "no I-frame to start at"


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
