"""H.264 headers of hand-made streams, for what no encoder here writes: marking, list modification, fields, damage."""

import time

import pytest
from h264_writer import HandMade, nal, pps, se, sps, ue
from hypothesis import given
from hypothesis import strategies as st

from hybrid_cvar.video.bitstream import CodedPicture, PictureType, header_reader
from hybrid_cvar.video.bitstream.bit_reader import BitReader, HeaderError
from hybrid_cvar.video.bitstream.h264_parameters import parse_picture_parameters, parse_sequence_parameters
from hybrid_cvar.video.bitstream.h264_slices import parse_slice_header

INTRA, PREDICTED, BIDIRECTIONAL = PictureType.INTRA, PictureType.PREDICTED, PictureType.BIDIRECTIONAL
SEVERAL = "several reference frames"
OTHER = "references other than the previous frame"


@pytest.mark.parametrize(("crop", "shifted"), [((0, 3, 0, 4), False), ((1, 0, 0, 0), True), ((0, 0, 2, 0), True)])
def test_cropped_frames(crop, shifted):
    """At the right and the bottom they lose padding; at the left and the top the vectors' origin moves."""
    stream = HandMade(crop=crop)
    obstacle = "frames cropped at the left or the top" if shifted else ""
    assert stream.read("I", 0, idr=True) == CodedPicture(INTRA, True, 0, obstacle)
    assert stream.read("P", 1) == CodedPicture(PREDICTED, False, 1, obstacle)


@pytest.mark.parametrize("count", [1, 2])
def test_plain_list(count):
    stream = HandMade(references=4).start()
    assert stream.read("P", 1, active=count) == CodedPicture(PREDICTED, False, 1)
    expected = SEVERAL if count == 2 else ""
    assert stream.read("P", 2, active=count) == CodedPicture(PREDICTED, False, count, expected)


def test_default_count_of_the_picture_parameters():
    stream = HandMade(references=4, pps_active=2).start()
    stream.read("P", 1)
    assert stream.read("P", 2).obstacle == SEVERAL
    assert stream.read("P", 3, active=1).obstacle == ""


def test_sliding_window_leaves_one():
    stream = HandMade(references=1, pps_active=3).start()
    for number in range(1, 40):
        assert stream.read("P", number) == CodedPicture(PREDICTED, False, 1)


def test_sliding_window_removes_the_oldest():
    """Four pictures pass through a buffer of two; frame_num wraps on the way."""
    stream = HandMade(references=2, pps_active=4).start()
    stream.read("P", 1)
    for number in range(2, 40):
        assert stream.read("P", number).references == 2


def test_first_entry_where_the_number_wraps():
    stream = HandMade(references=2).start()
    for number in range(1, 40):
        assert stream.read("P", number, active=1).obstacle == ""


def test_modification_that_repeats_the_previous_picture():
    stream = HandMade(references=1).start()
    for number in range(1, 40):
        # 0 subtracts one from the current number; sixteen, a whole turn, name the same picture again.
        assert stream.read("P", number, active=3, modify=[(0, 0), (0, 15), (1, 15)]).obstacle == ""


@pytest.mark.parametrize(("modify", "expected"), [((0, 0), ""), ((1, 14), ""), ((0, 1), OTHER), ((0, 9), OTHER)])
def test_modification_to_an_older_picture(modify, expected):
    stream = HandMade(references=4).start()
    for number in (1, 2, 3):
        stream.read("P", number)
    assert stream.read("P", 4, active=1, modify=[modify]).obstacle == expected


def test_modification_moves_the_rest():
    """[3, 2, 1] with 1 put first is [1, 3, 2]: with two active entries, 1 and 3."""
    stream = HandMade(references=4).start()
    for number in (1, 2, 3):
        stream.read("P", number)
    assert stream.read("P", 4, active=2, modify=[(0, 2)]).obstacle == SEVERAL
    assert stream.read("P", 5, active=2, modify=[(0, 0), (1, 15)]).obstacle == ""
    # A picture that is moved leaves its old place: [5, 4, 3] stays as it is.
    assert stream.read("P", 6, active=3, modify=[(0, 0)]).references == 3


def test_more_modifications_than_entries():
    stream = HandMade(references=1).start()
    assert stream.read("P", 1, active=1, modify=[(0, 0)] * 2).obstacle == "headers that cannot be read"


