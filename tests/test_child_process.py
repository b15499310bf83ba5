"""Worker processes end with the program that started them, even when it is killed."""

import contextlib
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from hybrid_cvar.assets import SAMPLE_VIDEO

T = TypeVar("T")

DRAW = """
from pathlib import Path
from hybrid_cvar.puppets import PuppetOptions, make_puppets
make_puppets(PuppetOptions(Path(FOLDER) / "out", videos=400, test_videos=16, workers=2))
"""
FILL = """
from pathlib import Path
from hybrid_cvar.data.fill_cache import fill_cache
from hybrid_cvar.data.gop_cache import GopCache
from hybrid_cvar.records import InputSpec, LabelledVideo
videos = []
for index in range(2000):
    link = Path(FOLDER) / f"{index}.avi"
    link.hardlink_to(VIDEO)  # a video of its own to the cache
    videos.append(LabelledVideo(link.name, link, 0))
fill_cache(GopCache(Path(FOLDER) / "out", InputSpec(size=112)), videos, 2, lambda: None)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone ends a child with its parent")
@pytest.mark.parametrize("when", ["they start", "they are at work"])
@pytest.mark.parametrize("work", [DRAW, FILL], ids=["drawing puppets", "filling the cache"])
def test_a_pool_ends_with_a_program_that_is_killed(tmp_path, work, when):
    script = tmp_path / "work.py"
    video = Path(shutil.copy(SAMPLE_VIDEO, tmp_path))
    script.write_text(
        f"FOLDER, VIDEO = {str(tmp_path)!r}, {str(video)!r}\n"
        f"if __name__ == '__main__':\n{textwrap.indent(work, '    ')}",
        encoding="utf-8",
    )
    with subprocess.Popen([sys.executable, script]) as program:
        try:
            family = wait_for(program, lambda: pool_of(program))
            if when == "they are at work":
                wait_for(program, lambda: made_by(tmp_path / "out") > 5)
        finally:
            program.send_signal(signal.SIGKILL)
    psutil.wait_procs(family, timeout=20)
    alive = [process for process in family if is_alive(process)]
    for process in alive:
        process.kill()
    assert alive == []


def wait_for(program: subprocess.Popen, wanted: Callable[[], T]) -> T:
    while program.poll() is None:
        if found := wanted():
            return found
        time.sleep(0.05)
    pytest.fail("the program ended by itself")


def pool_of(program: subprocess.Popen) -> list[psutil.Process]:
    """The pool's two processes and Python's resource tracker, once both are there."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(program.pid).children()
        if sum("spawn_main" in " ".join(each.cmdline()) for each in family) == 2:
            return family
    return []


def made_by(folder: Path) -> int:
    """Videos drawn, or cached: more than one process can begin with."""
    return sum(path.suffix in (".avi", ".h5") for path in folder.rglob("*"))


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
