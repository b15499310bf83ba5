"""Every ablated model of the paper's tables: builds, sees real clips, learns, and compiles or says why not."""

import pytest
import torch

from hybrid_cvar.compiler.partition import partition_model
from hybrid_cvar.errors import CompileError, ConfigError
from hybrid_cvar.model import VARIANTS, HybridCvarModel, calibrate_thresholds, find_variant, variant_config
from hybrid_cvar.model.config import config_from_dict, config_to_dict
from hybrid_cvar.model.variants import PAPER_FULL_TOP1, PAPER_FULL_TOP5, PAPER_TABLES, field_paths

pytestmark = pytest.mark.needs_compile

CHANGES = {"full": {}} | {variant.name: variant.changes for variant in VARIANTS}
STREAMS = {
    **dict.fromkeys(CHANGES, ("motion", "residual")),
    **{"no-residual": ("motion",), "motion-only": ("motion",)},
    **{"no-motion": ("residual",), "residual-only": ("residual",)},
    "common-stm": ("common",),
    **dict.fromkeys(("iframe-only", "ls-gs-t", "ls-t-gs", "no-stm", "lstm"), ()),
}
"""Spiking streams by variant; without one it cannot be compiled."""


@pytest.fixture
def made(mini_config, real_clips, batch_of, request):
    """A calibrated model and the clips it was calibrated on."""
    config = variant_config(mini_config, CHANGES[request.param])
    clips = batch_of(real_clips(config.input, 3), config.input)
    model = HybridCvarModel(config, 5)
    calibrate_thresholds(model, *clips)
    return model, clips


def test_the_papers_rows_are_there():
    rows = {table: {each.name for each in VARIANTS if each.table == table} for table in ("3", "4a", "4b", "4c", "4d")}
    assert rows["3"] >= {"no-residual", "no-motion", "no-iframe", "iframe-only"}
    assert rows["4a"] == {"ls-gs-t", "ls-t-gs"}
    assert rows["4b"] == {"cross-attention", "separate-transformers"}
    assert rows["4c"] == {"no-stm", "common-stm", "lstm", "fixed-neurons"}
    assert rows["4d"] == {"no-accumulation", "no-mixer", "no-skips", "no-rrdb", "class-token"}
    assert sum(map(len, rows.values())) == len(VARIANTS) == len({each.name for each in VARIANTS})


def test_the_papers_numbers_are_those_that_its_text_has():
    assert (PAPER_FULL_TOP1, PAPER_FULL_TOP5) == (95.63, 99.53)
    assert {each.name: each.paper_top1 for each in VARIANTS if each.paper_top1} == {
        **{"no-residual": 93.21, "no-motion": 92.93, "no-iframe": 84.06},
        **{"ls-gs-t": 90.72, "ls-t-gs": 91.64, "cross-attention": 94.72, "separate-transformers": 94.18},
        **{"no-stm": 88.61, "common-stm": 93.45, "lstm": 93.92, "fixed-neurons": 93.91},
    }
    top5 = {each.name: each.paper_top5 for each in VARIANTS if each.paper_top5}
    assert top5 == {"no-residual": 97.46, "no-motion": 97.01, "no-iframe": 88.32}
    assert {each.name for each in VARIANTS if not each.in_paper} == {"iframe-only", "motion-only", "residual-only"}
    assert {each.table for each in VARIANTS} == set(PAPER_TABLES)
    assert {each.table for each in VARIANTS if each.in_paper and each.paper_top1 is None} == {"4d"}


@pytest.mark.parametrize("name", list(CHANGES)[1:])
def test_a_variant_differs_from_the_full_model_in_its_changes_only(mini_config, name):
    changed, full = variant_config(mini_config, find_variant(name).changes), mini_config
    for path in field_paths(full):
        table, _, field = path.rpartition(".")
        left, right = (getattr(config, table) if table else config for config in (changed, full))
        if path in CHANGES[name]:
            assert getattr(left, field) == CHANGES[name][path] != getattr(right, field)
        else:
            assert getattr(left, field) == getattr(right, field)
    assert config_from_dict(config_to_dict(changed)) == changed