def test_each_slice_counts():
    stream = HandMade(references=2).start()
    stream.read("P", 1)
    first, second = stream.slice("P", 2, active=1), stream.slice("P", 2, active=2, first=8)
    assert stream.reader.read(first + second).obstacle == SEVERAL
    first, second = stream.slice("I", 3), stream.slice("P", 3, active=1, modify=[(0, 1)], first=8)
    assert stream.reader.read(first + second) == CodedPicture(PREDICTED, False, 1, OTHER)
    assert stream.reader.read(stream.slice("I", 4) + stream.slice("B", 4, first=8)).obstacle == "B-frames"


def test_removed_pictures_are_not_listed():
    """Operation 1 removes the picture before the previous one, so that two entries find only one picture."""
    stream = HandMade(references=4, pps_active=2).start()
    stream.read("P", 1, marking=[(1, 0)])
    assert stream.read("P", 2).obstacle == ""
    assert stream.read("P", 3).obstacle == SEVERAL


def test_previous_picture_removed():
    """Operation 1 on the previous picture leaves the list to an older one."""
    stream = HandMade(references=4).start()
    stream.read("P", 1)
    stream.read("P", 2, ref=1, marking=[(1, 0)])
    assert stream.read("P", 3, active=1).obstacle == ""
    assert stream.read("P", 4, active=1, modify=[(0, 2)]).obstacle == OTHER


@pytest.mark.parametrize("order", [0, 2])
def test_picture_that_is_no_reference(order):
    """The P-picture after one that is no reference comes from the one before it."""
    stream = HandMade(references=1, order=order).start()
    assert stream.read("P", 1, ref=0, lsb=2).obstacle == ""
    assert stream.read("P", 1, lsb=4) == CodedPicture(PREDICTED, False, 1, OTHER)
    assert stream.read("P", 2, lsb=6).obstacle == ""


def test_intra_picture_after_one_that_is_no_reference():
    stream = HandMade(references=1).start()
    stream.read("P", 1, ref=0)
    assert stream.read("I", 1) == CodedPicture(INTRA, False)
    assert stream.read("P", 2).obstacle == ""


def test_long_term_idr():
    """A long-term IDR picture may be the previous one; later it is listed behind the short-term ones."""
    stream = HandMade(references=3)
    stream.read("I", 0, idr=True, long_idr=1)
    assert stream.read("P", 1, active=1).obstacle == ""
    assert stream.read("P", 2, active=1).obstacle == ""
    assert stream.read("P", 3, active=1, modify=[(2, 0)]) == CodedPicture(PREDICTED, False, 1, "long-term references")
    assert stream.read("P", 4, active=4).obstacle == "long-term references"
    assert stream.read("P", 5, active=1, modify=[(2, 3)]).obstacle == "long-term references"


def test_long_term_by_marking():
    stream = HandMade(references=3).start()
    stream.read("P", 1, marking=[(4, 2), (3, 0, 1)])
    assert stream.read("P", 2, active=2).obstacle == "long-term references"
    stream.read("P", 3, marking=[(2, 1), (1, 0), (1, 1)])
    assert stream.read("P", 4, active=3).obstacle == ""
    stream.read("P", 5, marking=[(1, 0), (1, 1), (6, 0)])
    assert stream.read("P", 6, active=1).obstacle == ""
    assert stream.read("P", 7, active=1, modify=[(2, 0)]).obstacle == "long-term references"
    stream.read("P", 8, marking=[(4, 0)], active=1)
    assert stream.read("P", 9, active=4).obstacle == SEVERAL


def test_long_term_place_taken_again():
    """Operation 3 to a place that is taken frees the picture that was there."""
    stream = HandMade(references=3).start()
    stream.read("P", 1, marking=[(4, 1), (3, 0, 0)])
    stream.read("P", 2, marking=[(3, 0, 0)])
    assert stream.read("P", 3, active=4).references == 2
    # There is room for three: the long-term one, and two that came after it.
    assert stream.read("P", 4, active=4).references == 3


def test_marking_that_starts_anew():
    """Operation 5 removes all; the picture counts as number 0 and order 0."""
    stream = HandMade(references=4, order=0, pps_active=2).start()
    stream.read("P", 1, lsb=2)
    stream.read("P", 2, lsb=4, active=1, marking=[(5,)])
    assert stream.read("P", 1, lsb=2) == CodedPicture(PREDICTED, False, 1)
    assert stream.read("P", 2, lsb=4).obstacle == SEVERAL
    # Counted from 0, the nearest number that ends in 15 is -1, before the picture that started anew.
    stream.read("P", 3, lsb=12, active=1)
    stream.read("P", 4, lsb=14, active=1, marking=[(5,)])
    assert stream.read("P", 1, lsb=15).obstacle == OTHER


