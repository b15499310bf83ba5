"""Large tensors that a training step frees and takes again stay with the process."""

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_BYTES = 2**30


def keep_freed_memory() -> bool:
    """Tells glibc to serve blocks of up to 1 GB from its heap and not to give the heap back.

    By default each is mapped anew in every step and its pages are zeroed one by one, which costs a good part of a step
    on a CPU. For this process from here on, and for those that it forks.

    Returns:
        Whether the C library took it; other libraries than glibc have no such setting.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_BYTES)) and bool(mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_BYTES - 1))
