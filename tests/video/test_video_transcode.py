"""What is read as it is, what is encoded again, and what the copy is like."""

import io
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from PIL import Image

from hybrid_cvar.video import probe_video, read_gops
from hybrid_cvar.video.container import open_video, read_packets
from hybrid_cvar.video.gop_reader import locate_gops
from hybrid_cvar.video.packet_scan import scan_packets
from hybrid_cvar.video.transcode import _Clock, gop_length, transcode_video


def test_native_file(dancer):
    info = probe_video(dancer)
    assert (info.codec, info.width, info.height, info.transcoded) == ("mpeg4", 518, 496, False)
    assert info.frames_per_second == 25.0 and info.duration_seconds == pytest.approx(62.88)
    assert info.path == str(dancer) and "without B-frames" in info.reason


def test_h264_is_encoded_again(bikes):
    info = probe_video(str(bikes))
    assert (info.codec, info.width, info.height, info.transcoded) == ("h264", 640, 272, True)
    assert info.reason == "h264 with B-frames: encoded again to 340x256 MPEG-4, GOP 12, no B-frames"


@pytest.mark.parametrize("container", ["avi", "mp4", "matroska", "m4v", "mpegts"])
def test_b_frames_are_found_in_any_container(tmp_path, encode, pictures, container):
    path = tmp_path / "clip"
    path.write_bytes(encode(pictures, container=container, bf="2"))
    info = probe_video(path)
    assert info.transcoded and info.reason.startswith("mpeg4 with B-frames")
    assert next(read_gops(path)).iframe.shape == (256, 340, 3)
    path.write_bytes(encode(pictures, container=container))
    assert not probe_video(path).transcoded
    assert [gop.index for gop in read_gops(path)] == [0, 1, 2]


def test_short_gops_are_encoded_again(tmp_path, encode, pictures):
    path = tmp_path / "clip.avi"
    path.write_bytes(encode(pictures, g="4"))
    info = probe_video(path)
    assert info.transcoded and info.reason.startswith("mpeg4 GOPs of at most 3 P-frames where 11 are needed")
    assert [gop.index for gop in read_gops(path)] == [0, 1, 2]
    assert not probe_video(path, timesteps=3).transcoded
    assert len(list(read_gops(path, timesteps=3))) == 10


def test_more_timesteps_make_longer_gops(tmp_path, encode, pictures):
    path = tmp_path / "clip.avi"
    path.write_bytes(encode(pictures))
    assert gop_length(11) == gop_length(3) == 12 and gop_length(19) == 20
    assert "GOP 20" in probe_video(path, timesteps=19).reason
    assert [len(gop.motion) for gop in read_gops(path, timesteps=19)] == [19, 19]


def test_large_native_frames_are_read_through_a_copy(tmp_path, encode):
    path = tmp_path / "large.avi"
    frames = [np.full((1200, 1936, 3), 10 * t, np.uint8) for t in range(12)]
    path.write_bytes(encode(frames))
    assert probe_video(path).reason.startswith("mpeg4 of 1936x1200")
    assert next(read_gops(path)).iframe.shape == (256, 340, 3)


@pytest.mark.parametrize(
    ("codec", "container", "pixels"),
    [
        ("libx264", "mp4", "yuv420p"),
        ("libx264", "matroska", "yuv420p10le"),
        ("libx264", "mp4", "yuv444p"),
        ("mpeg2video", "mpegts", "yuv420p"),
        ("mjpeg", "avi", "yuvj420p"),
        ("ffv1", "matroska", "gray"),
        ("ffv1", "matroska", "bgra"),
        ("libvpx-vp9", "webm", "yuv420p"),
        ("gif", "gif", "rgb8"),
    ],
)
def test_other_formats(tmp_path, encode, pictures, codec, container, pixels):
    path = tmp_path / "clip"
    path.write_bytes(encode(pictures, codec=codec, container=container, pixels=pixels))
    info = probe_video(path)
    assert info.transcoded and (info.width, info.height) == (98, 66)
    gops = list(read_gops(path))
    assert [gop.index for gop in gops] == [0, 1, 2]
    np.testing.assert_allclose([gop.pts_seconds for gop in gops], [0, 0.48, 0.96], atol=0.02)
    wanted = np.asarray(Image.fromarray(pictures[12]).resize((340, 256), Image.Resampling.BICUBIC), float)
    if pixels == "gray":
        wanted = np.repeat((wanted @ [0.299, 0.587, 0.114])[..., None], 3, axis=-1)
    assert np.abs(gops[1].iframe - wanted).mean() < (20 if pixels == "rgb8" else 8)


