"""MPEG-4 Part 2, MPEG-1, MPEG-2 and H.263 headers, on real and hand-made streams."""

import io
import time
from collections import Counter
from itertools import pairwise

import av
import numpy as np
import pytest
from av.codec.context import ThreadType
from av.video.frame import PictureType as FramePictureType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid_cvar.video.bitstream import CodedPicture, PictureType, header_reader

INTRA, PREDICTED, BIDIRECTIONAL = PictureType.INTRA, PictureType.PREDICTED, PictureType.BIDIRECTIONAL
OTHER = "references other than the previous frame"
UNREADABLE = "headers that cannot be read"
LONE_P = CodedPicture(PREDICTED, False, 1)


def load(source):
    """Codec, extradata and packets of a video, and the decoder's own word on each frame."""
    with av.open(io.BytesIO(source) if isinstance(source, bytes) else source) as container:
        stream = container.streams.video[0]
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        container.seek(0)
        types = [FramePictureType(frame.pict_type).name for frame in container.decode(stream)]
        return stream.codec.canonical_name, stream.codec_context.extradata, packets, types


def scan(source):
    codec, extradata, packets, types = load(source)
    reader = header_reader(codec, extradata)
    found = [reader.read(packet) for packet in packets]
    assert Counter(str(picture.type) for picture in found) == Counter(types)
    return found


def obstacles(pictures):
    return Counter(str(picture.obstacle) for picture in pictures)


@pytest.fixture(scope="module")
def frames(pictures):
    """40 frames of 176x144, a size that H.263 has."""
    return [np.tile(picture, (3, 2, 1))[:144, :176] for picture in pictures]


CODECS = {
    "mpeg4": ["avi", "mp4", "matroska", "m4v"],
    "mpeg2video": ["mpegts", "mpeg", "matroska"],
    "mpeg1video": ["mpeg", "mpeg1video"],
    "h263": ["avi", "3gp", "h263"],
}
CASES = [(codec, container) for codec, containers in CODECS.items() for container in containers]
MORE_OPTIONS = {
    "mpeg4": [{"flags": "+mv4+qpel"}, {"data_partitioning": "1"}, {"g": "300"}, {"mpeg_quant": "1"}, {"ps": "200"}],
    "mpeg2video": [{"g": "300"}, {"intra_vlc": "1"}],
    "mpeg1video": [{"g": "300"}],
    "h263": [{"g": "300"}, {"ps": "200"}, {"flags": "+aic"}, {"obmc": "1", "flags": "+mv4"}],
}


@pytest.mark.parametrize(("codec", "container"), CASES)
def test_predicted_from_the_previous_picture(encode, frames, codec, container):
    found = scan(encode(frames, codec=codec, container=container))
    assert found == [CodedPicture(INTRA, True) if index % 12 == 0 else LONE_P for index in range(40)]


@pytest.mark.parametrize(("codec", "options"), [(codec, o) for codec in MORE_OPTIONS for o in MORE_OPTIONS[codec]])
def test_options_that_are_no_obstacle(encode, frames, codec, options):
    found = scan(encode(frames, codec=codec, container=CODECS[codec][0], **options))
    assert obstacles(found) == {"": 40} and found[1] == LONE_P


def test_larger_h263(encode, frames):
    large = [np.tile(frame, (2, 2, 1)) for frame in frames]
    assert obstacles(scan(encode(large, codec="h263", container="avi"))) == {"": 40}


def test_h263_with_extended_types(encode, pictures):
    """H.263+ of a free size writes PLUSPTYPE."""
    cut = [picture[:64, :96] for picture in pictures]
    video = encode(cut, codec="h263p", container="avi", flags="+aic+loop", umv="1")
    _, extradata, packets, types = load(video)
    reader = header_reader("h263", extradata)
    found = [reader.read(packet) for packet in packets]
    assert [str(picture.type) for picture in found] == types
    assert obstacles(found) == {"": 40}


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video", "mpeg1video"])
def test_b_frames(encode, frames, codec):
    found = scan(encode(frames, codec=codec, container=CODECS[codec][0], bf="2"))
    assert {str(picture.obstacle) for picture in found if picture.type is BIDIRECTIONAL} == {"B-frames"}
    after = [b for a, b in pairwise(found) if (a.type, b.type) == (BIDIRECTIONAL, PREDICTED)]
    assert after and {str(picture.obstacle) for picture in after} == {OTHER}
    assert next(picture.obstacle for picture in found if picture.obstacle) == "B-frames"


@pytest.mark.parametrize("flags", ["+ilme", "+ildct", "+ilme+ildct"])
@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video"])
def test_interlaced(encode, frames, codec, flags):
    found = scan(encode(frames, codec=codec, container=CODECS[codec][0], flags=flags))
    assert obstacles(found) == {"interlaced coding": 40}


