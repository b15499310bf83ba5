import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from hybrid_cvar.records import Percentiles, Report
from hybrid_cvar.reporting.figures import StageLatency, stage_latencies
from hybrid_cvar.reporting.plots import Plot, plot_text
from hybrid_cvar.reporting.run_plots import batch_plot, energy_plot, latency_plot, operations_plot, spike_plot

MakeReport = Callable[..., Report]


def test_a_figure_cannot_end_the_element_that_holds_it() -> None:
    plot = Plot("l", 1, ({"name": "</script><!--&"},), {})
    assert not set("<>&") & set(plot.json)
    assert json.loads(plot.json)["data"] == [{"name": "</script><!--&"}]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_figure_holds_only_finite_numbers(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        _ = Plot("l", 1, ({"x": [value]},), {}).json


def test_text_has_no_tag_that_plotly_obeys() -> None:
    assert plot_text("<b>&x") == "&lt;b&gt;&amp;x"
    assert plot_text("a\u202eb") == "a\\u202eb"
    assert plot_text("x" * 100) == "x" * 25 + "\u2026"


def test_bars_add_up_to_the_energy(make_report: MakeReport) -> None:
    energy = make_report().energy
    total = 0.0
    for partition, scale in (("spiking", 1e-6), ("dense", 1e-3)):
        plot = energy_plot(energy, partition)
        assert plot is not None
        total += scale * sum(sum(trace["x"]) for trace in plot.data)
    assert total == pytest.approx(energy.total_joules)


def test_operations_of_a_part_are_stacked(make_report: MakeReport) -> None:
    energy = make_report().energy
    first = energy.terms[0]
    energy = replace(
        energy, terms=(first, replace(first, operation="neuron update, active", count=7), *energy.terms[1:])
    )
    plot = energy_plot(energy, "spiking")
    assert plot is not None and plot.layout["barmode"] == "stack" and plot.layout["showlegend"]
    accumulates, updates = plot.data
    assert updates["x"][1:] == [0, 0, 0] and updates["x"][0] == pytest.approx(7 * 0.9e-12 * 1e6)
    assert all(value > 0 for value in accumulates["x"])


def test_every_stage_begins_where_the_one_before_ends(make_report: MakeReport) -> None:
    plot = latency_plot(stage_latencies(make_report().trace))
    assert plot is not None
    bars, p95, p99 = plot.data
    ends = [base + width for base, width in zip(bars["base"], bars["x"], strict=True)]
    assert bars["base"][0] == 0 and bars["base"][1:] == pytest.approx(ends[:-1])
    for base, middle, high, highest in zip(bars["base"], bars["x"], p95["x"], p99["x"], strict=True):
        assert base + middle <= high <= highest


def test_a_spike_rate_is_per_cent_of_the_neurons(make_report: MakeReport) -> None:
    layers = make_report().trace.spiking
    plot = spike_plot(layers)
    assert plot is not None
    for layer, trace in zip(layers, plot.data, strict=True):
        assert list(trace["x"]) == list(range(1, 12))
        assert sum(trace["y"]) / 11 == pytest.approx(100 * layer.spike_rate)


def test_nothing_to_draw(make_report: MakeReport) -> None:
    report = make_report(1, spiking=(), dense=(), stages=())
    assert energy_plot(report.energy, "spiking") is energy_plot(report.energy, "dense") is None
    assert operations_plot(report.trace) is spike_plot(()) is latency_plot(()) is batch_plot([report]) is None
    still = StageLatency("read", 0.0, Percentiles(0.0, 0.0, 0.0, 0.0, 1))
    assert latency_plot([still, StageLatency("dense", 0.0, None)]) is None


def test_parts_of_one_name_once_cut_keep_their_bars(make_report: MakeReport) -> None:
    energy = make_report().energy
    long = "a" * 40
    terms = tuple(replace(energy.terms[0], part=f"{long}{number}") for number in range(3))
    plot = energy_plot(replace(energy, terms=terms), "spiking")
    assert plot is not None and [len(trace["x"]) for trace in plot.data] == [3]
    assert plot.data[0]["y"] == [0, 1, 2]
