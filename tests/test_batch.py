"""A batch loses nothing: not by a broken runtime, not by an interrupt."""

import io
from dataclasses import replace

import pytest

from hybrid_cvar import batch
from hybrid_cvar.assets import DEFAULT_BUNDLE, SAMPLE_VIDEO
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.compiler.manifest_records import read_parity, read_resources
from hybrid_cvar.energy import load_profile, model_chip_latency
from hybrid_cvar.errors import BundleError, ConfigError, EngineError
from hybrid_cvar.onnx_session import SessionSettings
from hybrid_cvar.runtime import HybridRuntime


def test_the_settings_of_the_ann_partition_reach_every_runtime(break_runs, monkeypatch):
    break_runs(1)
    settings, given, start = SessionSettings(threads=1, arena=False), [], HybridRuntime.__init__
    monkeypatch.setattr(
        HybridRuntime, "__init__", lambda self, *a, **b: given.append(b["dense"]) or start(self, *a, **b)
    )
    batch.run_batch(
        [SAMPLE_VIDEO] * 2,
        load_bundle(DEFAULT_BUNDLE),
        load_profile("paper-45nm"),
        engine="native",
        dense=settings,
        clips=1,
    )
    assert given == [settings, settings]


def test_strict_prices_graded_events_as_multiply_accumulates():
    bundle, profile = load_bundle(DEFAULT_BUNDLE), load_profile("paper-45nm")
    energies = []
    for strict in (False, True):
        result = batch.run_batch([SAMPLE_VIDEO], bundle, profile, engine="native", clips=1, strict=strict)
        energies.append(result.reports[0].energy)
    plain, strict = energies
    assert (plain.strict, strict.strict) == (False, True)
    graded = sum(layer.synaptic_operations for layer in result.reports[0].trace.spiking if layer.graded_input)
    assert strict.total_joules - plain.total_joules == pytest.approx((4.6 - 0.9) * 1e-12 * graded) and graded


def test_strict_is_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr(HybridRuntime, "__enter__", lambda self: pytest.fail("it started"))
    with pytest.raises(ConfigError, match="strict"):
        batch.run_batch([SAMPLE_VIDEO], load_bundle(DEFAULT_BUNDLE), load_profile("loihi1-sanafe"), strict=True)


def run(videos, **observer):
    return batch.run_batch(
        videos,
        load_bundle(DEFAULT_BUNDLE),
        load_profile("paper-45nm"),
        engine="native",
        clips=1,
        observer=batch.BatchObserver(**observer),
    )


@pytest.fixture
def break_runs(monkeypatch):
    """Makes the n-th video of every runtime-independent count fail with an engine error."""

    def install(*numbers):
        whole, seen = HybridRuntime.run_video, []

        def run_video(self, path, **options):
            seen.append(path)
            if len(seen) in numbers:
                raise EngineError("the engine broke")
            return whole(self, path, **options)

        monkeypatch.setattr(HybridRuntime, "run_video", run_video)

    return install


def test_a_broken_runtime_is_started_anew_for_the_next_video(break_runs, monkeypatch):
    break_runs(2)
    starts, enter = [], HybridRuntime.__enter__
    monkeypatch.setattr(HybridRuntime, "__enter__", lambda self: starts.append(self) or enter(self))
    result = run([SAMPLE_VIDEO] * 3)  # the same path each time
    assert (len(result.reports), len(result.failures), len(starts)) == (2, 1, 2)
    assert not result.interrupted


def test_a_restart_that_fails_is_the_next_videos_failure(break_runs, monkeypatch):
    break_runs(2)
    starts, enter = [], HybridRuntime.__enter__

    def start_once(self):
        starts.append(self)
        if len(starts) == 2:
            raise EngineError("no restart")
        return enter(self)

    monkeypatch.setattr(HybridRuntime, "__enter__", start_once)
    result = run([SAMPLE_VIDEO] * 4)
    assert [failure.error for failure in result.failures] == ["the engine broke", "no restart"]
    assert len(result.reports) == 2


@pytest.mark.parametrize("moment", ["on_start", "on_video", "on_clip", "on_report"])
def test_an_interrupt_keeps_what_is_done_and_names_what_is_not(moment):
    calls = []

    def interrupt(*_):
        calls.append(moment)
        if len(calls) == 2:
            raise KeyboardInterrupt

    result = run([SAMPLE_VIDEO] * 4, **{moment: interrupt})
    done = 2 if moment == "on_report" else 1
    assert result.interrupted
    assert len(result.reports) == done
    assert [failure.error.endswith("run it again") for failure in result.failures] == [True] * (4 - done)


def test_a_report_says_what_the_bundle_says_of_itself(monkeypatch):
    bundle = load_bundle(DEFAULT_BUNDLE)
    modelled, given = object(), []
    monkeypatch.setattr(batch, "model_chip_latency", lambda *arguments: given.append(arguments) or modelled)
    profile = load_profile("paper-45nm")
    (report,) = batch.run_batch([SAMPLE_VIDEO], bundle, profile, engine="native", clips=1).reports
    assert report.resources == read_resources(bundle) is not None
    assert report.parity == read_parity(bundle) != ()
    assert report.chip_latency is modelled
    assert given == [(report.trace, profile, report.resources)]


def test_a_profile_with_times_gives_the_time_on_its_chip():
    bundle = load_bundle(DEFAULT_BUNDLE)
    profile = load_profile("loihi1-davies2018")
    (report,) = batch.run_batch([SAMPLE_VIDEO], bundle, profile, engine="native", clips=1).reports
    assert report.chip_latency == model_chip_latency(report.trace, profile, read_resources(bundle))
    assert report.chip_latency.clip_seconds > 0
    (report,) = batch.run_batch([SAMPLE_VIDEO], bundle, load_profile("paper-45nm"), engine="native", clips=1).reports
    assert report.chip_latency is None


def test_a_bundle_whose_parity_is_damaged_runs_nothing(monkeypatch):
    bundle = load_bundle(DEFAULT_BUNDLE)
    damaged = replace(bundle, manifest=bundle.manifest | {"parity": {"clips": 1}})
    monkeypatch.setattr(HybridRuntime, "__enter__", lambda self: pytest.fail("it was started"))
    with pytest.raises(BundleError, match="'parity' has no rows"):
        batch.run_batch([SAMPLE_VIDEO], damaged, load_profile("paper-45nm"), engine="native")


@pytest.mark.parametrize("overlap", [False, True])
def test_a_streams_first_answer_reaches_the_observer_and_a_files_does_not(overlap):
    told, reported = [], []
    stream = io.BytesIO(SAMPLE_VIDEO.read_bytes())
    observer = batch.BatchObserver(
        on_first_prediction=lambda *answer: told.append(answer), on_report=lambda report: reported.append(len(told))
    )
    result = batch.run_batch(
        [SAMPLE_VIDEO, stream],
        load_bundle(DEFAULT_BUNDLE),
        load_profile("paper-45nm"),
        engine="native",
        clips=2,
        overlap=overlap,
        observer=observer,
    )
    assert [report.trace.overlapped for report in result.reports] == [overlap, overlap]
    assert reported == [0, 1]
    ((label, probability, seconds),) = told
    assert label in result.reports[1].trace.labels and 0 < probability <= 1
    assert seconds == result.reports[1].trace.first_prediction_seconds
