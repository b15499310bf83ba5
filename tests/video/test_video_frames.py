"""Frames with their vectors: the same on any number of threads, of any codec; nothing outlives the reading."""

import io
import threading
import time

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.video.frame import PictureType

from hybrid_cvar.errors import ConfigError, CorruptVideoError, UnsupportedVideoError, VideoError
from hybrid_cvar.video import frame_reader, read_frames, read_gops
from hybrid_cvar.video.background import Ahead, in_background
from hybrid_cvar.video.container import vector_decoder
from hybrid_cvar.video.decoding import decode_gop
from hybrid_cvar.video.motion_field import VECTOR

X264 = {"x264-params": "ref=3:bframes=2:keyint=10:scenecut=0"}


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith(("read_frames", "video-ahead"))]


def plain(path):
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_type = "NONE"
        container.streams.video[0].codec_context.options = {"flags2": "+export_mvs"}
        for frame in container.decode(video=0):
            vectors = frame.side_data.get("MOTION_VECTORS")
            yield frame.to_ndarray(format="rgb24"), np.empty(0, VECTOR) if vectors is None else vectors.to_ndarray()


def assert_equal(path, **options):
    """All frames but for the vectors of the very last, which FFmpeg's MPEG decoders leave out."""
    count = 0
    expected = list(plain(path))
    for number, frame in enumerate(read_frames(path, **options)):
        picture, vectors = expected[number]
        np.testing.assert_array_equal(frame.picture, picture)
        if number + 1 < len(expected):
            assert len(frame.vectors) == len(vectors)
            for field in VECTOR.names:
                np.testing.assert_array_equal(frame.vectors[field], vectors[field])
        count += 1
    assert count == len(expected)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_real_clips(bikes, sample, workers):
    assert_equal(bikes, workers=workers)
    assert_equal(sample, workers=workers)


@pytest.mark.parametrize(
    ("codec", "container", "options"),
    [
        ("libx264", "mp4", X264),
        ("libx264", "mpegts", X264),
        ("libx264", "matroska", {"x264-params": "bframes=3:keyint=10:open-gop=1"}),
        ("mpeg4", "avi", {"bf": "2"}),
        ("mpeg2video", "mpegts", {"bf": "2"}),
        ("mpeg4", "mp4", {"g": "1"}),
        ("libx265", "mp4", {"x265-params": "log-level=none"}),
        ("libvpx-vp9", "webm", {}),
        ("gif", "gif", {}),
    ],
)
def test_any_codec(tmp_path, encode, pictures, codec, container, options):
    path = tmp_path / "clip"
    pixels = "rgb8" if codec == "gif" else "yuv420p"
    path.write_bytes(encode(pictures, codec=codec, container=container, pixels=pixels, **options))
    for workers in (1, 3):
        assert_equal(path, workers=workers)


def test_gops_too_long_to_wait_are_read_as_they_come(dancer, bikes, monkeypatch):
    monkeypatch.setattr(frame_reader, "MOST_BYTES_AHEAD", 4 * 40 * 3 * 640 * 272)
    decoded = []
    plain_apart = frame_reader._decode_with_one_of
    monkeypatch.setattr(
        frame_reader, "_decode_with_one_of", lambda *given: decoded.append(len(given[1])) or plain_apart(*given)
    )
    assert_equal(bikes, workers=2)
    assert decoded == [30, 8]


def test_times_and_types(bikes):
    frames = list(read_frames(bikes))
    assert [frame.pts_seconds for frame in frames] == pytest.approx(np.arange(250) / 25)
    kinds = [frame.type for frame in frames]
    assert (kinds.count("I"), kinds.count("P"), kinds.count("B")) == (6, 69, 175)


def test_damage_is_passed_over(tmp_path, sample):
    content = bytearray(sample.read_bytes())
    content[40_000:60_000] = bytes(20_000)
    path = tmp_path / "damaged.avi"
    path.write_bytes(content)
    first, *others = (
        [(f.picture.tobytes(), f.vectors.tolist()) for f in read_frames(path, workers=workers)]
        for workers in (1, 2, 40)
    )
    assert 60 < len(first) <= 96
    assert all(other == first for other in others)


def test_no_frame_comes_twice_in_the_place_of_a_lost_one(sample):
    """The I-frame is not decoded once more to make up for a packet that is no picture."""
    with av.open(sample) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size][:12]
        packets[5] = av.Packet(bytes(packets[5].size))
        frames = list(decode_gop(vector_decoder("mpeg4", stream.codec_context), packets, past_damage=True))
    assert [PictureType(frame.pict_type).name for frame in frames] == ["I"] + 10 * ["P"]


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video", "mpeg1video", "libx264"])
@pytest.mark.parametrize("options", [{"g": "1"}, {"bf": "0"}, {"bf": "2"}, {"g": "7", "bf": "1"}])
def test_the_last_frame_of_any_length(tmp_path, encode, pictures, codec, options):
    """An I-frame may be the last that is shown, with B-frames before it."""
    path = tmp_path / "clip"
    container = "mpegts" if codec == "libx264" or "2" in codec else "matroska"
    for length in (1, 2, 13, 24, 25, 26):
        path.write_bytes(encode(pictures[:length], codec=codec, container=container, **options))
        assert_equal(path)


