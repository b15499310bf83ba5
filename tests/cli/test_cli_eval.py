"""`eval` and `card` as a user meets them, on small drawn videos in UCF-101's layout."""

import json
import shutil

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from hybrid_cvar.assets import DEFAULT_BUNDLE, DEFAULT_CHECKPOINT
from hybrid_cvar.cli.card import card_command
from hybrid_cvar.cli.eval import eval_command
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.reporting.evaluation_report import load_evaluation, write_evaluation
from hybrid_cvar.reporting.training_report import write_training
from hybrid_cvar.video.encoding import encode_video

LABELS = load_bundle(DEFAULT_BUNDLE).labels


def spelled(label: str) -> str:
    """`move left` as a folder would be called: `MoveLeft`."""
    return "".join(word[:1].upper() + word[1:] for word in label.split())


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two test videos a class, of 36 frames."""
    root = tmp_path_factory.mktemp("data")
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    rng = np.random.default_rng(1)
    names = []
    for label in LABELS:
        folder = root / "UCF-101" / spelled(label)
        folder.mkdir(parents=True)
        for clip in (1, 2):
            step, ground = rng.integers(1, 4), rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
            name = f"v_{spelled(label)}_g01_c{clip:02d}.avi"
            encode_video((np.roll(ground, step * t, axis=1) for t in range(36)), folder / name)
            names.append(f"{spelled(label)}/{name}")
    (lists / "classInd.txt").write_text("".join(f"{i} {spelled(one)}\n" for i, one in enumerate(LABELS, 1)))
    (lists / "testlist01.txt").write_text("".join(f"{name}\n" for name in names))
    (lists / "trainlist01.txt").write_text("".join(f"{name} 1\n" for name in names[:1]))
    return root


@pytest.fixture
def hybrid_cvar(monkeypatch):
    """The two commands, in this process; a wide terminal without colour."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    app = typer.Typer()
    app.command("eval")(eval_command)
    app.command("card")(card_command)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_an_evaluation_writes_json_picture_and_summary(data, hybrid_cvar, tmp_path):
    out, picture = tmp_path / "native.json", tmp_path / "c.png"
    done = hybrid_cvar("eval", "default", data, "--clips", "2", "--json", out, "--confusion", picture)
    assert done.exit_code == 0, done.output
    found = load_evaluation(out)
    assert (found.engine, found.scores.videos, found.labels) == ("native", 2 * len(LABELS), LABELS)
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.png", "native.json"]
    for words in ("top-1", "95 % interval", "[modelled]", "[measured]"):
        assert words in done.stdout
    again = hybrid_cvar("eval", DEFAULT_BUNDLE, data, "--clips", "2", "--json", "-", "--against", out, "--limit", "8")
    assert again.exit_code == 0, again.output
    content = json.loads(again.stdout)
    assert content["videos"] == 8 and content["missing"] == []
    assert "8 of 8 videos have the same answer (100.0 %)" in again.stderr
    assert "+0.00 points" in again.stderr


def test_a_broken_video_is_named_and_the_status_is_1(data, hybrid_cvar, tmp_path):
    root, out = tmp_path / "data", tmp_path / "r.json"
    shutil.copytree(data, root)
    broken = next((root / "UCF-101").glob("*/*_c01.avi"))
    broken.write_bytes(b"no video")
    gone = next((root / "UCF-101").glob("*/*_c02.avi"))
    gone.unlink()
    done = hybrid_cvar("eval", "default", root, "--clips", "1", "--json", out)
    assert done.exit_code == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("error:") and broken.name in line]
    missing = dict(load_evaluation(out).missing)
    assert len(missing) == 2 and "not found" in missing.values()
    assert not (tmp_path / "r.json.partial.jsonl").exists()
    broken.unlink()
    assert hybrid_cvar("eval", "default", root, "--clips", "1", "--limit", "3").exit_code == 0


