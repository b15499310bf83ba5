"""Sampling decodes the sampled GOPs and nothing else, and what it gives is what the whole reading gives."""

import io

import av
import numpy as np
import pytest

from hybrid_cvar.records import InputSpec
from hybrid_cvar.video import cut_clip, packet_cursor, probe_video, read_clips, read_gops
from hybrid_cvar.video.gop_reader import decode_gops, locate_gops

LONG_GOPS = {"x264-params": "ref=1:bframes=0:keyint=50:min-keyint=50:scenecut=0"}
SPEC = InputSpec(size=32)


@pytest.fixture
def long_video(encode):
    """20 seconds of moving texture in any format."""

    def make(path, codec, container, **options):
        rng = np.random.default_rng(2)
        texture = np.repeat(np.repeat(rng.integers(0, 256, (40, 150, 3)), 4, 0), 4, 1).astype(np.uint8)
        frames = [texture[t % 60 : t % 60 + 66, t : t + 98] for t in range(500)]
        path.write_bytes(encode(frames, codec=codec, container=container, **options))
        return path

    return make


@pytest.fixture
def decoded(monkeypatch):
    """Times of the packets that are given to a decoder, as they are."""
    times = []
    plain = packet_cursor.PacketCursor.read

    def counting(self, last=None):
        for packet in plain(self, last):
            times.append(packet.pts)
            yield packet

    monkeypatch.setattr(packet_cursor.PacketCursor, "read", counting)
    return times


FORMATS = [
    ("mpeg4", "avi", {}),
    ("mpeg4", "mp4", {}),
    ("mpeg4", "matroska", {}),
    ("mpeg4", "m4v", {}),
    ("libx264", "mp4", LONG_GOPS),
    ("libx264", "mpegts", LONG_GOPS),
    ("libx264", "h264", LONG_GOPS),
    ("mpeg2video", "mpegts", {}),
    ("libx264", "mp4", {"x264-params": "ref=3:bframes=3:keyint=60"}),
    ("libx264", "matroska", {"x264-params": "ref=3:bframes=3:keyint=60:open-gop=1"}),
    ("libx264", "mpegts", {"x264-params": "ref=3:bframes=3:keyint=60"}),
    ("libx264", "avi", {"x264-params": "ref=3:bframes=3:keyint=60"}),
    ("libx265", "mp4", {"x265-params": "log-level=none:keyint=40"}),
    ("libvpx-vp9", "webm", {"g": "40", "deadline": "realtime", "cpu-used": "8"}),
    ("mpeg4", "avi", {"bf": "2"}),
]


@pytest.mark.parametrize(("codec", "container", "options"), FORMATS)
def test_sampled_clips_are_those_of_the_whole_reading(tmp_path, long_video, codec, container, options):
    path = long_video(tmp_path / "clip", codec, container, **options)
    whole = {(gop.index, gop.first_frame): gop for gop in read_gops(path)}
    assert len(whole) >= 38
    for count in (1, 3, 8):
        sampled = read_clips(path, SPEC, count)
        assert len(sampled.clips) == count
        starts = [clip.pts_seconds for clip in sampled.clips]
        by_time = {round(gop.pts_seconds, 3): gop for gop in whole.values()}
        for start, clip in zip(starts, sampled.clips, strict=True):
            again = cut_clip(by_time[round(start, 3)], SPEC)
            np.testing.assert_array_equal(clip.iframe, again.iframe)
            np.testing.assert_array_equal(clip.motion, again.motion)
            np.testing.assert_array_equal(clip.residual, again.residual)
        if len(by_time) == len(whole):
            np.testing.assert_allclose(starts, (np.arange(count) + 0.5) * 20 / count, atol=1.0)


@pytest.mark.parametrize(
    ("codec", "container", "options", "most"),
    [
        ("mpeg4", "avi", {}, 2 * 13),
        ("libx264", "mp4", LONG_GOPS, 2 * 51),
        ("libx264", "mp4", {"x264-params": "ref=3:bframes=3:keyint=60"}, 2 * 80),
    ],
)
def test_nothing_else_is_decoded(tmp_path, long_video, decoded, codec, container, options, most):
    path = long_video(tmp_path / "clip", codec, container, **options)
    assert len(read_clips(path, SPEC, 2).clips) == 2
    assert 2 * 12 <= len(decoded) <= most


def test_packets_in_between_are_not_even_read(tmp_path, long_video, monkeypatch):
    path = long_video(tmp_path / "clip.mp4", "mpeg4", "mp4")
    source = locate_gops(path, 11)
    read = []
    plain = packet_cursor.read_packets

    def counting(*arguments):
        for packet in plain(*arguments):
            read.append(packet.pts)
            yield packet

    monkeypatch.setattr(packet_cursor, "read_packets", counting)
    assert [gop.index for gop in decode_gops(source, wanted=lambda position: position == 38)] == [38]
    assert len(read) < 40