def test_gap_in_frame_num():
    lossy = HandMade(references=1).start()
    assert lossy.read("P", 3) == CodedPicture(PREDICTED, False, 1, "", lost=True)
    assert lossy.read("P", 4) == CodedPicture(PREDICTED, False, 1)
    assert lossy.read("P", 4).lost
    allowed = HandMade(references=1, gaps=1).start()
    assert allowed.read("P", 3) == CodedPicture(PREDICTED, False, 1, OTHER)
    named = HandMade(references=3, gaps=1).start()
    assert named.read("P", 2, active=1, modify=[(0, 1)]) == CodedPicture(PREDICTED, False, 1)
    assert named.read("P", 3, active=2).obstacle == SEVERAL


def test_idr_after_a_loss_is_clean():
    stream = HandMade(references=2, pps_active=2).start()
    assert stream.read("P", 7).lost
    stream.start()
    assert stream.read("P", 1) == CodedPicture(PREDICTED, False, 1)


def test_output_order_by_lsb():
    stream = HandMade(references=1, order=0).start()
    for index in range(1, 40):
        assert stream.read("P", index, lsb=2 * index).obstacle == ""
    assert stream.read("P", 40, lsb=74).obstacle == OTHER
    assert stream.start().read("I", 1, lsb=-2).obstacle == OTHER
    stream.start()
    # Half a turn of the four bits is one forward.
    assert [stream.read("P", index, lsb=order).obstacle for index, order in ((1, 6), (2, 14), (3, 22))] == [""] * 3


def test_output_order_is_counted_past_other_obstacles():
    stream = HandMade(references=2, order=0).start()
    for index in range(1, 30):
        expected = SEVERAL if 2 <= index < 25 else ""
        assert stream.read("P", index, lsb=2 * index, active=1 if index >= 25 else 2).obstacle == expected


def test_output_order_with_bottom_fields():
    stream = HandMade(references=1, order=0, bottom=1, frames_only=0)
    stream.read("I", 0, idr=True, deltas=[1])
    assert stream.read("P", 1, lsb=2, deltas=[1]).obstacle == ""
    assert stream.read("P", 2, lsb=4, deltas=[-3]).obstacle == OTHER


def test_output_order_by_cycle():
    """Steps of 2 and 4 in turn; pictures that are no reference stand one earlier than the next would."""
    stream = HandMade(references=1, order=1, cycle=(2, 4))
    stream.read("I", 0, idr=True, deltas=[0])
    for index in range(1, 40):
        assert stream.read("P", index, deltas=[0]).obstacle == ""
    # From 39 to 40 the order rises by 4: down to 1 it still rises, and at 0 it does not.
    assert stream.read("P", 40, deltas=[-3]).obstacle == ""
    assert stream.read("P", 41, deltas=[-5]).obstacle == OTHER
    silent = HandMade(references=1, order=1, cycle=(2,), always_zero=1)
    silent.start()
    assert [silent.read("P", index).obstacle for index in range(1, 20)] == [""] * 19


def test_field_pictures():
    """PAFF: fields are refused, and so are the frames whose references they are, up to the next IDR picture."""
    stream = HandMade(references=2, frames_only=0, order=0)
    assert stream.read("I", 0, idr=True).obstacle == ""
    assert stream.read("P", 1, lsb=2).obstacle == ""
    fields = stream.slice("P", 2, field=0, lsb=4) + stream.slice("P", 2, field=1, lsb=5)
    assert stream.reader.read(fields).obstacle == "interlaced coding"
    assert stream.read("P", 3, lsb=6).obstacle == "interlaced coding"
    assert stream.read("I", 0, idr=True).obstacle == ""
    assert stream.read("P", 1, lsb=2).obstacle == ""
    assert stream.read("I", 2, lsb=4, field=0).obstacle == "interlaced coding"


def test_macroblock_adaptive_frames():
    stream = HandMade(references=1, frames_only=0, adaptive=1)
    assert stream.read("I", 0, idr=True).obstacle == "interlaced coding"


