"""MACs of the ANN partition beside torch's FlopCounterMode and NeuroBench 2.3, exactly, module by module.

Conventions: FlopCounterMode counts two FLOPs a product, and taps on padding among them; ours are its FLOPs / 2.
NeuroBench's dense count is of layers alone (convolutions and linear ones; attention's two products belong to none),
and leaves out taps on padding, as it convolves ones with a zero padding; ours less those taps are its numbers. None
counts a bias.
"""

import dataclasses

import pytest
import torch
from torch import nn

from hybrid_cvar.benchmark import crosscheck_ann
from hybrid_cvar.benchmark.crosscheck import FLOP_COUNTER, NEUROBENCH, Comparison, find_neurobench
from hybrid_cvar.benchmark.crosscheck_ann import compare_ann, macs_by_scope, padding_taps
from hybrid_cvar.model import HybridCvarModel, find_variant, preset_config, variant_config
from hybrid_cvar.records import InputSpec

pytestmark = pytest.mark.needs_compile

VARIANTS = ("separate-transformers", "cross-attention", "no-stm", "ls-t-gs", "lstm", "no-skips", "class-token")


def small_base():
    """`base` with its proportions kept and its sizes cut down, and attention that sees every third row and column."""
    return dataclasses.replace(
        preset_config("base"),
        name="small base",
        input=InputSpec(size=112, timesteps=3),
        width=64,
        depth=2,
        heads=8,
        mlp_width=328,
        dilation=3,
        fold_width=64,
        fuse_width=64,
        rrdb_growth=28,
    )


def config_of(name, mini_config):
    if name == "small base":
        return small_base()
    if name == "tiny":
        return preset_config("tiny")
    return dataclasses.replace(variant_config(mini_config, find_variant(name).changes), name=name)


@pytest.mark.needs_neurobench
@pytest.mark.parametrize("name", ["tiny", "small base", *VARIANTS])
def test_every_module_counts_what_flop_counter_and_neurobench_count(name, mini_config):
    config = config_of(name, mini_config)
    rows = compare_ann(config, find_neurobench())
    assert [row for row in rows if not row.equal] == []
    total, *modules = [row for row in rows if row.against == FLOP_COUNTER]
    assert total.ours == sum(row.ours for row in modules) > 0
    layers = {row.name.removesuffix(", taps on padding left out") for row in rows if row.against == NEUROBENCH}
    others = {row.name for row in modules} - layers
    assert len(others) >= config.depth
    # NeuroBench covers neither the products of attention nor the synapses of SLAYER, where an STM stands here.
    assert all(name.endswith((".attention", ": pool")) or ".stm.layers." in name for name in others)
    assert all(row.theirs > 0 for row in rows)


@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_attention_products_are_queries_times_keys_times_width_twice(mini_config, dilation):
    """Written out for the unified transformer: 3 modalities on a 4 x 4 grid, keys from each phase of the dilation."""
    config = dataclasses.replace(mini_config, dilation=dilation, depth=dilation)
    macs = macs_by_scope(HybridCvarModel(config, crosscheck_ann.CLASSES).ann.eval())
    products = [macs[f"context.encoder.blocks.{block}.attention"] for block in range(config.depth)]
    queries, seen = 3 * 4 * 4, {1: [16], 2: [4, 4], 3: [4, 1, 1]}[dilation]
    assert products == [2 * queries * 3 * keys * config.width for keys in seen]


def test_a_count_that_is_off_by_one_is_a_mismatch(mini_config, monkeypatch):
    counted = macs_by_scope(HybridCvarModel(mini_config, crosscheck_ann.CLASSES).ann.eval())
    one_more = {**counted, "classifier": counted["classifier"] + 1}
    monkeypatch.setattr(crosscheck_ann, "macs_by_scope", lambda ann: one_more)
    differ = [row.name for row in compare_ann(mini_config, find_neurobench()) if not row.equal]
    expected = ["mini: MACs a clip", "mini: classifier"]
    assert differ == (
        expected if find_neurobench() is None else [*expected, "mini: classifier, taps on padding left out"]
    )
    assert not Comparison("x", "y", 1, 2).equal and Comparison("x", "y", 2, 2).equal


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(3, 4, 3, padding=1), (2, 3, 5, 7)),
        (nn.Conv2d(4, 6, (3, 5), stride=(2, 3), padding=(2, 1), dilation=(1, 2), groups=2), (1, 4, 9, 11)),
        (nn.Conv3d(2, 3, (3, 3, 1), padding=(1, 1, 0)), (1, 2, 4, 4, 5)),
        (nn.Conv2d(3, 4, 4, stride=4), (1, 3, 8, 8)),
        (nn.Linear(5, 7), (2, 3, 5)),
    ],
)
def test_taps_on_padding_are_what_ones_do_not_meet(layer, shape):
    with torch.no_grad():
        nn.init.ones_(layer.weight)
        nn.init.zeros_(layer.bias)
        met = int(layer(torch.ones(shape)).sum())
        outputs = layer(torch.ones(shape)).numel()
    assert padding_taps(layer, shape) == outputs * layer.weight[0].numel() - met
