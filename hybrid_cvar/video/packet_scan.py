"""One pass over a file's packets, nothing decoded: where its GOPs lie, and whether their motion can be used.

Picture headers are read by `bitstream`, which holds where a container's flags and times are missing or wrong, and
shows B-frames and reference lists that no container announces. Of codecs without such a reader, the container's
keyframe flags and times are taken.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice

from av.packet import Packet
from av.video.stream import VideoStream

from hybrid_cvar.video.bitstream import CodedPicture, HeaderReader, Obstacle, PictureType

__all__ = [
    "Coded",
    "GopSpan",
    "Keyframe",
    "PacketScan",
    "coded_picture",
    "fingerprint",
    "look_ahead",
    "packet_seconds",
    "scan_packets",
]

Fingerprint = tuple[int | None, int, int]
Coded = tuple["Packet[VideoStream]", CodedPicture | None]
"""A packet and the picture that it holds."""

LOOK_AHEAD = 300
"""Packets of a stream that may come before the first whole GOP, which decides how it is read."""


@dataclass(frozen=True)
class GopSpan:
    """The packets of one GOP.

    Attributes:
        index: position among all GOPs of the video, from 0.
        first_packet, last_packet: positions in the order of `container.read_packets`; the first holds the I-frame.
        frames: pictures, the I-frame counted, up to where one is missing.
        seconds: presentation time of the I-frame's packet.
    """

    index: int
    first_packet: int
    last_packet: int
    frames: int
    seconds: float


@dataclass(frozen=True)
class Keyframe:
    """A packet where decoding can start.

    Attributes:
        position: in the order of `container.read_packets`.
        pts: presentation time, units of the stream's time base; None if the container has none.
        fingerprint: tells it from other packets; see `fingerprint`.
    """

    position: int
    pts: int | None
    fingerprint: Fingerprint


@dataclass(frozen=True, eq=False)
class PacketScan:
    """What one pass over the packets found.

    Attributes:
        gops: every GOP, in file order; packets before the first I-frame belong to none.
        pictures: packets that hold a picture.
        types: pictures of each type; empty where headers are not read.
        reference_frames: the most that a block may choose its reference from; 0 where headers are not read.
        obstacle: why motion is not from the previous picture alone, empty if it is.
        keyframes: in file order.
        presentation: every shown picture's time, rising, units of the time base; empty where the times cannot be
            believed: some are missing, two are the same, or they rise in file order though the file has B-frames (AVI
            stores none, and FFmpeg's guess is decoding time).
        first_seconds: the earliest presentation time.
        seconds: from there to the latest one.
    """

    gops: tuple[GopSpan, ...]
    pictures: int
    types: Counter[PictureType]
    reference_frames: int
    obstacle: str
    keyframes: tuple[Keyframe, ...]
    presentation: tuple[int, ...]
    first_seconds: float
    seconds: float

    @property
    def longest_gop(self) -> int:
        """Frames of the longest GOP, 0 where there is none."""
        return max((gop.frames for gop in self.gops), default=0)

    def keyframe_before(self, pts: int) -> Keyframe | None:
        """The last keyframe that is shown at `pts` (units of the time base) or before; None if there is none."""
        earlier = (keyframe for keyframe in self.keyframes if keyframe.pts is not None and keyframe.pts <= pts)
        return max(earlier, key=lambda keyframe: keyframe.position, default=None)


def fingerprint(packet: "Packet[VideoStream]") -> Fingerprint:
    """What a packet is known by after a seek, when its position is not: time, size and checksum."""
    return packet.pts, packet.size, zlib.crc32(packet)


def scan_packets(
    packets: "Iterable[Packet[VideoStream]]",
    reader: HeaderReader | None,
    frames_per_second: float,
    *,
    reorders: bool = False,
) -> PacketScan:
    """Find the GOPs of a stream; nothing is decoded.

    Args:
        packets: from `container.read_packets`.
        reader: of the stream's picture headers; None where its codec has none.
        frames_per_second: rate, for packets that carry no time; 0.0 if unknown.
        reorders: True if the decoder says that it reorders pictures; asked for where there is no reader.

    Returns:
        The scan.
    """
    marks: list[_Mark] = []
    keyframes: list[Keyframe] = []
    presentation: list[int | None] = []
    types: Counter[PictureType] = Counter()
    references = pictures = position = 0
    obstacle = ""
    first_seconds: float | None = None
    last_seconds = 0.0
    for position, packet in enumerate(packets, start=1):
        picture = coded_picture(packet, reader) if reader is not None else _picture_by_flags(packet)
        if picture is None:
            continue
        pictures += 1
        if reader is not None:
            types[picture.type] += 1
            references = max(references, picture.references)
            obstacle = obstacle or picture.obstacle
        seconds = packet_seconds(packet, (position - 1) / frames_per_second if frames_per_second > 0 else 0.0)
        first_seconds = seconds if first_seconds is None else min(first_seconds, seconds)
        last_seconds = max(last_seconds, seconds)
        if picture.random_access:
            marks.append(_Mark(position - 1, seconds))
            keyframes.append(Keyframe(position - 1, packet.pts, fingerprint(packet)))
        if marks:
            marks[-1].lost |= picture.lost
            marks[-1].frames += not marks[-1].lost
        if not packet.is_discard:
            presentation.append(packet.pts)
    ends = [mark.first_packet - 1 for mark in marks[1:]] + [position - 1]
    gops = tuple(
        GopSpan(index, mark.first_packet, last, mark.frames, mark.seconds)
        for index, (mark, last) in enumerate(zip(marks, ends, strict=False))
    )
    reorders = types[PictureType.BIDIRECTIONAL] > 0 if reader is not None else reorders
    times = _presentation(presentation, reorders)
    first_seconds = first_seconds or 0.0
    return PacketScan(
        gops,
        pictures,
        types,
        references,
        obstacle,
        tuple(keyframes),
        times,
        first_seconds,
        max(last_seconds - first_seconds, 0.0),
    )


def coded_picture(packet: "Packet[VideoStream]", reader: HeaderReader) -> CodedPicture | None:
    """The picture that a packet holds; see `HeaderReader.read`."""
    picture = reader.read(bytes(packet))
    if picture is not None and packet.has_sidedata("new_extradata"):
        # A second set of headers beside the stream, which the reader of the first has not seen.
        return replace(picture, obstacle=picture.obstacle or Obstacle.UNREADABLE)
    return picture


def look_ahead(packets: "Iterator[Packet[VideoStream]]", reader: HeaderReader, length: int) -> tuple[list[Coded], str]:
    """Read a stream up to its first whole GOP.

    Args:
        packets: from the stream's start; no more are taken than needed.
        reader: of its picture headers.
        length: frames of a whole GOP, T + 1.

    Returns:
        The packets, each with the picture it holds; and why its motion is not from the previous picture alone, or why
        there is no whole GOP; empty if it can be read natively.
    """
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


@dataclass
class _Mark:
    """A GOP under way."""

    first_packet: int
    seconds: float
    frames: int = 0
    lost: bool = False


def _picture_by_flags(packet: "Packet[VideoStream]") -> CodedPicture:
    return CodedPicture(PictureType.INTRA if packet.is_keyframe else PictureType.PREDICTED, packet.is_keyframe)


def _presentation(times: list[int | None], reorders: bool) -> tuple[int, ...]:
    known = [time for time in times if time is not None]
    rising = sorted(known)
    if len(known) < len(times) or len(set(known)) < len(known) or (reorders and rising == known):
        return ()
    return tuple(rising)


def packet_seconds(packet: "Packet[VideoStream]", otherwise: float = 0.0) -> float:
    """A packet's presentation time, or else its decoding time, or else what is given."""
    ticks = packet.pts if packet.pts is not None else packet.dts
    return float(ticks * Fraction(packet.time_base)) if ticks is not None and packet.time_base else otherwise
