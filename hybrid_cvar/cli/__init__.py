"""The command line: parses, calls one function, prints. One file a command."""

from hybrid_cvar.cli.application import EPILOG, app

__all__ = ["EPILOG", "app"]
