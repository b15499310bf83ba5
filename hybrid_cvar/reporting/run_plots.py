"""The plots of a run: energy, operations, latency and spikes of a video, and the videos of a batch."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from hybrid_cvar.records import EnergyEstimate, Report, SpikingLayerCounts, Trace
from hybrid_cvar.reporting.figures import StageLatency, step_rates
from hybrid_cvar.reporting.plots import MARKS, SERIES, Plot, axis, categories, layout, plot_text

__all__ = ["batch_plot", "energy_plot", "latency_plot", "operations_plot", "spike_plot"]

ROW = 34
"""Height of a bar's row, pixels."""

FRAME = 96
"""Height of what is around the bars: axis, title, legend."""

LEGEND = {
    "orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "font": {"size": 12}, "traceorder": "normal",
}  # fmt: skip
"""In the order of the stack."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MILLI = 1e3


def energy_plot(energy: EnergyEstimate, partition: str) -> Plot | None:
    """Energy of a partition's parts, stacked by operation; None where it has none."""
    terms = [term for term in energy.terms if term.partition == partition]
    if not sum(term.energy_joules for term in terms):
        return None
    parts = list(dict.fromkeys(term.part for term in terms))
    operations = list(dict.fromkeys(term.operation for term in terms))
    single = f"var(--{partition})" if len(operations) == 1 else ""
    unit, scale = _joules(max(sum(t.energy_joules for t in terms if t.part == part) for part in parts))
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": plot_text(operation, 40),
            "y": list(range(len(parts))),
            "hovertext": [plot_text(part) for part in parts],
            "x": [
                scale * sum(t.energy_joules for t in terms if t.part == part and t.operation == operation)
                for part in parts
            ],
            "marker": {"color": single or SERIES[index % len(SERIES)]},
            "hovertemplate": f"%{{hovertext}}: %{{x:.3g}} {unit}<extra>{plot_text(operation, 40)}</extra>",
        }
        for index, operation in enumerate(operations)
    ]
    largest = max(parts, key=lambda part: sum(t.energy_joules for t in terms if t.part == part))
    return Plot(
        label=f"Energy of the {partition} partition by part and operation; {largest} takes most.",
        height=FRAME + ROW * len(parts) + (22 * len(operations) if len(operations) > 1 else 0),
        data=tuple(data),
        layout=layout(
            axis(f"{unit} a video"), categories(parts), barmode="stack",
            showlegend=len(operations) > 1, legend=LEGEND,
        ),
    )  # fmt: skip


def operations_plot(trace: Trace) -> Plot | None:
    """Accumulates and neuron updates of every spiking layer; None where nothing was counted."""
    if not any(layer.stored_operations or layer.neuron_updates for layer in trace.spiking):
        return None
    names = [layer.name for layer in trace.spiking]
    rows = (
        ("accumulates", [layer.synaptic_operations for layer in trace.spiking], SERIES[0]),
        ("accumulates, stored zeros too", [layer.stored_operations for layer in trace.spiking], SERIES[1]),
        ("updates, active", [layer.active_updates for layer in trace.spiking], SERIES[2]),
        ("updates at rest", [layer.inactive_updates for layer in trace.spiking], SERIES[3]),
    )
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": list(range(len(names))),
            "hovertext": [plot_text(one) for one in names],
            "x": values,
            "marker": {"color": colour},
            "hovertemplate": "%{hovertext}: %{x:.4s}<extra>" + name + "</extra>",
        }
        for name, values, colour in rows
    ]  # fmt: skip
    return Plot(
        label="Operations of every spiking layer: accumulates without and with stored zeros, neuron updates active "
        "and at rest.",
        height=FRAME + 30 + 56 * len(names),
        data=tuple(data),
        layout=layout(
            axis("operations a video", tickformat="~s"), categories(names), barmode="group", bargap=0.25,
        ),
    )  # fmt: skip