@pytest.mark.parametrize("codec", list(CODECS))
def test_start_at_a_predicted_picture(encode, frames, codec):
    name, extradata, packets, _ = load(encode(frames, codec=codec, container=CODECS[codec][0]))
    reader = header_reader(name, extradata)
    found = [reader.read(packet) for packet in packets[5:20]]
    assert [picture.lost for picture in found] == [True] + [False] * 14


def test_dancer(dancer):
    found = scan(str(dancer))
    assert len(found) == 1571
    assert [index for index, picture in enumerate(found) if picture.type is INTRA] == list(range(0, 1571, 12))
    assert all(not picture.obstacle and not picture.lost for picture in found)


def test_other_codecs_have_no_reader():
    for codec in ("hevc", "vp9", "av1", "mjpeg", "wmv2", "", "H264"):
        assert header_reader(codec, b"") is None


# What the decoder does, seen in its pictures.


@pytest.mark.parametrize("codec", list(CODECS))
def test_blocks_copy_the_previous_picture(encode, frames, codec):
    """Two pictures take turns: whole-pixel copies are of the previous one, though the one before fits better."""
    draw = np.random.default_rng(5)
    below = np.kron(draw.integers(0, 255, (2, 18, 44, 3)), np.ones((1, 4, 4, 1))).astype(np.uint8)
    wide = np.kron(draw.integers(0, 255, (9, 44, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    turns = [np.concatenate([wide[:, 2 * i : 2 * i + 176], below[i % 2]]) for i in range(30)]
    video = encode(turns, codec=codec, container=CODECS[codec][0], g="300", qmin="20", qmax="31")
    assert obstacles(scan(video)) == {"": 30}
    previous = older = 0
    with av.open(io.BytesIO(video)) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"flags2": "+export_mvs"}
        stream.codec_context.thread_type = ThreadType.SLICE
        history = []
        for frame in container.decode(stream):
            plane = frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
            vectors = frame.side_data.get("MOTION_VECTORS")
            for vector in vectors.to_ndarray() if vectors is not None and len(history) > 1 else ():
                scale = int(vector["motion_scale"])
                (dx, mod_x), (dy, mod_y) = (divmod(int(vector[name]), scale) for name in ("motion_x", "motion_y"))
                w, h = int(vector["w"]), int(vector["h"])
                x, y = int(vector["dst_x"]) - w // 2, int(vector["dst_y"]) - h // 2
                if mod_x or mod_y or not (0 <= x + dx <= frame.width - w and 0 <= y + dy <= frame.height - h):
                    continue
                block = luma[y : y + h, x : x + w]
                fits = [np.array_equal(block, old[y + dy : y + dy + h, x + dx : x + dx + w]) for old in history]
                if np.ptp(block) >= 8:
                    previous += fits[1]
                    older += fits[0] and not fits[1]
            history = [*history[-1:], luma.copy()]
    assert previous > 100 and older <= previous / 20


# Hand-made streams.


def pack(bits):
    """Bytes of a string of 0 and 1, which may have blanks; filled up with ones."""
    bits = bits.replace(" ", "")
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def vol(*, interlaced=0, version=None, aspect=1, control=None, shape=0, resolution=25, fixed=None, sprite=0):
    bits = "0 00000001"
    bits += "0" if version is None else f"1{version:04b}001"
    bits += f"{aspect:04b}" + ("0" * 7 + "1" * 9 if aspect == 15 else "")
    bits += "0" if control is None else "1 01 0" + ("0" if control == 0 else "1" + "01" * 39 + "1")
    bits += f"{shape:02b} 1 {resolution:016b} 1"
    bits += "0" if fixed is None else "1" + fixed
    bits += f"1 {176:013b} 1 {144:013b} 1 {interlaced} 1"
    bits += f"{sprite:b}" if version in (None, 1) else f"{sprite:02b}"
    return b"\0\0\1\x20" + pack(bits + "0000")


def vop(kind, coded=1):
    return b"\0\0\1\xb6" + pack(f"{kind:02b} 0 1 00101 1 {coded}" + "01" * 20)


@pytest.mark.parametrize("interlaced", [0, 1])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"version": 1},
        {"version": 2},
        {"aspect": 15},
        {"control": 0},
        {"control": 1},
        {"resolution": 30000, "fixed": "000001111101001"},
        {"resolution": 1, "fixed": "1"},
        {"resolution": 16, "fixed": "0101"},
        {"version": 5, "aspect": 15, "control": 1, "resolution": 65535, "fixed": "0" * 16},
    ],
)
def test_interlaced_is_found_behind_every_optional_field(fields, interlaced):
    headers = vol(interlaced=interlaced, **fields)
    expected = "interlaced coding" if interlaced else ""
    beside = header_reader("mpeg4", headers)
    assert beside.read(vop(0)).obstacle == expected
    assert beside.read(vop(1)).obstacle == expected
    within = header_reader("mpeg4", None)
    assert within.read(headers) is None
    assert within.read(headers + vop(0)) == CodedPicture(INTRA, True, 0, expected)


