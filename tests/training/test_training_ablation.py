"""Ablations: what is planned, one budget for all, going on after a stop, and a run that fails."""

import dataclasses
import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hybrid_cvar.errors import ConfigError, OutputError, TrainingError
from hybrid_cvar.records import AblationMeasurement, PairDirection

pytestmark = pytest.mark.needs_compile

PAIRS = (("MoveLeft", "MoveRight"),)
FOUND = AblationMeasurement(
    test_videos=4,
    missing_videos=1,
    top1=0.75,
    top5=1.0,
    pairs=(PairDirection("MoveLeft", "MoveRight", 4, 0.75),),
    parameters=1000,
    macs=2000,
    dense_accumulates=3000,
    train_videos=6,
    validation_videos=2,
    epochs=1,
    best_epoch=1,
    steps=3,
    batch=2,
    training_seconds=6.0,
    test_seconds=0.5,
    machine="this machine",
    device="1 x cpu",
    precision="32-true",
    checkpoint_sha256="ab" * 32,
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def short_recipe(mini_recipe, changed):
    return changed(mini_recipe, "schedule", epochs=1)


@pytest.fixture
def ablate(tmp_path, cache, moving_videos, moving_dataset):
    """A function that runs a plan in tmp_path; keywords are fields of `AblationObserver`."""
    from hybrid_cvar.data import open_dataset
    from hybrid_cvar.training import TrainOptions
    from hybrid_cvar.training.ablation import AblationObserver, run_ablation

    test = open_dataset(moving_videos, "test")

    def begin(recipe, runs, **observed):
        options = TrainOptions(tmp_path, cache, "cpu", workers=0)
        observer = AblationObserver(**observed)
        return run_ablation(recipe, runs, moving_dataset, test, options, "this machine", pairs=PAIRS, observer=observer)

    return begin


def plan(*given, **named):
    from hybrid_cvar.training.ablation import plan_ablation

    return plan_ablation(*given, **named)


def states(ablation) -> dict[str, str]:
    return {f"{result.variant}-s{result.seed}": result.state for result in ablation.results}


def test_a_plan_has_the_tables_rows_the_full_model_first_and_one_budget(short_recipe):
    runs = plan(short_recipe, ("4c", "4a"), seeds=(3, 1), only=("lstm",))
    rows = ["full", "ls-gs-t", "ls-t-gs", "no-stm", "common-stm", "lstm", "fixed-neurons"]
    assert [run.name for run in runs] == [f"{row}-s{seed}" for seed in (3, 1) for row in rows]
    assert [run.variant.name for run in runs if run.is_selected] == ["full", "lstm"] * 2
    assert [run.table for run in runs[:7]] == ["", "4a", "4a", "4c", "4c", "4c", "4c"]
    for run in runs:
        assert run.recipe.model.variant == ("" if run.variant.name == "full" else run.variant.name)
        assert run.recipe.name == f"mini-{run.name}" and run.recipe.seed == run.seed
        same = dataclasses.replace(run.recipe, name="mini", seed=0, model=short_recipe.model)
        assert same == short_recipe
    assert {run.seed for run in plan(dataclasses.replace(short_recipe, seed=9), ("3",))} == {9}
    assert sum(run.is_selected for run in plan(short_recipe, ("3", "4a", "4b", "4c", "4d"))) == 20


@pytest.mark.parametrize(
    ("given", "model", "words"),
    [
        ({"tables": ("5",)}, {}, "table '5' does not exist; known: 3, 4a, 4b, 4c, 4d"),
        ({"tables": ()}, {}, "no table; known: 3, 4a"),
        ({"only": ("lstm",)}, {}, "'lstm' is in none of the tables 4a; known there: full, ls-gs-t, ls-t-gs"),
        ({}, {"variant": "lstm"}, "model.variant = 'lstm'; variants are compared with the full model; remove it"),
        ({}, {"weights": "a.pt"}, "model.weights = 'a.pt'; every row starts from new weights"),
        ({}, {"changes": {"order": "LS-T-GS"}}, "the recipe and variant 'ls-gs-t' both change 'order'"),
    ],
)
def test_plans_that_are_refused(short_recipe, changed, given, model, words):
    recipe = changed(short_recipe, "model", **model)
    with pytest.raises(ConfigError, match=words):
        plan(recipe, **({"tables": ("4a",)} | given))


def test_two_models_are_trained_and_measured_and_a_stopped_run_goes_on(short_recipe, changed, ablate, tmp_path):
    from hybrid_cvar.evaluation.checkpoint_evaluation import evaluate_checkpoint
    from hybrid_cvar.model import load_checkpoint
    from hybrid_cvar.model.describe import describe_model
    from hybrid_cvar.training import TrainObserver
    from hybrid_cvar.training.ablation import forget_runs

    runs = plan(short_recipe, ("4a",), only=("ls-t-gs",))
    begun, pages = [], []

    def stop(epoch, step, loss):
        if begun[-1] == ("ls-t-gs-s0", 2, 2) and step == 2:
            raise KeyboardInterrupt

    def note(run, position, count):
        begun.append((run.name, position, count))

    with pytest.raises(KeyboardInterrupt):
        ablate(short_recipe, runs, on_run=note, on_change=pages.append, training=TrainObserver(on_step=stop))
    assert begun == [("full-s0", 1, 2), ("ls-t-gs-s0", 2, 2)]
    assert [list(states(page).values()) for page in pages] == [["not run"] * 3, ["measured", "not run", "not run"]]
    assert json.loads((tmp_path / "ls-t-gs-s0" / "result.json").read_text())["state"] == "started"

    del begun[:], pages[:]
    steps = []
    watch = TrainObserver(on_step=lambda epoch, step, loss: steps.append(step))
    ablation = ablate(short_recipe, runs, on_run=note, on_change=pages.append, training=watch)
    assert begun == [("ls-t-gs-s0", 1, 1)] and steps == [3]
    assert ablation == pages[-1]
    assert states(ablation) == {"full-s0": "measured", "ls-gs-t-s0": "not run", "ls-t-gs-s0": "measured"}
    assert (ablation.epochs, ablation.batch, ablation.clips, ablation.subset) == (1, 2, 2, "test")
    assert (ablation.train_videos, ablation.test_videos, ablation.classes) == (8, 4, 2)
    assert ablation.results[0].paper_top1 == 95.63 and ablation.results[2].paper_top1 == 91.64
    for result in (ablation.results[0], ablation.results[2]):
        found, path = result.measurement, tmp_path / f"{result.variant}-s0" / "checkpoint.pt"
        checkpoint = load_checkpoint(path)
        assert checkpoint.config.order == ("T-LS-GS" if result.variant == "full" else "LS-T-GS")
        described = describe_model(checkpoint.config, 2)
        assert (found.parameters, found.macs) == (described.parameters, described.macs)
        assert (found.epochs, found.steps, found.test_videos, found.pair_videos) == (1, 3, 4, 4)
        assert found.direction == found.top1, "with two classes that are each other's reverse both are one"
        checked = evaluate_checkpoint(path, _test_videos(short_recipe), fixed_point=True, clips=2)
        assert (found.top1, found.top5) == (checked.scores.top1, checked.scores.top5)

    again = ablate(short_recipe, runs, on_run=lambda *run: pytest.fail("nothing is left to do"))
    assert again == ablation
    longer = changed(short_recipe, "schedule", epochs=2)
    with pytest.raises(TrainingError, match=r"full-s0/result\.json: the run there is of another.*--restart"):
        ablate(longer, plan(longer, ("4a",)))
    forget_runs(runs, tmp_path)
    assert not list((tmp_path / "full-s0").iterdir())


def _test_videos(recipe):
    from hybrid_cvar.data import open_dataset

    return open_dataset(Path(recipe.data.root), "test")


@pytest.fixture
def fake(monkeypatch):
    """Trains nothing: a set of variants that fail, each with an error; the others give `FOUND`."""
    from hybrid_cvar.training import ablation

    failing = {}

    def train(recipe, *given):
        if recipe.model.variant in failing:
            raise failing[recipe.model.variant]

    monkeypatch.setattr(ablation, "train", train)
    monkeypatch.setattr(ablation, "measure_run", lambda *given: FOUND)
    return failing


def test_a_run_that_fails_is_recorded_and_tried_again(short_recipe, ablate, fake):
    fake |= {"no-stm": TrainingError("the loss is nan", "rule"), "lstm": ConfigError("wide")}
    runs = plan(short_recipe, ("4c",), seeds=(0, 1))
    results = []
    first = ablate(short_recipe, runs, on_result=results.append)
    assert [result for result in first.results if result.state == "failed"] == [
        result for result in results if result.state == "failed"
    ]
    assert {(one.variant, one.reason) for one in results if one.state == "failed"} == {
        ("no-stm", "the loss is nan; rule"),
        ("lstm", "wide"),
    }
    assert list(states(first).values()).count("measured") == 6
    fake.clear()
    begun = []
    second = ablate(short_recipe, runs, on_run=lambda run, *place: begun.append(run.name))
    assert begun == ["no-stm-s0", "lstm-s0", "no-stm-s1", "lstm-s1"]
    assert set(states(second).values()) == {"measured"}
    assert second.results[1].measurement == FOUND


def test_a_full_disk_ends_it(short_recipe, ablate, fake):
    fake["no-stm"] = OutputError("no space left")
    with pytest.raises(OutputError, match="no space left"):
        ablate(short_recipe, plan(short_recipe, ("4c",)))


def test_a_row_that_is_not_selected_shows_what_is_there(short_recipe, changed, ablate, fake):
    ablate(short_recipe, plan(short_recipe, ("4c",)))
    fake |= {name: TrainingError("must not run") for name in ("no-stm", "lstm")}
    some = plan(short_recipe, ("4c",), only=("fixed-neurons",))
    assert set(states(ablate(short_recipe, some)).values()) == {"measured"}


def test_a_stored_result_comes_back_whole_or_not_at_all(tmp_path):
    from hybrid_cvar.training.ablation_store import StoredResult, load_result, save_result

    for stored in (
        StoredResult("a" * 64, "measured", measurement=FOUND),
        StoredResult("a" * 64, "failed", "the loss is nan"),
        StoredResult("a" * 64, "started"),
    ):
        save_result(tmp_path / "run", stored)
        assert load_result(tmp_path / "run") == stored
    path = tmp_path / "run" / "result.json"
    whole = json.loads(path.read_text())
    for change in ({"version": 2}, {"state": "measured"}, {"state": "done"}, {"more": 1}):
        path.write_text(json.dumps(whole | change))
        assert load_result(tmp_path / "run") is None
    for text in ("", "{", "[]", "{}", '{"version": 1}'):
        path.write_text(text)
        assert load_result(tmp_path / "run") is None
    assert load_result(tmp_path / "nothing") is None


def test_direction_leaves_all_but_the_pair_aside():
    from hybrid_cvar.data.direction import pair_directions

    labels = ("Sit", "Wave", "Stand", "Push", "Pull")
    logits = [[1, 9, 0, 0, 0], [0, 9, 1, 0, 0], [2, 0, 1, 9, 9], [3, 0, 3, 0, 0], [0, 9, 0, 0, 0]]
    found = pair_directions(logits, [0, 0, 2, 2, 1], labels, (("Sit", "Stand"), ("Push", "Pull"), ("Open", "Shut")))
    # Sit: right, wrong; Stand: wrong, a tie.
    assert found == (PairDirection("Sit", "Stand", 4, 1.5 / 4),)
    (turned,) = pair_directions(logits, [0, 0, 2, 2, 1], labels, (("Stand", "Sit"),))
    assert turned.direction == 1.5 / 4
    with pytest.raises(ConfigError, match="must fit"):
        pair_directions(logits, [0, 1], labels, ())


@pytest.fixture
def hybrid_cvar(monkeypatch, tmp_path, moving_videos, mini_recipe):
    """The command in this process, on a recipe of one epoch."""
    from hybrid_cvar.cli.ablate import ablate_command

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("signal.signal", lambda *_: None)
    pairs = mini_recipe.model.changes.items()
    changes = ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in pairs)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'name = "mini"\n[model]\nchanges = {{ {changes} }}\n[data]\nroot = {json.dumps(str(moving_videos))}\n'
        "clips = 2\nvalidation_share = 0.25\n[schedule]\nepochs = 300\nbatch = 4\n"
    )
    app = typer.Typer()
    app.command("ablate")(ablate_command)
    return lambda *given: CliRunner().invoke(app, [str(recipe), *map(str, given)])


