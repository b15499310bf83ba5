"""The I-frame-only control: it learns what a picture tells, and cannot learn what only motion tells."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from hybrid_cvar.cli.application import app
from hybrid_cvar.data.fill_cache import fill_cache
from hybrid_cvar.data.gop_cache import GopCache
from hybrid_cvar.errors import ConfigError, TrainingError
from hybrid_cvar.records import InputSpec, LabelledVideo, VideoDataset
from hybrid_cvar.video.encoding import encode_video

pytestmark = pytest.mark.needs_compile
SPEC = InputSpec(size=64, timesteps=4)


def bars(rng, *, upright):
    """Frames of grey bars, upright or lying, on noise: one picture tells the class."""
    picture = rng.integers(90, 110, (128, 170, 3)).astype(np.uint8)
    for start in range(int(rng.integers(12)), 120, 24):
        if upright:
            picture[:, start : start + 8] = 230
        else:
            picture[start : start + 8] = 230
    return [picture] * 12


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """Two classes that a picture tells: 12 videos to train on, 6 to ask."""
    folder = tmp_path_factory.mktemp("still")
    rng = np.random.default_rng(5)
    videos = []
    for number in range(18):
        path = folder / f"{number}.avi"
        encode_video(bars(rng, upright=number % 2 == 0), path)
        videos.append(LabelledVideo(f"video {number}", path, number % 2))
    cache = GopCache(folder / "cache", SPEC)
    return cache, *(
        VideoDataset("ucf101", subset, 1, ("upright", "lying"), tuple(part), ())
        for subset, part in (("train", videos[:12]), ("test", videos[12:]))
    )


def run(cache, training, test, **options):
    from hybrid_cvar.training.iframe_control import ControlOptions, run_control

    known, asked = (fill_cache(cache, subset.videos, 1)[0] for subset in (training, test))
    return run_control(cache, known, asked, test, ControlOptions(**options), missing=(("gone", "no such file"),))


def test_it_learns_what_a_picture_tells(still):
    seen = []
    from hybrid_cvar.training.iframe_control import ControlOptions, run_control

    cache, training, test = still
    known, asked = (fill_cache(cache, subset.videos, 1)[0] for subset in (training, test))
    found = run_control(
        cache, known, asked, test, ControlOptions(epochs=12, batch=6), on_step=lambda *step: seen.append(step)
    )
    assert found.scores.top1 == 1.0 and found.scores.videos == 6
    assert [done for done, _, _ in seen] == list(range(1, 25)) and {steps for _, steps, _ in seen} == {24}
    assert seen[-1][2] < seen[0][2]
    assert [answer.name for answer in found.answers] == [f"video {number}" for number in range(12, 18)]


def test_the_same_seed_gives_the_same_weights_and_leaves_the_random_state(still):
    import torch

    before = torch.get_rng_state()
    first, again, other = (run(*still, epochs=1, batch=6, seed=seed) for seed in (1, 1, 2))
    assert first.sha256 == again.sha256 != other.sha256
    assert torch.equal(before, torch.get_rng_state())
    assert first.missing == (("gone", "no such file"),)


def test_motion_does_not_reach_it(still, monkeypatch):
    def fail(*given):
        pytest.fail("read motion or residuals")

    monkeypatch.setattr(GopCache, "read", fail)
    assert run(*still, epochs=1, batch=6).scores.videos == 6


def test_what_cannot_be_is_named(still):
    from hybrid_cvar.training.iframe_control import ControlOptions, run_control

    cache, _, test = still
    with pytest.raises(TrainingError, match="0 usable training videos, 0 test videos"):
        run_control(cache, (), (), test, ControlOptions())
    for wrong in ({"epochs": 0}, {"clips": 0}, {"batch": 1}, {"learning_rate": 1.0}):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))} = "):
            ControlOptions(**wrong)


def test_command_writes_what_a_card_reads(moving_videos, tmp_path, monkeypatch):
    from hybrid_cvar.reporting.evaluation_report import load_evaluation

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hybrid_cvar.cli.data_control.hear_ctrl_c", lambda: None)
    result = CliRunner().invoke(app, ["data", "control", str(moving_videos), "--epochs", "1", "--json", "out.json"])
    assert result.exit_code == 0, result.output
    found = load_evaluation(tmp_path / "out.json")
    assert (found.model, found.subset, found.scores.videos, found.engine) == (
        "iframe-control",
        "test",
        4,
        "torch-float",
    )
    assert json.loads((tmp_path / "out.json").read_text())["schema"] == "hybrid-cvar/evaluation"
    assert "MoveLeft" in result.output


def test_a_mirrored_picture_of_a_left_class_is_one_of_the_right_class(still, monkeypatch):
    import dataclasses

    from torch import nn

    from hybrid_cvar.training import iframe_control

    cache, training, test = still
    plain, told, asked = iframe_control._random_iframe, [], []
    loss = nn.CrossEntropyLoss()

    def draw(*given):
        told.append(plain(*given))
        return told[-1]

    monkeypatch.setattr(iframe_control, "_random_iframe", draw)
    monkeypatch.setattr(
        nn, "CrossEntropyLoss", lambda: lambda logits, truth: asked.extend(truth.tolist()) or loss(logits, truth)
    )
    labels = ("StepLeft", "StepRight")
    run(cache, *(dataclasses.replace(each, labels=labels) for each in (training, test)), epochs=2, batch=6)
    assert asked == [1 - label if flip else label for _, label, flip in told]
    assert {flip for _, _, flip in told} == {True, False}
