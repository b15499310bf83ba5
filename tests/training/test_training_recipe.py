"""Recipes: read, checked, and the committed ones among them."""

from pathlib import Path

import pytest

from hybrid_cvar.errors import ConfigError

pytestmark = pytest.mark.needs_compile
MODELS = Path(__file__).parents[2] / "models"


def read(tmp_path: Path, text: str):
    from hybrid_cvar.training import load_recipe

    folder = tmp_path / "my-model"
    folder.mkdir(exist_ok=True)
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)


def test_an_empty_recipe_is_the_papers_settings(tmp_path):
    recipe = read(tmp_path, "")
    assert recipe.name == "my-model"
    assert (recipe.optimiser.kind, recipe.optimiser.learning_rate, recipe.optimiser.eps) == ("adam", 0.02, 1e-3)
    assert (recipe.optimiser.weight_decay, recipe.schedule.epochs, recipe.data.clips) == (1e-4, 300, 8)


def test_values_reach_their_fields(tmp_path):
    recipe = read(
        tmp_path,
        """
        name = "other"
        seed = 7
        [model]
        preset = "small"
        changes = { depth = 2, "stm.channels" = [8, 8] }
        [data.puppets]
        videos = 32
        [augmentation]
        scales = [1, 0.5]
        [schedule]
        decay = "steps"
        milestones = [2, 4]
        """,
    )
    from hybrid_cvar.training.new_model import model_config

    assert (recipe.name, recipe.seed, recipe.data.puppets.videos) == ("other", 7, 32)
    assert recipe.augmentation.scales == (1.0, 0.5)
    assert recipe.schedule.milestones == (2, 4)
    config = model_config(recipe.model)
    assert (config.depth, config.stm.channels, config.input.size) == (2, (8, 8), 224)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sead = 1", "field sead is unknown"),
        ("[model]\npresets = 'tiny'", "field model.presets is unknown; known here: changes, preset"),
        ("[schedule]\nepochs = 0", "schedule.epochs = 0; must be from 1"),
        ("[schedule]\nepochs = '3'", "schedule.epochs = '3'; must be of type int"),
        ("[schedule]\nepochs = true", "schedule.epochs = True; must be of type int"),
        ("[schedule]\ndecay = 'steps'", "decay by steps needs milestones"),
        ("[optimiser]\nkind = 'lion'", "optimiser.kind = 'lion'; must be one of adam, adamw, sgd"),
        ("[augmentation]\nscales = []", r"augmentation.scales = \[\]"),
        ("[augmentation]\nscales = 1", "augmentation.scales = 1; must be a list"),
        ("[data]\nvalidation_share = nan", "data.validation_share = nan"),
        ("data = 3", "data = 3; must be a table"),
        ("folder = '/tmp'", "folder is unknown"),
        ("= 3", "a recipe is a TOML file"),
    ],
)
def test_a_bad_recipe_is_one_clear_error(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


def test_no_file_is_one_clear_error(tmp_path):
    from hybrid_cvar.training import load_recipe

    with pytest.raises(ConfigError, match="No such file"):
        load_recipe(tmp_path / "recipe.toml")


@pytest.mark.parametrize("path", sorted(MODELS.glob("*/recipe.toml")), ids=lambda path: path.parent.name)
def test_committed_recipes_are_whole(path):
    from hybrid_cvar.training import load_recipe
    from hybrid_cvar.training.new_model import model_config

    recipe = load_recipe(path)
    config = model_config(recipe.model)
    assert recipe.name == path.parent.name
    assert config.name == recipe.name.rsplit("-", 1)[1]


def test_the_papers_five_datasets_have_recipes_with_its_settings():
    from hybrid_cvar.training import load_recipe

    names = ("ucf101-base", "hmdb51-base", "kinetics400-base", "kinetics600-base", "ssv2-base")
    recipes = {name: load_recipe(MODELS / name / "recipe.toml") for name in names}
    for recipe in recipes.values():
        assert (recipe.optimiser.learning_rate, recipe.schedule.epochs) == (0.02, 300)
        assert (recipe.optimiser.kind, recipe.optimiser.weight_decay, recipe.optimiser.eps) == ("adam", 1e-4, 1e-3)
    assert [name for name, recipe in recipes.items() if recipe.model.weights] == ["ssv2-base"]
    assert "kinetics400-base" in recipes["ssv2-base"].model.weights


def test_learning_rate_over_time(tmp_path):
    from hybrid_cvar.training.optimisation import learning_rate_at
    from hybrid_cvar.training.recipe import ScheduleRecipe

    cosine = ScheduleRecipe(epochs=4, warm_up_steps=10)
    rates = [learning_rate_at(step, 25, cosine) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001
    steps = ScheduleRecipe(epochs=4, decay="steps", milestones=(1, 3), factor=0.1)
    assert [learning_rate_at(step, 25, steps) for step in (0, 24, 25, 74, 75)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
