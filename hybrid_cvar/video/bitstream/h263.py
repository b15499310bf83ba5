"""Picture headers of H.263 (ITU-T H.263, 5.1).

A P-picture has one reference by construction, the last picture; optional modes add others (PB-frames, Annex G and M;
reference picture selection, Annex N; resampling, Annex P; layers, Annex O).
"""

import re

from hybrid_cvar.video.bitstream.bit_reader import BitReader, HeaderError
from hybrid_cvar.video.bitstream.picture import CodedPicture, Obstacle, PictureType

__all__ = ["H263HeaderReader"]

# The picture start code (5.1.1) has 22 bits and is aligned to bytes; the two bits after it belong to TR.
START_CODE = re.compile(rb"\0\0[\x80-\x83]")
START_CODE_BITS = 22
LONGEST_HEAD = 16

EXTENDED = 7
PLUS_TYPES = {
    0: (PictureType.INTRA, Obstacle.NONE),
    1: (PictureType.PREDICTED, Obstacle.NONE),
    2: (PictureType.PREDICTED, Obstacle.PB_FRAMES),
    3: (PictureType.BIDIRECTIONAL, Obstacle.B_FRAMES),
    4: (PictureType.INTRA, Obstacle.OTHER_REFERENCE),
    5: (PictureType.PREDICTED, Obstacle.OTHER_REFERENCE),
}
REFERENCES = {PictureType.INTRA: 0, PictureType.PREDICTED: 1, PictureType.BIDIRECTIONAL: 2}


class H263HeaderReader:
    """Reads one H.263 stream's packets, in the order of the file; it has no headers beside its pictures."""

    def __init__(self) -> None:
        self._selects_references = False
        self._previous: PictureType | None = None

    def read(self, packet: bytes) -> CodedPicture | None:
        """The picture that a packet holds; see `HeaderReader.read`."""
        match = START_CODE.search(packet)
        if match is None:
            return None
        try:
            kind, obstacle = self._parse(BitReader(packet[match.start() : match.start() + LONGEST_HEAD]))
        except HeaderError:
            return None
        previous, self._previous = self._previous, kind
        if START_CODE.search(packet, match.end()):
            obstacle = Obstacle.SEVERAL_PICTURES
        elif kind is PictureType.PREDICTED and previous is PictureType.BIDIRECTIONAL:
            obstacle = obstacle or Obstacle.OTHER_REFERENCE
        is_intra = kind is PictureType.INTRA
        return CodedPicture(
            kind, is_intra and not obstacle, REFERENCES[kind], obstacle, lost=previous is None and not is_intra
        )

    def _parse(self, read: BitReader) -> tuple[PictureType, Obstacle]:
        """Type and obstacle of a picture, from PTYPE (5.1.3)."""
        read.skip(START_CODE_BITS + 8)
        # The first two bits tell this header from that of H.261, which has start codes of its own.
        if read.bits(2) != 2:
            raise HeaderError("not a picture header")
        read.skip(3)
        source_format = read.bits(3)
        if source_format == EXTENDED:
            return self._parse_plus(read)
        if source_format == 0:
            raise HeaderError("a forbidden picture size")
        kind = PictureType.PREDICTED if read.flag() else PictureType.INTRA
        read.skip(3)
        return kind, Obstacle.PB_FRAMES if read.flag() else Obstacle.NONE

    def _parse_plus(self, read: BitReader) -> tuple[PictureType, Obstacle]:
        """The same from PLUSPTYPE (5.1.4), whose optional part holds until it is sent again."""
        if read.bits(3) == 1:
            read.skip(10)
            self._selects_references = read.flag()
            read.skip(7)
        code = read.bits(3)
        if code not in PLUS_TYPES:
            raise HeaderError("a reserved picture type")
        kind, obstacle = PLUS_TYPES[code]
        if kind is PictureType.PREDICTED and not obstacle:
            if self._selects_references:
                obstacle = Obstacle.OTHER_REFERENCE
            elif read.flag():
                obstacle = Obstacle.RESAMPLED_REFERENCE
        return kind, obstacle
