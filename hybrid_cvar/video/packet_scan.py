"""One pass over a file's packets, nothing decoded: where its GOPs lie, and whether their motion can be used.

Picture headers are read by `bitstream`, which holds where a container's flags and times are missing or wrong, and
shows B-frames and reference lists that no container announces. Of codecs without such a reader, the container's
keyframe flags and times are taken.
"""

import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, pairwise

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

ENTRIES_APART = 8
"""Packets; among keyframes that lie closer, as in video of nothing else, some are kept."""

LOOK_AHEAD = 300
"""Packets of a stream that may come before the first whole GOP, which decides how it is read."""


@dataclass(frozen=True)
class Keyframe:
    """A packet where decoding can start.

    Attributes:
        position: in the order of `container.read_packets`.
        pts: presentation time, units of the stream's time base; None if the container has none.
        fingerprint: what it is known by after a seek; None if another keyframe has the same.
    """

    position: int
    pts: int | None
    fingerprint: Fingerprint | None


@dataclass(frozen=True)
class GopSpan:
    """The packets of one GOP.

    Attributes:
        index: position among all GOPs of the video, from 0.
        keyframe: the packet of its I-frame.
        last_packet: position in the order of `container.read_packets`.
        frames: pictures, the I-frame counted, up to where one is missing.
        seconds: presentation time of the I-frame's packet.
    """

    index: int
    keyframe: Keyframe
    last_packet: int
    frames: int
    seconds: float