def test_several_pictures_in_a_packet():
    stream = HandMade(references=1).start()
    found = stream.reader.read(stream.slice("P", 1) + stream.slice("P", 2))
    assert found == CodedPicture(PREDICTED, False, 1, "several pictures in a packet")
    assert stream.read("P", 3).obstacle == ""
    assert stream.reader.read(stream.slice("P", 4) * 2).obstacle == "several pictures in a packet"


def test_picture_in_several_packets():
    stream = HandMade(references=1).start()
    stream.read("P", 1)
    assert stream.read("P", 1, first=8).obstacle == "pictures in several packets"


def test_redundant_slices_are_left_out():
    stream = HandMade(references=2, redundant=1).start()
    stream.read("P", 1)
    copy = stream.slice("P", 2, redundant=1, active=2)
    assert stream.reader.read(stream.slice("P", 2, active=1) + copy).obstacle == ""
    assert stream.reader.read(copy) is None


def test_slice_groups_and_partitions():
    groups = HandMade(groups=1)
    assert groups.read("I", 0, idr=True).obstacle == "slice groups"
    partitions = HandMade().start()
    assert partitions.read("P", 1, nal_type=2).obstacle == "data partitions"
    assert partitions.read("P", 2).obstacle == "data partitions"
    assert partitions.start().read("P", 1).obstacle == ""


def test_unknown_parameter_sets():
    stream = HandMade().start()
    assert stream.read("P", 1, pps=7) == CodedPicture(PREDICTED, False, 0, "headers that cannot be read")
    assert header_reader("h264", None).read(stream.slice("I", 0, idr=True)).obstacle == "headers that cannot be read"


def test_parameter_sets_replaced_in_the_stream():
    stream = HandMade(references=4, pps_active=1).start()
    stream.read("P", 1)
    assert stream.reader.read(pps(active=2)) is None
    assert stream.read("P", 2).obstacle == SEVERAL
    other = HandMade(references=1, order=0)
    packet = other.sequence + other.picture + other.slice("I", 0, idr=True)
    assert stream.reader.read(packet) == CodedPicture(INTRA, True)
    assert stream.reader.read(other.slice("P", 1, lsb=2)) == CodedPicture(PREDICTED, False, 1)
    # Another sequence, but no IDR picture: what the buffer holds is then unknown.
    assert stream.reader.read(sps(references=2) + stream.slice("P", 2)).obstacle == "headers that cannot be read"


def test_damaged_parameter_sets_are_not_trusted():
    stream = HandMade().start()
    assert stream.reader.read(stream.sequence[:8]) is None
    assert stream.read("P", 1).obstacle == "headers that cannot be read"


@pytest.mark.parametrize("entries", [1, 2, 16])
def test_weights_are_passed_over(entries):
    """The marking behind a long table of weights is still found; it removes the oldest picture."""
    stream = HandMade(references=16, weighted=1).start()
    weights = ue(7) + ue(7) + ("1" + se(-128) + se(127) + "1" + se(-128) * 4) * entries
    stream.read("P", 1, active=entries, weights=weights, marking=[(1, 0)])
    assert stream.read("P", 2, active=2, weights=ue(0) + ue(0) + "0000").obstacle == ""


def test_weights_of_both_lists_are_passed_over():
    """The marking of a B-picture removes the picture before it; the list behind it tells whether it was found."""
    stream = HandMade(references=4, bipred=1).start()
    stream.read("P", 1)
    weights = ue(0) + ue(0) + ("1" + se(5) + se(-3) + "1" + se(2) * 4) * 2
    assert stream.read("B", 2, active=1, weights=weights, marking=[(1, 0)]).obstacle == "B-frames"
    assert stream.read("P", 3, active=3).references == 2


def test_emulation_prevention_in_a_slice_header():
    stream = HandMade(references=2).start()
    stream.read("P", 1)
    second = stream.slice("P", 2, active=1, modify=[(0, 1)], first=2**23 - 1)
    assert b"\0\0\3" in second
    assert stream.reader.read(stream.slice("I", 2) + second) == CodedPicture(PREDICTED, False, 1, OTHER)


