"""Entry point of `hybrid-cvar` and `python -m hybrid_cvar`."""

import os
import signal


def _leave_at_once(*_: object) -> None:
    os.write(2, b"error: interrupted\n")
    os._exit(130)


def main() -> None:
    """Runs the command line.

    Until a command's work begins there is nothing to clean up, and a KeyboardInterrupt inside the import of
    a compiled module would come out as another error: Ctrl-C ends the program at once there.
    """
    signal.signal(signal.SIGINT, _leave_at_once)
    from hybrid_cvar.cli import app

    app(prog_name="hybrid-cvar")


if __name__ == "__main__":
    main()