def test_vop_types():
    reader = header_reader("mpeg4", vol(version=2, sprite=2))
    assert reader.read(vop(0)) == CodedPicture(INTRA, True)
    assert reader.read(vop(1)) == LONE_P
    assert reader.read(vop(1, coded=0)) == LONE_P
    assert reader.read(vop(3)) == CodedPicture(PREDICTED, False, 1, "global motion compensation")
    assert reader.read(vop(2)) == CodedPicture(BIDIRECTIONAL, False, 2, "B-frames")
    assert reader.read(vop(1)).obstacle == OTHER
    assert reader.read(vop(1)).obstacle == ""


def test_packed_bit_stream():
    reader = header_reader("mpeg4", vol())
    reader.read(vop(0))
    assert reader.read(vop(1) + vop(2)) == CodedPicture(PREDICTED, False, 1, "several pictures in a packet")


@pytest.mark.parametrize("headers", [None, vol()[:8], vol(shape=1), vol(resolution=0)])
def test_layer_that_cannot_be_read(headers):
    reader = header_reader("mpeg4", headers)
    assert reader.read(vop(0)).obstacle == UNREADABLE
    assert reader.read(vol() + vop(0)).obstacle == ""


def test_studio_profile_is_not_read():
    studio = b"\0\0\1\xb0\xe2"
    assert header_reader("mpeg4", studio + vol()).read(vop(0)).obstacle == UNREADABLE
    assert header_reader("mpeg4", b"\0\0\1\xb0\xf3" + vol()).read(vop(0)).obstacle == ""


SEQUENCE = b"\0\0\1\xb3" + pack(f"{176:012b}{144:012b} 0001 0011" + "1" * 32)
SEQUENCE_EXTENSION = b"\0\0\1\xb5" + pack("0001 01001000 0 01" + "0" * 33)
SLICE = b"\0\0\1\1" + b"\x2f" * 9


def picture(kind):
    return b"\0\0\1\0" + pack(f"{5:010b}{kind:03b}{65535:016b}")


def coding(structure=3, frame_only=1, progressive=1, *, identifier=8):
    bits = f"{identifier:04b}" + "1" * 16 + f"00 {structure:02b} 1 {frame_only} 0 0 0 0 0 0 {progressive} 0"
    return b"\0\0\1\xb5" + pack(bits)


@pytest.mark.parametrize(
    ("structure", "frame_only", "progressive", "expected"),
    [
        (3, 1, 1, ""),
        (3, 1, 0, ""),
        (3, 0, 0, "interlaced coding"),
        (3, 0, 1, "interlaced coding"),
        (1, 1, 0, "interlaced coding"),
        (2, 0, 0, "interlaced coding"),
    ],
)
def test_field_coding_of_mpeg2(structure, frame_only, progressive, expected):
    reader = header_reader("mpeg2video", SEQUENCE + SEQUENCE_EXTENSION)
    extension = coding(structure, frame_only, progressive)
    assert reader.read(picture(1) + extension + SLICE) == CodedPicture(INTRA, True, 0, expected)
    assert reader.read(picture(2) + extension + SLICE) == CodedPicture(PREDICTED, False, 1, expected)


def test_two_fields_in_a_packet():
    reader = header_reader("mpeg2video", SEQUENCE + SEQUENCE_EXTENSION)
    fields = picture(1) + coding(1) + SLICE + picture(2) + coding(2) + SLICE
    assert reader.read(fields) == CodedPicture(PREDICTED, True, 1, "interlaced coding")
    frames = picture(2) + coding() + SLICE + picture(2) + coding() + SLICE
    assert reader.read(frames).obstacle == "several pictures in a packet"
    assert reader.read(picture(2) + coding(1) + SLICE + picture(3) + coding(2)).obstacle == "B-frames"


def test_missing_coding_extension():
    reader = header_reader("mpeg2video", SEQUENCE + SEQUENCE_EXTENSION)
    assert reader.read(picture(1) + SLICE).obstacle == UNREADABLE
    assert reader.read(picture(1) + coding(identifier=3) + SLICE).obstacle == UNREADABLE
    assert reader.read(picture(1) + coding()[:6]).obstacle == UNREADABLE
    # A sequence header without an extension starts MPEG-1.
    assert reader.read(SEQUENCE + picture(1) + SLICE).obstacle == ""
    assert reader.read(SEQUENCE + SEQUENCE_EXTENSION) is None
    assert reader.read(picture(2) + SLICE).obstacle == UNREADABLE


