"""Configs: round trip, what follows from them, and one error that names field, value and rule."""

import dataclasses
import math
import re

import pytest

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.model import ModelConfig, StmConfig, preset_config
from hybrid_cvar.model.config import COUNTS, LARGEST, AnnInput, config_from_dict, config_to_dict
from hybrid_cvar.model.presets import PRESETS
from hybrid_cvar.records import InputSpec

pytestmark = pytest.mark.needs_compile

UNLIKE = ModelConfig(
    name="unlike",
    input=InputSpec(size=96, timesteps=5, motion_step=2, accumulated=False),
    stm=StmConfig((4, 6, 8), (2, 1, 2), 5, 0.75, 0.5, learned=False, neuron_parameters="channel", reset="hard"),
    **{"patch": 8, "width": 48, "depth": 3, "heads": 3, "mlp_width": 80, "dilation": 3, "fold_width": 10},
    **{"fold_stride": 2, "fuse_width": 12, "rrdb_growth": 6, "rrdb_blocks": 2, "rrdb_scale": 0.5},
    **{"modalities": ("iframe", "motion"), "order": "LS-T-GS", "encoder": "cross", "pool": "class-token"},
    **{"mixer": False, "skips": False},
)


@pytest.mark.parametrize("config", [*PRESETS.values(), UNLIKE, ModelConfig(temporal="common-stm")])
def test_round_trip(config):
    import json

    plain = json.loads(json.dumps(config_to_dict(config)))
    assert config_from_dict(plain) == config
    assert hash(config_from_dict(plain)) == hash(config), "lists became tuples again"


def test_the_config_of_the_round_trip_differs_in_every_field_that_it_can():
    default = ModelConfig()
    same = {
        field.name
        for field in dataclasses.fields(default)
        if getattr(UNLIKE, field.name) == getattr(default, field.name)
    }
    assert same == {"temporal"}, "which another order does not leave a choice"
    same = {
        field.name
        for field in dataclasses.fields(StmConfig)
        if getattr(UNLIKE.stm, field.name) == getattr(default.stm, field.name)
    }
    assert same == set()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_are_named(name):
    assert preset_config(name).name == name


