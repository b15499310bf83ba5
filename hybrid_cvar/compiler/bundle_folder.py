"""Where a bundle is written: looked at before the work, and whole or absent after it."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hybrid_cvar.compiler.bundle import MANIFEST_FILE
from hybrid_cvar.errors import CheckpointError, OutputError

__all__ = ["check_compile_paths", "whole_folder"]


def check_compile_paths(checkpoint: Path, output: Path, overwrite: bool) -> None:
    """Raises now what compile would raise after it has loaded torch.

    Raises:
        CheckpointError: there is no checkpoint file.
        OutputError: the bundle's place is taken or cannot be written.
    """
    if not checkpoint.is_file():
        kind = "is a directory" if checkpoint.is_dir() else "no such file"
        raise CheckpointError(f"{checkpoint}: {kind}", "compile needs a checkpoint file", "check the path")
    if output.exists() and not (output / MANIFEST_FILE).is_file():
        raise OutputError(f"{output}: exists and is no bundle", "only a bundle is replaced", "choose another -o")
    if output.exists() and not overwrite:
        raise OutputError(
            f"{output}: exists", "a bundle is not replaced unasked", "add --overwrite or choose another -o"
        )
    if not output.parent.is_dir():
        raise OutputError(
            f"{output}: no folder {output.parent}", "a bundle goes into a folder that exists", "create it first"
        )


@contextlib.contextmanager
def whole_folder(output: Path) -> Iterator[Path]:
    """A temporary folder beside `output` that takes its place if the block succeeds."""
    try:
        temporary = Path(tempfile.mkdtemp(dir=output.parent, prefix=f".{output.name}."))
    except OSError as error:
        raise OutputError(
            f"{output.parent}: {error.strerror}", "the bundle's folder must be writable", "choose another -o"
        ) from error
    folder = temporary / output.name
    folder.mkdir()
    try:
        yield folder
        _put_in_place(folder, output, temporary / "replaced")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(folder: Path, output: Path, replaced: Path) -> None:
    """Renames `folder` to `output`; what was there comes back if that fails."""
    try:
        if output.exists():
            os.rename(output, replaced)
        try:
            os.rename(folder, output)
        except BaseException:
            if replaced.exists():
                os.rename(replaced, output)
            raise
    except OSError as error:
        raise OutputError(
            f"{output}: {error.strerror or error}", "the bundle must be writable", "choose another -o"
        ) from error