def test_ctrl_c_writes_what_is_done_and_the_same_command_goes_on(data, hybrid_cvar, tmp_path, monkeypatch):
    from hybrid_cvar.runtime import HybridRuntime

    out, journal = tmp_path / "r.json", tmp_path / "r.json.partial.jsonl"
    whole, seen = HybridRuntime.run_video, []

    def stop_at_the_fourth(self, path, **options):
        seen.append(path)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return whole(self, path, **options)

    monkeypatch.setattr(HybridRuntime, "run_video", stop_at_the_fourth)
    done = hybrid_cvar("eval", "default", data, "--clips", "1", "--json", out)
    assert done.exit_code == 130
    assert done.stderr.splitlines()[-1] == "error: interrupted"
    content = json.loads(out.read_text())
    assert (content["videos"], content["interrupted"]) == (3, True)
    assert len(content["missing"]) == 2 * len(LABELS) - 3
    assert len(journal.read_text().splitlines()) == 4
    done = hybrid_cvar("eval", "default", data, "--clips", "1", "--json", out)
    assert done.exit_code == 0, done.output
    assert f"going on: 3 of {2 * len(LABELS)} videos" in done.stderr
    assert len(seen) == 4 + 2 * len(LABELS) - 3
    content = json.loads(out.read_text())
    assert (content["videos"], content["interrupted"]) == (2 * len(LABELS), False)
    assert not journal.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([DEFAULT_CHECKPOINT, "--engine", "native"], 2, "hybrid-cvar compile"),
        ([DEFAULT_BUNDLE, "--engine", "torch"], 2, "give the checkpoint"),
        (["default", "--engine", "torch", "--provider", "cpu"], 2, "--provider and --threads"),
        (["default", "--clips", "0"], 2, "clips"),
        (["default", "--against", "gone.json"], 1, "gone.json: No such file"),
        (["none.bundle"], 1, "no such bundle"),
        (["default", "--subset", "validation"], 1, "validation"),
        (["default", "--profile", "loihi9"], 1, "loihi9"),
        (["default", "--json", "none/r.json"], 1, "no folder"),
        (["default", "--confusion", "none/c.png"], 1, "no folder"),
    ],
)
def test_what_cannot_run_is_said_before_anything_runs(
    data, hybrid_cvar, tmp_path, monkeypatch, arguments, status, words
):
    monkeypatch.chdir(tmp_path)
    model, *options = arguments
    done = hybrid_cvar("eval", model, data, *options)
    assert done.exit_code == status, done.output
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_other_classes_are_one_clear_error(data, hybrid_cvar, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(data, root)
    (root / "UCF-101" / spelled(LABELS[0])).rename(root / "UCF-101" / "Fly")
    for file in (root / "ucfTrainTestlist").iterdir():
        file.write_text(
            file.read_text().replace(f"{spelled(LABELS[0])}/", "Fly/").replace(f"1 {spelled(LABELS[0])}\n", "1 Fly\n")
        )
    done = hybrid_cvar("eval", "default", root)
    assert done.exit_code == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "'Fly' of the dataset is none of the model's" in line


@pytest.mark.needs_compile
def test_a_checkpoint_runs_in_torch_by_default(data, hybrid_cvar, tmp_path):
    for engine, option in (("torch", []), ("torch-float", ["--engine", "torch-float"])):
        out = tmp_path / f"{engine}.json"
        done = hybrid_cvar("eval", DEFAULT_CHECKPOINT, data, "--clips", "1", "--limit", "2", "--json", out, *option)
        assert done.exit_code == 0, done.output
        found = load_evaluation(out)
        assert (found.engine, found.source, found.profile) == (engine, "checkpoint", "")
        assert "energy" not in done.stdout


RECIPE = """
name = "puppet-test"
seed = 7
[model]
preset = "tiny"
[data]
root = "puppets"
[data.puppets]
videos = 2400
"""


@pytest.fixture
def model_folder(tmp_path):
    """A recipe alone, and (name, record) to one more of its results."""
    folder = tmp_path / "puppet-test"
    (folder / "results").mkdir(parents=True)
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


def test_a_card_without_results_says_which_commands_make_them(model_folder, hybrid_cvar):
    done = hybrid_cvar("card", model_folder)
    assert done.exit_code == 0, done.output
    card = (model_folder / "card.md").read_text()
    assert f"hybrid-cvar train {model_folder}/recipe.toml" in card
    for engine in ("torch-float", "torch", "native", "lava"):
        assert f"--engine {engine} --json {model_folder}/results/evaluation-{engine}.json" in card
    assert "evaluation-iframe-only.json" in done.stderr
    assert "recognises drawn puppets only and nothing of real people" in card
    assert sorted(file.name for file in model_folder.iterdir()) == ["card.md", "recipe.toml", "results"]


def test_a_card_shows_the_numbers_of_its_results(model_folder, hybrid_cvar, evaluation_of, training_run):
    results = model_folder / "results"
    truth = [0, 0, 1, 1, 2, 2, 3, 3]
    answers = {
        "torch-float": truth,
        "torch": [0, 1, 1, 1, 2, 2, 3, 3],
        "native": [0, 1, 1, 1, 2, 2, 3, 0],
        "lava": [0, 1, 1, 1, 2, 2, 3, 0],
    }
    for engine, given in answers.items():
        source = "checkpoint" if engine.startswith("torch") else "bundle"
        command = f"hybrid-cvar eval made-with-{engine}"
        write_evaluation(
            evaluation_of(truth, given, engine=engine, source=source),
            results / f"evaluation-{engine}.json",
            command=command,
        )
    control = evaluation_of(truth, [0, 0, 0, 0, 2, 2, 2, 0], engine="torch", source="checkpoint")
    write_evaluation(control, results / "evaluation-iframe-only.json")
    write_training(training_run, results / "training.json", command="hybrid-cvar train it")
    done = hybrid_cvar("card", model_folder)
    assert done.exit_code == 0, done.output
    assert "not there yet" not in done.stderr
    card = (model_folder / "card.md").read_text()
    for line in (
        "| float, torch | 100.0 % (67.6 % to 100.0 %)",
        "**Fixed-point drop: 12.50 points of top-1**",
        "| quantised, torch -> bundle, native engine | 8 | 87.5 % | -12.50 |",
        "| bundle, native engine -> bundle, Lava simulator | 8 | 100.0 % | +0.00 |",
        "| SitDown / StandUp | 4 | 75.0 % | 4 | 75.0 % |",
        "| Push / Pull | 4 | 75.0 % | 3 | 100.0 % |",
        "| all pairs | 8 | 50.0 % | 7 | 57.1 % |",
        "| SitDown | 2 | 50.0 % | StandUp (1) |",
        "| trained parameters | 1,190,000 |",
        "| `data.puppets.videos` | 2400 |",
        "    hybrid-cvar eval made-with-lava",
        "    hybrid-cvar train it",
        "![Loss",
        "![Confusion",
    ):
        assert line in card, line
    assert "not measured yet" not in card.casefold()
    assert "not of one" not in card
    for name in ("curves.png", "confusion.png"):
        assert (model_folder / name).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("kind", ["text", "engine", "labels"])
def test_a_card_refuses_a_damaged_result(model_folder, hybrid_cvar, evaluation_of, kind):
    path = model_folder / "results" / "evaluation-native.json"
    if kind == "text":
        path.write_text("{")
    else:
        engine = "lava" if kind == "engine" else "native"
        write_evaluation(evaluation_of([0, 1], [0, 1], engine=engine, source="bundle"), path)
        other = evaluation_of([0, 1], [0, 1], engine="lava", source="bundle", labels=("a", "b"))
        write_evaluation(other, model_folder / "results" / "evaluation-lava.json")
    done = hybrid_cvar("card", model_folder)
    assert done.exit_code == 1
    (line,) = done.stderr.strip().splitlines()
    assert "evaluation-" in line and line.count(";") >= 2
    assert not (model_folder / "card.md").exists()


def test_a_folder_without_a_recipe_is_one_clear_error(tmp_path, hybrid_cvar):
    done = hybrid_cvar("card", tmp_path)
    assert done.exit_code == 1
    assert "recipe.toml: no such file; a card is of a folder with a recipe" in done.stderr


@pytest.fixture
def evaluation_of():
    """(truth, answers) of puppets to an Evaluation."""
    from hybrid_cvar.data.metrics import score_answers
    from hybrid_cvar.records import Evaluation, VideoAnswer

    def make(truth, answers, *, engine, source, labels=("SitDown", "StandUp", "Push", "Pull")):
        logits = np.eye(len(labels))[answers]
        priced = source == "bundle"
        rows = tuple(
            VideoAnswer(
                f"v{i}",
                label,
                answer,
                tuple(np.argsort(-row, kind="stable").tolist())[:5],
                8,
                0.01 if priced else None,
                0.5,
            )
            for i, (label, answer, row) in enumerate(zip(truth, answers, logits, strict=True))
        )
        return Evaluation(
            model="tiny",
            source=source,
            sha256=("ab" if priced else "cd") * 32,
            engine=engine,
            provider="cpu" if priced else "torch",
            precision="fp32",
            dataset="ucf101",
            subset="test",
            split=1,
            clips=8,
            labels=labels,
            scores=score_answers(logits, truth, labels),
            answers=rows,
            missing=(),
            profile="paper-45nm" if priced else "",
            seconds=sum(row.seconds for row in rows),
            machine="a CPU",
        )

    return make


@pytest.fixture
def training_run():
    from hybrid_cvar.records import EpochRow, TrainingRun

    return TrainingRun(
        recipe="puppet-test",
        model="tiny",
        parameters=1_190_000,
        dataset="ucf101",
        labels=("SitDown", "StandUp", "Push", "Pull"),
        train_videos=2160,
        validation_videos=240,
        missing_videos=0,
        seed=7,
        batch=16,
        segments=1,
        epochs=(EpochRow(1, 135, 1.25, 0.5, 0.75, 0.02, (("motion.0", 0.04),), 60.0),),
        best_epoch=1,
        ended="finished",
        seconds=60.0,
        cache_seconds=30.0,
        machine="a CPU",
        device="cpu",
        precision="32-true",
        checkpoint_sha256="cd" * 32,
    )
