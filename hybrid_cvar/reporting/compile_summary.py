"""What a compile did, for the terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hybrid_cvar.records import CompileResult, ParityRow
from hybrid_cvar.reporting.units import count, percent

__all__ = ["print_compile_result", "print_parity"]


def print_parity(rows: Sequence[ParityRow], console: Console) -> None:
    """The comparisons of verification, one line each (measured on the sample clips)."""
    table = Table(
        title="Parity on the sample clips  \\[measured]",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    table.add_column("compared", overflow="fold")
    table.add_column("values", justify="right", no_wrap=True)
    table.add_column("differ", justify="right", no_wrap=True)
    table.add_column("largest", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        verdict = "informs" if not row.rule else ("[green]equal[/]" if row.passed else "[red]FAILED[/]")
        table.add_row(
            f"{row.compared}: {row.quantity}",
            count(row.values),
            count(row.mismatches),
            f"{row.largest_error:.2g}",
            verdict,
        )
    console.print(table)


def print_compile_result(result: CompileResult, console: Console) -> None:
    """The float-to-integer map of every layer, and where the bundle is."""
    table = Table(
        title="Float to integer, a layer",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for heading in ("layer", "v_th", "theta", "leak", "d", "rounding", "rails", "spikes", "clipped"):
        table.add_column(heading, justify="left" if heading == "layer" else "right", no_wrap=True)
    for layer, seen in zip(result.maps, result.counts, strict=True):
        table.add_row(
            layer.name,
            f"{layer.threshold_float:.3f}",
            str(layer.threshold_integer),
            f"{layer.leak_float:.4f}",
            str(layer.decay_integer),
            f"{layer.weight_rounding_rms:.4f}",
            percent(layer.weights_at_rails),
            percent(seen.spike_rate),
            percent(seen.saturated_states / seen.neuron_updates),
        )
    console.print(table)
    console.print(
        "[dim]theta = 64 v_th, d = 4096 (1 - leak), weights in steps of 2/64; rounding: RMS error of the weights; "
        "rails: weights at -256 or 254; "
        f"spikes and clipped membranes: shares on {result.clips} clips.[/]"
    )
    if result.notice:
        console.print(f"[yellow]note:[/] {escape(result.notice)}")
    if not result.trained:
        console.print("[yellow]note:[/] the weights were not trained for recognition.")
    console.print(f"bundle: [bold]{escape(str(result.bundle))}[/] ({result.name}, {len(result.labels)} classes)")
