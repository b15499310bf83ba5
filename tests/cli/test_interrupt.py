"""Ctrl-C in the middle of a run on Lava."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from hybrid_cvar.assets import SAMPLE_VIDEO

COMMAND = [
    sys.executable,
    "-m",
    "hybrid_cvar",
    "run",
    "--engine",
    "lava",
    "--clips",
    "1000",
]


@pytest.mark.needs_lava
@pytest.mark.needs_clips
def test_ctrl_c_is_one_line_and_leaves_nothing(dancer, tmp_path):
    segments = set(os.listdir("/dev/shm"))
    videos, pipe = [str(dancer)] * 30, subprocess.PIPE
    output = ["--json", str(tmp_path / "r.json")]
    with subprocess.Popen(
        [*COMMAND, *videos, *output], stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as run:
        program = psutil.Process(run.pid)
        deadline = time.monotonic() + 60
        # A process a stream, Lava's service, its memory manager, Python's resource tracker.
        while len(family := program.children(recursive=True)) < 5 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(family) >= 5
        time.sleep(3)
        assert run.poll() is None, "the run must be under way"
        os.killpg(run.pid, signal.SIGINT)
        stdout, stderr = run.communicate(timeout=30)
    assert run.returncode == 130
    assert "interrupted" in stderr
    assert "Traceback" not in stdout + stderr
    assert "leaked" not in stderr
    psutil.wait_procs(family, timeout=5)
    assert [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    assert set(os.listdir("/dev/shm")) - segments == set()
    result = json.loads((tmp_path / "r.json").read_text())
    missing = [failure for failure in result["failures"] if "not run" in failure["error"]]
    assert len(result["videos"]) + len(missing) == len(videos)
    assert missing, "the file must say what is not in it"


@pytest.mark.parametrize("delay", [0.4, 0.8, 1.5, 2.5])
def test_ctrl_c_is_heard_from_the_start(delay):
    """In imports, before the first clip and after it; enough videos that none of these is the end."""
    command = [sys.executable, "-m", "hybrid_cvar", "run", "--engine", "native", *[str(SAMPLE_VIDEO)] * 100]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as run:
        time.sleep(delay)
        run.send_signal(signal.SIGINT)
        stderr = run.communicate(timeout=30)[1]
    assert run.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "error: interrupted"
    assert "Traceback" not in stderr


@pytest.mark.parametrize("overlap", ["--no-overlap", "--overlap"])
def test_ctrl_c_keeps_the_videos_that_are_done(tmp_path, overlap):
    command = [sys.executable, "-m", "hybrid_cvar", "run", "--engine", "native", overlap, *[str(SAMPLE_VIDEO)] * 100]
    pipe, file = subprocess.PIPE, tmp_path / "r.json"
    unbuffered = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*command, "--json", str(file)], stdout=pipe, stderr=pipe, text=True, env=unbuffered) as run:
        assert "sample.avi" in run.stdout.readline()
        run.send_signal(signal.SIGINT)
        stderr = run.communicate(timeout=30)[1]
    assert run.returncode == 130, stderr
    result = json.loads(file.read_text())
    assert len(result["videos"]) >= 1
    assert len(result["videos"]) + len(result["failures"]) == 100
    assert f"{len(result['videos'])} of 100 videos done" in stderr


@pytest.mark.parametrize("overlap", ["--no-overlap", "--overlap"])
def test_ctrl_c_ends_the_wait_for_a_stream_that_sends_nothing_more(overlap):
    """Its first answer has been told by then; reading waits, and so do the partitions."""
    command = [sys.executable, "-m", "hybrid_cvar", "run", "--engine", "native", overlap, "-"]
    pipe, content = subprocess.PIPE, SAMPLE_VIDEO.read_bytes()
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as run:
        run.stdin.write(content[: len(content) // 2])
        run.stdin.flush()
        told = run.stderr.readline().decode()
        assert told.startswith("first prediction after ") and told.endswith(", of the first clip alone\n")
        time.sleep(1)
        assert run.poll() is None
        run.send_signal(signal.SIGINT)
        assert run.wait(timeout=20) == 130
        assert run.stderr.read().decode().splitlines()[-1] == "error: interrupted"


def test_ctrl_c_whose_exception_is_lost_is_heeded_at_the_next_clip(monkeypatch):
    """A callback of a compiled library swallows what is raised in it."""
    from hybrid_cvar.cli import console

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    console.hear_ctrl_c()
    console.heed_ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        console._interrupt(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        console.heed_ctrl_c()
    console.hear_ctrl_c()
    console.heed_ctrl_c()


LOST = """
import ctypes, os, signal, sys
from hybrid_cvar.cli import console

@ctypes.CFUNCTYPE(None)
def callback():
    if sys.argv[1] == "Ctrl-C":
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000): pass
    raise ValueError("an error")

console.hear_ctrl_c()
callback()
with console.one_line_errors():
    console.heed_ctrl_c()
"""


def test_a_ctrl_c_that_a_callback_loses_is_one_line_and_other_errors_are_told():
    lost, told = (
        subprocess.run([sys.executable, "-c", LOST, what], capture_output=True, text=True, timeout=60).stderr
        for what in ("Ctrl-C", "error")
    )
    assert lost.splitlines()[0] == "error: interrupted"
    assert "Traceback" in told and "ValueError: an error" in told