COUNT_RULES = [
    (lambda name=name, value=value: ModelConfig(**{name: value}), f"{name} = {value!r}", f"from {least} to {LARGEST}")
    for name in COUNTS
    for least in [0 if name == "rrdb_blocks" else 1]
    for value in (least - 1, LARGEST + 1, 2.0, "8", True, None)
]
SWITCH_RULES = [
    (lambda name=name, value=value: ModelConfig(**{name: value}), f"{name} = {value!r}", f"must be one of {known}")
    for name, known in {
        "order": "T-LS-GS, LS-T-GS, LS-GS-T",
        "temporal": "stm, common-stm, lstm, none",
        "encoder": "unified, separate, cross",
        "pool": "gap, class-token",
    }.items()
    for value in ("other", None, 1, ["stm"])
]
MODALITY_RULES = [
    (lambda value=value: ModelConfig(modalities=value), f"modalities = {value!r}", "iframe, motion, residual, in that")
    for value in ((), ("motion", "iframe"), ("iframe", "iframe"), ("audio",), "iframe", ["iframe"], None, ("motion", 1))
]
STM_RULES = [
    (lambda: StmConfig(channels=(8,)), "channels = (8,), stm.strides = (2, 2)", "one stride a layer"),
    (lambda: StmConfig(channels=(), strides=()), "stm.channels = ()", "at least one layer"),
    (lambda: StmConfig(channels=16), "stm.channels = 16", "whole numbers"),
    (lambda: StmConfig(channels=[16, 16]), "stm.channels = [16, 16]", "whole numbers"),
    (lambda: StmConfig(channels=("a", "b")), "stm.channels = ('a', 'b')", "whole numbers"),
    (lambda: StmConfig(channels=(True, 16)), "stm.channels = (True, 16)", "whole numbers"),
    (lambda: StmConfig(channels=(16, 1025)), "stm.channels = (16, 1025)", "at most 1024"),
    (lambda: StmConfig(strides=(2.0, 2)), "stm.strides = (2.0, 2)", "whole numbers"),
    (lambda: StmConfig(channels=(0, 16)), "stm.channels = (0, 16)", "at least 1"),
    (lambda: StmConfig(strides=(2, 0)), "stm.strides = (2, 0)", "at least 1"),
    (lambda: StmConfig(kernel_size=2), "stm.kernel_size = 2", "odd"),
    (lambda: StmConfig(kernel_size=-1), "stm.kernel_size = -1", "at least 1"),
    (lambda: StmConfig(kernel_size=3.0), "stm.kernel_size = 3.0", "whole number"),
    (lambda: StmConfig(threshold="x"), "stm.threshold = 'x'", "must be a number"),
    (lambda: StmConfig(leak=None), "stm.leak = None", "must be a number"),
    (lambda: StmConfig(threshold=0.0), "stm.threshold = 0.0", "above 0"),
    (lambda: StmConfig(threshold=2048), "stm.threshold = 2048", "below 2048"),
    (lambda: StmConfig(threshold=math.nan), "stm.threshold = nan", "above 0"),
    (lambda: StmConfig(leak=1.5), "stm.leak = 1.5", "at most 1"),
    (lambda: StmConfig(leak=0), "stm.leak = 0", "above 0"),
    (lambda: StmConfig(leak=math.nan), "stm.leak = nan", "above 0"),
    (lambda: StmConfig(learned=1), "stm.learned = 1", "true or false"),
    (lambda: StmConfig(neuron_parameters="neuron"), "stm.neuron_parameters = 'neuron'", "layer, channel"),
    (lambda: StmConfig(reset="none"), "stm.reset = 'none'", "soft, hard"),
]
MODEL_RULES = [
    (lambda: ModelConfig(name=5), "name = 5", "must be a name"),
    (lambda: ModelConfig(name=""), "name = ''", "must be a name"),
    (lambda: ModelConfig(input={}), "input or stm", "must be"),
    (lambda: ModelConfig(stm=None), "input or stm", "must be"),
    (lambda: ModelConfig(mixer=0), "mixer = 0", "true or false"),
    (lambda: ModelConfig(skips="no"), "skips = 'no'", "true or false"),
    (lambda: ModelConfig(rrdb_scale=0.0), "rrdb_scale = 0.0", "above 0"),
    (lambda: ModelConfig(rrdb_scale=1.1), "rrdb_scale = 1.1", "at most 1"),
    (lambda: ModelConfig(rrdb_scale="big"), "rrdb_scale = 'big'", "above 0"),
    (lambda: ModelConfig(rrdb_scale=True), "rrdb_scale = True", "above 0"),
    (lambda: StmConfig(leak=True), "stm.leak = True", "must be a number"),
    (lambda: StmConfig(kernel_size=65), "stm.kernel_size = 65", "at most 63"),
    (
        lambda: ModelConfig(pool="class-token", fuse_width=66),
        "pool = 'class-token', fuse_width = 66, heads = 4",
        "heads must divide fuse_width",
    ),
    (lambda: ModelConfig(rrdb_scale=math.nan), "rrdb_scale = nan", "above 0"),
    (lambda: ModelConfig(width=130), "width = 130, heads = 4", "heads must divide"),
    (lambda: ModelConfig(patch=10), "patch = 10, stm.strides = (2, 2)", "must divide the patch"),
    (lambda: ModelConfig(input=InputSpec(size=15)), "input.size = 15, patch = 16", "at least one patch"),
    (lambda: ModelConfig(dilation=8), "dilation = 8", "side, 7"),
    (lambda: ModelConfig(fold_stride=8), "fold_stride = 8", "side, 7"),
    (
        lambda: ModelConfig(temporal="common-stm", modalities=("iframe", "motion")),
        "temporal = 'common-stm', modalities = ('iframe', 'motion')",
        "both must be used",
    ),
    (lambda: ModelConfig(order="LS-T-GS", temporal="lstm"), "order = 'LS-T-GS', temporal = 'lstm'", "must be 'stm'"),
    (lambda: ModelConfig(order="LS-GS-T", temporal="common-stm"), "order = 'LS-GS-T'", "must be 'stm'"),
    (lambda: ModelConfig(order="LS-GS-T", modalities=("iframe",)), "('iframe',)", "motion or residual be used"),
    (lambda: ModelConfig(encoder="cross", modalities=("motion",)), "encoder = 'cross'", "at least two"),
    (
        lambda: ModelConfig(encoder="cross", temporal="common-stm", modalities=("motion", "residual")),
        "encoder = 'cross'",
        "at least two",
    ),
    (lambda: ModelConfig(mixer=False), "skips = True, mixer = False", "without it there are none"),
    (lambda: InputSpec(crop=300), "input.crop = 300", "340x256"),
    (lambda: InputSpec(timesteps=0), "input.timesteps = 0", "positive"),
    (lambda: InputSpec(accumulated=1), "input.accumulated = 1", "true or false"),
]
PLAIN_RULES = [
    (lambda: preset_config("huge"), "preset 'huge'", "tiny, small, base, large"),
    (lambda: config_from_dict({1: 2, "a": 3}), "unknown field '1'", "known: "),
    (lambda: config_from_dict({"depht": 3}), "model config has unknown field 'depht'", "depth"),
    (lambda: config_from_dict({"mlp_ratio": 2}), "model config has unknown field 'mlp_ratio'", "mlp_width"),
    (lambda: config_from_dict({"stm": {"gain": 3}}), "stm config has unknown field 'gain'", "threshold"),
    (lambda: config_from_dict({"input": {"gain": 3}}), "input config has unknown field 'gain'", "crop"),
    (lambda: config_from_dict({"stm": {"reset": ["soft"]}}), "stm.reset = ('soft',)", "soft, hard"),
    (lambda: config_from_dict({"width": [8]}), "width = (8,)", "whole number"),
    (lambda: config_from_dict({"stm": [1]}), "stm config is a list", "table of fields"),
    (lambda: config_from_dict({"input": None}), "input config is a NoneType", "table of fields"),
    (lambda: config_from_dict([1]), "model config is a list", "table of fields"),
]


