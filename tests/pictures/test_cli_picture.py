"""`picture` as a user meets it, on small videos."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from hybrid_cvar.assets import SAMPLE_VIDEO
from hybrid_cvar.cli import picture
from hybrid_cvar.video.encoding import encode_video

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


@pytest.fixture
def run(monkeypatch):
    """The commands, in this process; a wide terminal without colour."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return lambda *arguments: CliRunner().invoke(picture.picture_commands, [str(each) for each in arguments])


def video(path, frames=24):
    ground = np.random.default_rng(len(path.name)).integers(0, 255, (8, 12, 3), dtype=np.uint8)
    ground = ground.repeat(8, axis=0).repeat(8, axis=1)
    encode_video((np.roll(ground, 3 * t, axis=1) for t in range(frames)), path)
    return path


def test_tsne_of_two_videos(run, tmp_path):
    first, second = video(tmp_path / "a.avi"), video(tmp_path / "bb.avi")
    result = run("tsne", first, second, "-o", tmp_path / "t.png", "--json", tmp_path / "t.json", "--perplexity", 8)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("by chance 51.2 %") == 3
    with Image.open(tmp_path / "t.png") as drawn:
        assert drawn.format == "PNG" and drawn.width > drawn.height
    content = json.loads((tmp_path / "t.json").read_text())
    assert content["videos"] == [{"name": "a.avi", "frames": 24}, {"name": "bb.avi", "frames": 24}]
    assert content["perplexity"] == 8


def test_tsne_draws_puppets(run, tmp_path, monkeypatch):
    monkeypatch.setattr(picture, "PUPPET_FRAMES", 24)
    result = run("tsne", "--puppets", "Wave", "-o", tmp_path / "t.png", "--json", "-")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert [each["name"] for each in content["videos"]] == ["Wave, puppet 0", "Wave, puppet 1"]
    assert run("tsne", "--puppets", "Fly", "-o", tmp_path / "t.png").exit_code == 1


@pytest.mark.needs_compile
def test_saliency_of_a_video(run, tmp_path, small_checkpoint):
    result = run("saliency", SAMPLE_VIDEO, "-c", small_checkpoint, "-o", tmp_path / "s.png", "--label", "walk")
    assert result.exit_code == 0, result.output
    assert "walk: probability" in result.stdout and result.stdout.count("on moving pixels") == 3
    with Image.open(tmp_path / "s.png") as drawn:
        assert drawn.format == "PNG"
    result = run("saliency", SAMPLE_VIDEO, "-c", small_checkpoint, "-o", tmp_path / "s.png", "--json", "-")
    assert json.loads(result.stdout)["trained"] is False


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["tsne", "one.avi"], 2, "give two or more"),
        (["tsne", "one.avi", "two.avi", "--puppets", "Wave"], 2, "--puppets Wave is for when no VIDEO"),
        (["tsne", "one.avi", "short.avi"], 1, "short.avi: 1 GOP; a curve over time needs 2"),
        (["tsne", "one.avi", "two.avi", "-o", "one.avi"], 2, "is used twice"),
        (["tsne", "one.avi", "two.avi", "--perplexity", "500"], 1, "perplexity = 500"),
        (["tsne", "one.avi", "none.avi"], 1, "none.avi"),
    ],
)
def test_wrong_usage_is_named(run, tmp_path, monkeypatch, arguments, status, message):
    monkeypatch.chdir(tmp_path)
    for name, frames in (("one.avi", 24), ("two.avi", 24), ("short.avi", 12)):
        video(tmp_path / name, frames)
    result = run(*arguments)
    assert result.exit_code == status, result.output
    assert message in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "tsne.png").exists()


@pytest.mark.needs_compile
def test_wrong_usage_of_saliency_is_named(run, tmp_path, small_checkpoint):
    for arguments, message in (
        ([video(tmp_path / "short.avi", 5)], "a GOP needs 12"),
        ([SAMPLE_VIDEO, "--label", "swim"], "label 'swim' is none of the model's 3"),
    ):
        result = run("saliency", *arguments, "-c", small_checkpoint, "-o", tmp_path / "s.png")
        assert result.exit_code == 1
        assert message in result.output
    assert not (tmp_path / "s.png").exists()
