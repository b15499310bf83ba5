"""What a model consists of, for the terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hybrid_cvar.records import ModelDescription
from hybrid_cvar.reporting.units import count, si

__all__ = ["print_model", "print_models"]

CLIPS = 8
"""Clips a video in the paper's tables."""


def print_model(model: ModelDescription, mac_picojoules: float, console: Console) -> None:
    """The table of a model's parts, and its totals.

    Args:
        model: the parts.
        mac_picojoules: energy of a multiply-accumulate.
        console: where to.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("part")
    for heading in ("output", "parameters", "MACs", "dense ACs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for part in model.parts:
        table.add_row(
            escape(part.name),
            "x".join(map(str, part.output_shape)),
            count(part.parameters) if part.parameters else "-",
            "-" if part.spiking or not part.macs else count(part.macs),
            count(part.dense_accumulates) if part.spiking else "-",
        )
    table.add_section()
    table.add_row(
        "all",
        "",
        count(model.parameters),
        count(model.macs),
        count(model.dense_accumulates) if model.dense_accumulates else "-",
        style="bold",
    )
    console.print(table)
    changed = f" with {', '.join(model.changes)}" if model.changes else ""
    console.print(
        f"{escape(model.name + changed)}: {model.parameters / 1e6:.2f} M parameters for {model.classes} classes; "
        f"a clip is {model.input_size}x{model.input_size}, T = {model.timesteps}.",
        highlight=False,
    )
    macs = CLIPS * model.macs
    console.print(
        f"{CLIPS} clips: {macs / 1e12:.4f} T MACs, {si(macs * mac_picojoules * 1e-12, 'J')} at {mac_picojoules:g} pJ "
        "each  \\[modelled]",
        highlight=False,
    )
    if model.dense_accumulates:
        console.print(
            f"{CLIPS} clips: {si(CLIPS * model.dense_accumulates)} accumulates if every input were an event; a real "
            "clip's share of that is its activity, which `hybrid-cvar run` counts",
            highlight=False,
        )


def print_models(models: Sequence[ModelDescription], mac_picojoules: float, console: Console) -> None:
    """One line a model: size, parameters, operations."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("preset", no_wrap=True)
    for heading in ("input", "parameters", "MACs a clip", "dense ACs a clip", f"{CLIPS} clips, ANN"):
        table.add_column(heading, justify="right", no_wrap=True)
    for model in models:
        table.add_row(
            escape(model.name),
            f"{model.input_size}x{model.input_size}",
            count(model.parameters),
            count(model.macs),
            count(model.dense_accumulates),
            si(CLIPS * model.macs * mac_picojoules * 1e-12, "J"),
        )
    console.print(table)
    console.print(f"ANN energy: MACs x {mac_picojoules:g} pJ  \\[modelled]", highlight=False)
