"""Picture headers of MPEG-1 and MPEG-2 video (ISO/IEC 11172-2 and 13818-2).

A P-picture has one reference frame by construction, the last I- or P-picture; only the prediction of fields takes
another. MPEG-1 has no fields. In MPEG-2, a frame whose `frame_pred_frame_dct` is 1 uses frame prediction alone.
"""

import re

from hybrid_cvar.video.bitstream.bit_reader import BitReader, HeaderError
from hybrid_cvar.video.bitstream.picture import CodedPicture, Obstacle, PictureType, most_general

__all__ = ["MpegHeaderReader"]

# What follows 00 00 01 (13818-2, table 6-1); the start codes of slices, 01 to AF, are passed over.
START_CODE = re.compile(rb"\x00\x00\x01[\x00\xb3\xb5]")
PICTURE, SEQUENCE_HEADER, EXTENSION = 0x00, 0xB3, 0xB5
MOST_START_CODES = 1024

SEQUENCE_EXTENSION, PICTURE_CODING_EXTENSION = 1, 8
FRAME_PICTURE = 3

TYPES = {1: PictureType.INTRA, 2: PictureType.PREDICTED, 3: PictureType.BIDIRECTIONAL}
REFERENCES = {PictureType.INTRA: 0, PictureType.PREDICTED: 1, PictureType.BIDIRECTIONAL: 2}
LONGEST_HEAD = 8


class MpegHeaderReader:
    """Reads one MPEG-1 or MPEG-2 stream's packets, in the order of the file.

    Args:
        extradata: the headers that a container keeps beside the stream, or nothing.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._is_mpeg2 = False
        self._previous: PictureType | None = None
        self._take_headers(extradata or b"")

    def read(self, packet: bytes) -> CodedPicture | None:
        """The picture that a packet holds; see `HeaderReader.read`."""
        pictures = self._take_headers(packet)
        if not pictures:
            return None
        kind = most_general([picture_type for picture_type, _ in pictures])
        previous, self._previous = self._previous, pictures[-1][0]
        obstacles = {obstacle for _, obstacle in pictures}
        obstacle = Obstacle.NONE
        if Obstacle.UNREADABLE in obstacles:
            obstacle = Obstacle.UNREADABLE
        elif kind is PictureType.BIDIRECTIONAL:
            obstacle = Obstacle.B_FRAMES
        elif Obstacle.INTERLACED in obstacles:
            obstacle = Obstacle.INTERLACED
        elif len(pictures) > 1:
            obstacle = Obstacle.SEVERAL_PICTURES
        elif kind is PictureType.PREDICTED and previous is PictureType.BIDIRECTIONAL:
            obstacle = Obstacle.OTHER_REFERENCE
        is_intra = pictures[0][0] is PictureType.INTRA
        return CodedPicture(kind, is_intra, REFERENCES[kind], obstacle, lost=previous is None and not is_intra)

    def _take_headers(self, data: bytes) -> list[tuple[PictureType, Obstacle]]:
        """Take in the sequence headers of some data; returns the type of each picture in it, and its obstacle."""
        pictures: list[tuple[PictureType, Obstacle]] = []
        match = START_CODE.search(data)
        for _ in range(MOST_START_CODES):
            if match is None:
                break
            at = match.end()
            code, head = data[at - 1], data[at : at + LONGEST_HEAD]
            if code == PICTURE:
                picture = _parse_picture(head)
                if picture:
                    # Until its extension comes, a picture of MPEG-2 is not known to be a whole frame.
                    pictures.append((picture, Obstacle.UNREADABLE if self._is_mpeg2 else Obstacle.NONE))
            elif code == SEQUENCE_HEADER:
                self._is_mpeg2 = False
            elif head and head[0] >> 4 == SEQUENCE_EXTENSION:
                self._is_mpeg2 = True
            elif head and head[0] >> 4 == PICTURE_CODING_EXTENSION and pictures:
                pictures[-1] = pictures[-1][0], _parse_coding_extension(head)
            match = START_CODE.search(data, at)
        return pictures


def _parse_picture(head: bytes) -> PictureType | None:
    """picture_coding_type (13818-2, 6.2.3); None if it is none that decoders take."""
    read = BitReader(head)
    try:
        read.skip(10)
        return TYPES.get(read.bits(3))
    except HeaderError:
        return None


def _parse_coding_extension(head: bytes) -> Obstacle:
    """Field coding in a picture coding extension (13818-2, 6.2.3.1).

    `progressive_frame` 0 alone is none: it tells when the lines were taken, not how they are predicted.
    """
    read = BitReader(head)
    try:
        read.skip(22)
        is_frame = read.bits(2) == FRAME_PICTURE
        read.skip(1)
        return Obstacle.NONE if is_frame and read.flag() else Obstacle.INTERLACED
    except HeaderError:
        return Obstacle.UNREADABLE
