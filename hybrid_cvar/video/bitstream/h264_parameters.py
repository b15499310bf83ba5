"""Sequence and picture parameter sets of H.264, as far as the headers of slices need them."""

from dataclasses import dataclass

from hybrid_cvar.video.bitstream.bit_reader import BitReader

__all__ = ["PictureParameters", "SequenceParameters", "parse_picture_parameters", "parse_sequence_parameters"]

# Profiles whose SPS tells the chroma format (7.3.2.1.1).
HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
CHROMA_444 = 3

MOST_SPS_ID = 31
MOST_PPS_ID = 255
MOST_LOG2_MINUS4 = 12
MOST_REFERENCES = 16
MOST_ORDER_OFFSETS = 255


@dataclass(frozen=True)
class SequenceParameters:
    """A sequence parameter set (ISO/IEC 14496-10, 7.3.2.1.1); the names are the standard's.

    Attributes:
        sps_id: seq_parameter_set_id.
        has_chroma: False for monochrome and for separately coded colour planes (ChromaArrayType 0).
        separate_planes: separate_colour_plane_flag.
        frame_num_bits: log2 of MaxFrameNum.
        order_type: pic_order_cnt_type, 0 to 2.
        order_lsb_bits: log2 of MaxPicOrderCntLsb; type 0 only.
        order_always_zero: delta_pic_order_always_zero_flag; type 1 only.
        order_non_ref, order_bottom: offset_for_non_ref_pic, offset_for_top_to_bottom_field; type 1 only.
        order_cycle: offset_for_ref_frame; type 1 only.
        max_references: max_num_ref_frames.
        gaps_allowed: gaps_in_frame_num_value_allowed_flag.
        frames_only: frame_mbs_only_flag.
        adaptive_fields: mb_adaptive_frame_field_flag.
        shifted: True if frames are cropped at their left or top (frame_crop_left_offset, frame_crop_top_offset).
    """

    sps_id: int
    has_chroma: bool
    separate_planes: bool
    frame_num_bits: int
    order_type: int
    order_lsb_bits: int
    order_always_zero: bool
    order_non_ref: int
    order_bottom: int
    order_cycle: tuple[int, ...]
    max_references: int
    gaps_allowed: bool
    frames_only: bool
    adaptive_fields: bool
    shifted: bool


@dataclass(frozen=True)
class PictureParameters:
    """A picture parameter set (ISO/IEC 14496-10, 7.3.2.2); the names are the standard's.

    Attributes:
        pps_id, sps_id: pic_parameter_set_id, seq_parameter_set_id.
        slice_groups: True if there are several; what follows them is then not read.
        order_of_bottom: bottom_field_pic_order_in_frame_present_flag.
        references: num_ref_idx_l0 and l1_default_active.
        weighted: weighted_pred_flag.
        weighted_bipred: weighted_bipred_idc.
        redundant_pictures: redundant_pic_cnt_present_flag.
    """

    pps_id: int
    sps_id: int
    slice_groups: bool
    order_of_bottom: bool
    references: tuple[int, int] = (1, 1)
    weighted: bool = False
    weighted_bipred: int = 0
    redundant_pictures: bool = False


def parse_sequence_parameters(payload: bytes) -> SequenceParameters:
    """Read an SPS.

    Args:
        payload: the NAL unit after its first byte, without emulation prevention.

    Returns:
        The set.

    Raises:
        HeaderError: it is cut off or holds a forbidden value.
    """
    read = BitReader(payload)
    profile = read.bits(8)
    read.skip(16)
    sps_id = read.unsigned(MOST_SPS_ID)
    chroma_format, separate_planes = 1, False
    if profile in HIGH_PROFILES:
        chroma_format = read.unsigned(CHROMA_444)
        if chroma_format == CHROMA_444:
            separate_planes = read.flag()
        read.unsigned()
        read.unsigned()
        read.skip(1)
        if read.flag():
            _skip_scaling_matrix(read, 12 if chroma_format == CHROMA_444 else 8)
    frame_num_bits = 4 + read.unsigned(MOST_LOG2_MINUS4)
    order_type = read.unsigned(2)
    order_lsb_bits = order_non_ref = order_bottom = 0
    order_always_zero = False
    order_cycle: tuple[int, ...] = ()
    if order_type == 0:
        order_lsb_bits = 4 + read.unsigned(MOST_LOG2_MINUS4)
    elif order_type == 1:
        order_always_zero = read.flag()
        order_non_ref, order_bottom = read.signed(), read.signed()
        order_cycle = tuple(read.signed() for _ in range(read.unsigned(MOST_ORDER_OFFSETS)))
    max_references = read.unsigned(MOST_REFERENCES)
    gaps_allowed = read.flag()
    read.unsigned()
    read.unsigned()
    frames_only = read.flag()
    adaptive_fields = not frames_only and read.flag()
    read.skip(1)
    left, _, top, _ = (read.unsigned() for _ in range(4)) if read.flag() else (0, 0, 0, 0)
    return SequenceParameters(
        sps_id=sps_id,
        has_chroma=chroma_format > 0 and not separate_planes,
        separate_planes=separate_planes,
        frame_num_bits=frame_num_bits,
        order_type=order_type,
        order_lsb_bits=order_lsb_bits,
        order_always_zero=order_always_zero,
        order_non_ref=order_non_ref,
        order_bottom=order_bottom,
        order_cycle=order_cycle,
        max_references=max_references,
        gaps_allowed=gaps_allowed,
        frames_only=frames_only,
        adaptive_fields=adaptive_fields,
        shifted=left > 0 or top > 0,
    )


def parse_picture_parameters(payload: bytes) -> PictureParameters:
    """Read a PPS.

    Args:
        payload: the NAL unit after its first byte, without emulation prevention.

    Returns:
        The set.

    Raises:
        HeaderError: it is cut off or holds a forbidden value.
    """
    read = BitReader(payload)
    pps_id, sps_id = read.unsigned(MOST_PPS_ID), read.unsigned(MOST_SPS_ID)
    read.skip(1)
    order_of_bottom = read.flag()
    if read.unsigned() > 0:
        return PictureParameters(pps_id, sps_id, True, order_of_bottom)
    references = (1 + read.unsigned(31), 1 + read.unsigned(31))
    weighted, weighted_bipred = read.flag(), read.bits(2)
    for _ in range(3):
        read.signed()
    read.skip(2)
    return PictureParameters(
        pps_id, sps_id, False, order_of_bottom, references, weighted, weighted_bipred, redundant_pictures=read.flag()
    )


def _skip_scaling_matrix(read: BitReader, lists: int) -> None:
    """7.3.2.1.1.1: lists of 16 and then of 64 differences; one whose scale becomes 0 ends there."""
    for index in range(lists):
        if not read.flag():
            continue
        scale = 8
        for _ in range(16 if index < 6 else 64):
            scale = (scale + read.signed()) & 255
            if scale == 0:
                break
