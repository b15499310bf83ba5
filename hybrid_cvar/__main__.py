"""Entry point of `hybrid-cvar` and `python -m hybrid_cvar`."""

import os
import signal
import sys

INTERRUPTED = 130


def _leave_at_once(*_: object) -> None:
    os.write(2, b"error: interrupted\n")
    os._exit(INTERRUPTED)


def main() -> None:
    """Runs the command line.

    Until a command's work begins there is nothing to clean up, and a KeyboardInterrupt inside the import of
    a compiled module would come out as another error: Ctrl-C ends the program at once there.
    """
    signal.signal(signal.SIGINT, _leave_at_once)
    from hybrid_cvar.cli import app

    try:
        app(prog_name="hybrid-cvar")
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            # Everything is ended and written. Python itself would die of SIGINT here if the interrupt had
            # passed through compiled code that runs Python code, whatever became of it afterwards.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(INTERRUPTED)
        raise


if __name__ == "__main__":
    main()
