"""What a compile did, for the terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from hybrid_cvar.records import (
    AgreementRow,
    ChipFit,
    CompilePlan,
    CompileResult,
    Finding,
    LayerMap,
    ParityRow,
    ResourceReport,
    SpikingLayerCounts,
)
from hybrid_cvar.reporting.units import count, exact, percent, si

__all__ = ["print_agreement", "print_alarms", "print_compile_result", "print_parity", "print_plan", "print_resources"]


ENOUGH_CLIPS = 100
"""Held-out clips of which one is 1 %."""


def print_plan(plan: CompilePlan, console: Console) -> None:
    """What compile would make of a checkpoint: the float-to-integer map and the resources."""
    _print_map(plan.maps, (), console)
    print_resources(plan.resources, console)
    console.print(f"{escape(plan.name)}: nothing was run and nothing was written")


def print_resources(resources: ResourceReport, console: Console) -> None:
    """What the spiking partition takes, layer by layer and on every chip, and the limits it breaks."""
    sizes = _table("Size of the spiking partition  \\[modelled]")
    for heading in ("layer", "input", "neurons", "synapses", "inputs a neuron", "inputs used", "senders"):
        sizes.add_column(heading, justify="left" if heading in ("layer", "input") else "right", no_wrap=True)
    memory = _table("Memory of the spiking partition  \\[modelled]")
    for heading in ("layer", "weights", "bits", "stored once", "stored unrolled", "neuron state"):
        memory.add_column(heading, justify="left" if heading == "layer" else "right", no_wrap=True)
    for layer in resources.layers:
        sizes.add_row(
            layer.name,
            "graded" if layer.graded_input else "spikes",
            count(layer.neurons),
            count(layer.synapses),
            exact(layer.fan_in),
            count(layer.input_axons),
            count(layer.output_axons),
        )
        memory.add_row(
            layer.name,
            count(layer.unique_weights),
            str(layer.weight_bits),
            si(layer.shared_weight_bytes, "B"),
            si(layer.unrolled_weight_bytes, "B"),
            si(layer.state_bytes, "B"),
        )
    sizes.add_section()
    sizes.add_row(
        "all",
        "",
        count(sum(layer.neurons for layer in resources.layers)),
        count(sum(layer.synapses for layer in resources.layers)),
        *("", "", ""),
        style="bold",
    )
    console.print(sizes)
    console.print(memory)
    for chip in resources.chips:
        _print_chip(chip, console)
    if resources.violations:
        console.print(f"[yellow]warning: {len(resources.violations)} broken limit(s):[/]")
        _print_findings(resources.violations, console)
    console.print(f"[dim]assumed: {escape('; '.join(resources.assumptions))}.[/]")
    for chip in resources.chips:
        console.print(f"[dim]not checked on {escape(chip.chip)}: {escape('; '.join(chip.not_checked))}.[/]")
        console.print(f"[dim]capacities of {escape(chip.chip)}: {escape('; '.join(chip.sources))}.[/]")


def print_parity(rows: Sequence[ParityRow], console: Console) -> None:
    """The comparisons of verification, one line each (measured on the sample clips)."""
    table = _table("Parity on the sample clips  \\[measured]")
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


def print_alarms(alarms: Sequence[Finding], console: Console) -> None:
    """Layers that did something odd on the sample clips."""
    if alarms:
        console.print(f"[yellow]{len(alarms)} alarm(s) on the sample clips:[/]")
        _print_findings(alarms, console)


def print_agreement(rows: Sequence[AgreementRow], console: Console) -> None:
    """How far the ANN partition in a reduced precision answers as it does in FP32."""
    if not rows:
        return
    table = _table("Reduced precision against FP32, held-out clips  \\[measured]")
    for heading in ("provider", "clips", "same answer", "must be", "logit error"):
        table.add_column(heading, justify="left" if heading == "provider" else "right", no_wrap=True)
    for row in rows:
        colour = "green" if row.passed else "red" if row.required else "yellow"
        table.add_row(
            row.provider,
            exact(row.clips),
            f"[{colour}]{percent(row.same_answer)}[/]",
            percent(row.least) if row.required else "informs",
            percent(row.logit_error),
        )
    console.print(table)
    console.print("[dim]logit error: RMS of the difference over the RMS of the logits' spread over classes.[/]")
    if rows[0].clips < ENOUGH_CLIPS:
        console.print(
            f"[yellow]{rows[0].clips} clip(s) cannot tell {percent(rows[0].least)} from 100 %: give more or longer "
            f"videos with --calibrate, {2 * ENOUGH_CLIPS} clips in all.[/]"
        )
    if not all(row.required for row in rows):
        console.print(
            f"[dim]informs: the weights are untrained, so that a clip's best class hangs on rounding; of trained ones "
            f"{percent(rows[0].least)} must stay.[/]"
        )


def print_compile_result(result: CompileResult, console: Console) -> None:
    """The float-to-integer map of every layer, and where the bundle is."""
    _print_map(result.maps, result.counts, console)
    console.print(f"[dim]spikes, saturated: shares of all membrane updates on {result.clips} clips (emulated).[/]")
    if result.quantisation:
        kept = "; ".join(f"{node} ({why})" for node, why in result.quantisation.kept)
        console.print(
            f"{result.precision}: {len(result.quantisation.quantised)} nodes quantised on "
            f"{result.quantisation.calibration_clips} clips; kept in FP32: {escape(kept) or 'none'}",
            highlight=False,
        )
    if result.notice:
        console.print(f"[yellow]note:[/] {escape(result.notice)}")
    if not result.trained:
        console.print("[yellow]note:[/] the weights were not trained for recognition.")
    console.print(_verdict(result))
    console.print(
        f"bundle: [bold]{escape(str(result.bundle))}[/] "
        f"({result.name}, {len(result.labels)} classes, {result.precision})"
    )


def _verdict(result: CompileResult) -> str:
    """Everything above in one line."""
    equal = sum(row.passed for row in result.parity if row.rule)
    alarms = f"[yellow]{len(result.alarms)} alarm(s)[/]" if result.alarms else "no alarm"
    limits = ", ".join(
        f"[yellow]{len(chip.violations)} broken limit(s) of {escape(chip.chip)}[/]"
        if chip.violations
        else f"fits {escape(chip.chip)}"
        for chip in result.resources.chips
    )
    return f"[green]parity: {equal} of {equal} comparisons hold[/]; {alarms}; {limits}"


def _print_map(maps: Sequence[LayerMap], counts: Sequence[SpikingLayerCounts], console: Console) -> None:
    neurons = _table("Float to integer: neurons")
    for heading in ("layer", "parameter", "float", "integer", "stands for"):
        neurons.add_column(heading, justify="left" if heading in ("layer", "parameter") else "right", no_wrap=True)
    for layer in maps:
        neurons.add_row(
            layer.name,
            "v_th, theta",
            _span(layer.threshold_float, ".4f"),
            _span(layer.threshold_integer, "d"),
            _span(layer.threshold_represented, ".4f"),
        )
        neurons.add_row(
            "",
            "leak, d",
            _span(layer.leak_float, ".4f"),
            _span(layer.decay_integer, "d"),
            _span(layer.leak_represented, ".4f"),
        )
    console.print(neurons)
    sharing = "one a channel" if any(len(layer.threshold_integer) > 1 for layer in maps) else "one a layer"
    resets = " and ".join(sorted({layer.reset for layer in maps}))
    console.print(f"[dim]{resets} reset; threshold and leak {sharing}.[/]")
    weights = _table("Float to integer: weights")
    headings = ["layer", "scale", "error RMS", "largest", "at rails", "clipped"]
    for heading in headings + (["spikes", "saturated"] if counts else []):
        weights.add_column(heading, justify="left" if heading == "layer" else "right", no_wrap=True)
    for position, layer in enumerate(maps):
        cells = [
            layer.name,
            str(layer.weight_scale),
            f"{layer.weight_rounding_rms:.4f}",
            f"{layer.weight_rounding_largest:.4f}",
            percent(layer.weights_at_rails),
            percent(layer.weights_clipped),
        ]
        if counts:
            seen = counts[position]
            cells += [percent(seen.spike_rate), percent(seen.saturated_share, 2)]
        weights.add_row(*cells)
    console.print(weights)
    console.print(
        "[dim]theta = 64 v_th, d = 4096 (1 - leak), weights in steps of 2/64; errors in float units; at rails: "
        "-256 or 254, clipped: beyond; lowest..highest where channels differ (all of them: manifest.json).[/]"
    )


def _print_chip(chip: ChipFit, console: Console) -> None:
    table = _table(f"Cores on {escape(chip.chip)}  \\[modelled, bounds]")
    for heading in ("layer", "at least", "for its", "tiled", "tile (h x w x C)", "filled most"):
        table.add_column(
            heading, justify="left" if heading in ("layer", "for its", "filled most") else "right", no_wrap=True
        )
    for layer in chip.layers:
        table.add_row(
            layer.name,
            exact(layer.at_least),
            layer.at_least_for,
            _or_none(layer.tiled),
            "" if layer.tile is None else " x ".join(map(str, layer.tile)),
            layer.tiled_for,
        )
    table.add_section()
    table.add_row("cores", exact(chip.cores_at_least), "", _or_none(chip.cores_tiled), "", "", style="bold")
    table.add_row("chips", exact(chip.chips_at_least), "", _or_none(chip.chips_tiled), "", "", style="bold")
    console.print(table)


def _print_findings(findings: Sequence[Finding], console: Console) -> None:
    for finding in findings:
        text = f"{finding.subject}: {finding.found}; {finding.rule}; {finding.remedy}"
        console.print(Padding(f"[yellow]{escape(text)}[/]", (0, 0, 0, 2)))


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _or_none(value: int | None) -> str:
    return "none" if value is None else exact(value)


def _span(values: Sequence[float], spec: str) -> str:
    """One value, or the lowest and the highest."""
    lowest, highest = (format(value, spec) for value in (min(values), max(values)))
    return lowest if lowest == highest else f"{lowest}..{highest}"
