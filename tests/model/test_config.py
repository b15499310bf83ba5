"""Configs: round trip, and one error that names field, value and rule."""

import dataclasses

import pytest

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.model import ModelConfig, StmConfig, preset_config
from hybrid_cvar.model.config import PRESETS, config_from_dict, config_to_dict
from hybrid_cvar.records import InputSpec

pytestmark = pytest.mark.needs_compile


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_round_trip(name):
    config = preset_config(name)
    assert config.name == name
    assert config_from_dict(config_to_dict(config)) == config


def test_round_trip_of_what_is_not_the_default():
    config = ModelConfig(stm=StmConfig(neuron_parameters="channel", reset="hard"))
    assert config_from_dict(config_to_dict(config)) == config != ModelConfig()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: preset_config("huge"), "tiny"),
        (lambda: ModelConfig(width=130), "heads must divide"),
        (lambda: ModelConfig(depth=0), "depth = 0"),
        (lambda: ModelConfig(patch=10), "divide the patch"),
        (lambda: ModelConfig(rrdb_scale=0.0), "rrdb_scale"),
        (lambda: ModelConfig(input=InputSpec(size=8)), "at least one patch"),
        (lambda: ModelConfig(width="wide"), "width = 'wide'"),
        (lambda: InputSpec(crop=300), "340x256"),
        (lambda: InputSpec(timesteps=0), "timesteps = 0"),
        (lambda: StmConfig(leak=1.5), "leak = 1.5"),
        (lambda: StmConfig(threshold=0.0), "threshold = 0.0"),
        (lambda: StmConfig(channels=(8,)), "one stride a layer"),
        (lambda: StmConfig(kernel_size=2), "odd"),
        (lambda: StmConfig(channels=16), "whole numbers"),
        (lambda: StmConfig(channels=("a", "b")), "whole numbers"),
        (lambda: StmConfig(threshold="x"), "two numbers"),
        (lambda: StmConfig(neuron_parameters="neuron"), "stm.neuron_parameters = 'neuron'.*layer, channel"),
        (lambda: StmConfig(reset="none"), "stm.reset = 'none'.*soft, hard"),
        (lambda: config_from_dict({"stm": {"reset": ["soft"]}}), "stm.reset"),
        (lambda: ModelConfig(name=5), "must be a name"),
        (lambda: ModelConfig(input=InputSpec(size=111)), "tokens a side"),
        (lambda: config_from_dict({1: 2, "a": 3}), "unknown field"),
        (lambda: config_from_dict({"depht": 3}), "unknown field 'depht'"),
        (lambda: config_from_dict({"stm": {"gain": 3}}), "unknown field 'gain'"),
        (lambda: config_from_dict([1]), "list"),
    ],
)
def test_refusals_name_field_value_and_rule(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_configs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset_config("tiny").width = 1
