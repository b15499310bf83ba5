"""An evaluation's figures, its JSON and back, its terminal page and its picture; the same of a training run."""

import dataclasses
import io
import json
import math

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from hybrid_cvar.data.metrics import score_answers
from hybrid_cvar.errors import ConfigError, OutputError
from hybrid_cvar.records import EpochRow, Evaluation, TrainingRun, VideoAnswer
from hybrid_cvar.reporting.comparison import compare_files
from hybrid_cvar.reporting.confusion_picture import write_confusion
from hybrid_cvar.reporting.evaluation_figures import (
    agreement,
    confusions,
    energy_spread,
    pair_scores,
    seconds_spread,
    wilson_interval,
    worst_classes,
)
from hybrid_cvar.reporting.evaluation_report import (
    evaluation_to_dict,
    load_evaluation,
    load_stored_evaluation,
    write_evaluation,
)
from hybrid_cvar.reporting.evaluation_summary import print_comparison, print_evaluation
from hybrid_cvar.reporting.training_report import load_training, training_command, write_curves, write_training

LABELS = ("SitDown", "StandUp", "Push", "Pull", "Wave|[x]", "Walk")
PAIRS = (("SitDown", "StandUp"), ("Push", "Pull"), ("Open", "Close"))
TRUTH = (0, 0, 0, 1, 2, 2, 2, 3, 4)
ANSWERS = (0, 1, 2, 1, 3, 3, 2, 3, 0)


def make_evaluation(answers=ANSWERS, truth=TRUTH, labels=LABELS, **changes) -> Evaluation:
    """Videos of these classes with these answers; the last class is without a video."""
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(len(truth), len(labels)))
    logits[np.arange(len(truth)), list(answers)] = 9.0
    rows = tuple(
        VideoAnswer(
            name=f"video {index}",
            label=label,
            answer=answer,
            top5=tuple(int(place) for place in np.argsort(-values)[:5]),
            clips=8,
            energy_joules=0.001 * (index + 1),
            seconds=0.1 * (index + 1),
        )
        for index, (label, answer, values) in enumerate(zip(truth, answers, logits, strict=True))
    )
    found = Evaluation(
        model="tiny",
        source="bundle",
        sha256="ab" * 32,
        engine="native",
        provider="cpu",
        precision="fp32",
        dataset="ucf101",
        subset="test",
        split=1,
        clips=8,
        labels=labels,
        scores=score_answers(logits, truth, labels),
        answers=rows,
        missing=(("gone.avi", "not found"),),
        profile="paper-45nm",
        seconds=sum(row.seconds for row in rows),
        machine="a CPU, 2 cores, Linux",
    )
    return dataclasses.replace(found, **changes)


def make_run(**changes) -> TrainingRun:
    rows = tuple(
        EpochRow(
            epoch=epoch,
            steps=10 * epoch,
            train_loss=2.5 / epoch,
            train_top1=epoch / 5,
            validation_top1=None if epoch == 2 else epoch / 6,
            learning_rate=0.02 / epoch,
            spike_rates=(("motion.0", 0.1), ("residual.1", 0.05 * epoch)),
            seconds=12.5,
        )
        for epoch in (1, 2, 3, 4)
    )
    run = TrainingRun(
        recipe="puppet-tiny",
        model="tiny",
        parameters=1_190_000,
        dataset="ucf101",
        labels=LABELS,
        train_videos=2160,
        validation_videos=240,
        missing_videos=3,
        seed=7,
        batch=16,
        segments=1,
        epochs=rows,
        best_epoch=4,
        ended="finished",
        seconds=4000.0,
        cache_seconds=300.0,
        machine="a CPU, 2 cores, Linux",
        device="cpu",
        precision="32-true",
        checkpoint_sha256="cd" * 32,
    )
    return dataclasses.replace(run, **changes)


def page_of(show, *arguments) -> str:
    console = Console(file=io.StringIO(), width=100)
    show(*arguments[:1], console, *arguments[1:])
    return console.file.getvalue()


def test_the_wilson_interval_is_that_of_the_literature():
    # R. G. Newcombe, Statist. Med. 17, 1998, Table I, method 3.
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0 / 20, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1.0, 20)[1] == 1.0
    for share, count in ((1.1, 3), (0.5, 0), (math.nan, 5)):
        with pytest.raises(ConfigError):
            wilson_interval(share, count)


def test_pairs_tell_the_share_of_right_answers_and_the_direction():
    sit, push = pair_scores(make_evaluation(), PAIRS)
    # SitDown, StandUp: 4 videos, answered 0, 1, 2, 1: two right, three within the pair.
    assert (sit.videos, sit.top1, sit.within, sit.direction) == (4, 2 / 4, 3, 2 / 3)
    # Push, Pull: answered 3, 3, 2, 3: two right, all four within.
    assert (push.videos, push.top1, push.within, push.direction) == (4, 2 / 4, 4, 2 / 4)


