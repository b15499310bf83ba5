"""Packets to frames, to the last frame and its vectors."""

from collections.abc import Generator, Iterable, Iterator

from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hybrid_cvar.video.read_meter import ReadMeter

__all__ = ["decode_gop", "decode_what_can_be"]

KEEPS_VECTORS_AT_THE_END = frozenset({"h264"})


def decode_gop(
    decoder: VideoCodecContext,
    packets: "Iterable[Packet[VideoStream]]",
    *,
    past_damage: bool = False,
    meter: ReadMeter | None = None,
) -> Generator[VideoFrame, None, None]:
    """The frames of one GOP, decoded apart from what came before.

    Args:
        decoder: exporting vectors; it may be in use.
        packets: of the GOP, the I-frame's first.
        past_damage: False to end at a packet that cannot be decoded or a frame that the decoder mended, whose damage
            the frames after it inherit; True to go on.
        meter: told of frames.

    Yields:
        Frames in order of presentation, each with its vectors.
    """
    # A decoder keeps frames back, and hides damage with the pictures of the GOP before: start clean.
    decoder.flush_buffers()
    first: Packet[VideoStream] | None = None
    sent = received = 0
    for packet in packets:
        first = packet if first is None else first
        sent += 1
        try:
            frames = decoder.decode(packet)
            if meter is not None:
                meter.add_frames(len(frames))
            for frame in frames:
                received += 1
                if frame.is_corrupt and not past_damage:
                    return
                yield frame
        except FFmpegError:
            if not past_damage:
                return
    if first is None or received >= sent:
        return
    try:
        for frame in _held_back(decoder, first, sent, received, meter):
            if frame.is_corrupt and not past_damage:
                return
            yield frame
    except FFmpegError:
        return


def _held_back(
    decoder: VideoCodecContext, iframe: "Packet[VideoStream]", sent: int, received: int, meter: ReadMeter | None
) -> Iterator[VideoFrame]:
    """The frames that are still in a decoder.

    FFmpeg's decoders of the MPEG family hold one picture back, and at the stream's end give it out without its vectors.
    Pushed out by a picture after it, it has them: any I-frame will do, and is not given out itself.
    """
    if decoder.name in KEEPS_VECTORS_AT_THE_END:
        yield from _flushed(decoder, iframe, meter)
        return
    if not decoder.has_b_frames:
        # It gives each picture out at once: what is missing cannot be decoded.
        return
    frames = decoder.decode(iframe)
    missing = sent - received
    if meter is not None:
        # The I-frame is decoded as well, and stays inside unless more came out than were missing.
        meter.add_frames(len(frames) + (len(frames) <= missing))
    yield from frames[:missing]


def decode_what_can_be(
    decoder: VideoCodecContext, packets: "Iterable[Packet[VideoStream]]", meter: ReadMeter | None = None
) -> Generator[VideoFrame, None, None]:
    """Every frame that can be decoded, in order of presentation; damaged packets are passed over.

    The very last frame of a stream of the MPEG family may come without its vectors; see `decode_gop`.
    """
    last: Packet[VideoStream] | None = None
    for packet in packets:
        last = packet
        try:
            frames = decoder.decode(packet)
        except FFmpegError:
            continue
        if meter is not None:
            meter.add_frames(len(frames))
        yield from frames
    try:
        if last is not None:
            yield from _flushed(decoder, last, meter)
    except FFmpegError:
        return


def _flushed(
    decoder: VideoCodecContext, packet: "Packet[VideoStream]", meter: ReadMeter | None
) -> Iterator[VideoFrame]:
    """What is left in a decoder; with the unit of the stream's times, which PyAV takes from a packet."""
    frames = decoder.decode(None)
    if meter is not None:
        meter.add_frames(len(frames))
    for frame in frames:
        frame.time_base = packet.time_base
        yield frame
