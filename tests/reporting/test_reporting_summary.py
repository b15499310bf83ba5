from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hybrid_cvar.errors import ConfigError, EngineError
from hybrid_cvar.records import Report, Trace
from hybrid_cvar.reporting import trace_notices
from hybrid_cvar.reporting.figures import (
    clip_latency,
    dense_operators,
    pace,
    partition_joules,
    stage_latencies,
    step_rates,
    video_spreads,
)
from hybrid_cvar.reporting.operation_rows import operation_rows

MakeTrace = Callable[..., Trace]
MakeReport = Callable[..., Report]


def test_predictions_are_the_softmax_best_first(make_report: MakeReport) -> None:
    report = make_report(top=3)
    logits = report.trace.logits.astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum()
    order = np.argsort(-shares)[:3]
    assert [p.label for p in report.predictions] == [report.trace.labels[i] for i in order]
    assert [p.probability for p in report.predictions] == pytest.approx(list(shares[order]))


def test_top_is_clipped_to_the_classes(make_report: MakeReport) -> None:
    report = make_report(top=1000)
    assert len(report.predictions) == len(report.trace.labels)
    assert sum(p.probability for p in report.predictions) == pytest.approx(1.0)


def test_huge_logits_do_not_overflow(make_report: MakeReport) -> None:
    report = make_report(1, labels=("a", "b"), clip_logits=np.array([[3e38, -3e38]], np.float32))
    assert [p.probability for p in report.predictions] == [1.0, 0.0]


@pytest.mark.parametrize("top", [0, -1])
def test_top_below_one(make_report: MakeReport, top: int) -> None:
    with pytest.raises(ConfigError, match=f"top = {top}"):
        make_report(top=top)


@pytest.mark.parametrize(
    "changes",
    [
        {"clip_pts_seconds": (), "clip_logits": np.zeros((0, 8), np.float32)},
        {"clip_logits": np.zeros((8, 7), np.float32)},
        {"clip_logits": np.full((8, 8), np.nan, np.float32)},
        {"clip_logits": np.full((8, 8), np.inf, np.float32)},
    ],
)
def test_a_trace_without_an_answer(make_report: MakeReport, changes: dict[str, object]) -> None:
    with pytest.raises(EngineError, match="pull_0007"):
        make_report(**changes)


def test_a_healthy_trace_needs_no_notice(make_trace: MakeTrace) -> None:
    assert trace_notices(make_trace()) == ()


def test_notices_of_the_caller_come_first_and_each_once(make_report: MakeReport) -> None:
    report = make_report(trained=False, notices=("One.", "Two.", "One."))
    assert report.notices[:2] == ("One.", "Two.")
    assert len(report.notices) == 3 and "not trained" in report.notices[2]


def test_dead_stuck_and_saturated_layers_are_named(make_trace: MakeTrace) -> None:
    trace = make_trace()
    first, second, third, fourth = trace.spiking
    notices = trace_notices(
        replace(
            trace,
            spiking=(
                replace(first, spikes_out=0),
                replace(second, spikes_out=0),
                replace(third, spikes_out=third.neuron_updates),
                replace(fourth, saturated_states=1234),
            ),
        )
    )
    assert len(notices) == 3
    assert "motion.0 never spiked" in notices[0]
    assert "residual.0 spiked in 100.0 %" in notices[1]
    assert "residual.1" in notices[2] and "1,234 times" in notices[2]


def test_figures_add_up(make_report: MakeReport) -> None:
    report = make_report()
    trace = report.trace
    assert sum(operator.macs for operator in dense_operators(trace)) == trace.dense_macs
    assert sum(operator.nodes for operator in dense_operators(trace)) == len(trace.dense)
    assert partition_joules(report.energy, "spiking") + partition_joules(report.energy, "dense") == pytest.approx(
        report.energy.total_joules, rel=1e-12
    )
    speed = pace(trace)
    assert speed.seconds == trace.seconds == pytest.approx(sum(stage.seconds for stage in stage_latencies(trace)))
    assert speed.wall_seconds == trace.wall_seconds == pytest.approx(speed.seconds_per_clip * trace.clips)
    assert speed.videos_per_second == pytest.approx(1 / trace.wall_seconds)
    clip = clip_latency(trace)
    assert clip is not None and clip.mean * trace.clips == pytest.approx(trace.seconds)


def test_a_batch_is_spread_over_its_videos(make_report: MakeReport) -> None:
    reports = [make_report(wall_seconds=float(seconds)) for seconds in range(1, 102)]
    spreads = {spread.key: spread.videos for spread in video_spreads(reports)}
    assert (spreads["seconds"].p50, spreads["seconds"].p95, spreads["seconds"].p99) == (51.0, 96.0, 100.0)
    assert spreads["seconds_per_clip"].p50 == 51.0 / 8
    assert spreads["energy_joules"].mean == pytest.approx(reports[0].energy.total_joules)


def test_step_rates_average_to_the_layers_rate(make_trace: MakeTrace) -> None:
    for layer in make_trace().spiking:
        rates = step_rates(layer)
        assert len(rates) == 11 and sum(rates) / 11 == pytest.approx(layer.spike_rate)
    assert step_rates(replace(make_trace().spiking[0], neuron_updates=0)) == (0.0,) * 11
    assert step_rates(replace(make_trace().spiking[0], step_spikes=())) == ()


def test_every_count_is_listed_with_a_convention(make_trace: MakeTrace) -> None:
    trace = make_trace()
    rows = {row.name: row for row in operation_rows(trace)}
    assert all(row.convention.endswith(".") for row in rows.values())
    events = sum(layer.events_in for layer in trace.spiking)
    assert rows["input events, graded"].count + rows["input events, binary"].count == events
    assert rows["accumulates"].count == trace.synaptic_operations
    assert rows["multiply-accumulates"].count == trace.dense_macs
    updates = rows["neuron updates, active"].count + rows["neuron updates, at rest"].count
    assert updates == sum(layer.neuron_updates for layer in trace.spiking)
    assert len({row.convention for row in rows.values()}) == len(rows) - 1, "both kinds of events follow one"
