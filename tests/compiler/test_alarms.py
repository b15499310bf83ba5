"""Alarms: each fires above its rule and not at it; what they mean for a compile."""

import json
from dataclasses import replace

import pytest

from hybrid_cvar.assets import SAMPLE_VIDEO
from hybrid_cvar.compiler.alarms import _clipped_alarms, sample_alarms
from hybrid_cvar.errors import CompileError
from hybrid_cvar.records import Finding, LayerMap, SpikingLayerCounts


def map_of(name, at_rails=0.0):
    return LayerMap(name, "soft", 64, 0.01, 0.02, at_rails, 0.0, (1.0,), (64,), (1.0,), (0.5,), (2048,), (0.5,))


def counts_of(stream, layer, **changes):
    quiet = SpikingLayerCounts(
        stream=stream,
        layer=layer,
        graded_input=layer == 0,
        neurons=100,
        timesteps=10,
        events_in=500,
        synaptic_operations=4000,
        stored_operations=4500,
        neuron_updates=1000,
        active_updates=900,
        spikes_out=100,
        saturated_states=0,
        step_events=(50,) * 10,
        step_operations=(450,) * 10,
        step_spikes=(10,) * 10,
    )
    return replace(quiet, **changes)


def alarms(changes, at_rails=None):
    """`changes` by layer name, over four layers that do nothing odd."""
    counts = [
        counts_of(stream, layer, **changes.get(f"{stream}.{layer}", {}))
        for stream in ("motion", "residual")
        for layer in (0, 1)
    ]
    return sample_alarms([map_of(one.name, (at_rails or {}).get(one.name, 0.0)) for one in counts], counts)


def test_layers_that_do_nothing_odd_raise_none():
    assert alarms({}) == ()


@pytest.mark.parametrize(
    ("name", "changes", "found", "rule"),
    [
        ("motion.0", {"spikes_out": 0}, "0 spikes in 1000 membrane updates", "must spike"),
        ("residual.0", {"spikes_out": 501}, "spikes in 50.1% of its steps", "at most 50%"),
        ("residual.1", {"spikes_out": 501}, "spikes in 50.1% of its steps", "at most 50%"),
        ("motion.1", {"saturated_states": 2}, "0.20% of membrane updates are clipped", "at most 0.1%"),
        ("motion.0", {"events_in": 0, "spikes_out": 0}, "no input event", "needs events"),
    ],
)
def test_an_alarm_has_layer_value_rule_and_remedy(name, changes, found, rule):
    raised = alarms({name: changes})
    assert [alarm.subject for alarm in raised] == [name]
    assert found in raised[0].found
    assert rule in raised[0].rule
    assert raised[0].remedy


@pytest.mark.parametrize("changes", [{"spikes_out": 500}, {"spikes_out": 1}, {"saturated_states": 1}])
def test_at_the_rule_there_is_no_alarm(changes):
    assert alarms({"motion.0": changes}) == ()


def test_a_silent_last_layer_raises_it_too():
    raised = alarms({"motion.1": {"spikes_out": 0}, "residual.1": {"spikes_out": 0}})
    assert [alarm.subject for alarm in raised] == ["motion.1", "residual.1"]


@pytest.mark.parametrize("value", [2500.0, -1.0, float("nan")])
def test_a_learned_threshold_that_was_clipped(value):
    layer = map_of("motion.0")
    held = 131071 / 64 if value > 0 else 1 / 64
    clipped = replace(layer, threshold_float=(1.0, value), threshold_represented=(1.0, held))
    (alarm,) = _clipped_alarms(clipped)
    assert f"1 learned threshold(s) clipped, the first of them {value:g}" in alarm.found and "2047.98" in alarm.rule


def test_rounding_is_not_clipping():
    layer = map_of("motion.0")
    near = replace(
        layer,
        threshold_float=(1 + 1 / 128,),
        threshold_represented=(1.0,),
        leak_float=(0.5 + 1 / 8192,),
        leak_represented=(0.5,),
    )
    assert _clipped_alarms(near) == []
    assert len(_clipped_alarms(replace(near, leak_float=(1.2,)))) == 1


def test_weights_at_the_rails():
    assert alarms({}, {"motion.1": 0.1}) == ()
    (alarm,) = alarms({}, {"motion.1": 0.2})
    assert (alarm.subject, alarm.rule) == ("motion.1", "at most 10%")
    assert "20.0% of the weights" in alarm.found


