"""Frames as points, the numbers of their neighbourhood, and the picture of them in t-SNE space."""

import json
import sys

import numpy as np
import pytest

from hybrid_cvar.errors import ConfigError, MissingPartError, ShortVideoError
from hybrid_cvar.pictures import (
    REPRESENTATIONS,
    draw_trajectories,
    embed_trajectories,
    read_frame_points,
    render_trajectories,
)
from hybrid_cvar.pictures.frame_points import decoded_frames
from hybrid_cvar.pictures.neighbourhood import chance_overlap, overlap, retrace
from hybrid_cvar.reporting.pictures import new_figure, save_figure
from hybrid_cvar.video import read_frames, read_gops
from hybrid_cvar.video.encoding import encode_video

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


def texture(seed: int) -> np.ndarray:
    """uint8 (64, 96, 3), smooth enough for the codec to follow."""
    coarse = np.random.default_rng(seed).integers(0, 255, (8, 12, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)


def moving(path, seed: int, frames: int = 36, step: int = 2):
    ground = texture(seed)
    encode_video((np.roll(ground, step * t, axis=1) for t in range(frames)), path)
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two videos of one motion over different grounds, as points."""
    folder = tmp_path_factory.mktemp("pair")
    return [read_frame_points(moving(folder / f"{seed}.avi", seed)) for seed in (1, 2)]


def test_points_have_one_row_a_frame(pair):
    points = pair[0]
    assert points.step.tolist() == list(range(12)) * 3
    assert points.gop.tolist() == [0] * 12 + [1] * 12 + [2] * 12
    assert points.rgb.shape == (36, 24 * 32 * 3)
    assert points.motion.shape == (36, 24 * 32 * 2)
    assert points.residual.shape == (36, 24 * 32 * 3)
    assert not points.motion[points.step == 0].any() and not points.residual[points.step == 0].any()


def test_rgb_is_what_the_decoder_gives(tmp_path):
    video = moving(tmp_path / "a.avi", 5, 24)
    decoded = [frame.picture for frame in read_frames(video)]
    for number, gop in enumerate(read_gops(video)):
        assert (decoded_frames(gop) == np.stack(decoded[12 * number + 1 : 12 * number + 12])).all()


def test_motion_is_in_pixels_of_the_papers_frame(pair):
    """2 pixels a frame to the right of 96 are 11 * 2 * 340 / 96 of 340 after 11 P-frames."""
    last = pair[0].motion[11].reshape(24, 32, 2)[6:18, 10:22]
    assert np.median(last[..., 0]) == pytest.approx(22 * 340 / 96, rel=0.05)
    assert abs(np.median(last[..., 1])) < 1


def test_most_frames_are_whole_gops(tmp_path):
    video = moving(tmp_path / "a.avi", 5, 60)
    assert len(read_frame_points(video, most_frames=47).step) == 36


def test_overlap_counts_other_videos():
    line = np.arange(40, dtype=float)[:, None]
    halves = np.repeat([0, 1], 20)
    assert overlap(line + 1000 * halves[:, None], halves, 5) == 0
    assert overlap(line, np.arange(40) % 2, 2) == pytest.approx((38 * 2 + 2) / 80)


def test_points_in_one_place_overlap_by_chance():
    video = np.repeat([0, 1, 2], (10, 20, 7))
    assert overlap(np.zeros((37, 4)), video) == pytest.approx(chance_overlap(video))
    assert chance_overlap(np.array([0, 0, 1, 1])) == pytest.approx(2 / 3)


def test_retrace_tells_to_and_fro_from_a_circle():
    frame = np.arange(61)
    phase = 2 * np.pi * frame / 20.3
    video = np.zeros(61, int)
    to_and_fro = np.stack([np.cos(phase), 0 * phase], axis=1)
    circle = np.stack([np.cos(phase), np.sin(phase)], axis=1)
    assert retrace(circle, video, frame) == 0
    assert retrace(to_and_fro, video, frame) > 0.4
    once = np.stack([np.abs(frame - 30.1), 0 * phase], axis=1)
    assert retrace(once, video, frame) > 0.9
    assert retrace(np.zeros((61, 2)), video, frame) is None
    assert retrace(circle[::2], video[::2], frame[::2]) is None


def test_twins_are_mixed(pair):
    result = embed_trajectories([pair[0], pair[0]])
    for space in result.spaces:
        assert space.chance == pytest.approx(0.5, abs=0.02)
        assert space.overlap_features == pytest.approx(space.chance, abs=0.12)
        assert space.overlap_embedding == pytest.approx(space.chance, abs=0.12)


def test_one_motion_over_two_grounds_overlaps_in_motion_alone(pair):
    rgb, motion, _ = embed_trajectories(pair).spaces
    assert rgb.overlap_features < 0.3
    assert motion.overlap_features == pytest.approx(motion.chance, abs=0.12)


def test_two_still_videos_are_apart_in_rgb_and_one_point_in_motion(tmp_path):
    videos = []
    for seed in (1, 2):
        encode_video([texture(seed)] * 24, tmp_path / f"{seed}.avi")
        videos.append(read_frame_points(tmp_path / f"{seed}.avi"))
    rgb, motion, _ = embed_trajectories(videos).spaces
    assert rgb.overlap_features == 0
    assert rgb.overlap_embedding < 0.05  # t-SNE draws equal points apart, some of them far
    assert motion.overlap_features == pytest.approx(motion.chance)
    assert motion.retrace is None
    assert not motion.position.any()
    draw_trajectories(embed_trajectories(videos), new_figure(1, 1))


def test_the_same_seed_gives_the_same_bytes(pair, tmp_path):
    for name in ("a.png", "b.png"):
        figure = new_figure(1, 1)
        draw_trajectories(embed_trajectories(pair, seed=3), figure)
        save_figure(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_spaces_and_their_json(pair):
    result = embed_trajectories(pair)
    assert [space.representation for space in result.spaces] == list(REPRESENTATIONS)
    assert [len(space.position) for space in result.spaces] == [72, 66, 66]
    content = json.loads(render_trajectories(result, command="here"))
    assert content["schema"] == "hybrid-cvar/trajectories" and content["command"] == "here"
    for space, entry in zip(result.spaces, content["spaces"], strict=True):
        assert [[row["x"], row["y"]] for row in entry["points"]] == space.position.tolist()
        assert entry["overlap_features"] == space.overlap_features
        assert 0 < space.variance_kept <= 1


def test_bad_input_is_named(pair, tmp_path):
    with pytest.raises(ShortVideoError, match=r"1 GOP.*needs 2 of 12 frames.*longer"):
        read_frame_points(moving(tmp_path / "short.avi", 1, 14))
    with pytest.raises(ConfigError, match="most_frames = 12"):
        read_frame_points(tmp_path / "any.avi", most_frames=12)
    with pytest.raises(ConfigError, match="1 video.*at least 2"):
        embed_trajectories(pair[:1])
    for wrong in (0.5, 66, float("nan")):
        with pytest.raises(ConfigError, match="perplexity.*below 66"):
            embed_trajectories(pair, perplexity=wrong)
    with pytest.raises(ConfigError, match="seed = -1"):
        embed_trajectories(pair, seed=-1)


def test_a_missing_scikit_learn_is_named(pair, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(MissingPartError, match=r"pip install 'hybrid-cvar\[train\]'"):
        embed_trajectories(pair)
