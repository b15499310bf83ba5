"""H.264 headers: what is declared to come from the previous picture alone does, on streams of a real encoder."""

import io
import re
import time
from collections import Counter, defaultdict

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.codec.context import ThreadType
from av.video.frame import PictureType as FramePictureType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid_cvar.video.bitstream import CodedPicture, PictureType, header_reader

INTRA, PREDICTED, BIDIRECTIONAL = PictureType.INTRA, PictureType.PREDICTED, PictureType.BIDIRECTIONAL
ONE_THREAD = "threads=1:sliced-threads=0"
SEVERAL = "several reference frames"


def open_stream(source):
    container = av.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    return container, container.streams.video[0]


def load(source):
    """Codec, extradata and packets of a video."""
    container, stream = open_stream(source)
    with container:
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        return stream.codec.canonical_name, stream.codec_context.extradata, packets


def scan(source):
    codec, extradata, packets = load(source)
    reader = header_reader(codec, extradata)
    return [reader.read(packet) for packet in packets]


def unit_types(packet):
    """nal_unit_type of every unit of a packet with lengths of 4 bytes."""
    types, at = [], 0
    while at < len(packet):
        types.append(packet[at + 4] & 31)
        at += 4 + int.from_bytes(packet[at : at + 4], "big")
    return types


def decoded_types(source):
    """The decoder's own word on each frame, in output order."""
    container, stream = open_stream(source)
    with container:
        return [FramePictureType(frame.pict_type).name for frame in container.decode(stream)]


def obstacles(pictures):
    return Counter(str(picture.obstacle) for picture in pictures)


def assert_native(pictures, frames):
    assert len(pictures) == frames
    for picture in pictures:
        assert picture.obstacle == "" and not picture.lost
        assert picture.references == (picture.type is PREDICTED)
    assert pictures[0].type is INTRA and pictures[0].random_access


@pytest.fixture(scope="module")
def alternating():
    """24 frames of 96x80: above a texture that moves by 2 pixels, below two pictures that take turns, and noise."""
    draw = np.random.default_rng(3)
    texture = np.kron(draw.integers(0, 255, (10, 60, 3)), np.ones((4, 4, 1)))
    below = np.kron(draw.integers(0, 255, (2, 10, 24, 3)), np.ones((1, 4, 4, 1)))
    frames = []
    for index in range(24):
        frame = np.concatenate([texture[:, 2 * index : 2 * index + 96], below[index % 2]])
        frames.append(np.clip(frame + draw.normal(0, 1.5, frame.shape), 0, 255).astype(np.uint8))
    return frames


@pytest.fixture(scope="module")
def cuts(pictures):
    """Scene cuts closer together than the encoder's shortest GOP, so that it writes I-pictures that are not IDR."""
    inverted = [255 - picture for picture in pictures]
    return [(pictures if index // 5 % 2 else inverted)[index] for index in range(40)]


# Real streams whose P-pictures come from the previous picture alone.

NATIVE = {
    "main": {},
    "one thread": {"x264-params": ONE_THREAD},
    "baseline": {"profile": "baseline"},
    "cavlc": {"x264-params": "cabac=0"},
    "weightp 0": {"x264-params": "weightp=0"},
    "weightp 1": {"x264-params": "weightp=1"},
    "weightp 2": {"x264-params": "weightp=2"},
    "long GOP": {"g": "250"},
    "intra refresh": {"x264-params": "intra-refresh=1"},
    "four slices": {"x264-params": "sliced-threads=0:slices=4"},
    "slices of 200 bytes": {"x264-params": "slice-max-size=200"},
    "sliced threads": {"x264-params": "sliced-threads=1:threads=2"},
    "parameter sets in every GOP": {"x264-params": "repeat-headers=1:aud=1"},
    "high 4:2:2": {"pixels": "yuv422p"},
    "high 4:4:4": {"pixels": "yuv444p"},
    "high 10": {"pixels": "yuv420p10le"},
    "gray": {"pixels": "gray"},
    "lossless": {"x264-params": "qp=0"},
    "scaling lists": {"x264-params": "cqm=jvt"},
    "every picture intra": {"g": "1"},
}


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "h264"])
@pytest.mark.parametrize("name", NATIVE)
def test_one_reference(encode, pictures, name, container):
    video = encode(pictures, codec="libx264", container=container, **{"refs": "1"} | NATIVE[name])
    found = scan(video)
    assert_native(found, 40)
    assert [str(picture.type) for picture in found] == decoded_types(video)