ONE_REFERENCE = {"x264-params": "ref=1:bframes=0:keyint=12:scenecut=0"}
COLOURS = [
    ("h264_metadata", "libx264", "transfer_characteristics=10"),
    ("mpeg2_metadata", "mpeg2video", "colour_primaries=3:transfer_characteristics=255"),
]


def with_metadata(path, content, bitstream_filter):
    """The same pictures; what their headers say of colours is changed."""
    with av.open(io.BytesIO(content)) as source:
        stream = source.streams.video[0]
        changer = BitStreamFilterContext(bitstream_filter, stream)
        packets = [changer.filter(packet if packet.size else None) for packet in source.demux(stream)]
    path.write_bytes(b"".join(bytes(packet) for some in packets for packet in some))


@pytest.mark.parametrize(("name", "codec", "colours"), COLOURS)
def test_colours_that_filters_refuse(tmp_path, encode, pictures, name, codec, colours):
    path = tmp_path / "clip.es"
    options = ONE_REFERENCE if codec == "libx264" else {}
    with_metadata(path, encode(pictures[:24], codec=codec, container="mpegts", **options), f"{name}={colours}")
    assert_equal(path)
    assert len(list(read_gops(path))) == 2


def test_colours_that_nothing_converts_are_one_error(tmp_path, encode, pictures):
    path = tmp_path / "clip.es"
    content = encode(pictures[:24], codec="libx264", container="mpegts", **ONE_REFERENCE)
    with_metadata(path, content, "h264_metadata=matrix_coefficients=8")
    with pytest.raises(UnsupportedVideoError, match=r"clip\.es: yuv420p, matrix 8: no RGB"):
        list(read_gops(path, domain="native"))
    with pytest.raises(VideoError, match=r"clip\.es"):
        list(read_gops(path, domain="transcode"))


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_a_bad_number_of_workers(sample, workers):
    with pytest.raises(ConfigError, match="workers"):
        next(read_frames(sample, workers=workers))


def test_what_cannot_be_read(tmp_path, encode, pictures):
    with pytest.raises(UnsupportedVideoError, match="no such file"):
        next(read_frames(tmp_path / "none.avi"))
    path = tmp_path / "broken.avi"
    content = bytearray(encode(pictures))
    start = content.index(b"movi")
    content[start + 4 : content.index(b"idx1")] = bytes(content.index(b"idx1") - start - 4)
    path.write_bytes(content)
    with pytest.raises((CorruptVideoError, UnsupportedVideoError)):
        next(read_frames(path))


def test_a_reading_that_is_broken_off_leaves_no_thread(bikes, sample):
    for path in (bikes, sample):
        frames = read_frames(path, workers=2)
        next(frames)
        frames.close()
        assert not reading_threads()


def test_background_hands_over_items_errors_and_the_end():
    def numbers(error=None):
        yield from range(100)
        if error:
            raise error

    assert list(in_background(numbers(), 3)) == list(range(100))
    broken = in_background(numbers(ZeroDivisionError("here")), 3)
    assert [next(broken) for _ in range(100)] == list(range(100))
    with pytest.raises(ZeroDivisionError, match="here"):
        next(broken)
    assert not reading_threads()


def test_background_works_ahead_so_far_and_ends_when_closed():
    made = []
    closed = threading.Event()

    def numbers():
        try:
            for number in range(1000):
                made.append(number)
                yield number
        finally:
            closed.set()

    ahead = in_background(numbers(), 4)
    assert next(ahead) == 0
    assert len(reading_threads()) == 1
    ahead.close()
    assert closed.is_set() and not reading_threads() and len(made) <= 7


def test_frames_larger_than_the_header_says_do_not_wait_in_memory(tmp_path, encode, pictures, monkeypatch):
    options = {"x264-params": "ref=1:bframes=0:keyint=30:scenecut=0"}
    small = encode(pictures[:24], codec="libx264", container="h264", **options)
    large = [np.tile(picture, (5, 5, 1)) for picture in pictures[:30]]
    path = tmp_path / "grows.h264"
    path.write_bytes(small + 2 * encode(large, codec="libx264", container="h264", **options))
    most = 40 * 3 * 98 * 66
    monkeypatch.setattr(frame_reader, "MOST_BYTES_AHEAD", 4 * most)
    held = []

    class Watched(Ahead):
        def _hand_over(self, item, weight):
            taken = super()._hand_over(item, weight)
            held.append(self._weight)
            return taken

    monkeypatch.setattr(frame_reader, "Ahead", Watched)
    frames = read_frames(path, workers=2)
    shapes = []
    for frame in frames:
        shapes.append(frame.picture.shape)
        time.sleep(0.002)
    assert shapes == [(66, 98, 3)] * 24 + [(330, 490, 3)] * 60
    assert most / 2 < max(held) <= most
