"""The header of an H.264 slice, up to the marking of reference pictures (ISO/IEC 14496-10, 7.3.3)."""

from collections.abc import Mapping
from typing import NamedTuple

from hybrid_cvar.video.bitstream.bit_reader import BitReader, HeaderError, unescape
from hybrid_cvar.video.bitstream.h264_parameters import MOST_PPS_ID, PictureParameters, SequenceParameters
from hybrid_cvar.video.bitstream.picture import PictureType

__all__ = ["Operation", "SliceGroupsError", "SliceHeader", "parse_slice_header", "slice_type"]

IDR_SLICE = 5
PREDICTED, BIDIRECTIONAL, SWITCHING_PREDICTED = 0, 1, 3
TYPES = {
    0: PictureType.PREDICTED,
    1: PictureType.BIDIRECTIONAL,
    2: PictureType.INTRA,
    3: PictureType.PREDICTED,
    4: PictureType.INTRA,
}
MOST_SLICE_TYPE = 9
MOST_FRAME_REFERENCES, MOST_FIELD_REFERENCES = 16, 32
MOST_OPERATIONS = 66

# Nearly every slice header fits the first; the second holds the longest that the limits above allow in practice.
USUAL_HEAD, LONGEST_HEAD = 40, 2048

# A command and its operands: (modification_of_pic_nums_idc or memory_management_control_operation, values).
Operation = tuple[int, int, int]


class SliceGroupsError(HeaderError):
    """A slice's macroblocks are not in raster order, and its header is not read to the end."""


