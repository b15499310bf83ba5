"""Child processes end when the process that started them does, however that ends.

Linux ends them with the *thread* that started them: start them from one that outlives their work.
"""

import contextlib
import ctypes
import os
import signal
import sys

__all__ = ["begin_child", "end_with_parent"]

_PR_SET_PDEATHSIG = 1


def begin_child(parent: int) -> None:
    """The first thing in a worker process: Ctrl-C is its parent's to hear, and it ends with that.

    Args:
        parent: process id of the one who started it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(parent)


def end_with_parent(parent: int) -> None:
    """Has the kernel kill this process when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG); Linux alone.

    A pool's processes wait for work on pipes that each of them holds open: without this, those of a parent that was
    killed wait for ever.

    Args:
        parent: process id of the one who started it; if that has died already, this process ends here.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os.kill(os.getpid(), signal.SIGKILL)
