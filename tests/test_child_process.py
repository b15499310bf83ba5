"""Worker processes end with the program that started them, even when it is killed."""

import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from hybrid_cvar.assets import SAMPLE_VIDEO

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
    link.symlink_to(VIDEO)
    videos.append(LabelledVideo(link.name, link, 0))
fill_cache(GopCache(Path(FOLDER) / "out", InputSpec(size=112)), videos, 2, lambda: None)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux alone ends a child with its parent")
@pytest.mark.parametrize("work", [DRAW, FILL], ids=["drawing puppets", "filling the cache"])
def test_a_pool_ends_with_a_program_that_is_killed(tmp_path, work):
    script = tmp_path / "work.py"
    script.write_text(
        f"FOLDER, VIDEO = {str(tmp_path)!r}, {str(SAMPLE_VIDEO)!r}\n"
        f"if __name__ == '__main__':\n{textwrap.indent(work, '    ')}",
        encoding="utf-8",
    )
    with subprocess.Popen([sys.executable, script]) as program:
        try:
            family = workers_of(program)
        finally:
            program.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=20)
    for process in alive:
        process.kill()
    assert alive == []


def workers_of(program: subprocess.Popen) -> list[psutil.Process]:
    """The pool's two processes, and Python's resource tracker."""
    while program.poll() is None:
        family = psutil.Process(program.pid).children()
        if sum("spawn_main" in " ".join(each.cmdline()) for each in family) == 2:
            return family
        time.sleep(0.05)
    pytest.fail("the program ended by itself")