def test_the_copy_keeps_colours_rate_and_gops(bikes, decode_plainly):
    copy = transcode_video(bikes, 11)
    with open_video(bikes, copy) as (container, stream):
        assert (stream.codec_context.width, stream.codec_context.height) == (340, 256)
        assert stream.average_rate == 25
        scan = scan_packets(read_packets(container, stream), 25.0)
    assert scan.frames == 250 and not scan.has_b_frames
    assert [gop.first_packet for gop in scan.gops] == list(range(0, 250, 12))
    np.testing.assert_allclose([gop.pts_seconds for gop in scan.gops], np.arange(0, 250, 12) / 25, atol=1e-3)
    first = next(decode_plainly(copy)).astype(float)
    with av.open(bikes) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24", width=340, height=256).astype(float)
    assert np.abs(first.mean(axis=(0, 1)) - frame.mean(axis=(0, 1))).max() < 2.0
    assert np.abs(first - frame).mean() < 5.0
    copy.close()


def test_the_copy_is_the_same_each_time(bikes):
    contents = []
    for _ in range(2):
        with transcode_video(bikes, 11) as copy:
            copy.seek(0)
            contents.append(copy.read())
    assert contents[0] == contents[1]


def test_full_range_colours_are_not_stretched(tmp_path, encode):
    """yuvj420p is 0 to 255 where the copy is 16 to 235."""
    path = tmp_path / "clip.avi"
    frames = [np.full((64, 64, 3), level, np.uint8) for level in np.linspace(0, 255, 12)]
    path.write_bytes(encode(frames, codec="mjpeg", pixels="yuvj420p"))
    source = locate_gops(path, 11)
    assert source.content is not None
    source.content.seek(0)
    with av.open(source.content, mode="r") as container:
        means = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    np.testing.assert_allclose(means, np.linspace(0, 255, 12), atol=4)
    source.close()


def tick_all(times, frame_ms=40):
    clock = _Clock(frame_ms)
    return [clock.tick(SimpleNamespace(pts=pts, dts=dts, time_base=Fraction(1, 1000))) for pts, dts in times]


def test_clock_keeps_an_uneven_rate_and_starts_at_zero():
    assert tick_all([(5000, None), (5033, None), (5100, None), (5110, None)]) == [0, 33, 100, 110]


def test_clock_takes_decoding_times_where_presentation_times_are_out_of_order():
    """The pattern of an H.264 AVI."""
    ticks = tick_all([(40 * p, 40 * d) for p, d in [(1, 2), (4, 3), (3, 4), (5, 5), (2, 6), (8, 7), (7, 8), (9, 9)]])
    assert ticks == sorted(set(ticks)) and abs(ticks[-1] - 7 * 40) <= 80


@pytest.mark.parametrize(
    "times",
    [
        [(None, None)] * 4,
        [(0, None), (40, None), (10**15, None), (10**15 + 40, None)],
        [(10**12, None), (0, None), (40, None), (80, None)],
        [(7, 7)] * 4,
    ],
)
def test_clock_rises_by_small_steps_whatever_the_file_says(times):
    ticks = tick_all(times)
    assert ticks[0] == 0 and all(0 < step <= 60_000 for step in np.diff(ticks))


def test_times_count_from_the_first_frame_and_dropped_frames_are_not_the_end(tmp_path, pictures):
    """AVI marks a dropped frame by an empty packet, which a decoder would take for the end of the stream."""
    for container, start in (("avi", 0), ("matroska", 50)):
        file = io.BytesIO()
        with av.open(file, "w", format=container) as target:
            stream = target.add_stream("mpeg4", rate=25)
            stream.height, stream.width, stream.pix_fmt = 66, 98, "yuv420p"
            stream.codec_context.options = {"g": "12", "bf": "0"}
            for number, array in enumerate(pictures[:24]):
                frame = av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format="yuv420p")
                frame.pts = start + number + (3 if number >= 5 else 0)
                target.mux(stream.encode(frame))
            target.mux(stream.encode(None))
        path = tmp_path / "dropped"
        path.write_bytes(file.getvalue())
        gops = list(read_gops(path))
        assert [gop.index for gop in gops] == [0, 1]
        np.testing.assert_allclose([gop.pts_seconds for gop in gops], [0, 0.6], atol=1e-3)