def lead_astray(monkeypatch, share):
    """Every seek goes to this share of the file."""

    class Astray:
        def __init__(self, container):
            self.container = container

        def seek(self, offset, **options):
            self.container.seek(int(self.container.start_time + self.container.duration * share), backward=True)

        def __getattr__(self, name):
            return getattr(self.container, name)

    plain = packet_cursor.PacketCursor._open

    def opened(self):
        plain(self)
        self._container = Astray(self._container)

    monkeypatch.setattr(packet_cursor.PacketCursor, "_open", opened)


def test_an_index_that_leads_astray_is_not_trusted(tmp_path, long_video, monkeypatch):
    """The keyframe is known by its bytes; where a seek does not lead to it, the file is read from the start."""
    path = long_video(tmp_path / "clip.mp4", "mpeg4", "mp4")
    right = list(read_clips(path, SPEC, 4).clips)
    lead_astray(monkeypatch, 0.75)
    wrong = list(read_clips(path, SPEC, 4).clips)
    for a, b in zip(right, wrong, strict=True):
        assert a.pts_seconds == b.pts_seconds
        np.testing.assert_array_equal(a.motion, b.motion)


def test_times_start_at_the_first_frame_whatever_the_container_says(tmp_path, pictures):
    for codec, options in (("mpeg4", {}), ("libx264", {"bf": "2"})):
        file = io.BytesIO()
        with av.open(file, "w", format="mpegts", options={"output_ts_offset": "3600"}) as target:
            stream = target.add_stream(codec, rate=25)
            stream.height, stream.width, stream.pix_fmt = 66, 98, "yuv420p"
            stream.codec_context.options = {"g": "12", "bf": "0"} | options
            for array in pictures[:36]:
                target.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format="yuv420p")))
            target.mux(stream.encode(None))
        path = tmp_path / "late.ts"
        path.write_bytes(file.getvalue())
        assert [gop.pts_seconds for gop in read_gops(path)] == pytest.approx([0, 0.48, 0.96])
        assert [clip.pts_seconds for clip in read_clips(path, SPEC).clips] == pytest.approx([0, 0.48, 0.96])


def test_keyframes_that_cannot_be_told_apart_are_not_sought(tmp_path, encode, monkeypatch):
    """Two recordings joined: the same black I-frame at the same time, and other P-frames after it."""
    rng = np.random.default_rng(4)
    texture = np.repeat(np.repeat(rng.integers(0, 256, (40, 200, 3)), 4, 0), 4, 1).astype(np.uint8)
    parts = []
    for step in (1, 5):
        frames = [texture[40 : 40 + 66, 100 + step * (t % 12) : 198 + step * (t % 12)] for t in range(96)]
        for first in range(0, 96, 12):
            frames[first] = np.zeros((66, 98, 3), np.uint8)
        parts.append(encode(frames, container="mpegts", sc_threshold="1000000000"))
    path = tmp_path / "joined.ts"
    path.write_bytes(parts[0] + parts[1])
    whole = {gop.index: gop for gop in read_gops(path)}
    assert len(whole) == 16 and probe_video(path).domain == "native"
    lead_astray(monkeypatch, 0.0)
    for count in (1, 2, 5):
        for clip in read_clips(path, SPEC, count).clips:
            again = cut_clip(whole[clip.gop_index], SPEC)
            np.testing.assert_array_equal(clip.motion, again.motion)
            np.testing.assert_array_equal(clip.residual, again.residual)


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx265", {"x265-params": "log-level=none:keyint=40"}),
        ("libx264", {"x264-params": "ref=3:bframes=3:keyint=60:open-gop=1"}),
        ("mpeg2video", {"bf": "2"}),
        ("mpeg4", {"bf": "2"}),
    ],
)
def test_recordings_that_begin_in_mid_stream(tmp_path, long_video, codec, options):
    """What comes before the first keyframe is in no GOP, however the file is read."""
    path = long_video(tmp_path / "clip.ts", codec, "mpegts", **options)
    content = path.read_bytes()
    start = len(content) // 3 // 188 * 188
    path.write_bytes(content[start:])
    whole = list(read_gops(path))
    sampled = read_clips(path, SPEC, 3)
    assert len(whole) == sampled.gops
    for clip in sampled.clips:
        again = cut_clip(whole[clip.gop_index], SPEC)
        assert clip.pts_seconds == pytest.approx(again.pts_seconds)
        np.testing.assert_array_equal(clip.iframe, again.iframe)
        np.testing.assert_array_equal(clip.motion, again.motion)


def test_open_gops_are_sought_too(tmp_path, long_video, decoded):
    path = long_video(
        tmp_path / "clip.mkv", "libx264", "matroska", **{"x264-params": "ref=3:bframes=3:keyint=50:open-gop=1"}
    )
    assert len(read_clips(path, SPEC, 2).clips) == 2
    assert len(decoded) < 2 * 90
