"""The display matrix: pictures and vectors are turned alike, natively and through the copy."""

import io

import av
import numpy as np
import pytest

from hybrid_cvar.errors import UnsupportedVideoError
from hybrid_cvar.video import probe_video, read_clips, read_gops
from hybrid_cvar.video.transcode import paper_frames

# FFmpeg's av_display_rotation_set(angle) and a mirror, as a player applies them to a picture (rows, columns).
SHOWN = {
    (0, False): lambda picture: picture,
    (90, False): lambda picture: np.rot90(picture, 1),
    (180, False): lambda picture: np.rot90(picture, 2),
    (270, False): lambda picture: np.rot90(picture, 3),
    (0, True): lambda picture: picture[:, ::-1],
    (90, True): lambda picture: np.rot90(picture, 1)[:, ::-1],
    (180, True): lambda picture: np.rot90(picture, 2)[:, ::-1],
    (270, True): lambda picture: np.rot90(picture, 3)[:, ::-1],
}


def turned(pictures, degrees, mirrored, codec="mpeg4", **options):
    """A video whose container says that it is to be shown turned counterclockwise, then mirrored."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as target:
        stream = target.add_stream(codec, rate=25)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.options = {"g": "12", "bf": "0"} | options
        stream.set_display_rotation(degrees, hflip=mirrored)
        for array in pictures:
            target.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format="yuv420p")))
        target.mux(stream.encode(None))
    return file.getvalue()


@pytest.mark.parametrize(("degrees", "mirrored"), SHOWN)
def test_native(tmp_path, pictures, rebuild, decode_plainly, degrees, mirrored):
    path = tmp_path / "clip.mp4"
    path.write_bytes(turned(pictures[:24], degrees, mirrored))
    info = probe_video(path)
    assert (info.domain, info.rotation_degrees, info.width, info.height) == ("native", degrees, 98, 66)
    show = SHOWN[degrees, mirrored]
    frames = [show(frame) for frame in decode_plainly(path)]
    for accumulated in (True, False):
        for number, gop in enumerate(read_gops(path, accumulated=accumulated)):
            np.testing.assert_array_equal(gop.iframe, frames[12 * number])
            np.testing.assert_array_equal(rebuild(gop), frames[12 * number + 1 : 12 * number + 12])
            assert gop.motion.flags.c_contiguous and gop.motion.any()
        assert number == 1


@pytest.mark.parametrize(("degrees", "mirrored"), SHOWN)
def test_copy(tmp_path, pictures, degrees, mirrored):
    path = tmp_path / "clip.mp4"
    path.write_bytes(turned(pictures[:24], degrees, mirrored, "libx264", bf="2"))
    assert probe_video(path).domain == "transcode"
    picture, _ = next(paper_frames(path))
    assert (picture.width, picture.height) == (340, 256)
    shown = np.ascontiguousarray(SHOWN[degrees, mirrored](pictures[0]))
    wanted = av.VideoFrame.from_ndarray(shown, format="rgb24").reformat(340, 256, "rgb24").to_ndarray().astype(float)
    assert np.abs(picture.to_ndarray(format="rgb24") - wanted).mean() < 12
    assert np.abs(next(read_gops(path)).iframe - wanted).mean() < 12


def test_motion_turns_with_the_picture(tmp_path):
    """A square that moves right moves up once turned by 90 degrees counterclockwise."""
    rng = np.random.default_rng(5)
    square = np.repeat(np.repeat(rng.integers(0, 256, (6, 6, 3)), 8, 0), 8, 1).astype(np.uint8)
    frames = []
    for t in range(12):
        frame = np.full((128, 160, 3), 128, np.uint8)
        frame[40:88, 16 + 4 * t : 64 + 4 * t] = square
        frames.append(frame)
    path = tmp_path / "square.mp4"
    ways = {(0, False): (4, 0), (90, False): (0, -4), (180, False): (-4, 0), (270, False): (0, 4), (0, True): (-4, 0)}
    for (degrees, mirrored), way in ways.items():
        path.write_bytes(turned(frames, degrees, mirrored, flags="+qscale", global_quality="236"))
        motion = next(read_gops(path)).motion[-1]
        moving = motion[np.abs(motion).sum(axis=-1) > 20]
        np.testing.assert_array_equal(np.median(moving, axis=0), np.multiply(way, 11))


def test_an_odd_angle_is_refused(tmp_path, pictures):
    path = tmp_path / "clip.mp4"
    path.write_bytes(turned(pictures[:24], 30, False))
    for read in (probe_video, lambda path: list(read_gops(path)), read_clips):
        with pytest.raises(UnsupportedVideoError, match="to be turned by (29|30) degrees; only quarter turns"):
            read(path)
