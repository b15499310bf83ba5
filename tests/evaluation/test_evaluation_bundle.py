"""A bundle on a dataset: the runtime's own answers, nothing lost by failures, interrupts and restarts."""

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from hybrid_cvar.assets import DEFAULT_BUNDLE
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.data.metrics import score_answers
from hybrid_cvar.energy import estimate_energy, load_profile
from hybrid_cvar.errors import ConfigError, EngineError
from hybrid_cvar.evaluation import EvaluationObserver, evaluate_bundle, was_interrupted
from hybrid_cvar.evaluation.evaluator import NOT_RUN
from hybrid_cvar.records import LabelledVideo, VideoDataset
from hybrid_cvar.runtime import HybridRuntime

PROFILE = load_profile("paper-45nm")


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="module")
def dataset(bundle, draw_dataset):
    return draw_dataset(bundle.labels, 1)


def evaluate(bundle, dataset, *, clips=2, journal=None, limit=None, engine="native", **observer):
    """The evaluation, and the mean logits by the video's name."""
    logits = {}
    keep = observer.pop("on_answer", lambda answer, values: None)

    def on_answer(answer, values):
        logits[answer.name] = values
        keep(answer, values)

    found = evaluate_bundle(
        bundle,
        dataset,
        PROFILE,
        engine=engine,
        clips=clips,
        journal=journal,
        limit=limit,
        machine="a machine",
        observer=EvaluationObserver(on_answer=on_answer, **observer),
    )
    return found, logits


def test_answers_are_the_runtimes_mean_logits_under_the_models_labels(bundle, dataset):
    found, logits = evaluate(bundle, dataset)
    with HybridRuntime(bundle, engine="native") as runtime:
        for video, answer in zip(dataset.videos, found.answers, strict=True):
            trace = runtime.run_video(video.path, clips=2)
            mean = trace.clip_logits.mean(axis=0, dtype=np.float64).astype(np.float32)
            np.testing.assert_array_equal(logits[video.name], mean)
            assert answer.name == video.name
            assert bundle.labels[answer.label] == dataset.labels[video.label]
            assert answer.top5 == tuple(np.argsort(-trace.logits)[:5])
            assert (answer.answer, answer.clips) == (answer.top5[0], 2)
            assert answer.energy_joules == estimate_energy(trace, PROFILE).total_joules
            assert answer.seconds > 0
    truth = [answer.label for answer in found.answers]
    assert found.scores == score_answers(np.stack(list(logits.values())), truth, bundle.labels)
    assert (found.sha256, found.engine, found.source) == (bundle.manifest["manifest_sha256"], "native", "bundle")
    assert (found.provider, found.precision, found.profile) == ("cpu", "fp32", PROFILE.name)
    assert (found.dataset, found.subset, found.split, found.clips) == ("ucf101", "test", 1, 2)
    assert found.missing == (("gone.avi", "not found"),)
    assert found.seconds == sum(answer.seconds for answer in found.answers)
    assert not was_interrupted(found)


def test_drawn_puppets_are_named_as_such(bundle, dataset):
    found, _ = evaluate(bundle, dataclasses.replace(dataset, is_drawn=True), limit=1, clips=1)
    assert found.dataset == "drawn puppets (laid out as ucf101)"


def test_a_broken_video_is_a_row_of_missing_and_the_rest_go_on(bundle, dataset, broken_video):
    videos = list(dataset.videos)
    videos[1] = LabelledVideo("broken", broken_video, videos[1].label)
    failures = []
    found, _ = evaluate(
        bundle,
        dataclasses.replace(dataset, videos=tuple(videos)),
        on_failure=lambda name, error, traceback: failures.append(name),
    )
    assert len(found.answers) == len(videos) - 1
    assert failures == ["broken"]
    name, reason = found.missing[-1]
    assert name == "broken" and "broken.avi" in reason
    assert not was_interrupted(found)


def test_a_broken_engine_is_started_anew_for_the_next_video(bundle, dataset, monkeypatch):
    whole, seen, starts, enter = HybridRuntime.run_video, [], [], HybridRuntime.__enter__

    def run_video(self, path, **options):
        seen.append(path)
        if len(seen) == 2:
            raise EngineError("the engine broke")
        return whole(self, path, **options)

    monkeypatch.setattr(HybridRuntime, "run_video", run_video)
    monkeypatch.setattr(HybridRuntime, "__enter__", lambda self: starts.append(self) or enter(self))
    found, _ = evaluate(bundle, dataset)
    assert (len(found.answers), len(starts)) == (len(dataset.videos) - 1, 2)
    assert found.missing[-1] == (dataset.videos[1].name, "the engine broke")


def test_logits_that_are_no_numbers_are_a_failure_of_that_video(bundle, dataset, monkeypatch):
    whole, seen = HybridRuntime.run_video, []

    def run_video(self, path, **options):
        seen.append(path)
        trace = whole(self, path, **options)
        return dataclasses.replace(trace, clip_logits=trace.clip_logits * np.nan) if len(seen) == 1 else trace

    monkeypatch.setattr(HybridRuntime, "run_video", run_video)
    found, _ = evaluate(bundle, dataset)
    assert len(found.answers) == len(dataset.videos) - 1
    assert "not finite" in found.missing[-1][1]


@pytest.mark.parametrize("moment", ["on_video", "on_clip", "on_answer"])
def test_an_interrupt_keeps_what_is_done_and_marks_what_is_not(bundle, dataset, moment):
    calls = []

    def interrupt(*_):
        calls.append(moment)
        if len(calls) == 3:
            raise KeyboardInterrupt

    found, _ = evaluate(bundle, dataset, **{moment: interrupt})
    done = {"on_video": 2, "on_clip": 1, "on_answer": 3}[moment]
    assert was_interrupted(found)
    assert [answer.name for answer in found.answers] == [video.name for video in dataset.videos[:done]]
    assert found.missing[1:] == tuple((video.name, NOT_RUN) for video in dataset.videos[done:])
    assert found.scores.videos == done