def test_every_alarm_is_raised_at_once():
    raised = alarms({"motion.0": {"spikes_out": 900, "saturated_states": 900}}, {"motion.0": 0.5, "residual.1": 0.5})
    assert [alarm.subject for alarm in raised] == ["motion.0", "motion.0", "motion.0", "residual.1"]


def compile_silent(small_checkpoint, output, **options):
    """The small checkpoint with a first layer whose threshold no membrane reaches."""
    import torch

    from hybrid_cvar.compiler.compile import compile_checkpoint
    from hybrid_cvar.model import load_checkpoint, save_checkpoint
    from hybrid_cvar.video import read_clips

    checkpoint = load_checkpoint(small_checkpoint)
    checkpoint.state_dict["stm.motion.layers.0.neuron.threshold_value"] = torch.tensor([2000.0])
    path = output.parent / "silent.pt"
    save_checkpoint(checkpoint, path)
    clips = lambda loaded: read_clips(SAMPLE_VIDEO, loaded.config.input, 1).clips  # noqa: E731
    return compile_checkpoint(path, output, clips, **options)


@pytest.mark.needs_compile
@pytest.mark.needs_lava
def test_a_dead_layer_is_told_and_kept_in_the_manifest(small_checkpoint, tmp_path):
    told = []
    result = compile_silent(small_checkpoint, tmp_path / "b", on_alarms=told.append)
    # Where nothing arrives, the next layer is silent too.
    assert [alarm.subject for alarm in result.alarms] == ["motion.0", "motion.1"]
    assert told == [result.alarms]
    kept = json.loads((tmp_path / "b" / "manifest.json").read_text())["alarms"]
    assert [Finding(**alarm) for alarm in kept] == list(result.alarms)


@pytest.mark.needs_compile
@pytest.mark.needs_lava
def test_a_strict_compile_fails_on_an_alarm_and_leaves_nothing(small_checkpoint, tmp_path):
    with pytest.raises(CompileError, match=r"2 alarm.*motion\.0: 0 spikes.*--strict"):
        compile_silent(small_checkpoint, tmp_path / "b", strict=True, chips=["loihi-2"])
    assert [file.name for file in tmp_path.iterdir()] == ["silent.pt"]


@pytest.mark.needs_compile
def test_a_strict_compile_fails_on_a_broken_limit_before_anything_runs(small_checkpoint, tmp_path):
    from hybrid_cvar.compiler.compile import compile_checkpoint

    told = []
    with pytest.raises(CompileError, match=r"2 broken limit.*Loihi 1: motion\.0.*8 bits"):
        compile_checkpoint(
            small_checkpoint,
            tmp_path / "b",
            lambda loaded: pytest.fail("clips were taken"),
            strict=True,
            on_resources=told.append,
        )
    assert len(told[0].violations) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.needs_compile
@pytest.mark.needs_lava
def test_resources_are_told_before_the_clips_and_kept(small_checkpoint, tmp_path):
    import dataclasses

    from hybrid_cvar.compiler.compile import compile_checkpoint
    from hybrid_cvar.video import read_clips

    order = []

    def take(loaded):
        order.append("clips")
        return read_clips(SAMPLE_VIDEO, loaded.config.input, 1).clips

    result = compile_checkpoint(
        small_checkpoint,
        tmp_path / "b",
        take,
        chips=["loihi-2"],
        on_resources=lambda resources: order.append(resources),
    )
    assert order == [result.resources, "clips"]
    assert [chip.chip for chip in result.resources.chips] == ["Loihi 2"]
    kept = json.loads((tmp_path / "b" / "manifest.json").read_text())["resources"]
    assert kept == json.loads(json.dumps(dataclasses.asdict(result.resources)))


@pytest.mark.needs_compile
def test_a_plan_runs_nothing_and_may_be_strict(small_checkpoint):
    from hybrid_cvar.compiler.compile import plan_checkpoint

    plan = plan_checkpoint(small_checkpoint)
    assert plan.name == "small-test"
    assert [layer.name for layer in plan.maps] == [layer.name for layer in plan.resources.layers]
    told = []
    with pytest.raises(CompileError, match="2 broken limit"):
        plan_checkpoint(small_checkpoint, strict=True, on_plan=told.append)
    assert told == [plan]
    plan_checkpoint(small_checkpoint, strict=True, chips=["loihi-2"])