def latency_plot(stages: Sequence[StageLatency]) -> Plot | None:
    """A clip's stages one after the other at their medians, with p95 and p99; None where no time was recorded."""
    timed = [(stage.stage, stage.clip) for stage in stages if stage.clip is not None]
    if not any(clip.p99 for _, clip in timed):
        return None
    names = [name for name, _ in timed]
    places, labels = list(range(len(names))), [plot_text(name) for name in names]
    starts, start = [], 0.0
    for _, clip in timed:
        starts.append(start)
        start += clip.p50
    common: dict[str, Any] = {"type": "scatter", "mode": "markers", "y": places, "hovertext": labels}
    data = (
        {
            "type": "bar",
            "orientation": "h",
            "name": "p50",
            "y": places,
            "hovertext": labels,
            "base": [MILLI * value for value in starts],
            "x": [MILLI * clip.p50 for _, clip in timed],
            "customdata": [MILLI * clip.p50 for _, clip in timed],
            "marker": {"color": "var(--time)"},
            "hovertemplate": "%{hovertext}: %{customdata:.3g} ms<extra>p50</extra>",
        },
        *(
            {
                **common,
                "name": name,
                "x": [MILLI * (value + getattr(clip, name)) for value, (_, clip) in zip(starts, timed, strict=True)],
                "customdata": [MILLI * getattr(clip, name) for _, clip in timed],
                "marker": {"color": colour, "size": 9, "symbol": symbol, "line": {"width": 1, "color": "var(--card)"}},
                "hovertemplate": "%{hovertext}: %{customdata:.3g} ms<extra>" + name + "</extra>",
            }
            for name, colour, symbol in (("p95", SERIES[2], "diamond"), ("p99", SERIES[4], "circle"))
        ),
    )
    slowest = max(timed, key=lambda one: one[1].p50)[0]
    return Plot(
        label=f"A clip's stages one after the other: median, p95 and p99 of each; {slowest} takes longest.",
        height=FRAME + ROW * len(names),
        data=data,
        layout=layout(axis("ms from the clip's start", rangemode="tozero"), categories(names)),
    )


def spike_plot(layers: Sequence[SpikingLayerCounts]) -> Plot | None:
    """Spikes a neuron in every step of a clip, a line a layer; None where no layer took a step."""
    rates = {layer.name: step_rates(layer) for layer in layers}
    if not any(rates.values()):
        return None
    data = tuple(
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": plot_text(name),
            "x": list(range(1, len(values) + 1)),
            "y": [100 * value for value in values],
            "line": {"color": SERIES[index % len(SERIES)], "dash": DASHES[index % len(DASHES)], "width": 2},
            "marker": {"size": 6, "symbol": MARKS[index % len(MARKS)]},
            "hovertemplate": "step %{x}: %{y:.2f} %<extra>" + plot_text(name) + "</extra>",
        }
        for index, (name, values) in enumerate(rates.items())
    )
    steps = max(len(values) for values in rates.values())
    return Plot(
        label="Spike rate of every layer in every step of a clip, over all clips.",
        height=280,
        data=data,
        layout=layout(
            axis("step", dtick=max(1, steps // 11), range=[0.5, steps + 0.5]),
            axis("spikes a neuron, %", rangemode="tozero"),
        ),
    )


def batch_plot(reports: Sequence[Report]) -> Plot | None:
    """Energy against time of the videos of a batch; None for fewer than two."""
    if len(reports) < 2:
        return None
    unit, scale = _joules(max(report.energy.total_joules for report in reports))
    return Plot(
        label="Energy against wall-clock time of every video.",
        height=300,
        data=(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [report.trace.wall_seconds for report in reports],
                "y": [scale * report.energy.total_joules for report in reports],
                "text": [plot_text(PurePath(report.trace.video.path).name) for report in reports],
                "marker": {"color": "var(--dense)", "size": 8, "opacity": 0.75},
                "hovertemplate": "%{text}: %{x:.3g} s, %{y:.3g} " + unit + "<extra></extra>",
            },
        ),
        layout=layout(
            axis("s a video (measured)", rangemode="tozero"),
            axis(f"{unit} a video (modelled)", rangemode="tozero"),
            showlegend=False,
        ),
    )


def _joules(largest: float) -> tuple[str, float]:
    """A unit in which the largest value reads well, and what joules are multiplied by."""
    for unit, scale in (("J", 1.0), ("mJ", 1e3), ("\u00b5J", 1e6), ("nJ", 1e9)):
        if largest * scale >= 1:
            return unit, scale
    return "pJ", 1e12
