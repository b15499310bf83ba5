"""Numba's compiler, keeping compiled kernels on disk where it can.

Numba keeps them beside the source, in NUMBA_CACHE_DIR or in the user's cache folder, and refuses to
start where none of these can be written, as in a container without a home. There they are compiled anew.
"""

import numba

__all__ = ["compiled"]


def _probe() -> int:
    return 0


def _can_keep() -> bool:
    try:
        numba.njit(cache=True)(_probe)
    except RuntimeError:
        return False
    return True


compiled = numba.njit(cache=_can_keep(), nogil=True, error_model="numpy")
"""Decorator of every kernel. Kernels start no thread, so a process that has run one may fork."""
