"""The command itself: its help, its version and the list of its commands."""

import inspect
from typing import Annotated

import typer

import hybrid_cvar
from hybrid_cvar.cli.ablate import ablate_command
from hybrid_cvar.cli.bench import bench_command
from hybrid_cvar.cli.card import card_command
from hybrid_cvar.cli.compare import compare_command
from hybrid_cvar.cli.compile import compile_command
from hybrid_cvar.cli.data import data_commands
from hybrid_cvar.cli.doctor import doctor_command
from hybrid_cvar.cli.eval import eval_command
from hybrid_cvar.cli.model import model_commands
from hybrid_cvar.cli.picture import picture_commands
from hybrid_cvar.cli.run import run_command
from hybrid_cvar.cli.train import train_command
from hybrid_cvar.cli.video import video_commands
from hybrid_cvar.version import __version__

__all__ = ["EPILOG", "app"]

FLOW = "\n\n".join(line.strip() for line in (hybrid_cvar.__doc__ or "").splitlines() if "->" in line)
EPILOG = f"""{FLOW}

Exit status: 0 all done, 1 something failed (each named, the rest is done), 2 wrong usage, 130 interrupted."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    epilog=EPILOG,
    help="Deploy a hybrid spiking + ANN video action recogniser: ConvLIF on the Lava simulator, "
    "the transformer on ONNX Runtime, one report of operations, energy and time.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"hybrid-cvar {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def _unwrap_help(commands: typer.Typer) -> None:
    """Joins the lines of each paragraph of a docstring: the terminal's width breaks them, not the source's."""
    for command in commands.registered_commands:
        paragraphs = inspect.cleandoc((command.callback and command.callback.__doc__) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            _unwrap_help(group.typer_instance)


# In the order of --help; a new command is a file here and a line below.
app.command("compile")(compile_command)
app.command("run")(run_command)
app.add_typer(video_commands, name="video")
app.add_typer(model_commands, name="model")
app.add_typer(data_commands, name="data")
app.command("train")(train_command)
app.command("eval")(eval_command)
app.command("ablate")(ablate_command)
app.command("card")(card_command)
app.add_typer(picture_commands, name="picture")
app.command("bench")(bench_command)
app.command("compare")(compare_command)
app.command("doctor")(doctor_command)
_unwrap_help(app)