def test_worst_classes_and_confusions_come_first():
    found = make_evaluation()
    assert [(one.label, one.top1) for one in worst_classes(found, 3)] == [
        ("Wave|[x]", 0.0),
        ("SitDown", 1 / 3),
        ("Push", 1 / 3),
    ]
    first = confusions(found)[0]
    assert (first.label, first.answer, first.videos, first.share) == ("Push", "Pull", 2, 2 / 3)
    assert {(one.label, one.answer) for one in confusions(found)[1:]} == {
        ("Wave|[x]", "SitDown"),
        ("SitDown", "StandUp"),
        ("SitDown", "Push"),
    }


def test_agreement_is_on_common_videos_and_by_name():
    first = make_evaluation()
    order = (3, 0, 2, 1, 4, 5)
    back = {label: place for place, label in enumerate(order)}
    second = make_evaluation(
        answers=[back[answer] for answer in (0, 0, 2, 1, 3, 3, 2, 3, 0)],
        truth=[back[label] for label in TRUTH],
        labels=tuple(LABELS[place] for place in order),
    )
    second = dataclasses.replace(second, answers=second.answers[1:])
    found = agreement(first, second)
    assert (found.videos, found.same, found.share) == (8, 7, 7 / 8)
    (difference,) = found.differences
    assert dataclasses.astuple(difference) == ("video 1", "SitDown", "StandUp", "SitDown")
    assert found.points == pytest.approx(100 / 8)
    assert agreement(second, first).points == pytest.approx(-100 / 8)
    assert agreement(first, first).differences == ()


def test_what_cannot_be_compared_is_one_clear_error():
    first = make_evaluation()
    for changes, words in (
        ({"labels": ("other", *LABELS[1:])}, "in one evaluation only"),
        ({"answers": ()}, "no video is in both"),
        ({"answers": (dataclasses.replace(first.answers[0], label=3),)}, "is 'SitDown' in one"),
    ):
        with pytest.raises(ConfigError, match=words):
            agreement(first, dataclasses.replace(first, **changes))


def test_an_evaluation_survives_its_file(tmp_path):
    path, found = tmp_path / "e.json", make_evaluation()
    write_evaluation(found, path, command="hybrid-cvar eval a b", interrupted=True)
    assert load_evaluation(path) == found
    stored = load_stored_evaluation(path)
    assert (stored.command, stored.interrupted) == ("hybrid-cvar eval a b", True)
    unpriced = dataclasses.replace(
        found,
        profile="",
        answers=tuple(dataclasses.replace(answer, energy_joules=None) for answer in found.answers),
    )
    write_evaluation(unpriced, path)
    assert load_evaluation(path) == unpriced
    assert json.loads(path.read_text())["energy"] is None


def test_the_json_says_shares_provenance_and_totals():
    found = make_evaluation()
    content = evaluation_to_dict(found)
    assert (content["schema"], content["schema_version"]) == ("hybrid-cvar/evaluation", 1)
    assert content["top1"] == found.scores.top1 == 4 / 9
    assert content["accuracy"]["provenance"] == content["time"]["provenance"] == "measured"
    assert (content["energy"]["provenance"], content["energy"]["count_provenance"]) == ("modelled", "emulated")
    assert content["energy"]["total_joules"] == pytest.approx(sum(row["energy_joules"] for row in content["answers"]))
    assert content["energy"]["joules_per_video"]["p50"] == pytest.approx(0.005)
    assert content["time"]["seconds"] == sum(row["seconds"] for row in content["answers"])
    assert content["answers"][1]["label"] == "SitDown" and content["answers"][1]["answer"] == "StandUp"
    assert seconds_spread(found).p95 == pytest.approx(0.86)
    assert energy_spread(found).mean == pytest.approx(0.005)


def test_a_number_that_is_not_finite_is_refused(tmp_path):
    found = make_evaluation()
    bad = dataclasses.replace(found, answers=(dataclasses.replace(found.answers[0], seconds=math.inf),))
    with pytest.raises(OutputError, match="seconds"):
        write_evaluation(bad, tmp_path / "e.json")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("schema", "hybrid-cvar/run", "must be 'hybrid-cvar/evaluation'"),
        ("schema_version", 2, "reads version 1"),
        ("top1", "0.5", "top1 = '0.5'; must be float"),
        ("top1", 0.9, "scores and answers must fit"),
        ("videos", 8, "9 answers, 8 videos"),
        ("confusion", [[1]], "scores and answers must fit"),
        ("interrupted", 0, "must be bool"),
        ("model.labels", ["a", "a"], "different names"),
        ("model.labels", ["a"], "must be one of model.labels"),
        ("model.engine", None, "model.engine = None"),
        ("dataset", None, "dataset.kind is missing"),
        ("answers", [3], "answers[0] is int"),
        ("time.seconds", True, "must be float"),
    ],
)
def test_a_damaged_file_is_one_error_that_names_file_and_field(tmp_path, field, value, words):
    path = tmp_path / "e.json"
    content = evaluation_to_dict(make_evaluation())
    table = content
    *outer, last = field.split(".")
    for name in outer:
        table = table[name]
    table[last] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError) as caught:
        load_evaluation(path)
    assert "e.json" in str(caught.value) and words in str(caught.value)
    assert str(caught.value).count(";") >= 1


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"schema": NaN}', "[" * 100_000])
def test_a_file_that_is_no_report_is_one_error(tmp_path, text):
    path = tmp_path / "e.json"
    path.write_text(text)
    for load in (load_evaluation, load_training):
        with pytest.raises(ConfigError, match=r"e\.json"):
            load(path)
        with pytest.raises(ConfigError, match="gone"):
            load(tmp_path / "gone.json")