def test_frames_of_a_stream_that_may_have_fields(encode, pictures):
    frames = [picture[:64] for picture in pictures]
    video = encode(frames, codec="libx264", container="mp4", refs="1", **{"x264-params": "fake-interlaced=1"})
    assert_native(scan(video), 40)


def test_intra_pictures_that_are_not_idr(encode, cuts):
    params = {"x264-params": f"ref=1:scenecut=40:keyint=250:min-keyint=30:{ONE_THREAD}"}
    video = encode(cuts, codec="libx264", container="mp4", g="250", **params)
    found = scan(video)
    assert_native(found, 40)
    assert any(picture.type is INTRA and not picture.random_access for picture in found)
    assert [picture.random_access for picture in found] == [5 in unit_types(packet) for packet in load(video)[2]]


def test_reader_that_starts_at_an_intra_picture(encode, cuts):
    params = {"x264-params": f"ref=1:scenecut=40:keyint=250:min-keyint=30:{ONE_THREAD}"}
    codec, extradata, packets = load(encode(cuts, codec="libx264", container="mp4", g="250", **params))
    whole = header_reader(codec, extradata)
    found = [whole.read(packet) for packet in packets]
    start = next(i for i, picture in enumerate(found) if picture.type is INTRA and not picture.random_access)
    late = header_reader(codec, extradata)
    assert [late.read(packet) for packet in packets[start:]] == found[start:]


def test_reader_that_starts_at_a_predicted_picture(encode, pictures):
    codec, extradata, packets = load(encode(pictures, codec="libx264", container="mp4", refs="1"))
    reader = header_reader(codec, extradata)
    found = [reader.read(packet) for packet in packets[3:]]
    assert found[0] == CodedPicture(PREDICTED, False, 1, "", lost=True)
    assert not any(picture.lost or picture.obstacle for picture in found[1:])


def test_headers_alone_are_no_picture(encode, pictures):
    content = encode(
        pictures[:3], codec="libx264", container="h264", refs="1", **{"x264-params": f"aud=1:{ONE_THREAD}"}
    )
    starts = [match.end() for match in re.finditer(b"\0\0\1", content)]
    units = [content[a : b - 3] for a, b in zip(starts, [*starts[1:], len(content) + 3], strict=True)]
    reader = header_reader("h264", None)
    for unit in units:
        if unit[0] & 31 not in (1, 5):
            assert reader.read(b"\0\0\1" + unit) is None
    assert reader.read(b"") is None


# Real streams that are refused.


def test_three_references_are_refused(encode, alternating):
    found = scan(encode(alternating, codec="libx264", container="mp4", refs="3", g="24"))
    assert len(found) == 24
    assert set(obstacles(found)) == {"", SEVERAL}
    # The first P-picture has only one picture before it; from the third on the older ones are listed.
    assert found[1].obstacle == "" and all(picture.references > 1 for picture in found[3:])


def test_repeated_references_count_once(encode, pictures):
    """A fade makes x264 list the previous one of two references three times, with other weights."""
    fade = [(picture * (0.3 + 0.7 * abs(np.sin(index / 9)))).astype(np.uint8) for index, picture in enumerate(pictures)]
    params = {"x264-params": f"ref=2:weightp=2:scenecut=0:{ONE_THREAD}"}
    video = encode(fade, codec="libx264", container="mp4", g="250", **params)
    assert [picture.references for picture in scan(video)] == [0, 1] + [2] * 38
    assert max(header.active[0] for header in read_slices(video)) == 4


@pytest.mark.parametrize("options", [{"bf": "2"}, {"bf": "3", "x264-params": "b-pyramid=normal:b-adapt=0:ref=3"}])
def test_b_frames_are_refused(encode, pictures, options):
    video = encode(pictures, codec="libx264", container="mp4", g="40", **options)
    found = scan(video)
    assert all(picture.obstacle == "B-frames" for picture in found if picture.type is BIDIRECTIONAL)
    assert Counter(str(picture.type) for picture in found) == Counter(decoded_types(video))
    assert obstacles(found)["B-frames"] > 5
    assert next(picture.obstacle for picture in found if picture.obstacle) == "B-frames"


@pytest.mark.parametrize("params", ["tff=1", "bff=1"])
def test_interlaced_is_refused(encode, pictures, params):
    frames = [picture[:64] for picture in pictures]
    found = scan(encode(frames, codec="libx264", container="mp4", refs="1", **{"x264-params": params}))
    assert obstacles(found) == {"interlaced coding": 40}


def test_bikes(bikes):
    found = scan(str(bikes))
    assert len(found) == 250
    assert Counter(str(picture.type) for picture in found) == Counter(decoded_types(str(bikes)))
    assert obstacles(found)["B-frames"] > 100 and not any(picture.lost for picture in found)


