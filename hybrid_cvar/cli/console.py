"""What the commands share: the two consoles, errors as one line, Ctrl-C, a progress bar."""

import errno
import signal
import sys
from threading import Event
from types import FrameType

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, ProgressColumn

from hybrid_cvar.errors import HybridCvarError, LavaError

__all__ = ["hear_ctrl_c", "heed_ctrl_c", "one_line_errors", "print_error", "progress_bar", "stderr"]

stderr = Console(stderr=True)
_heard = Event()
_tell_lost = sys.unraisablehook


class one_line_errors:
    """Our own errors become one line on stderr and exit status 1; Ctrl-C exit status 130."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LavaError) and error.process_traceback:
            stderr.print(error.process_traceback, markup=False, highlight=False)
        if isinstance(error, HybridCvarError):
            print_error(str(error))
            raise typer.Exit(1) from None
        if isinstance(error, KeyboardInterrupt):
            print_error("interrupted")
            raise typer.Exit(130) from None
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EPIPE, errno.EIO):
            print_error(f"cannot write to the output: {error.strerror}; it must take what is printed; free space there")
            raise typer.Exit(1) from None


def hear_ctrl_c() -> None:
    """From here on Ctrl-C is an exception, so that what runs is ended and what is done is kept."""
    _heard.clear()
    signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _tell_lost_unless_heard


def heed_ctrl_c() -> None:
    """Raises KeyboardInterrupt if Ctrl-C was heard and its exception lost, as in a callback of a compiled library."""
    if _heard.is_set():
        raise KeyboardInterrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    _heard.set()
    raise KeyboardInterrupt


def _tell_lost_unless_heard(lost: "sys.UnraisableHookArgs") -> None:
    """A Ctrl-C whose exception a callback loses is no error to print: `heed_ctrl_c` raises it again."""
    if not (lost.exc_type is KeyboardInterrupt and _heard.is_set()):
        _tell_lost(lost)


def print_error(message: str) -> None:
    """One line on stderr."""
    stderr.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A bar on stderr that vanishes when done; none where stderr is no terminal, and stdout stays untouched."""
    return Progress(
        *columns,
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
        redirect_stdout=False,
        redirect_stderr=False,
    )