def test_a_comparison_tells_of_other_clips_and_other_data(tmp_path):
    first, second, third = (tmp_path / f"{name}.json" for name in "abc")
    write_evaluation(make_evaluation(), first, command="c")
    write_evaluation(make_evaluation(clips=2), second, command="c")
    write_evaluation(make_evaluation(dataset="hmdb51"), third, command="c")
    assert [name for name in compare_files([first, second]).notices if "clips" in name] == [
        "The files differ in clips a video: 8, 2."
    ]
    assert any("hmdb51, test, split 1" in notice for notice in compare_files([first, third]).notices)
    assert not any("differ" in notice for notice in compare_files([first, first]).notices)


def test_the_terminal_page_says_all():
    found = make_evaluation()
    page = page_of(print_evaluation, found, PAIRS)
    for words in ("44.4 %", "Wave|[x]", "SitDown / StandUp", "66.7 %", "gone.avi: not found", "5.00 mJ", "[measured]"):
        assert words in page, words
    assert "[modelled]" in page and "18.9 % to 73.3 %" in page
    assert "Open" not in page
    right = make_evaluation(answers=TRUTH)
    assert "Every video is right." in page_of(print_evaluation, right)
    difference = page_of(print_comparison, agreement(found, right), "native.json")
    assert "4 of 9 videos have the same answer (44.4 %)" in difference
    assert "Not the same clips" not in difference
    fewer = agreement(dataclasses.replace(found, clips=1), right)
    words = page_of(print_comparison, fewer, "native.json")
    assert "Not the same clips: 1 clip a video there, 8 here" in words and "--clips 1 " in words
    assert "+55.56 points" in difference and "video 2  (SitDown): Push there, SitDown here" in difference


@pytest.mark.parametrize("classes", [6, 60])
def test_the_confusion_picture_is_light_and_the_same_each_time(tmp_path, classes):
    labels = tuple(f"class $x_{index}$ " + "long " * (index % 9) for index in range(classes))
    truth = [index % (classes - 1) for index in range(3 * classes)]
    found = make_evaluation(answers=[label if label % 3 else 0 for label in truth], truth=truth, labels=labels)
    path = tmp_path / "c.png"
    write_confusion(found, path)
    first = path.read_bytes()
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    assert pixels[0, 0] == 255 and np.median(pixels) > 230
    assert pixels.min() < 120, "something is drawn"
    write_confusion(found, path)
    assert path.read_bytes() == first
    assert [file.name for file in tmp_path.iterdir()] == ["c.png"]


def test_a_training_run_survives_its_file(tmp_path):
    path, run = tmp_path / "t.json", make_run()
    write_training(run, path, command="hybrid-cvar train r.toml")
    assert load_training(path) == run
    assert training_command(path) == "hybrid-cvar train r.toml"
    content = json.loads(path.read_text())
    assert (content["schema"], content["schema_version"]) == ("hybrid-cvar/training", 1)
    assert content["provenance"] == "measured"
    assert content["epochs"][3]["spike_rates"] == {"motion.0": 0.1, "residual.1": 0.2}
    for field, value, words in (
        ("epochs", [], "best_epoch 4 of 0 epochs"),
        ("best_epoch", 9, "best_epoch 9"),
        ("seed", 1.5, "seed = 1.5; must be int"),
        ("labels", "abc", "must be a list"),
        ("epochs", [3], "must be an object"),
    ):
        path.write_text(json.dumps(content | {field: value}))
        with pytest.raises(ConfigError, match=words):
            load_training(path)
    del content["seconds"]
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="seconds is missing"):
        load_training(path)


def test_curves_are_drawn_with_and_without_validation(tmp_path):
    run = make_run()
    bare = tuple(dataclasses.replace(row, validation_top1=None, spike_rates=()) for row in run.epochs[:1])
    for name, each in (("a.png", run), ("b.png", make_run(epochs=bare, best_epoch=1))):
        write_curves(each, tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert image.size == (1500, 960)
