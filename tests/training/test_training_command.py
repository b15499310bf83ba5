"""`hybrid-cvar train`: from the command line to the run's folder."""

import json

import pytest
from typer.testing import CliRunner

from hybrid_cvar.cli.application import app

pytestmark = pytest.mark.needs_compile


@pytest.fixture
def recipe_file(mini_recipe, moving_videos, tmp_path):
    changes = ", ".join(f"{json.dumps(name)} = {json.dumps(each)}" for name, each in mini_recipe.model.changes.items())
    path = tmp_path / "small" / "recipe.toml"
    path.parent.mkdir()
    path.write_text(
        f"[model]\nchanges = {{ {changes} }}\n[data]\nroot = {json.dumps(str(moving_videos))}\nclips = 2\n"
        "validation_share = 0.25\n[schedule]\nepochs = 2\nbatch = 4\n"
    )
    return path


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs it in tmp_path; nothing of the process is changed for what comes after."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hybrid_cvar.training.memory.keep_freed_memory", lambda: True)
    monkeypatch.setattr("hybrid_cvar.cli.train.hear_ctrl_c", lambda: None)
    return lambda *words: CliRunner().invoke(app, ["train", *map(str, words), "--accelerator", "cpu", "--workers", "0"])


def test_a_run_leaves_all_its_files_and_says_what_comes_next(command, recipe_file, tmp_path):
    result = command(recipe_file)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "runs" / "small"
    expected = {"checkpoint.pt", "training.json", "curves.png", "log.jsonl", "state.pt", "tensorboard"}
    assert {each.name for each in folder.iterdir()} == expected
    assert "finished: 2 epochs" in result.output and "hybrid-cvar compile runs/small/checkpoint.pt" in result.output
    record = json.loads((folder / "training.json").read_text())
    assert (record["schema"], record["recipe"]) == ("hybrid-cvar/training", "small")
    assert any((tmp_path / "runs" / "gops").rglob("*.h5"))


def test_a_variant_goes_into_a_folder_of_its_own(command, recipe_file, tmp_path):
    result = command(recipe_file, "--variant", "iframe-only", "--epochs", "1")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "runs" / "small-iframe-only" / "training.json").read_text())
    assert (record["recipe"], len(record["epochs"])) == ("small-iframe-only", 1)
    assert "spikes none" in result.output


def test_another_recipe_needs_restart(command, recipe_file, tmp_path):
    assert command(recipe_file, "--epochs", "1").exit_code == 0
    refused = command(recipe_file, "--epochs", "1", "--seed", "5")
    assert refused.exit_code == 1
    assert "of another recipe" in refused.output and "--restart" in refused.output
    assert command(recipe_file, "--epochs", "1", "--seed", "5", "--restart").exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.toml"], "No such file"),
        (["small/recipe.toml", "--variant", "none"], "variant 'none' does not exist"),
        (["small/recipe.toml", "--data", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_no_run(command, recipe_file, tmp_path, words, message):
    result = command(*words)
    assert result.exit_code == 1
    assert result.output.count("error:") == 1 and message in result.output
    assert not list(tmp_path.glob("runs/*/checkpoint.pt"))


def test_a_puppet_recipe_draws_its_videos_where_they_are_not_there(command, tmp_path):
    path = tmp_path / "puppets" / "recipe.toml"
    path.parent.mkdir()
    path.write_text(
        '[model]\nchanges = { "input.size" = 32, depth = 1, width = 32, heads = 2 }\n'
        '[data]\nroot = "drawn"\nvalidation_share = 0.0\nmost_gops = 1\n'
        "[data.puppets]\nvideos = 16\ntest_videos = 16\n[schedule]\nepochs = 1\n"
    )
    result = command(path)
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "drawn" / "videos").rglob("*.avi"))) == 32
    assert "recognises nothing of real people" in str((tmp_path / "runs/puppets/checkpoint.pt").read_bytes())
