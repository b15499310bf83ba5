"""Writing a file that takes long: under another name beside it, whole or not at all, without leftovers.

`atomic_file` does the same for what lies ready in memory.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

__all__ = ["remove_leftovers", "whole_file"]

PREFIX, SUFFIX = ".hybrid-cvar-", ".part"


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A name beside the target to write to; the file becomes the target at the end, or vanishes on an error.

    Args:
        target: a symbolic link is followed. Its folder is made if it is missing.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    target = Path(os.path.realpath(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial, descriptor = _open_partial(target.parent)
    try:
        yield partial
        os.replace(partial, target)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove partial files that a killed process left in a folder; those being written stay."""
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{PREFIX}*{SUFFIX}"):
            with contextlib.suppress(OSError):
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    # Whoever writes it holds the lock, and the kernel lets go of it with the process.
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                finally:
                    os.close(descriptor)


def _open_partial(folder: Path) -> tuple[Path, int]:
    while True:
        # A short name of its own: the target's name plus a suffix could pass the file system's limit.
        partial = folder / f"{PREFIX}{secrets.token_hex(6)}{SUFFIX}"
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with contextlib.suppress(OSError):  # a file system without locks: nobody removes it either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return partial, descriptor
        os.close(descriptor)  # taken for a leftover before it was locked
