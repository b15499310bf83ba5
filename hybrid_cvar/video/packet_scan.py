"""Where the GOPs of an MPEG-4 Part 2 stream lie, told from its packets without decoding them.

A VOP (video object plane, the standard's word for a coded frame) starts with the code 00 00 01 B6, and the two
bits after it say its type (ISO/IEC 14496-2, 6.3.5, vop_coding_type). Reading them there holds where a
container's keyframe flags are missing or wrong, and shows B-frames that no header announces.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from av.packet import Packet
from av.video.stream import VideoStream

__all__ = ["GopSpan", "PacketScan", "scan_packets"]

VOP_START_CODE = b"\x00\x00\x01\xb6"
INTRA, BIDIRECTIONAL = 0, 2


@dataclass(frozen=True)
class GopSpan:
    """The packets of one GOP.

    Attributes:
        index: position among all GOPs of the video, from 0.
        first_packet, last_packet: positions in the order of `container.read_packets`; the first holds the I-frame.
        pts_seconds: presentation time of the I-frame, seconds from the first frame of the video.
    """

    index: int
    first_packet: int
    last_packet: int
    pts_seconds: float

    @property
    def p_frames(self) -> int:
        """Frames after the I-frame."""
        return self.last_packet - self.first_packet


@dataclass(frozen=True)
class PacketScan:
    """What one pass over the packets found.

    Attributes:
        gops: every GOP, in file order; packets before the first I-frame belong to none.
        frames: packets that hold a frame.
        has_b_frames: True if any VOP is bidirectional.
    """

    gops: tuple[GopSpan, ...]
    frames: int
    has_b_frames: bool

    @property
    def longest_gop(self) -> int:
        """P-frames of the longest GOP, 0 where there is none."""
        return max((gop.p_frames for gop in self.gops), default=0)

    def qualifying(self, timesteps: int) -> tuple[GopSpan, ...]:
        """The GOPs with at least `timesteps` P-frames."""
        return tuple(gop for gop in self.gops if gop.p_frames >= timesteps)


def vop_types(data: bytes) -> list[int]:
    """Types of the VOPs in one packet: 0 intra, 1 predicted, 2 bidirectional, 3 sprite.

    Args:
        data: a packet of an MPEG-4 Part 2 stream.

    Returns:
        One entry a start code, in order; empty where there is none.
    """
    types = []
    at = data.find(VOP_START_CODE)
    while 0 <= at < len(data) - len(VOP_START_CODE):
        types.append(data[at + len(VOP_START_CODE)] >> 6)
        at = data.find(VOP_START_CODE, at + len(VOP_START_CODE))
    return types


def scan_packets(packets: "Iterable[Packet[VideoStream]]", frames_per_second: float) -> PacketScan:
    """Find the GOPs of an MPEG-4 Part 2 stream; nothing is decoded.

    Args:
        packets: from `container.read_packets`.
        frames_per_second: rate, for packets that carry no time; 0.0 if unknown.

    Returns:
        The scan.
    """
    starts: list[tuple[int, float]] = []
    frames = 0
    has_b_frames = False
    first_seconds: float | None = None
    for position, packet in enumerate(packets):
        types = vop_types(bytes(packet))
        has_b_frames = has_b_frames or BIDIRECTIONAL in types
        seconds = _packet_seconds(packet, position, frames_per_second)
        if first_seconds is None:
            first_seconds = seconds
        if types[0] == INTRA if types else packet.is_keyframe:
            starts.append((position, seconds - first_seconds))
        frames += 1
    ends = [position - 1 for position, _ in starts[1:]] + [frames - 1]
    gops = tuple(
        GopSpan(index, first, last, seconds)
        for index, ((first, seconds), last) in enumerate(zip(starts, ends, strict=False))
    )
    return PacketScan(gops, frames, has_b_frames)


def _packet_seconds(packet: "Packet[VideoStream]", position: int, frames_per_second: float) -> float:
    ticks = packet.pts if packet.pts is not None else packet.dts
    if ticks is not None and packet.time_base:
        return float(ticks * Fraction(packet.time_base))
    return position / frames_per_second if frames_per_second > 0 else 0.0
