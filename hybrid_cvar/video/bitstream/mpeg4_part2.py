"""Picture headers of MPEG-4 Part 2 (ISO/IEC 14496-2): video object layers and planes (VOL and VOP).

A P-VOP has one reference by construction, the last I- or P-VOP. What can stand against motion from the previous
picture alone is told by the types of the VOPs, by their number in a packet and by the VOL's `interlaced`.
"""

import re

from hybrid_cvar.video.bitstream.bit_reader import BitReader, HeaderError
from hybrid_cvar.video.bitstream.picture import CodedPicture, Obstacle, PictureType

__all__ = ["Mpeg4HeaderReader"]

# What follows 00 00 01 (6.2.1): video_object_layer_start_code, visual_object_sequence_start_code, vop_start_code.
START_CODE = re.compile(rb"\x00\x00\x01[\x20-\x2f\xb0\xb6]")
VISUAL_OBJECT_SEQUENCE, VOP = 0xB0, 0xB6
MOST_START_CODES = 1024

SPRITE = 3
TYPES = (PictureType.INTRA, PictureType.PREDICTED, PictureType.BIDIRECTIONAL, PictureType.PREDICTED)
REFERENCES = {PictureType.INTRA: 0, PictureType.PREDICTED: 1, PictureType.BIDIRECTIONAL: 2}

RECTANGULAR = 0
EXTENDED_ASPECT = 15
VBV_PARAMETER_BITS = 79
LONGEST_HEAD = 64

# Studio profiles write their pictures in another way (table G.1).
STUDIO_PROFILES = range(0xE1, 0xE9)


class Mpeg4HeaderReader:
    """Reads one MPEG-4 Part 2 stream's packets, in the order of the file.

    Args:
        extradata: the headers that a container keeps beside the stream, or nothing.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._interlaced: bool | None = None
        self._is_studio = False
        self._previous: PictureType | None = None
        self._take_headers(extradata or b"")

    def read(self, packet: bytes) -> CodedPicture | None:
        """The picture that a packet holds; see `HeaderReader.read`."""
        codes = self._take_headers(packet)
        if not codes:
            return None
        kind = TYPES[codes[0]]
        previous, self._previous = self._previous, TYPES[codes[-1]]
        obstacle = Obstacle.NONE
        if len(codes) > 1:
            obstacle = Obstacle.SEVERAL_PICTURES
        elif kind is PictureType.BIDIRECTIONAL:
            obstacle = Obstacle.B_FRAMES
        elif self._interlaced is None or self._is_studio:
            obstacle = Obstacle.UNREADABLE
        elif self._interlaced:
            obstacle = Obstacle.INTERLACED
        elif codes[0] == SPRITE:
            obstacle = Obstacle.GLOBAL_MOTION
        elif kind is PictureType.PREDICTED and previous is PictureType.BIDIRECTIONAL:
            obstacle = Obstacle.OTHER_REFERENCE
        is_intra = kind is PictureType.INTRA
        return CodedPicture(kind, is_intra, REFERENCES[kind], obstacle, lost=previous is None and not is_intra)

    def _take_headers(self, data: bytes) -> list[int]:
        """Take in the VOLs of some data; returns vop_coding_type of each VOP (6.2.5), in order.

        A VOP that says it is not coded (vop_coded 0) is a P-VOP without motion.
        """
        codes: list[int] = []
        match = START_CODE.search(data)
        for _ in range(MOST_START_CODES):
            if match is None:
                break
            at = match.end()
            code = data[at - 1]
            if code == VOP:
                codes += [byte >> 6 for byte in data[at : at + 1]]
            elif code == VISUAL_OBJECT_SEQUENCE:
                self._is_studio = any(byte in STUDIO_PROFILES for byte in data[at : at + 1])
            else:
                self._interlaced = _parse_interlaced(data[at : at + LONGEST_HEAD])
            match = START_CODE.search(data, at)
        return codes


def _parse_interlaced(head: bytes) -> bool | None:
    """`interlaced` of a VOL (6.2.3); None if it cannot be read, or its objects are not whole frames.

    Marker bits are passed over unseen, as decoders do: encoders are known that leave them out.
    """
    read = BitReader(head)
    try:
        read.skip(9)
        if read.flag():
            read.skip(7)
        if read.bits(4) == EXTENDED_ASPECT:
            read.skip(16)
        if read.flag():
            read.skip(3)
            if read.flag():
                read.skip(VBV_PARAMETER_BITS)
        if read.bits(2) != RECTANGULAR:
            return None
        read.skip(1)
        time_resolution = read.bits(16)
        read.skip(1)
        if time_resolution == 0:
            return None
        if read.flag():
            read.skip(max((time_resolution - 1).bit_length(), 1))
        read.skip(29)
        return read.flag()
    except HeaderError:
        return None
