"""Writing a result: the whole file or none of it."""

import contextlib
import os
import secrets
import stat
import tempfile
import time
from pathlib import Path

from hybrid_cvar.errors import OutputError

__all__ = ["check_writable", "remove_leftovers", "write_atomically"]

_PREFIX, _SUFFIX = ".hybrid-cvar-", ".tmp"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file, a text as UTF-8, through a temporary file in the same folder and a rename.

    A file that was there keeps its content until the new one is complete, and its permissions after that. A
    symbolic link is followed.

    Args:
        path: the file to write.
        text: its content.

    Raises:
        OutputError: the folder is missing or not writable, the path is not a plain file, or the disk is full.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    target, mode = _target(path)
    # A short name of its own: the target's name plus a suffix could pass the file system's limit.
    temporary = target.parent / f"{_PREFIX}{secrets.token_hex(6)}{_SUFFIX}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with open(descriptor, "wb") as file:
                if mode is not None:
                    os.chmod(temporary, mode)
                file.write(data)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise _error(path, error) from error


def remove_leftovers(folder: Path, *, seconds: float = 3600.0) -> None:
    """Removes temporary files of `write_atomically` in a folder whose writer was killed.

    Args:
        folder: need not exist; folders inside are left alone.
        seconds: only those last written to so long ago; younger ones may be in use.
    """
    with contextlib.suppress(OSError):
        for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            with contextlib.suppress(OSError):
                if time.time() - path.lstat().st_mtime > seconds:
                    path.unlink()


def check_writable(path: Path) -> None:
    """Raises OutputError now if `write_atomically` would later; leaves nothing behind.

    Worth a call before long work whose result goes there.
    """
    target, _ = _target(path)
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as error:
        raise _error(path, error) from error


def _target(path: Path) -> tuple[Path, int | None]:
    """The file that `path` leads to, and its permissions if it is there."""
    try:
        target = Path(os.path.realpath(path))
        mode = _mode_of_plain_file(path, target)
    except OSError as error:
        raise _error(path, error) from error
    if not target.parent.is_dir():
        raise OutputError(
            f"{path}: no folder {target.parent}", "a result goes into a folder that exists", "create it first"
        )
    return target, mode


def _mode_of_plain_file(path: Path, target: Path) -> int | None:
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise OutputError(f"{path} is a folder", "a result is one file", "give a file name inside it")
    if not stat.S_ISREG(status.st_mode):
        # Renaming over a device or a pipe would replace it.
        raise OutputError(f"{path} is not a plain file", "a result replaces a file as a whole", "give a file name")
    return stat.S_IMODE(status.st_mode)


def _error(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path}: {error.strerror or error}",
        "the file and its folder must be writable, with room left",
        "choose another place or free some",
    )
