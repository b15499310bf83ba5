"""What is read as it is, what is encoded again, and what the copy is like."""

import io
import threading
from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest
from PIL import Image

from hybrid_cvar.video import probe_video, read_gops
from hybrid_cvar.video.encoding import mpeg4_encoder
from hybrid_cvar.video.motion_field import motion_vectors
from hybrid_cvar.video.transcode import paper_frames, reencode_gop


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
    assert "GOP 20" in probe_video(path, timesteps=19).reason
    assert [len(gop.motion) for gop in read_gops(path, timesteps=19)] == [19, 19]


def test_large_native_frames_are_read_through_a_copy(tmp_path, encode):
    path = tmp_path / "large.avi"
    frames = [np.full((1216, 2048, 3), 10 * t, np.uint8) for t in range(12)]
    path.write_bytes(encode(frames, sc_threshold="1000000000"))
    assert probe_video(path).reason.startswith("mpeg4 of 2048x1216, whose GOPs take 261 MB (256 at most)")
    assert probe_video(path, timesteps=5).domain == "native" == probe_video(path, domain="native").domain
    assert next(read_gops(path)).iframe.shape == (256, 340, 3)


@pytest.mark.parametrize(
    ("codec", "container", "pixels"),
    [
        ("libx264", "mp4", "yuv420p"),
        ("libx264", "matroska", "yuv420p10le"),
        ("libx264", "mp4", "yuv444p"),
        ("libx264", "mp4", "gray"),
        ("libx265", "mp4", "yuv420p"),
        ("libsvtav1", "matroska", "yuv420p"),
        ("wmv2", "asf", "yuv420p"),
        ("flv", "flv", "yuv420p"),
        ("mjpeg", "avi", "yuvj420p"),
        ("ffv1", "matroska", "gray"),
        ("ffv1", "matroska", "bgra"),
        ("libvpx-vp9", "webm", "yuv420p"),
        ("gif", "gif", "rgb8"),
    ],
)
def test_other_formats(tmp_path, encode, pictures, codec, container, pixels):
    path = tmp_path / "clip"
    fine = {"qmax": "3"} if codec in ("wmv2", "flv") else {}
    path.write_bytes(encode(pictures, codec=codec, container=container, pixels=pixels, **fine))
    info = probe_video(path)
    assert info.transcoded and (info.width, info.height) == (98, 66)
    gops = list(read_gops(path))
    assert [gop.index for gop in gops] == [0, 1, 2]
    np.testing.assert_allclose([gop.pts_seconds for gop in gops], [0, 0.48, 0.96], atol=0.02)
    wanted = np.asarray(Image.fromarray(pictures[12]).resize((340, 256), Image.Resampling.BICUBIC), float)
    if pixels == "gray":
        wanted = np.repeat((wanted @ [0.299, 0.587, 0.114])[..., None], 3, axis=-1)
    assert np.abs(gops[1].iframe - wanted).mean() < (20 if pixels == "rgb8" else 8)


def test_the_copy_keeps_colours_and_times(bikes):
    gops = list(read_gops(bikes))
    np.testing.assert_allclose([gop.pts_seconds for gop in gops], np.arange(0, 240, 12) / 25, atol=1e-3)
    with av.open(bikes) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24", width=340, height=256).astype(float)
    first = gops[0].iframe.astype(float)
    assert np.abs(first.mean(axis=(0, 1)) - frame.mean(axis=(0, 1))).max() < 2.0
    assert np.abs(first - frame).mean() < 5.0


def test_every_p_frame_of_the_copy_has_its_vectors(bikes):
    """The last one of a GOP too, which a decoder may hold back."""
    pictures = [picture for picture, _ in islice(paper_frames(bikes), 12)]
    counts = [len(motion_vectors(frame)) for frame in reencode_gop(pictures, "bikes")]
    assert counts[0] == 0 and len(counts) == 12 and min(counts[1:]) > 100


def test_full_range_colours_are_not_stretched(tmp_path, encode):
    """yuvj420p is 0 to 255 where the copy is 16 to 235."""
    path = tmp_path / "clip.avi"
    frames = [np.full((64, 64, 3), level, np.uint8) for level in np.linspace(0, 255, 12)]
    path.write_bytes(encode(frames, codec="mjpeg", pixels="yuvj420p"))
    gop = next(read_gops(path))
    means = [gop.iframe.mean(), *(gop.iframe.mean() + gop.residual.mean(axis=(1, 2, 3)))]
    np.testing.assert_allclose(means, np.linspace(0, 255, 12), atol=4)