class SliceHeader(NamedTuple):
    """What a slice's header says.

    Attributes:
        type: of the slice; SP counts as P and SI as I.
        is_idr: True in an IDR picture.
        is_reference: nal_ref_idc is not 0: later pictures may be predicted from it.
        first_macroblock: first_mb_in_slice.
        sequence, picture: the parameter sets that apply.
        frame_num: modulo 2 ** sequence.frame_num_bits.
        is_field: field_pic_flag.
        is_bottom: bottom_field_flag.
        idr_pic_id: 0 outside IDR pictures.
        order_lsb: pic_order_cnt_lsb.
        order_deltas: delta_pic_order_cnt_bottom and 0 for type 0, delta_pic_order_cnt[0] and [1] for type 1.
        redundant: redundant_pic_cnt; decoders leave out what is not 0.
        active: active entries of the reference lists 0 and 1; 0 where the slice has none.
        modifications: of reference list 0 (7.3.3.1), in order.
        marking: memory management control operations (7.3.3.3), in order; None for the sliding window.
        long_term_idr: long_term_reference_flag of an IDR picture.
    """

    type: PictureType
    is_idr: bool
    is_reference: bool
    first_macroblock: int
    sequence: SequenceParameters
    picture: PictureParameters
    frame_num: int
    is_field: bool
    is_bottom: bool
    idr_pic_id: int
    order_lsb: int
    order_deltas: tuple[int, int]
    redundant: int
    active: tuple[int, int]
    modifications: tuple[Operation, ...]
    marking: tuple[Operation, ...] | None
    long_term_idr: bool

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for two slices if and only if they belong to one picture (7.4.1.2.4)."""
        return (
            self.frame_num,
            self.picture.pps_id,
            self.is_field,
            self.is_bottom,
            self.is_reference,
            self.order_lsb,
            self.order_deltas,
            self.is_idr,
            self.idr_pic_id,
        )


def slice_type(unit: bytes) -> PictureType:
    """Type of a slice, told without its parameter sets.

    Args:
        unit: the head of its NAL unit.

    Raises:
        HeaderError: it is cut off or holds a forbidden value.
    """
    read = BitReader(unescape(unit[1:USUAL_HEAD]))
    read.unsigned()
    return TYPES[read.unsigned(MOST_SLICE_TYPE) % 5]


def parse_slice_header(
    unit: bytes, sequences: Mapping[int, SequenceParameters], pictures: Mapping[int, PictureParameters]
) -> SliceHeader:
    """Read a slice's header.

    Args:
        unit: the NAL unit from its first byte; only a bounded head of it is read.
        sequences, pictures: parameter sets by their number.

    Returns:
        The header.

    Raises:
        HeaderError: it is cut off, holds a forbidden value, or its parameter sets are not among the given ones.
        SliceGroupsError: its picture parameter set has several slice groups.
    """
    try:
        # Cutting an escape in two does no harm: what lies behind the cut is missed, and the longer head is tried.
        return _parse(unit[0], BitReader(unescape(unit[1:USUAL_HEAD])), sequences, pictures)
    except HeaderError:
        if len(unit) <= USUAL_HEAD:
            raise
    return _parse(unit[0], BitReader(unescape(unit[1:LONGEST_HEAD])), sequences, pictures)


def _parse(
    first_byte: int,
    read: BitReader,
    sequences: Mapping[int, SequenceParameters],
    pictures: Mapping[int, PictureParameters],
) -> SliceHeader:
    is_idr, is_reference = first_byte & 31 == IDR_SLICE, first_byte & 0x60 != 0
    first_macroblock = read.unsigned()
    code = read.unsigned(MOST_SLICE_TYPE) % 5
    picture = pictures.get(read.unsigned(MOST_PPS_ID))
    sequence = sequences.get(picture.sps_id) if picture else None
    if picture is None or sequence is None:
        raise HeaderError("a slice names a parameter set that was not seen")
    if picture.slice_groups:
        raise SliceGroupsError("slice groups are not read")
    if sequence.separate_planes:
        read.skip(2)
    frame_num = read.bits(sequence.frame_num_bits)
    is_field = not sequence.frames_only and read.flag()
    is_bottom = is_field and read.flag()
    idr_pic_id = read.unsigned(65535) if is_idr else 0
    order_lsb, order_deltas = _parse_order(read, sequence, picture, is_field)
    redundant = read.unsigned(127) if picture.redundant_pictures else 0
    has_list0, has_list1 = code in (PREDICTED, BIDIRECTIONAL, SWITCHING_PREDICTED), code == BIDIRECTIONAL
    active = (0, 0)
    modifications: tuple[Operation, ...] = ()
    if has_list0:
        if has_list1:
            read.skip(1)
        active = (picture.references[0], picture.references[1] if has_list1 else 0)
        if read.flag():
            active = (1 + read.unsigned(31), 1 + read.unsigned(31) if has_list1 else 0)
        if max(active) > (MOST_FIELD_REFERENCES if is_field else MOST_FRAME_REFERENCES):
            raise HeaderError("more references than the standard allows")
        modifications = _parse_operations(read, end=3, most=3) if read.flag() else ()
        if has_list1 and read.flag():
            _parse_operations(read, end=3, most=3)
    marking: tuple[Operation, ...] | None = None
    long_term_idr = False
    if is_reference:
        if (has_list0 and not has_list1 and picture.weighted) or (has_list1 and picture.weighted_bipred == 1):
            _skip_weights(read, sum(active), sequence.has_chroma)
        if is_idr:
            read.skip(1)
            long_term_idr = read.flag()
        elif read.flag():
            marking = _parse_operations(read, end=0, most=6)
    return SliceHeader(
        TYPES[code],
        is_idr,
        is_reference,
        first_macroblock,
        sequence,
        picture,
        frame_num,
        is_field,
        is_bottom,
        idr_pic_id,
        order_lsb,
        order_deltas,
        redundant,
        active,
        modifications,
        marking,
        long_term_idr,
    )


def _parse_order(
    read: BitReader, sequence: SequenceParameters, picture: PictureParameters, is_field: bool
) -> tuple[int, tuple[int, int]]:
    has_second = picture.order_of_bottom and not is_field
    if sequence.order_type == 0:
        lsb = read.bits(sequence.order_lsb_bits)
        return lsb, (read.signed() if has_second else 0, 0)
    if sequence.order_type == 1 and not sequence.order_always_zero:
        first = read.signed()
        return 0, (first, read.signed() if has_second else 0)
    return 0, (0, 0)


# How many operands a command takes: of list modifications (commands 0 to 2) and of marking (1 to 6).
MODIFICATION_OPERANDS = (1, 1, 1)
MARKING_OPERANDS = (0, 1, 1, 2, 1, 0, 1)


def _parse_operations(read: BitReader, end: int, most: int) -> tuple[Operation, ...]:
    """Commands up to `end`: list modifications (7.3.3.1) end with 3, marking (7.3.3.3) ends with 0."""
    operands = MODIFICATION_OPERANDS if end == 3 else MARKING_OPERANDS
    operations: list[Operation] = []
    while (command := read.unsigned(most)) != end:
        if len(operations) >= MOST_OPERATIONS:
            raise HeaderError("more commands than the standard allows")
        count = operands[command]
        first = read.unsigned() if count > 0 else 0
        operations.append((command, first, read.unsigned() if count > 1 else 0))
    return tuple(operations)


def _skip_weights(read: BitReader, entries: int, has_chroma: bool) -> None:
    """7.3.3.2: for each entry a luma weight and offset, and a pair of each for chroma, where a flag says so."""
    read.unsigned(7)
    if has_chroma:
        read.unsigned(7)
    for _ in range(entries):
        if read.flag():
            read.signed()
            read.signed()
        if has_chroma and read.flag():
            for _ in range(4):
                read.signed()
