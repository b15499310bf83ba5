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


@pytest.fixture
def puppet_recipe(tmp_path):
    path = tmp_path / "puppets" / "recipe.toml"
    path.parent.mkdir()
    path.write_text('[data]\nroot = "drawn"\n[data.puppets]\nvideos = 32\ntest_videos = 16\nseed = 3\n')
    return path


def test_puppets_that_are_not_the_recipes_are_not_trained_on_unasked(puppet_recipe, tmp_path, monkeypatch):
    from hybrid_cvar.cli.training_options import open_training_videos
    from hybrid_cvar.errors import ConfigError
    from hybrid_cvar.puppets import PuppetOptions, make_puppets
    from hybrid_cvar.training import load_recipe

    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(puppet_recipe)
    make_puppets(PuppetOptions(tmp_path / "drawn", 16, 16, seed=3, frames=12, workers=1))
    with pytest.raises(ConfigError, match=r"train_videos is 16, not 32.*--data drawn.*--videos 32"):
        open_training_videos(recipe, None, draw=True)
    assert len(open_training_videos(recipe, tmp_path / "drawn", draw=True).videos) == 16
    make_puppets(PuppetOptions(tmp_path / "drawn", 32, 16, seed=3, frames=12, workers=1))
    assert len(open_training_videos(recipe, None, draw=True).videos) == 32


def test_torchrun_does_not_draw(puppet_recipe, tmp_path, monkeypatch):
    from hybrid_cvar.cli.training_options import open_training_videos
    from hybrid_cvar.errors import ConfigError
    from hybrid_cvar.training import load_recipe

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(ConfigError, match=r"hybrid-cvar data puppet --out drawn --videos 32 --test-videos 16 --seed 3"):
        open_training_videos(load_recipe(puppet_recipe), None, draw=True)
    assert not (tmp_path / "drawn").exists()