def test_lost_packet(encode, pictures):
    codec, extradata, packets = load(encode(pictures, codec="libx264", container="mp4", refs="1", g="20"))
    reader = header_reader(codec, extradata)
    found = [reader.read(packet) for packet in packets[:5] + packets[7:]]
    assert [i for i, picture in enumerate(found) if picture.lost] == [5]
    assert obstacles(found) == {"": 38}


def test_reference_older_than_a_lost_packet(encode, alternating):
    codec, extradata, packets = load(encode(alternating, codec="libx264", container="mp4", refs="3", g="24"))
    reader = header_reader(codec, extradata)
    found = [reader.read(packet) for packet in packets[:1] + packets[2:]]
    assert found[1].lost and SEVERAL in obstacles(found)


# What the decoder does, seen in its pictures: a second, independent witness.


def copied_blocks(source):
    """Blocks that are an exact copy by a whole-pixel vector: (of the previous frame, only of the one before it).

    A coarse quantiser leaves most blocks without a residual, so that a block is its reference, bit for bit.
    """
    previous = older = 0
    container, stream = open_stream(source)
    with container:
        stream.codec_context.options = {"flags2": "+export_mvs"}
        stream.codec_context.thread_type = ThreadType.SLICE
        history = []
        for frame in container.decode(stream):
            plane = frame.planes[0]
            luma = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
            vectors = frame.side_data.get("MOTION_VECTORS")
            for vector in vectors.to_ndarray() if vectors is not None and len(history) > 1 else ():
                scale = int(vector["motion_scale"])
                dx, mod_x = divmod(int(vector["motion_x"]), scale)
                dy, mod_y = divmod(int(vector["motion_y"]), scale)
                w, h = int(vector["w"]), int(vector["h"])
                x, y = int(vector["dst_x"]) - w // 2, int(vector["dst_y"]) - h // 2
                inside = 0 <= x + dx <= frame.width - w and 0 <= y + dy <= frame.height - h
                if mod_x or mod_y or not inside or x < 0 or y < 0 or x + w > frame.width or y + h > frame.height:
                    continue
                block = luma[y : y + h, x : x + w]
                if np.ptp(block) < 8:
                    continue
                fits = [np.array_equal(block, old[y + dy : y + dy + h, x + dx : x + dx + w]) for old in history[-2:]]
                previous += fits[1]
                older += fits[0] and not fits[1]
            history = [*history[-1:], luma.copy()]
    return previous, older


COARSE = "no-deblock=1:qp=40:weightp=0:bframes=0:mbtree=0:scenecut=0"


def test_declared_native_copies_the_previous_picture(encode, alternating):
    video = encode(alternating, codec="libx264", container="mp4", g="250", **{"x264-params": f"ref=1:{COARSE}"})
    assert_native(scan(video), 24)
    previous, older = copied_blocks(video)
    # A residual that turns one of the two lower pictures into the other makes a copy of the older one by chance.
    assert previous > 200 and older < previous / 20


def test_refused_copies_older_pictures(encode, alternating):
    """The refusal is needed: this stream's blocks do come from the picture before the previous one."""
    video = encode(alternating, codec="libx264", container="mp4", g="250", **{"x264-params": f"ref=3:{COARSE}"})
    assert SEVERAL in obstacles(scan(video))
    previous, older = copied_blocks(video)
    assert older > 200 and older > previous


# FFmpeg's own reading of every header, field by field.