@dataclass(frozen=True, eq=False)
class PacketScan:
    """What one pass over the packets found.

    Attributes:
        gops: every GOP, in file order, where headers are read, else none; packets before the first I-frame belong to
            none.
        gop_frames: frames of every GOP, by the container's flags where headers are not read.
        pictures: packets that hold a picture.
        types: pictures of each type; empty where headers are not read.
        reference_frames: the most that a block may choose its reference from; 0 where headers are not read.
        obstacle: why motion is not from the previous picture alone, empty if it is.
        entries: keyframes for those who go by presentation time, not all where they lie close; in file order.
        presentation: every shown picture's time from the first keyframe on, rising, units of the time base; empty where
            the times cannot be believed: some are missing, two are the same, or they rise in file order though the
            file has B-frames (AVI stores none, and FFmpeg's guess is decoding time).
        first_seconds: the earliest presentation time.
        seconds: from there to the latest one.
    """

    gops: tuple[GopSpan, ...]
    gop_frames: "array[int]"
    pictures: int
    types: Counter[PictureType]
    reference_frames: int
    obstacle: str
    entries: tuple[Keyframe, ...]
    presentation: "array[int]"
    first_seconds: float
    seconds: float

    @property
    def longest_gop(self) -> int:
        """Frames of the longest GOP, 0 where there is none."""
        return max(self.gop_frames, default=0)

    @property
    def shown(self) -> int:
        """Pictures that a decoder gives out, as far as packets tell."""
        return len(self.presentation) or self.pictures

    def entry_before(self, pts: int) -> Keyframe | None:
        """The last keyframe that is shown at `pts` (units of the time base) or before; None if there is none."""
        earlier = (keyframe for keyframe in self.entries if keyframe.pts is not None and keyframe.pts <= pts)
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
    to_the_end: bool = True,
) -> PacketScan:
    """Find the GOPs of a stream; nothing is decoded.

    Args:
        packets: from `container.read_packets`.
        reader: of the stream's picture headers; None where its codec has none.
        frames_per_second: rate, for packets that carry no time; 0.0 if unknown.
        reorders: True if the decoder says that it reorders pictures; asked for where headers are not read.
        to_the_end: False to read no more headers than keyframes' once an obstacle is found, which takes most of the
            time; `types` and `reference_frames` then count up to there.

    Returns:
        The scan.
    """
    marks: list[_Mark] = []
    gop_frames, presentation = array("q"), array("q")
    entries: list[Keyframe] = []
    types: Counter[PictureType] = Counter()
    references = pictures = position = 0
    obstacle = ""
    all_timed = True
    first_seconds: float | None = None
    last_seconds = 0.0
    for position, packet in enumerate(packets, start=1):
        needed = to_the_end or not obstacle or packet.is_keyframe
        picture = coded_picture(packet, reader) if reader is not None and needed else _picture_by_flags(packet)
        if picture is None:
            continue
        pictures += 1
        if reader is not None and (to_the_end or not obstacle):
            types[picture.type] += 1
            references = max(references, picture.references)
            obstacle = obstacle or picture.obstacle
        seconds = packet_seconds(packet, (position - 1) / frames_per_second if frames_per_second > 0 else 0.0)
        first_seconds = seconds if first_seconds is None else min(first_seconds, seconds)
        last_seconds = max(last_seconds, seconds)
        starts = picture.random_access or (packet.is_keyframe and picture.type is PictureType.INTRA)
        if starts and (not entries or position - 1 - entries[-1].position >= ENTRIES_APART):
            entries.append(Keyframe(position - 1, packet.pts, fingerprint(packet)))
        if picture.random_access:
            gop_frames.append(0)
            if reader is not None:
                marks.append(_Mark(Keyframe(position - 1, packet.pts, fingerprint(packet)), seconds))
        if gop_frames and not (marks and marks[-1].lost):
            if marks:
                marks[-1].lost = picture.lost
            gop_frames[-1] += not picture.lost
        if entries and not packet.is_discard:
            if packet.pts is None:
                all_timed = False
            # What is shown before the first keyframe needs pictures that are not in the file.
            elif entries[0].pts is None or packet.pts >= entries[0].pts:
                presentation.append(packet.pts)
    ends = [mark.keyframe.position - 1 for mark in marks[1:]] + [position - 1]
    doubled = _doubled([mark.keyframe for mark in marks] + entries)
    gops = tuple(
        GopSpan(index, _sure(mark.keyframe, doubled), last, frames, mark.seconds)
        for index, (mark, last, frames) in enumerate(zip(marks, ends, gop_frames, strict=False))
    )
    if reader is not None and (to_the_end or not obstacle or types[PictureType.BIDIRECTIONAL]):
        reorders = types[PictureType.BIDIRECTIONAL] > 0
    first_seconds = first_seconds or 0.0
    return PacketScan(
        gops,
        gop_frames,
        pictures,
        types,
        references,
        obstacle,
        tuple(_sure(keyframe, doubled) for keyframe in entries),
        _rising(presentation, reorders) if all_timed else array("q"),
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

    keyframe: Keyframe
    seconds: float
    lost: bool = False


def _doubled(keyframes: list[Keyframe]) -> set[Fingerprint]:
    """Fingerprints that packets at different positions have, as in a file that was joined from others."""
    positions: dict[Fingerprint, int] = {}
    doubled = set()
    for keyframe in keyframes:
        mark = keyframe.fingerprint
        if mark is not None and positions.setdefault(mark, keyframe.position) != keyframe.position:
            doubled.add(mark)
    return doubled


def _sure(keyframe: Keyframe, doubled: set[Fingerprint]) -> Keyframe:
    return replace(keyframe, fingerprint=None) if keyframe.fingerprint in doubled else keyframe


def _picture_by_flags(packet: "Packet[VideoStream]") -> CodedPicture:
    return CodedPicture(PictureType.INTRA if packet.is_keyframe else PictureType.PREDICTED, packet.is_keyframe)


def _rising(times: "array[int]", reorders: bool) -> "array[int]":
    """The times in order, none if two are the same or they rise in file order though pictures are reordered."""
    rising = array("q", sorted(times))
    if any(a == b for a, b in pairwise(rising)) or (reorders and rising == times):
        return array("q")
    return rising


def packet_seconds(packet: "Packet[VideoStream]", otherwise: float = 0.0) -> float:
    """A packet's presentation time, or else its decoding time, or else what is given."""
    ticks = packet.pts if packet.pts is not None else packet.dts
    return float(ticks * Fraction(packet.time_base)) if ticks is not None and packet.time_base else otherwise
