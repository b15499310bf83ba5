"""Picture order count of H.264: where a picture stands in output order (ISO/IEC 14496-10, 8.2.1)."""

from hybrid_cvar.video.bitstream.h264_slices import SliceHeader

__all__ = ["OrderCounter"]


class OrderCounter:
    """Counts the order of the frames of one stream, for the three types of count that a stream may have.

    Field pictures are not counted: a stream with them has another obstacle.
    """

    def __init__(self) -> None:
        # prevPicOrderCntMsb and Lsb of type 0; prevFrameNumOffset and prevFrameNum of types 1 and 2.
        self._msb = self._lsb = 0
        self._offset = self._frame_num = 0

    def pass_gap(self, frame_num: int, frame_num_range: int) -> None:
        """Take note of frames that are missing, the last of them with `frame_num` (8.2.5.2)."""
        if self._frame_num > frame_num:
            self._offset += frame_num_range
        self._frame_num = frame_num

    def count(self, header: SliceHeader, *, resets: bool) -> int:
        """The order of the next frame.

        Args:
            header: of its first slice.
            resets: True if its marking holds operation 5: the following frames are counted from it.

        Returns:
            PicOrderCnt as it is before such a reset, the smaller of its two fields' counts.
        """
        if header.is_idr:
            self._msb = self._lsb = self._offset = self._frame_num = 0
        if header.sequence.order_type == 0:
            return self._count_by_lsb(header, resets)
        frame_num_range = 1 << header.sequence.frame_num_bits
        offset = self._offset + (frame_num_range if self._frame_num > header.frame_num else 0)
        self._offset, self._frame_num = (0, 0) if resets else (offset, header.frame_num)
        if header.sequence.order_type == 1:
            return _count_by_cycle(header, offset + header.frame_num)
        return 2 * (offset + header.frame_num) - (not header.is_reference)

    def _count_by_lsb(self, header: SliceHeader, resets: bool) -> int:
        """8.2.1.1: the least significant bits are sent, the rest follows from the last reference picture."""
        lsb_range = 1 << header.sequence.order_lsb_bits
        lsb, msb = header.order_lsb, self._msb
        if lsb < self._lsb and self._lsb - lsb >= lsb_range // 2:
            msb += lsb_range
        elif lsb > self._lsb and lsb - self._lsb > lsb_range // 2:
            msb -= lsb_range
        top = msb + lsb
        order = top + min(header.order_deltas[0], 0)
        if resets:
            self._msb, self._lsb = 0, top - order
        elif header.is_reference:
            self._msb, self._lsb = msb, lsb
        return order


def _count_by_cycle(header: SliceHeader, frame_number: int) -> int:
    """8.2.1.2: steps that repeat in a cycle, and differences that slices send."""
    sequence = header.sequence
    cycle = sequence.order_cycle
    number = frame_number if cycle else 0
    if not header.is_reference and number > 0:
        number -= 1
    expected = 0
    if number > 0:
        whole, part = divmod(number - 1, len(cycle))
        expected = whole * sum(cycle) + sum(cycle[: part + 1])
    if not header.is_reference:
        expected += sequence.order_non_ref
    top = expected + header.order_deltas[0]
    return min(top, top + sequence.order_bottom + header.order_deltas[1])