def traced_slices(source):
    """Each slice as FFmpeg's bit stream filter `trace_headers` prints it: {field: values in order}."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        container, stream = open_stream(source)
        with container, av.logging.Capture() as lines:
            trace = BitStreamFilterContext("trace_headers", stream)
            for packet in container.demux(stream):
                if packet.size:
                    trace.filter(packet)
    finally:
        av.logging.set_level(level)
    slices, current = [], None
    for _, name, line in lines:
        if name != "trace_headers":
            continue
        field = re.match(r"\d+ +([a-z_0-9A-Z]+)(?:\[\d+\])* +[01]+ = (-?\d+)", line)
        if field is None:
            current = defaultdict(list) if line.strip() == "Slice Header" else None
            slices += [] if current is None else [current]
        elif current is not None:
            current[field[1]].append(int(field[2]))
    return slices


def read_slices(source):
    codec, extradata, packets = load(source)
    reader = header_reader(codec, extradata)
    slices = []
    reader._judge = lambda headers: slices.extend(headers) or type(reader)._judge(reader, headers)
    for packet in packets:
        reader.read(packet)
    return slices


def assert_same_headers(source):
    expected, found = traced_slices(source), read_slices(source)
    assert len(expected) == len(found) > 0
    for trace, header in zip(expected, found, strict=True):
        assert trace["first_mb_in_slice"] == [header.first_macroblock]
        assert trace["pic_parameter_set_id"] == [header.picture.pps_id]
        assert trace["frame_num"] == [header.frame_num]
        assert trace["field_pic_flag"] in ([], [header.is_field])
        assert trace["pic_order_cnt_lsb"] in ([], [header.order_lsb])
        assert trace["delta_pic_order_cnt_bottom"] in ([], [header.order_deltas[0]])
        assert trace["idr_pic_id"] in ([], [header.idr_pic_id])
        if trace["num_ref_idx_active_override_flag"] == [1]:
            assert trace["num_ref_idx_l0_active_minus1"] == [header.active[0] - 1]
        operands = trace["abs_diff_pic_num_minus1"] + trace["long_term_pic_num"]
        if header.type is PREDICTED and header.marking is None:
            assert trace["modification_of_pic_nums_idc"][:-1] == [command for command, *_ in header.modifications]
            assert operands == [value for _, value, _ in header.modifications]
        assert trace["adaptive_ref_pic_marking_mode_flag"] in ([], [header.marking is not None])
        commands = trace["memory_management_control_operation"]
        assert commands == ([] if header.marking is None else [*(c for c, *_ in header.marking), 0])
        assert trace["difference_of_pic_nums_minus1"] == [v for c, v, _ in header.marking or () if c in (1, 3)]
    return expected


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"refs": "3"}, "modification_of_pic_nums_idc"),
        ({"x264-params": "ref=4:weightp=2:slices=3:sliced-threads=0"}, "luma_weight_l0"),
        (
            {"bf": "3", "x264-params": "ref=4:b-pyramid=normal:b-adapt=0:weightb=1"},
            "memory_management_control_operation",
        ),
        ({"x264-params": "tff=1:ref=2:bframes=2"}, "delta_pic_order_cnt_bottom"),
        ({"pixels": "yuv444p", "x264-params": "cqm=jvt:ref=2"}, "frame_num"),
        ({"pixels": "gray10le", "refs": "2"}, "luma_weight_l0_flag"),
        ({"profile": "baseline", "refs": "2"}, "frame_num"),
    ],
)
@pytest.mark.parametrize("container", ["mp4", "mpegts"])
def test_headers_are_what_ffmpeg_reads(encode, alternating, container, options, needed):
    dark = [frame // 8 * (1 + index % 8) for index, frame in enumerate(alternating)]
    expected = assert_same_headers(encode(dark, codec="libx264", container=container, g="20", **options))
    assert any(trace[needed] for trace in expected)


def test_headers_of_bikes_are_what_ffmpeg_reads(bikes):
    assert any(trace["memory_management_control_operation"] for trace in assert_same_headers(str(bikes)))


# Any bytes.


@pytest.fixture(scope="module")
def material(encode, alternating):
    """(extradata, packets) of streams of several kinds."""
    kinds = [
        ("mp4", {"refs": "3"}),
        ("mpegts", {"refs": "1"}),
        ("mp4", {"bf": "2"}),
        ("h264", {"x264-params": "tff=1"}),
    ]
    return [load(encode(alternating, codec="libx264", container=c, **o))[1:] for c, o in kinds]


def damage(data, content):
    """A few flips, a cut and a splice."""
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(0, 6))):
        if damaged:
            # Headers lie in front.
            most = min(len(damaged), data.draw(st.sampled_from([8, 40, 10_000]))) - 1
            damaged[data.draw(st.integers(0, most))] ^= 1 << data.draw(st.integers(0, 7))
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged))) :]
    return bytes(damaged) + data.draw(st.sampled_from([b"", b"\0\0\1", b"\0\0\1\x41", b"\0\0\1\x67\x64", content[:50]]))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_give_a_picture_or_none(material, data):
    extradata, packets = data.draw(st.sampled_from(material))
    extradata = damage(data, extradata or b"") if data.draw(st.booleans()) else extradata
    reader = header_reader("h264", extradata)
    for packet in packets[:8]:
        packet = data.draw(st.binary(max_size=60)) if data.draw(st.integers(0, 5)) == 0 else damage(data, packet)
        started = time.perf_counter()
        found = reader.read(packet)
        assert time.perf_counter() - started < 1
        assert found is None or isinstance(found, CodedPicture)