@pytest.mark.parametrize(("chroma_format", "lists"), [(0, 8), (1, 8), (2, 8), (3, 12)])
def test_scaling_lists_are_passed_over(chroma_format, lists):
    """A whole list, one whose second scale is 0 and so the last sent, and many that are not sent."""
    bits = f"{244:08b}" + "0" * 8 + f"{30:08b}" + ue(3) + ue(chroma_format) + ("0" if chroma_format == 3 else "")
    bits += ue(0) * 2 + "0" + "1" + "1" + se(1) * 16 + "1" + se(1) + se(-9) + "0" * (lists - 3) + "1" + se(-1) * 7
    bits += se(-1) + ue(5) + ue(2) + ue(4) + "1" + ue(3) + ue(3) + "0" + "1" + "100"
    found = parse_sequence_parameters(nal(0x67, bits)[5:])
    assert (found.sps_id, found.frame_num_bits, found.order_type, found.max_references) == (3, 9, 2, 4)
    assert found.gaps_allowed and not found.frames_only and found.adaptive_fields
    assert found.has_chroma == (chroma_format > 0)


def test_separate_colour_planes():
    """Each plane is coded like a grey picture, and its slices name the plane."""
    bits = f"{244:08b}" + "0" * 8 + f"{30:08b}" + ue(0) + ue(3) + "1" + ue(0) * 2 + "0" + "0"
    found = parse_sequence_parameters(nal(0x67, bits + ue(0) + ue(2) + ue(1) + "0" + ue(3) * 2 + "1100")[5:])
    assert found.separate_planes and not found.has_chroma
    header = nal(0x41, ue(0) + ue(0) + ue(0) + "10" + "0101" + "0" * 3 + "1" * 20)[4:]
    sets = {0: found}, {0: parse_picture_parameters(pps()[5:])}
    assert parse_slice_header(header, *sets).frame_num == 5


def test_switching_slices():
    stream = HandMade(references=2).start()
    assert stream.read("SP", 1) == CodedPicture(PREDICTED, False, 1)
    assert stream.read("SI", 2) == CodedPicture(INTRA, False)


# Packets.


@pytest.mark.parametrize("length_bytes", [1, 2, 4])
def test_length_prefixes(length_bytes):
    """A record with lengths of 1, 2 or 4 bytes; start codes behind one length are found too."""
    stream = HandMade()
    sps, pps = stream.sequence[4:], stream.picture[4:]
    record = bytes([1, 66, 0, 30, 0xFC | (length_bytes - 1), 0xE1, 0, len(sps)]) + sps
    record += bytes([1, 0, len(pps)]) + pps
    reader = header_reader("h264", record)

    def packet(*units):
        return b"".join(len(unit).to_bytes(length_bytes, "big") + unit for unit in units)

    assert reader.read(packet(b"\x06\x05\x00\x80", stream.slice("I", 0, idr=True)[4:])).random_access
    assert reader.read(packet(stream.slice("P", 1)[4:])) == CodedPicture(PREDICTED, False, 1)
    both = stream.slice("P", 2)[4:] + stream.slice("P", 3)
    assert reader.read(packet(both)).obstacle == "several pictures in a packet"
    cut = packet(stream.slice("P", 4)[4:])[:-2]
    assert reader.read(cut) == CodedPicture(PREDICTED, False, 1)


def test_too_many_slices_are_refused():
    stream = HandMade(references=1).start()
    assert stream.reader.read(stream.slice("P", 1) * 2000).obstacle == "headers that cannot be read"


@pytest.mark.parametrize(
    "unit", [b"", b"\x41\x9a\x00\x80", b"\x65\x88\x84\x00", b"\x67\x42\x00\x1e", b"\x68\xce\x00\x00"]
)
def test_many_units_take_little_time(unit):
    stream = HandMade()
    reader = header_reader("h264", stream.sequence + stream.picture)
    packet = stream.slice("I", 0, idr=True) + (b"\0\0\1" + unit) * 100_000
    started = time.perf_counter()
    reader.read(packet)
    reader.read(b"\0" * 1_000_000)
    assert time.perf_counter() - started < 5


# Bits.


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=1, max_size=20))
def test_exp_golomb_round_trip(values):
    bits = "".join(se(value) + ue(abs(value)) for value in values) + "1"
    bits += "0" * (-len(bits) % 8)
    read = BitReader(int(bits, 2).to_bytes(len(bits) // 8, "big"))
    for value in values:
        assert read.signed() == value and read.unsigned() == abs(value)


@pytest.mark.parametrize("data", [b"", b"\0", b"\0" * 40, b"\1", b"\0" * 5 + b"\xff" * 9])
def test_exp_golomb_that_is_no_number(data):
    with pytest.raises(HeaderError):
        BitReader(data).unsigned()
