"""Which pictures an H.264 P-picture may be predicted from: the decoded picture buffer, followed without decoding.

The vectors that a decoder exports do not name their reference. The slice headers do: with the marking of
reference pictures (ISO/IEC 14496-10, 8.2.5) and the modification of the list (8.2.4.3), every entry that a block can
choose is known. A P-picture counts as predicted from the previous picture alone if all active entries of all its
slices are that picture; more than one entry is allowed, since encoders repeat a picture to weight it differently.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hybrid_cvar.video.bitstream.h264_order import OrderCounter
from hybrid_cvar.video.bitstream.h264_slices import Operation, SliceHeader
from hybrid_cvar.video.bitstream.picture import CodedPicture, Obstacle, PictureType, most_general

__all__ = ["ReferenceBuffer"]

REMOVE_SHORT, REMOVE_LONG, SHORT_TO_LONG, LIMIT_LONG, REMOVE_ALL, CURRENT_TO_LONG = 1, 2, 3, 4, 5, 6
SUBTRACT, LONG_TERM = 0, 2

# More than any level allows; a damaged stream may never remove one.
MOST_STORED = 32


@dataclass(frozen=True, slots=True)
class _Stored:
    """A reference picture. `serial` tells pictures apart; `long_term` is LongTermFrameIdx, None if short-term."""

    serial: int
    frame_num: int
    long_term: int | None = None


class ReferenceBuffer:
    """The reference pictures of one stream, brought forward picture by picture."""

    def __init__(self) -> None:
        self._stored: list[_Stored] = []
        self._order = OrderCounter()
        self._serial = 0
        self._previous: SliceHeader | None = None
        self._previous_serial = 0
        self._previous_order: int | None = None
        self._last_reference_num = 0
        self._unknown = Obstacle.NONE

    def lose_track(self, reason: Obstacle) -> None:
        """Say that the buffer's content is unknown until the next IDR picture, and why."""
        self._unknown = reason

    def advance(self, slices: Sequence[SliceHeader]) -> CodedPicture:
        """Judge the next picture, and bring the buffer forward past it.

        Args:
            slices: its slices' headers, in order; at least one.

        Returns:
            What they say. An I-picture out of output order has an obstacle too: the picture after it in the file
            is not the one after it on the screen.
        """
        first = slices[0]
        kind = most_general([header.type for header in slices])
        if first.is_idr:
            self._stored, self._unknown = [], Obstacle.NONE
        elif (
            self._previous is not None
            and first.sequence is not self._previous.sequence
            and first.sequence != self._previous.sequence
        ):
            self.lose_track(Obstacle.UNREADABLE)
        obstacle = Obstacle.B_FRAMES if kind is PictureType.BIDIRECTIONAL else _field_coding(first)
        if first.is_field:
            self.lose_track(Obstacle.INTERLACED)
        if self._unknown:
            self._previous = first
            if kind is PictureType.INTRA and not obstacle:
                return CodedPicture(kind, first.is_idr)
            return CodedPicture(kind, first.is_idr, sum(max(s.active for s in slices)), obstacle or self._unknown)

        lost = self._pass_gap(first, kind)
        references, reference_obstacle = self._judge_references(slices)
        # The order is counted in any case: later pictures are counted from it.
        order_obstacle = self._judge_order(first, lost)
        obstacle = obstacle or reference_obstacle or order_obstacle
        if first.sequence.shifted:
            # FFmpeg's vectors count from the corner of the frame as it is coded, its pixels from that of the crop.
            obstacle = obstacle or Obstacle.SHIFTED
        self._store(first)
        self._previous = first
        return CodedPicture(kind, first.is_idr, references, obstacle, lost)

    def _pass_gap(self, header: SliceHeader, kind: PictureType) -> bool:
        """Stand in for the frames that are missing before this one (8.2.5.2); True if they were lost."""
        frame_num_range = 1 << header.sequence.frame_num_bits
        if header.is_idr:
            return False
        if self._previous is None:
            # What lies before the first packet is unknown: as many frames as there can be.
            missing = header.sequence.max_references
            lost = kind is not PictureType.INTRA
        else:
            step = (header.frame_num - self._last_reference_num) % frame_num_range
            # A repeated number is a second field, which does not come here, or another damage.
            missing = max(step - 1, 0)
            lost = (missing > 0 and not header.sequence.gaps_allowed) or (step == 0 and header.is_reference)
        for back in range(min(missing, header.sequence.max_references), 0, -1):
            self._serial += 1
            frame_num = (header.frame_num - back) % frame_num_range
            self._slide(header)
            self._stored.append(_Stored(self._serial, frame_num))
        if missing:
            self._last_reference_num = (header.frame_num - 1) % frame_num_range
            self._order.pass_gap(self._last_reference_num, frame_num_range)
            if lost:
                # The loss is what is wrong with this picture, not its reference, which is the newest missing one.
                self._previous_serial = self._serial
        return lost

    def _judge_references(self, slices: Sequence[SliceHeader]) -> tuple[int, Obstacle]:
        """How many pictures the slices may be predicted from, and the obstacle in them."""
        if all(header.type is PictureType.INTRA for header in slices):
            return 0, Obstacle.NONE
        used: dict[int, _Stored] = {}
        obstacle = Obstacle.NONE
        judged: set[tuple[int, tuple[Operation, ...]]] = set()
        for header in slices:
            if header.type is PictureType.INTRA:
                continue
            if header.type is PictureType.BIDIRECTIONAL:
                return min(len(self._stored), sum(header.active)), Obstacle.B_FRAMES
            request = header.active[0], header.modifications
            if request not in judged:
                judged.add(request)
                entries, unknown_entry = self._reference_list(header)
                obstacle = obstacle or unknown_entry
                used |= {entry.serial: entry for entry in entries if entry is not None}
        if not obstacle and list(used) != [self._previous_serial]:
            others = [entry for serial, entry in used.items() if serial != self._previous_serial]
            if any(entry.long_term is not None for entry in others):
                obstacle = Obstacle.LONG_TERM
            else:
                obstacle = Obstacle.SEVERAL_REFERENCES if len(used) > 1 else Obstacle.OTHER_REFERENCE
        return max(len(used), 1), obstacle

    def _reference_list(self, header: SliceHeader) -> tuple[list[_Stored | None], Obstacle]:
        """List 0 of a P-slice of a frame (8.2.4.2.1, 8.2.4.3); None where the list is longer than the buffer.

        With frames, PicNum and frame_num are the same modulo MaxFrameNum, and LongTermPicNum is LongTermFrameIdx.
        """
        frame_num_range = 1 << header.sequence.frame_num_bits
        current, active = header.frame_num, header.active[0]
        newest_first = sorted(
            (entry for entry in self._stored if entry.long_term is None),
            key=lambda entry: (current - entry.frame_num) % frame_num_range,
        )
        long_term = {entry.long_term: entry for entry in self._stored if entry.long_term is not None}
        initial = newest_first + [long_term[index] for index in sorted(long_term)]
        entries: list[_Stored | None] = [*initial[:active], *[None] * (active - len(initial))]
        obstacle = Obstacle.NONE
        predicted = current
        for index, (command, value, _) in enumerate(header.modifications):
            if index >= active:
                return entries, Obstacle.UNREADABLE
            if command == LONG_TERM:
                found = long_term.get(value)
            else:
                predicted = (predicted + (-1 if command == SUBTRACT else 1) * (value + 1)) % frame_num_range
                found = next((entry for entry in newest_first if entry.frame_num == predicted), None)
            if found is None:
                obstacle = Obstacle.LONG_TERM if command == LONG_TERM else Obstacle.OTHER_REFERENCE
            rest = [entry for entry in entries[index:] if entry is None or entry is not found]
            entries = [*entries[:index], found, *rest][:active]
        return entries, obstacle

    def _judge_order(self, header: SliceHeader, lost: bool) -> Obstacle:
        """Check that the picture follows the previous one in output order as it does in the file."""
        resets = _resets(header)
        order = self._order.count(header, resets=resets)
        previous, self._previous_order = self._previous_order, 0 if resets else order
        if header.is_idr or resets or lost or previous is None or order > previous:
            return Obstacle.NONE
        return Obstacle.OTHER_REFERENCE

    def _store(self, header: SliceHeader) -> None:
        """Mark reference pictures (8.2.5.1), and take the current picture in if it is one."""
        self._serial += 1
        self._previous_serial = self._serial
        if not header.is_reference:
            return
        current = _Stored(self._serial, header.frame_num, 0 if header.long_term_idr else None)
        if header.marking is None:
            self._slide(header)
        else:
            for operation in header.marking:
                current = self._apply(operation, current, 1 << header.sequence.frame_num_bits)
        self._last_reference_num = current.frame_num
        self._stored = [*self._stored[-MOST_STORED + 1 :], current]

    def _slide(self, header: SliceHeader) -> None:
        """The sliding window: the oldest short-term picture leaves a full buffer (8.2.5.3)."""
        frame_num_range = 1 << header.sequence.frame_num_bits
        while len(self._stored) >= max(header.sequence.max_references, 1):
            short = [entry for entry in self._stored if entry.long_term is None]
            if not short:
                return
            self._stored.remove(max(short, key=lambda entry: (header.frame_num - entry.frame_num) % frame_num_range))

    def _apply(self, operation: Operation, current: _Stored, frame_num_range: int) -> _Stored:
        """One memory management control operation (8.2.5.4); returns the current picture, changed by 5 and 6."""
        command, first, second = operation
        number = (current.frame_num - first - 1) % frame_num_range
        if command == REMOVE_SHORT:
            self._stored = [e for e in self._stored if e.long_term is not None or e.frame_num != number]
        elif command == REMOVE_LONG:
            self._stored = [e for e in self._stored if e.long_term != first]
        elif command == SHORT_TO_LONG:
            self._stored = [
                replace(e, long_term=second) if e.long_term is None and e.frame_num == number else e
                for e in self._stored
                if e.long_term != second
            ]
        elif command == LIMIT_LONG:
            self._stored = [e for e in self._stored if e.long_term is None or e.long_term < first]
        elif command == REMOVE_ALL:
            self._stored = []
            return replace(current, frame_num=0)
        elif command == CURRENT_TO_LONG:
            self._stored = [e for e in self._stored if e.long_term != first]
            return replace(current, long_term=first)
        return current


def _field_coding(header: SliceHeader) -> Obstacle:
    """Field pictures, or frames whose macroblock pairs may be field-coded each (MbaffFrameFlag)."""
    return Obstacle.INTERLACED if header.is_field or header.sequence.adaptive_fields else Obstacle.NONE


def _resets(header: SliceHeader) -> bool:
    return header.marking is not None and any(command == REMOVE_ALL for command, *_ in header.marking)
