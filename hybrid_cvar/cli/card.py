"""`hybrid-cvar card`: a model's card from its results."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from hybrid_cvar.cli.console import one_line_errors, stderr
from hybrid_cvar.cli.eval import reversed_pairs

__all__ = ["card_command"]


def card_command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The model's folder: recipe.toml, and its results in results/.")
    ],
) -> None:
    """Write a model's card (card.md, curves.png, confusion.png) from its recipe and its measured results.

    Every number comes from a JSON file in FOLDER/results: training.json of hybrid-cvar train, and
    evaluation-ENGINE.json of hybrid-cvar eval --json for the engines torch-float, torch, native and lava;
    evaluation-iframe-only.json of hybrid-cvar data control sees I-frames alone. A file that is not there is no error:
    its section says which command makes it.

    Example: [bold]hybrid-cvar card models/puppet-tiny[/]
    """
    with one_line_errors():
        from hybrid_cvar.reporting.card_results import read_card_results
        from hybrid_cvar.reporting.model_card import write_card

        results = read_card_results(folder)
        files = write_card(results, reversed_pairs(results.labels))
        if results.lacking:
            stderr.print(f"not there yet: {escape(', '.join(results.lacking))}", highlight=False)
        Console().print(f"wrote {escape(', '.join(map(str, files)))}", highlight=False, soft_wrap=True)
