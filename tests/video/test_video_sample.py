"""The shipped sample, and the drawing that made it."""

import io

import av
import numpy as np
import pytest

from hybrid_cvar.assets.make_sample import FFMPEG_RELEASE, SAMPLE, main, make_sample_video
from hybrid_cvar.benchmark.moving_shapes import ACTIONS, draw_video
from hybrid_cvar.errors import ConfigError, OutputError
from hybrid_cvar.records import InputSpec
from hybrid_cvar.video import probe_video, read_clips, read_gops
from hybrid_cvar.video.encoding import encode_video


def test_sample_is_small_and_in_the_papers_format():
    assert SAMPLE.stat().st_size < 300_000
    info = probe_video(SAMPLE)
    assert (info.codec, info.width, info.height, info.frames_per_second) == ("mpeg4", 340, 256, 25.0)
    assert not info.transcoded
    assert len(list(read_gops(SAMPLE))) == 8
    assert len(read_clips(SAMPLE, InputSpec()).clips) == 8


def test_sample_is_made_again_to_the_byte(tmp_path, monkeypatch, capsys, decode_plainly):
    monkeypatch.setattr("sys.argv", ["make_sample", "--output", str(tmp_path / "first.avi")])
    assert main() == 0 and "96 frames" in capsys.readouterr().out
    make_sample_video(tmp_path / "second.avi")
    made = (tmp_path / "first.avi").read_bytes()
    assert made == (tmp_path / "second.avi").read_bytes()
    if av.library_versions["libavcodec"] == FFMPEG_RELEASE:
        assert made == SAMPLE.read_bytes()
    else:
        ours, committed = list(decode_plainly(tmp_path / "first.avi")), list(decode_plainly(SAMPLE))
        assert np.abs(np.stack(ours).astype(float) - np.stack(committed)).mean() < 4.0


def test_sample_script_reports_a_bad_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["make_sample", "--output", str(tmp_path / "none" / "x.avi")])
    assert main() == 1 and capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("seed", [0, 11])
def test_accumulated_motion_tells_the_action(tmp_path, action, seed):
    path = tmp_path / "clip.avi"
    encode_video(draw_video(action, seed, 60), path)
    votes = []
    for gop in read_gops(path):
        motion = gop.motion[-1].astype(float)
        rows, columns = np.nonzero(motion.any(axis=-1))
        x, y = motion[rows, columns].T
        right, down = columns - columns.mean(), rows - rows.mean()
        strength = {
            "move right": x.mean(),
            "move down": y.mean(),
            "grow": (x * right + y * down).sum() / np.hypot(right, down).sum(),
            "turn clockwise": (y * right - x * down).sum() / np.hypot(right, down).sum(),
        }
        name = max(strength, key=lambda key: abs(strength[key]))
        opposite = dict(zip(strength, ("move left", "move up", "shrink", "turn anticlockwise"), strict=True))
        votes.append(name if strength[name] > 0 else opposite[name])
    assert votes.count(action) >= 4, votes
    assert len(votes) == 5


def test_a_seed_fixes_the_look_and_the_action_only_the_motion():
    first = {action: list(draw_video(action, 5, 3)) for action in ("move left", "turn clockwise")}
    np.testing.assert_array_equal(first["move left"][0], first["turn clockwise"][0])
    assert (first["move left"][2] != first["turn clockwise"][2]).any()
    np.testing.assert_array_equal(first["move left"][2], list(draw_video("move left", 5, 3))[2])
    assert (next(draw_video("move left", 6)) != first["move left"][0]).any()


def test_frames_have_the_size_asked_for():
    frames = list(draw_video("grow", 2, 3, 96, 64))
    assert len(frames) == 3 and all(frame.shape == (64, 96, 3) and frame.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize("arguments", [("jump", 1), ("grow", -1), ("grow", 1, 0), ("grow", 1, 5, 8, 64)])
def test_bad_drawings_are_refused(arguments):
    with pytest.raises(ConfigError):
        draw_video(*arguments)


def test_encoding_to_a_file_is_whole_or_absent(tmp_path):
    def broken():
        yield np.zeros((64, 64, 3), np.uint8)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        encode_video(broken(), tmp_path / "clip.avi")
    with pytest.raises(ConfigError, match="no frames"):
        encode_video([], tmp_path / "clip.avi")
    with pytest.raises(OutputError, match="folder that exists"):
        encode_video(draw_video("grow", 1, 2), tmp_path / "none" / "clip.avi")
    assert list(tmp_path.iterdir()) == []
    file = io.BytesIO()
    encode_video(draw_video("grow", 1, 2), file)
    encode_video(draw_video("grow", 1, 2), tmp_path / "clip.avi")
    assert [p.name for p in tmp_path.iterdir()] == ["clip.avi"]
    assert file.getvalue() == (tmp_path / "clip.avi").read_bytes()
