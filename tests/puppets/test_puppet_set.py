"""Sets of puppet videos as files: layout, bytes, going on, refusals, interrupts."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from hybrid_cvar.cli.data_puppet import puppet_command
from hybrid_cvar.data import open_dataset
from hybrid_cvar.errors import ConfigError, OutputError
from hybrid_cvar.puppets import ACTIONS, PuppetOptions, make_puppets, making
from hybrid_cvar.puppets.video_set import plan_videos
from hybrid_cvar.video import probe_video, read_gops

FLOOR = 6.0  # pixels; the fastest limb's motion since the I-frame, of the GOP that shows most


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    """16 + 3 videos of two GOPs, made by two processes."""
    folder = tmp_path_factory.mktemp("puppets") / "set"
    make_puppets(PuppetOptions(folder, 16, 3, seed=1, frames=24, workers=2))
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_set_is_never_taken_for_ucf101(small_set, tmp_path):
    for name in ("ucfTrainTestlist", "videos"):
        shutil.copytree(small_set / name, tmp_path / name)
    drawn, real = (open_dataset(root, "test") for root in (small_set, tmp_path))
    assert (drawn.kind, drawn.is_drawn, drawn.name) == ("ucf101", True, "drawn puppets (laid out as ucf101)")
    assert (real.kind, real.is_drawn, real.name) == ("ucf101", False, "ucf101")


def test_layout_is_that_of_ucf101(small_set):
    lists = small_set / "ucfTrainTestlist"
    labels = dict(reversed(line.split()) for line in (lists / "classInd.txt").read_text().splitlines())
    assert labels == {action: str(number) for number, action in enumerate(ACTIONS, 1)}
    train = [line.split(" ") for line in (lists / "trainlist01.txt").read_text().splitlines()]
    test = (lists / "testlist01.txt").read_text().splitlines()
    assert len(train) == 16 and len(test) == 3
    for name, label in train:
        assert labels[name.split("/")[0]] == label
    for name in [name for name, _ in train] + test:
        match = re.fullmatch(r"(\w+)/v_\1_g(\d\d)_c(\d\d)\.avi", name)
        assert match and (int(match[2]) <= 7) == (name in test)
        assert (small_set / "videos" / name).is_file()
    assert json.loads((small_set / "puppets.json").read_text()) == {
        "generator_version": 1,
        "seed": 1,
        "frames": 24,
        "train_videos": 16,
        "test_videos": 3,
    }
    assert len(contents(small_set)) == 16 + 3 + 3 + 1


def test_one_process_writes_the_same_bytes_as_two(small_set, tmp_path):
    summary = make_puppets(PuppetOptions(tmp_path / "set", 16, 3, seed=1, frames=24, workers=1))
    made = contents(tmp_path / "set")
    assert made == contents(small_set)
    sizes = sum(len(data) for name, data in made.items() if name.endswith(".avi"))
    assert (summary.made, summary.kept, summary.size_bytes) == (19, 0, sizes)


def test_a_set_goes_on_where_it_ended(small_set):
    before = contents(small_set)
    lost = small_set / "videos" / "Kick" / "v_Kick_g08_c01.avi"
    empty = small_set / "videos" / "Walk" / "v_Walk_g08_c01.avi"
    lost.unlink()
    empty.write_bytes(b"")
    (small_set / "ucfTrainTestlist" / "trainlist01.txt").write_text("Kick/")
    done = []
    options = PuppetOptions(small_set, 16, 3, seed=1, frames=24, workers=1)
    summary = make_puppets(options, lambda *progress: done.append(progress))
    assert (summary.made, summary.kept) == (2, 17) and done == [(17, 19), (18, 19), (19, 19)]
    assert contents(small_set) == before


def test_other_settings_are_refused(small_set):
    before = contents(small_set)
    for change, words in (({"seed": 2}, "seed 1, not 2"), ({"frames": 36}, "frames 24, not 36")):
        options = PuppetOptions(small_set, 16, 3, **({"seed": 1, "frames": 24} | change))
        with pytest.raises(ConfigError, match=words):
            make_puppets(options)
    assert contents(small_set) == before


def test_more_videos_keep_the_first_ones():
    few, many = (plan_videos(PuppetOptions(Path("x"), number, 7, seed=3)) for number in (20, 400))
    assert set(few) <= set(many)
    assert len({video.name for video in many}) == len({video.seed for video in many}) == 407
    per_class = [sum(video.action == action and not video.is_test for video in many) for action in ACTIONS]
    assert set(per_class) == {25}
    assert plan_videos(PuppetOptions(Path("x"), 20))[20:] == tuple(plan_videos(PuppetOptions(Path("x"), 99, 5))[99:])


def test_training_and_testing_share_no_person_and_no_seed():
    videos = plan_videos(PuppetOptions(Path("x"), 700, 300, seed=3))
    for part in ("seed", "person_seed", "name", "group"):
        train, test = ({getattr(video, part) for video in videos if video.is_test == is_test} for is_test in (0, 1))
        assert train and test and not train & test


def test_overwrite_replaces_a_set_and_its_leftovers(tmp_path, monkeypatch):
    monkeypatch.setattr(making, "encode_video", lambda frames, path, qscale: path.write_bytes(b"%d" % qscale))
    make_puppets(PuppetOptions(tmp_path, 40, 0, workers=1))
    (tmp_path / "videos" / "mine.txt").write_text("mine")
    make_puppets(PuppetOptions(tmp_path, 16, 4, seed=9, workers=1, overwrite=True))
    assert len(list(tmp_path.rglob("*.avi"))) == 20
    assert (tmp_path / "videos" / "mine.txt").exists()


@pytest.mark.parametrize("name", ["videos", "ucfTrainTestlist"])
def test_another_dataset_is_left_alone(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match="another folder"):
        make_puppets(PuppetOptions(tmp_path, 16, overwrite=True))


def test_damaged_settings_are_named(tmp_path):
    (tmp_path / "puppets.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"puppets\.json"):
        make_puppets(PuppetOptions(tmp_path, 16))


def test_a_file_that_cannot_be_written_ends_it_without_lists(tmp_path, monkeypatch):
    def full(frames, path, qscale):
        raise OutputError(f"{path}: No space left on device")

    monkeypatch.setattr(making, "encode_video", full)
    with pytest.raises(OutputError, match="No space"):
        make_puppets(PuppetOptions(tmp_path / "set", 16, workers=1))
    assert not list((tmp_path / "set" / "ucfTrainTestlist").iterdir())
    (tmp_path / "plain").write_text("")
    with pytest.raises(OutputError):
        make_puppets(PuppetOptions(tmp_path / "plain" / "set", 16))


def test_an_error_in_a_worker_process_reaches_the_caller(tmp_path):
    folder = tmp_path / "set"
    blocked = folder / "videos" / "Clap" / "v_Clap_g08_c01.avi"
    (folder / "videos").mkdir(parents=True)
    (folder / "puppets.json").write_text('{"generator_version": 1, "seed": 0, "frames": 12}')
    blocked.mkdir(parents=True)  # a folder stands where the file belongs
    with pytest.raises(OutputError, match="v_Clap_g08_c01"):
        make_puppets(PuppetOptions(folder, 16, 0, frames=12, workers=2))
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.parametrize(
    "wrong", [{"videos": 15}, {"test_videos": -1}, {"seed": -1}, {"frames": 11}, {"workers": 0}, {"frames": 9999}]
)
def test_bad_numbers_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        PuppetOptions(**({"folder": Path("x"), "videos": 16} | wrong))


@pytest.mark.parametrize("action", ACTIONS)
def test_motion_vectors_show_the_action(tmp_path, action):
    from hybrid_cvar.puppets import draw_puppet
    from hybrid_cvar.video.encoding import encode_video

    path = tmp_path / "clip.avi"
    encode_video(draw_puppet(action, (0, ACTIONS.index(action)), 96), path, qscale=3)
    info = probe_video(path)
    assert (info.codec, info.width, info.height, info.transcoded) == ("mpeg4", 340, 256, False)
    gops = list(read_gops(path, domain="native"))
    assert len(gops) == 8
    fastest = [np.percentile(np.hypot(*np.moveaxis(gop.motion[-1].astype(float), -1, 0)), 99.7) for gop in gops]
    assert max(fastest) > FLOOR


def application():
    app = typer.Typer()
    app.command("puppet")(puppet_command)
    return app


def test_command_makes_a_set_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(making, "encode_video", lambda frames, path, qscale: path.write_bytes(b"0" * 1000))
    arguments = ["--out", str(tmp_path / "set"), "--videos", "16", "--workers", "1", "--frames", "12"]
    result = CliRunner().invoke(application(), arguments)
    assert result.exit_code == 0, result.output
    assert "16 videos for training, 4 for testing" in result.output and "20 made, 0 kept" in result.output
    result = CliRunner().invoke(application(), [*arguments, "--seed", "5"])
    assert result.exit_code == 1 and "--overwrite" in result.output
    assert CliRunner().invoke(application(), ["--out", str(tmp_path), "--videos", "3"]).exit_code == 2


PROGRAM = """
import typer
from hybrid_cvar.cli.data_puppet import puppet_command
app = typer.Typer()
app.command()(puppet_command)
if __name__ == "__main__":
    app()
"""


def test_ctrl_c_keeps_what_is_done(tmp_path):
    program, folder = tmp_path / "program.py", tmp_path / "set"
    program.write_text(PROGRAM)
    process = subprocess.Popen(
        [sys.executable, str(program), "--out", str(folder), "--videos", "400", "--frames", "24", "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not list(folder.rglob("*.avi")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "interrupted" in errors and "Traceback" not in errors
    done = list(folder.rglob("*.avi"))
    assert 0 < len(done) < 400 and all(path.stat().st_size for path in done)
    assert not list(folder.rglob("*.tmp")) and not list((folder / "ucfTrainTestlist").iterdir())
    assert ends(process.pid)


def ends(group):
    """True if no process of the group is left, after a moment for Python's own helpers."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