def test_the_command_trains_and_writes_the_page(hybrid_cvar, tmp_path, cache):
    from hybrid_cvar.reporting.ablation_report import load_ablation

    out = tmp_path / "out"
    options = ("--out", out, "--cache", cache, "--epochs", "1", "--workers", "0", "--accelerator", "cpu")
    done = hybrid_cvar("--tables", "4a,4d", "--only", "class-token", *options)
    assert done.exit_code == 0, done.output
    assert "2 of 8 runs are measured" in done.stdout and "run 2 of 2: class-token-s0" in done.stderr
    ablation = load_ablation(out / "ablation.json")
    assert {name for name, state in states(ablation).items() if state == "measured"} == {"full-s0", "class-token-s0"}
    assert ablation.epochs == 1 and not ablation.is_drawn
    assert (out / "ablation.png").read_bytes()[:4] == b"\x89PNG"
    page = (out / "ablation.md").read_text()
    assert "| ls-gs-t | LS =\\> GS =\\> T | 90.72 | -4.91 | not run |" in page


def test_the_commands_status_says_what_failed(hybrid_cvar, tmp_path, cache, fake):
    fake["lstm"] = TrainingError("the loss is nan")
    out = tmp_path / "out"
    options = ("--out", out, "--cache", cache, "--epochs", "1", "--accelerator", "cpu", "--seeds", "0,1")
    done = hybrid_cvar("--tables", "4c", *options)
    assert done.exit_code == 1
    assert "error: lstm, seed 0: the loss is nan" in done.stderr and "lstm, seed 1" in done.stderr
    assert "8 of 10 runs are measured, 2 failed" in done.stdout
    assert "- lstm, seed 1: the loss is nan" in (out / "ablation.md").read_text()
    fake["lstm"] = KeyboardInterrupt()
    assert hybrid_cvar("--tables", "4c", *options).exit_code == 130
    assert (out / "full-s1" / "result.json").exists()
    fake.clear()
    assert hybrid_cvar("--tables", "4c", *options).exit_code == 0
    other = hybrid_cvar("--tables", "4c", *options, "--epochs", "2")
    assert other.exit_code == 1 and "--restart" in other.stderr
    assert hybrid_cvar("--tables", "4c", *options, "--epochs", "2", "--restart").exit_code == 0


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        (("--tables", "3,7"), 1, "table '7' does not exist; known: 3, 4a, 4b, 4c, 4d"),
        (("--only", "no-such"), 1, "variant 'no-such' is in none of the tables"),
        (("--seeds", "0,x"), 2, "'x'; must be whole numbers"),
    ],
)
def test_the_command_refuses(hybrid_cvar, tmp_path, given, status, words):
    done = hybrid_cvar(*given, "--out", tmp_path / "out")
    assert done.exit_code == status
    assert words in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()