def test_interlaced_frames_give_their_top_field(tmp_path, encode):
    """A frame whose fields differ is not a mixture of both."""
    frames = [np.full((128, 96, 3), 40, np.uint8) for _ in range(12)]
    for frame in frames:
        frame[1::2] = 200
    path = tmp_path / "fields.mpg"
    options = {"flags": "+ilme+ildct", "field_order": "tt", "qmin": "2", "qmax": "2"}
    path.write_bytes(encode(frames, codec="mpeg2video", container="mpeg", **options))
    info = probe_video(path)
    assert info.interlaced and info.reason.startswith("mpeg2video with interlaced coding")
    assert np.abs(next(read_gops(path)).iframe.astype(float) - 40).max() < 25


def test_ten_bits_keep_their_levels(tmp_path, encode):
    frames = [np.full((64, 64, 3), 20 * t, np.uint8) for t in range(12)]
    path = tmp_path / "ten.mp4"
    x265 = {"x265-params": "log-level=none:crf=10"}
    path.write_bytes(encode(frames, codec="libx265", container="mp4", pixels="yuv420p10le", **x265))
    assert probe_video(path).pixel_format == "yuv420p10le"
    gop = next(read_gops(path))
    levels = gop.iframe.mean() + gop.residual.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(levels, [20 * t for t in range(1, 12)], atol=5)


def test_pixels_that_are_not_square_are_stretched_like_any_frame(tmp_path, pictures):
    """The paper's 340x256 takes no account of aspect; so the aspect changes nothing but the probe."""
    reads = []
    for aspect in ("1", "16/11"):
        file = io.BytesIO()
        with av.open(file, "w", format="matroska") as target:
            stream = target.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 98, 66, "yuv420p"
            stream.codec_context.options, stream.codec_context.thread_count = {"bf": "2", "g": "12"}, 1
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
            for array in pictures[:24]:
                target.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format="yuv420p")))
            target.mux(stream.encode(None))
        path = tmp_path / "clip.mkv"
        path.write_bytes(file.getvalue())
        reads.append((probe_video(path).sample_aspect_ratio, next(read_gops(path))))
    assert reads[0][0] == 1.0 and reads[1][0] == pytest.approx(16 / 11)
    np.testing.assert_array_equal(reads[0][1].iframe, reads[1][1].iframe)
    np.testing.assert_array_equal(reads[0][1].motion, reads[1][1].motion)


def test_a_change_of_size_in_mid_stream(tmp_path, encode, pictures):
    """Every frame of the copy is 340x256, whatever the frame it was made of."""
    small = [picture[:50, :66] for picture in pictures[:24]]
    path = tmp_path / "clip.ts"
    path.write_bytes(
        encode(pictures[:24], container="mpegts", codec="libx264", bf="2")
        + encode(small, container="mpegts", codec="libx264", bf="2")
    )
    gops = list(read_gops(path))
    assert len(gops) == 4 and {gop.iframe.shape for gop in gops} == {(256, 340, 3)}


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_images(tmp_path, pictures, suffix):
    """A folder of images, in the order of their names, and a numbered sequence; 25 a second."""
    folder = tmp_path / "a [b] *"
    folder.mkdir()
    (folder / "notes.txt").write_text("not an image")
    for number, picture in enumerate(pictures[:25]):
        Image.fromarray(picture).save(folder / f"frame_{number:04d}.{suffix}")
    for path in (folder, folder / f"frame_%04d.{suffix}", str(folder)):
        info = probe_video(path)
        assert info.transcoded and info.frames == 25 and info.frames_per_second == 25.0
        gops = list(read_gops(path))
        assert [gop.pts_seconds for gop in gops] == pytest.approx([0, 0.48])
        wanted = np.asarray(Image.fromarray(pictures[12]).resize((340, 256), Image.Resampling.BICUBIC), float)
        assert np.abs(gops[1].iframe - wanted).mean() < 8


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


def test_the_quantiser_takes_effect(pictures):
    sizes = []
    for qscale in (1, 2, 8, 31):
        encoder = mpeg4_encoder(width=98, height=66, gop=12, qscale=qscale)
        packets = []
        for number, array in enumerate(pictures[:12]):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, encoder.time_base
            packets += encoder.encode(frame)
        sizes.append(sum(packet.size for packet in packets))
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 1.5 * sizes[1] > 2 * sizes[2]


def test_a_reading_that_is_broken_off_leaves_no_thread(bikes):
    gops = read_gops(bikes)
    next(gops)
    assert [thread.name for thread in threading.enumerate() if thread.name == "video-ahead"]
    gops.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name == "video-ahead"]
