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
from hybrid_cvar.video.read_meter import ReadMeter
from hybrid_cvar.video.reencoder import Reencoder
from hybrid_cvar.video.stream_info import (
    codec_obstacle,
    describe_stream,
    most_bytes,
)

__all__ = ["read_live_gops"]


def read_live_gops(
    source: VideoSource,
    timesteps: int,
    *,
    accumulated: bool,
    domain: str,
    on_info: Callable[[VideoInfo], None] = lambda info: None,
    meter: ReadMeter | None = None,
) -> Generator[Gop, None, None]:
    """As `read_gops`, for a stream.

    `auto` looks at the pictures up to the first whole GOP (T + 1 frames from an I-frame on) and holds to what it finds:
    a natively read stream in which other pictures appear later ends with an error, rather than with wrong motion.

    Args:
        source: see `container.is_stream`.
        timesteps, accumulated, domain: as in `read_gops`.
        on_info: told what the stream is and how it is read, before the first Gop.
        meter: as in `decode_gops`.

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
        builder = GopBuilder(
            name,
            timesteps,
            accumulated=accumulated,
            most_bytes=most_bytes(domain if native else "native"),
            upright=native,
            meter=meter,
        )
        if native and reader is not None:
            coded = chain(head, ((packet, coded_picture(packet, reader)) for packet in packets))
            gops = _native(coded, stream, builder, name, meter)
        else:
            rest = chain((packet for packet, _ in head), packets)
            frames = decode_what_can_be(stream.codec_context, rest, meter)
            gops = _transcoded(frames, name, builder, timesteps, stream, meter)
        for gop in gops:
            found = True
            yield gop
        container_name = container.format.name
    if not found:
        # MP4 keeps its index at the end unless told otherwise, and a stream cannot be read from there.
        at_end = "give the file itself, or write it with `-movflags +faststart`, or as MPEG-TS"
        raise ShortVideoError(
            f"{name}: ended before a whole GOP",
            f"a GOP needs {timesteps + 1} frames (an I-frame and {timesteps} P-frames)",
            at_end if "mp4" in container_name else "check that the stream is sending, or use the domain transcode",
        )


def _native(
    coded: Iterator[Coded], stream: VideoStream, builder: GopBuilder, name: str, meter: ReadMeter | None
) -> Iterator[Gop]:
    decoder, rate = stream.codec_context, float(stream.average_rate or 0)
    started = pictures = 0

    def gop_number(item: Coded) -> int:
        nonlocal started, pictures
        started += item[1] is not None and item[1].random_access
        pictures += item[1] is not None
        return started

    first_seconds: float | None = None
    for number, group in groupby(coded, gop_number):
        if not number:
            continue
        head = next(group)
        seconds = packet_seconds(head[0], otherwise=(pictures - 1) / rate if rate else 0.0)
        first_seconds = seconds if first_seconds is None else first_seconds
        frames = decode_gop(decoder, _sound_packets(chain([head], group), name), meter=meter)  # noqa: B031
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


def _transcoded(
    frames: Iterator[VideoFrame],
    name: str,
    builder: GopBuilder,
    timesteps: int,
    stream: VideoStream,
    meter: ReadMeter | None,
) -> Iterator[Gop]:
    first = next(frames, None)
    if first is None:
        return
    # AVI has no presentation times: where pictures are reordered, frames are counted.
    counted = stream.container.format.name == "avi" and stream.codec_context.has_b_frames
    first_seconds = None if counted else first.time
    reencoder = Reencoder(name, builder, timesteps, first_seconds, float(stream.average_rate or 0), meter)
    scaled = reencoder.scale(chain([first], frames))
    for index in count():
        gop = reencoder.next_gop(scaled, index)
        if gop is None:
            return
        yield gop
