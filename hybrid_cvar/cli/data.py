"""`hybrid-cvar data`: look at a labelled dataset, draw one."""

import typer

from hybrid_cvar.cli.data_check import check_command
from hybrid_cvar.cli.data_control import control_command
from hybrid_cvar.cli.data_puppet import puppet_command

__all__ = ["data_commands"]

data_commands = typer.Typer(
    no_args_is_help=True,
    help="Check a labelled dataset as it lies on the disk, draw one of puppets, or see what single I-frames tell.",
)
data_commands.command("check")(check_command)
data_commands.command("puppet")(puppet_command)
data_commands.command("control")(control_command)