@pytest.mark.parametrize("made", CHANGES, indirect=True)
def test_every_learned_parameter_gets_a_gradient_from_real_clips(made):
    model, clips = made
    logits = model.train()(*clips)
    assert logits.shape == (3, 5) and logits.isfinite().all()
    assert (logits[0] - logits[1]).abs().max() > 1e-4, "the clips differ"
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 3, 1])).backward()
    # A key's bias adds the same to all scores of a query, which softmax does not see: its gradient is rounding.
    named = [(name, parameter) for name, parameter in model.named_parameters() if not name.endswith("key.bias")]
    learned = {name: parameter for name, parameter in named if parameter.requires_grad}
    silent = [
        name for name, parameter in learned.items() if parameter.grad is None or not parameter.grad.isfinite().all()
    ] + [name for name, parameter in learned.items() if not parameter.grad.any()]
    assert silent == []
    fixed = {name for name, _ in named} - set(learned)
    assert len(fixed) == (0 if model.config.stm.learned else 8)


@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("order", ["T-LS-GS", "LS-T-GS", "LS-GS-T"])
def test_fixed_neurons_stay_as_they_are(mini_config, real_clips, batch_of, learned, order):
    config = variant_config(mini_config, {"stm.learned": learned, "order": order})
    clips = batch_of(real_clips(config.input, 2), config.input)
    model = HybridCvarModel(config, 5)
    calibrate_thresholds(model, *clips)
    neurons = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.endswith(("threshold_value", "leak_value"))
    }
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    assert len(neurons) == 8
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    torch.nn.functional.cross_entropy(model.train()(*clips), torch.tensor([0, 3])).backward()
    optimiser.step()
    for name, parameter in model.named_parameters():
        if name in neurons:
            assert (parameter.grad is not None) == parameter.requires_grad == learned
            assert torch.equal(parameter, before[name]) != learned
    assert not torch.equal(model.ann.classifier.weight, before["ann.classifier.weight"])


@pytest.mark.parametrize("name", CHANGES)
def test_the_spiking_partition_has_the_variants_streams_or_the_refusal_says_why(mini_config, name):
    config = variant_config(mini_config, CHANGES[name])
    model = HybridCvarModel(config, 5)
    assert config.spiking_streams == tuple(model.modulators) == STREAMS[name]
    if not STREAMS[name]:
        words = f"order = '{config.order}', temporal = '{config.temporal}'.*bundle needs an STM.*model export"
        with pytest.raises(CompileError, match=words):
            partition_model(model)
        return
    partitions = partition_model(model)
    assert tuple(stream.name for stream in partitions.stm.streams) == STREAMS[name]
    assert [layer.name for layer in partitions.maps] == [f"{each}.{n}" for each in STREAMS[name] for n in (0, 1)]
    channels = {"motion": 2, "residual": 3, "common": 5}
    for stream in partitions.stm.streams:
        assert stream.layers[0].input_shape == (64, 64, channels[stream.name])
        assert stream.layers[-1].output_shape == (16, 16, 6)
    assert [each.kind for each in partitions.ann.ann.inputs] == ["iframe"] * ("iframe" in config.modalities) + [
        "membrane"
    ] * len(STREAMS[name])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda full: find_variant("no-such"), "variant 'no-such' does not exist; known: no-residual, no-motion"),
        (lambda full: variant_config(full, {"depht": 2}), "config field 'depht' is unknown; known: .*depth"),
        (lambda full: variant_config(full, {"stm.depth": 2}), "config field 'stm.depth' is unknown; .*stm.leak"),
        (lambda full: variant_config(full, {"stm": 2}), "config field 'stm' is unknown"),
        (lambda full: variant_config(full, {"input": {}}), "config field 'input' is unknown"),
        (lambda full: variant_config(full, {"ann.depth": 2}), "config field 'ann.depth' is unknown"),
        (lambda full: variant_config(full, {"input.size": 8}), "input.size = 8, patch = 16; the input must hold"),
        (lambda full: variant_config(full, {"mixer": False}), "skips = True, mixer = False"),
    ],
)
def test_changes_that_are_refused(mini_config, make, words):
    with pytest.raises(ConfigError, match=words):
        make(mini_config)


def test_changes_reach_into_the_tables(mini_config):
    changed = variant_config(mini_config, {"stm.reset": "hard", "input.size": 80, "depth": 1})
    assert (changed.stm.reset, changed.input.size, changed.depth, changed.width) == ("hard", 80, 1, 32)
    assert (mini_config.stm.reset, mini_config.input.size, mini_config.depth) == ("soft", 64, 2)
    paths = field_paths(mini_config)
    assert {"depth", "stm.reset", "input.size"} <= set(paths) and not {"stm", "input"} & set(paths)
    for path in paths:
        table, _, field = path.rpartition(".")
        variant_config(mini_config, {path: getattr(getattr(mini_config, table) if table else mini_config, field)})