def test_mpeg_types():
    reader = header_reader("mpeg1video", SEQUENCE)
    assert reader.read(picture(1) + SLICE) == CodedPicture(INTRA, True)
    assert reader.read(picture(2) + SLICE) == LONE_P
    assert reader.read(picture(3) + SLICE) == CodedPicture(BIDIRECTIONAL, False, 2, "B-frames")
    assert reader.read(picture(2) + SLICE).obstacle == OTHER
    # D-pictures and forbidden types are none that a decoder gives.
    for kind in (0, 4, 5, 6, 7):
        assert reader.read(picture(kind) + SLICE) is None
    assert reader.read(SLICE) is None


def h263(kind, *, pb=0, source=2):
    return pack(f"{32:022b} 00000101 10 000 {source:03b} {kind} 0 0 0 {pb}" + "10" * 20)


def h263_plus(kind, *, optional=None, resampled=0):
    options = "" if optional is None else "010 0 0 0 0 0 0 0 " + optional + " 0 0 0 1000"
    return pack(
        f"{32:022b} 00000101 10 000 111 {0 if optional is None else 1:03b} {options} {kind:03b} {resampled} 0 0 001 0"
    )


def test_h263_types():
    reader = header_reader("h263", None)
    assert reader.read(h263(0)) == CodedPicture(INTRA, True)
    assert reader.read(h263(1)) == LONE_P
    assert reader.read(h263(1, pb=1)) == CodedPicture(PREDICTED, False, 1, "PB-frames")
    assert reader.read(h263(1, source=0)) is None
    assert reader.read(h263(0)[:4]) is None
    assert reader.read(h263(1) + h263(1)).obstacle == "several pictures in a packet"


def test_h263_extended_types():
    reader = header_reader("h263", None)
    assert reader.read(h263_plus(0, optional="0")) == CodedPicture(INTRA, True)
    assert reader.read(h263_plus(1)) == LONE_P
    assert reader.read(h263_plus(1, optional="0")) == LONE_P
    assert reader.read(h263_plus(2)).obstacle == "PB-frames"
    assert reader.read(h263_plus(3)) == CodedPicture(BIDIRECTIONAL, False, 2, "B-frames")
    assert reader.read(h263_plus(1)).obstacle == OTHER
    assert reader.read(h263_plus(1, resampled=1)).obstacle == "resampled references"
    assert reader.read(h263_plus(4)) == CodedPicture(INTRA, False, 0, OTHER)
    assert reader.read(h263_plus(5)) == CodedPicture(PREDICTED, False, 1, OTHER)
    assert reader.read(h263_plus(6)) is None


def test_h263_reference_selection():
    """Annex N holds until the optional part is sent again."""
    reader = header_reader("h263", None)
    assert reader.read(h263_plus(0, optional="1")).obstacle == ""
    assert reader.read(h263_plus(1)).obstacle == OTHER
    assert reader.read(h263_plus(1, optional="0")).obstacle == ""
    reader.read(h263_plus(1, optional="1"))
    assert reader.read(h263(1)).obstacle == ""
    assert reader.read(h263_plus(1)).obstacle == OTHER


# Any bytes.


@pytest.fixture(scope="module")
def material(encode, frames):
    """(codec, extradata, packets) of every codec."""
    return [load(encode(frames[:8], codec=codec, container=containers[0]))[:3] for codec, containers in CODECS.items()]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_give_a_picture_or_none(material, data):
    codec, extradata, packets = data.draw(st.sampled_from(material))
    if data.draw(st.booleans()):
        extradata = data.draw(st.binary(max_size=60))
    reader = header_reader(codec, extradata)
    for packet in packets:
        damaged = bytearray(packet)
        for _ in range(data.draw(st.integers(0, 6))):
            damaged[data.draw(st.integers(0, min(len(damaged), 40) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        cut = data.draw(st.integers(0, 60)) if data.draw(st.booleans()) else len(damaged)
        starts = st.sampled_from([b"", b"\0\0\1\xb6", b"\0\0\1\x20", b"\0\0\1\0", b"\0\0\1\xb5", b"\0\0\x80\2"])
        packet = bytes(damaged[:cut]) + data.draw(starts) + data.draw(st.binary(max_size=20))
        started = time.perf_counter()
        found = reader.read(packet)
        assert time.perf_counter() - started < 1
        assert found is None or isinstance(found, CodedPicture)


@pytest.mark.parametrize("codec", list(CODECS))
@pytest.mark.parametrize(
    "unit", [b"\0\0\1", b"\0\0\1\xb6", b"\0\0\1\x20", b"\0\0\1\0\0\x08", b"\0\0\1\xb5\x80", b"\0\0\x80\2"]
)
def test_many_headers_take_little_time(codec, unit):
    reader = header_reader(codec, unit * 1000)
    started = time.perf_counter()
    reader.read(unit * 100_000)
    reader.read(b"\0" * 1_000_000)
    assert time.perf_counter() - started < 5
