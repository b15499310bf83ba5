"""The latency suite: percentiles of the very times that were measured, and no speed-up for other answers."""

from dataclasses import replace

import numpy as np
import pytest

from hybrid_cvar.assets import DEFAULT_BUNDLE, SAMPLE_VIDEO
from hybrid_cvar.benchmark import latency_suite
from hybrid_cvar.benchmark.latency_suite import LATENCY_ROWS, LatencyBench
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.errors import ParityError
from hybrid_cvar.records import STAGES
from hybrid_cvar.runtime import ENGINES, HybridRuntime


@pytest.fixture(scope="module")
def bench():
    """Two rounds of one video; the native engine in Lava's place, so that no Lava is needed."""
    with (
        pytest.MonkeyPatch.context() as patch,
        HybridRuntime(load_bundle(DEFAULT_BUNDLE), engine="native") as runtime,
        LatencyBench(SAMPLE_VIDEO, 2) as bench,
    ):
        patch.setattr(latency_suite, "VIDEOS_A_ROUND", 1)
        patch.setattr(latency_suite, "FIRST_PREDICTIONS_A_ROUND", 1)
        bench.runtimes = dict.fromkeys(ENGINES, runtime)
        yield bench


@pytest.fixture(scope="module")
def results(bench):
    return {name: row(bench) for name, row in LATENCY_ROWS.items()}


def test_every_row_is_named_and_positive(results):
    assert [result.name for result in results.values()] == list(LATENCY_ROWS)
    assert all(result.value > 0 and result.unit in ("ms", "x") for result in results.values())
    assert all(result.detail["engine"] == "lava" for result in results.values())


@pytest.mark.parametrize("percentile", ["p50", "p95", "p99"])
def test_a_clips_percentiles_are_those_of_the_runs(bench, results, percentile):
    result = results[f"latency.clip_{percentile}_ms"]
    for engine in ENGINES:
        traces = bench.traces[engine]
        assert len(traces) == 2
        stages = np.array([[stage.clip_seconds for stage in trace.stages] for trace in traces]) * 1e3
        number = int(percentile[1:])
        detail = result.detail["engines"][engine]
        assert detail["clip_ms"][percentile] == pytest.approx(np.percentile(stages.sum(axis=1), number), rel=1e-9)
        assert detail["clip_ms"]["count"] == 16
        for index, stage in enumerate(STAGES):
            expected = np.percentile(stages[:, index], number)
            assert detail["stages_ms"][stage][percentile] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        walls = [1e3 * trace.wall_seconds for trace in traces]
        assert detail["video_ms"][percentile] == pytest.approx(np.percentile(walls, number), rel=1e-9)
    assert result.value == result.detail["engines"]["lava"]["clip_ms"][percentile]


def test_the_speed_up_is_the_ratio_of_its_medians(results):
    result = results["latency.overlap_speedup"]
    fast, slow = result.detail["medians"]
    assert result.value == pytest.approx(fast / slow, rel=1e-9)
    for detail in result.detail["engines"].values():
        assert len(detail["fast_seconds"]) == len(detail["slow_seconds"]) == 2
        assert set(detail["in_turn"]["stages_ms"]) == set(detail["overlapped"]["stages_ms"]) == set(STAGES)
        assert detail["overlapped"]["clip_ms"]["count"] == 16


def test_a_first_prediction_is_that_of_a_stream(bench, results):
    result = results["latency.first_prediction_ms"]
    of_file = result.detail["engines"]["lava"]["first_prediction_ms"]
    assert of_file["count"] == 2 and of_file["p50"] == result.value
    stages = result.detail["engines"]["lava"]["first_clip_stages_ms"]
    # The first clip's own stages are nearly all of it.
    assert 0.5 * result.value < sum(stage["p50"] for stage in stages.values()) < 1.5 * result.value
    # A file's first answer waits for 8 clips.
    assert result.value < results["latency.clip_p50_ms"].detail["engines"]["lava"]["first_prediction_ms"]["p50"]


@pytest.mark.parametrize("change", ["logits", "counts"])
def test_other_answers_have_no_speed(bench, monkeypatch, change):
    run = HybridRuntime.run_video

    def other(self, path, **options):
        trace = run(self, path, **options)
        if not options.get("overlap"):
            return trace
        if change == "logits":
            return replace(trace, clip_logits=np.nextafter(trace.clip_logits, np.float32(np.inf)))
        first, *rest = trace.spiking
        return replace(trace, spiking=(replace(first, spikes_out=first.spikes_out + 1), *rest))

    monkeypatch.setattr(HybridRuntime, "run_video", other)
    with pytest.raises(ParityError, match="lava: stages side by side give other logits or counts"):
        LATENCY_ROWS["latency.overlap_speedup"](bench)