@pytest.mark.parametrize(
    ("make", "found", "rule"), COUNT_RULES + SWITCH_RULES + MODALITY_RULES + STM_RULES + MODEL_RULES + PLAIN_RULES
)
def test_refusals_name_field_value_and_rule(make, found, rule):
    with pytest.raises(ConfigError, match=re.escape(found)) as caught:
        make()
    assert rule in caught.value.rule
    assert "\n" not in str(caught.value)


def test_what_lies_at_a_rule_is_allowed():
    ModelConfig(rrdb_blocks=0, rrdb_scale=1, dilation=7, fold_stride=7)
    ModelConfig(width=LARGEST, heads=LARGEST)
    ModelConfig(input=InputSpec(size=16), dilation=1)
    ModelConfig(temporal="common-stm", encoder="cross")
    StmConfig(channels=(1024,), strides=(1,), threshold=2047.9, leak=1)


@pytest.mark.parametrize("size", [64, 65, 71, 79, 80, 111, 112])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (4, 2), (1, 16)])
def test_membranes_and_iframes_share_one_token_grid(size, strides):
    config = ModelConfig(input=InputSpec(size=size), stm=StmConfig(strides=strides))
    assert config.grid == math.ceil(size / 16)
    assert config.membrane_patch * math.prod(strides) == 16
    assert math.ceil(config.membrane_side / config.membrane_patch) == config.grid


def inputs_of(**changes):
    return ModelConfig(input=InputSpec(size=112, timesteps=5), stm=StmConfig((4, 6), (2, 1)), **changes).ann_inputs


def test_inputs_of_the_ann_partition():
    iframe = AnnInput("iframe", "iframe", (112, 112, 3), "uint8")
    motion, residual, common = (
        AnnInput(f"{name}_membrane", "membrane", (56, 56, 6), "int32") for name in ("motion", "residual", "common")
    )
    events = [
        AnnInput(f"{name}_events", "events", (5, 112, 112, channels), "int8")
        for name, channels in (("motion", 2), ("residual", 3))
    ]
    assert inputs_of() == (iframe, motion, residual)
    assert inputs_of(modalities=("residual",)) == (residual,)
    assert inputs_of(temporal="common-stm") == (iframe, common)
    for changes in ({"temporal": "lstm"}, {"temporal": "none"}, {"order": "LS-T-GS"}, {"order": "LS-GS-T"}):
        assert inputs_of(**changes) == (iframe, *events)
    assert inputs_of(modalities=("iframe",)) == (iframe,)


def test_configs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        preset_config("tiny").width = 1
