"""Picture headers of H.264: NAL units out of packets, and their slices into pictures (ISO/IEC 14496-10, 7.3, 7.4.1).

Packets come in two forms. In Annex B a start code (00 00 01) stands before each NAL unit; in the form of
ISO/IEC 14496-15 (MP4, Matroska) its length does, and the parameter sets lie in a record beside the stream.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from hybrid_cvar.video.bitstream.bit_reader import HeaderError, unescape
from hybrid_cvar.video.bitstream.h264_parameters import (
    PictureParameters,
    SequenceParameters,
    parse_picture_parameters,
    parse_sequence_parameters,
)
from hybrid_cvar.video.bitstream.h264_references import ReferenceBuffer
from hybrid_cvar.video.bitstream.h264_slices import (
    LONGEST_HEAD,
    SliceGroupsError,
    SliceHeader,
    parse_slice_header,
    slice_type,
)
from hybrid_cvar.video.bitstream.picture import CodedPicture, Obstacle, PictureType, most_general

__all__ = ["H264HeaderReader"]

SLICE, PARTITION_A, IDR_SLICE, SEQUENCE_PARAMETERS, PICTURE_PARAMETERS = 1, 2, 5, 7, 8
FORBIDDEN_ZERO_BIT = 0x80

# A regular expression finds it in half the time that bytes.find takes.
START_CODE = re.compile(rb"\x00\x00\x01")

# A picture has fewer slices than this in practice; a packet with more is damaged, and must not cost the time.
MOST_UNITS = 1024

AVC_RECORD_VERSION = 1
AVC_RECORD_BYTES = 7


class H264HeaderReader:
    """Reads one H.264 stream's packets, in the order of the file.

    Args:
        extradata: the container's record (avcC), or parameter sets with start codes, or nothing.
    """

    def __init__(self, extradata: bytes | None) -> None:
        self._sequences: dict[int, SequenceParameters] = {}
        self._pictures: dict[int, PictureParameters] = {}
        self._buffer = ReferenceBuffer()
        self._last_identity: tuple[object, ...] | None = None
        self._length_bytes = 0
        extradata = extradata or b""
        if extradata[:1] == bytes([AVC_RECORD_VERSION]) and len(extradata) >= AVC_RECORD_BYTES:
            self._length_bytes = 1 + (extradata[4] & 3)
            units = _units_of_record(extradata)
        else:
            units = _units_after_start_codes(extradata, 0, len(extradata))
        for unit in islice(units, MOST_UNITS):
            self._take_parameters(unit)

    def read(self, packet: bytes) -> CodedPicture | None:
        """The picture that a packet holds; see `HeaderReader.read`."""
        if self._length_bytes:
            units = _units_after_lengths(packet, self._length_bytes)
        else:
            units = _units_after_start_codes(packet, 0, len(packet))
        slices: list[SliceHeader] = []
        unreadable: dict[PictureType, Obstacle] = {}
        for unit in islice(units, MOST_UNITS):
            kind = unit[0] & 31
            if unit[0] & FORBIDDEN_ZERO_BIT:
                continue
            if kind not in (SLICE, IDR_SLICE):
                if kind == PARTITION_A:
                    self._refuse(unit, Obstacle.DATA_PARTITIONS, unreadable)
                else:
                    self._take_parameters(unit)
                continue
            try:
                header = parse_slice_header(unit, self._sequences, self._pictures)
            except SliceGroupsError:
                self._refuse(unit, Obstacle.SLICE_GROUPS, unreadable)
            except HeaderError:
                self._refuse(unit, Obstacle.UNREADABLE, unreadable)
            else:
                # Decoders leave redundant copies of a slice out.
                if not header.redundant:
                    slices.append(header)
        if next(units, None) is not None:
            unreadable[PictureType.PREDICTED] = Obstacle.UNREADABLE
        if unreadable:
            self._buffer.lose_track(next(iter(unreadable.values())))
            self._last_identity = None
            types = [*unreadable, *(header.type for header in slices)]
            return CodedPicture(most_general(types), False, obstacle=next(iter(unreadable.values())))
        return self._judge(slices) if slices else None

    def _judge(self, slices: Sequence[SliceHeader]) -> CodedPicture:
        """The picture of some slices; of several pictures in a packet, one that stands for them all."""
        groups: list[list[SliceHeader]] = []
        previous = self._last_identity
        for header in slices:
            identity = header.identity
            if groups and identity == previous and header.first_macroblock > 0:
                groups[-1].append(header)
            else:
                groups.append([header])
                if identity == previous and header.first_macroblock > 0:
                    return self._rest_of_picture(slices)
                previous = identity
        self._last_identity = previous
        pictures = [self._buffer.advance(group) for group in groups]
        if len(pictures) == 1:
            return pictures[0]
        fields = any(picture.obstacle == Obstacle.INTERLACED for picture in pictures)
        return CodedPicture(
            most_general([picture.type for picture in pictures]),
            pictures[0].random_access,
            max(picture.references for picture in pictures),
            Obstacle.INTERLACED if fields else Obstacle.SEVERAL_PICTURES,
            any(picture.lost for picture in pictures),
        )

    def _rest_of_picture(self, slices: Sequence[SliceHeader]) -> CodedPicture:
        """The packet goes on with the slices of the last one: what it holds was not judged as a whole."""
        self._buffer.lose_track(Obstacle.SPLIT_PICTURE)
        return CodedPicture(most_general([header.type for header in slices]), False, obstacle=Obstacle.SPLIT_PICTURE)

    def _refuse(self, unit: bytes, obstacle: Obstacle, unreadable: dict[PictureType, Obstacle]) -> None:
        """Take note of a slice that cannot be read; if not even its type can be told, it is no slice."""
        try:
            unreadable.setdefault(slice_type(unit), obstacle)
        except HeaderError:
            return

    def _take_parameters(self, unit: bytes) -> None:
        """Keep a parameter set; one that cannot be read makes the others doubtful too."""
        kind = unit[0] & 31
        if kind == SEQUENCE_PARAMETERS:
            try:
                sequence = parse_sequence_parameters(unescape(unit[1:]))
                self._sequences[sequence.sps_id] = sequence
            except HeaderError:
                self._sequences.clear()
        elif kind == PICTURE_PARAMETERS:
            try:
                picture = parse_picture_parameters(unescape(unit[1:]))
                self._pictures[picture.pps_id] = picture
            except HeaderError:
                self._pictures.clear()


def _units_after_start_codes(data: bytes, start: int, end: int) -> Iterator[bytes]:
    """Heads of the NAL units between start codes (Annex B); none is empty."""
    match = START_CODE.search(data, start, end)
    while match:
        begin = match.end()
        match = START_CODE.search(data, begin, end)
        head = data[begin : min(match.start() if match else end, begin + LONGEST_HEAD)]
        if head:
            yield head


def _units_after_lengths(data: bytes, length_bytes: int) -> Iterator[bytes]:
    """Heads of the NAL units behind their lengths (ISO/IEC 14496-15, 5.3.4.2); none is empty.

    Some recorders put several units with start codes behind one length, and decoders find them there.
    """
    at = 0
    while at + length_bytes < len(data):
        begin = at + length_bytes
        at = begin + int.from_bytes(data[at:begin], "big")
        end = min(at, len(data))
        match = START_CODE.search(data, begin, end)
        head = data[begin : min(match.start() if match else end, begin + LONGEST_HEAD)]
        if head:
            yield head
        if match:
            yield from _units_after_start_codes(data, match.start(), end)


def _units_of_record(record: bytes) -> Iterator[bytes]:
    """The parameter sets of an avcC record (ISO/IEC 14496-15, 5.2.4.1); none is empty."""
    at = 5
    for mask in (31, 255):
        if at >= len(record):
            return
        count, at = record[at] & mask, at + 1
        for _ in range(count):
            begin = at + 2
            at = begin + int.from_bytes(record[at:begin], "big")
            if record[begin:at]:
                yield record[begin:at]