def test_an_interrupt_before_the_first_answer_is_an_interrupt(bundle, dataset):
    def interrupt(name):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(bundle, dataset, on_video=interrupt)


def test_a_stopped_evaluation_goes_on_where_it_was(bundle, dataset, tmp_path, monkeypatch):
    journal = tmp_path / "r.json.partial.jsonl"
    straight, logits = evaluate(bundle, dataset)
    stops = iter([False, False, False, True])

    def stop(name):
        if next(stops):
            raise KeyboardInterrupt

    first, _ = evaluate(bundle, dataset, journal=journal, on_video=stop)
    assert len(first.answers) == 3
    with journal.open("ab") as file:
        file.write(b'{"name": "torn' + b"x" * 100_000)
    ran, started = [], []
    second, again = evaluate(
        bundle,
        dataset,
        journal=journal,
        on_video=ran.append,
        on_start=lambda videos, resumed: started.append((videos, resumed)),
    )
    assert ran == [video.name for video in dataset.videos[3:]]
    assert started == [(len(dataset.videos), 3)]
    assert len([json.loads(line) for line in journal.read_text().splitlines()]) == 1 + len(dataset.videos)
    assert second.scores == straight.scores
    assert second.answers[:3] == first.answers
    for name, values in logits.items():
        np.testing.assert_array_equal(again[name], values)
    monkeypatch.setattr(HybridRuntime, "__enter__", None)
    third, _ = evaluate(bundle, dataset, journal=journal)
    assert third == second, "nothing is left to run, and no engine is started"


@pytest.mark.parametrize("change", ["clips", "video", "bundle", "subset"])
def test_another_evaluation_begins_anew(bundle, dataset, tmp_path, change):
    journal, ran, options = tmp_path / "j", [], {"clips": 2}
    two = dataclasses.replace(dataset, videos=dataset.videos[:2])
    evaluate(bundle, two, journal=journal, **options)
    expected = [video.name for video in two.videos]
    if change == "clips":
        options["clips"] = 1
    elif change == "bundle":
        bundle = dataclasses.replace(bundle, manifest=bundle.manifest | {"manifest_sha256": "0" * 64})
    elif change == "subset":
        two = dataclasses.replace(two, subset="train")
    else:
        other = tmp_path / "other.avi"
        other.write_bytes(two.videos[1].path.read_bytes())
        two = dataclasses.replace(two, videos=(two.videos[0], dataclasses.replace(two.videos[1], path=other)))
        expected = expected[1:]
    evaluate(bundle, two, journal=journal, on_video=ran.append, **options)
    assert ran == expected


def test_a_limit_runs_so_many(bundle, dataset):
    found, _ = evaluate(bundle, dataset, limit=3, clips=1)
    assert len(found.answers) == 3 == len({answer.label for answer in found.answers})


def test_what_cannot_be_evaluated_is_one_clear_error(bundle, dataset, broken_video):
    with pytest.raises(ConfigError, match="clips = 0"):
        evaluate(bundle, dataset, clips=0)
    with pytest.raises(ConfigError, match="no video on the disk; an evaluation needs at least one; not found"):
        evaluate(bundle, dataclasses.replace(dataset, videos=()))
    with pytest.raises(ConfigError, match="none of the model's"):
        evaluate(bundle, dataclasses.replace(dataset, labels=("fly", *dataset.labels[1:])))
    alone = VideoDataset("ucf101", "test", 1, dataset.labels, (LabelledVideo("b", broken_video, 0),), ())
    with pytest.raises(EngineError, match=r"none of 1 videos gave an answer.*broken\.avi"):
        evaluate(bundle, alone)


def test_a_bundle_needs_no_torch():
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'lava'])); import hybrid_cvar.evaluation;"
        "from hybrid_cvar.evaluation import evaluate_bundle"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.needs_compile
@pytest.mark.needs_lava
def test_native_lava_and_quantised_torch_give_the_same_answers(small_checkpoint, small_bundle, draw_dataset):
    from hybrid_cvar.evaluation.checkpoint_evaluation import evaluate_checkpoint

    bundle = load_bundle(small_bundle)
    dataset = draw_dataset(bundle.labels, 1)
    native, of_native = evaluate(bundle, dataset)
    lava, of_lava = evaluate(bundle, dataset, engine="lava")
    for name, values in of_native.items():
        np.testing.assert_array_equal(of_lava[name], values)
    assert lava.engine == "lava"
    assert [answer.energy_joules for answer in lava.answers] == [answer.energy_joules for answer in native.answers]
    in_torch = {}
    for fixed_point in (True, False):
        logits = in_torch[fixed_point] = {}
        found = evaluate_checkpoint(
            small_checkpoint,
            dataset,
            fixed_point=fixed_point,
            clips=2,
            batch=2 - fixed_point,
            observer=EvaluationObserver(
                on_answer=lambda answer, values, into=logits: into.update({answer.name: values})
            ),
        )
        assert (found.source, found.engine) == ("checkpoint", "torch" if fixed_point else "torch-float")
        assert {answer.energy_joules for answer in found.answers} == {None}
        assert found.labels == bundle.labels
    for name, values in of_native.items():
        # The membranes are the same integers; the ANN partition is compiled to this share of its largest logit.
        np.testing.assert_allclose(in_torch[True][name], values, atol=1e-4 * np.abs(values).max())
    assert any(not np.array_equal(in_torch[False][name], in_torch[True][name]) for name in of_native)
