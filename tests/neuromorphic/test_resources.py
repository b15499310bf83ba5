"""Resources: counts by hand, bounds on a chip small enough to work out, and the base size on the real chips."""

from dataclasses import replace

import numpy as np
import pytest

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.neuromorphic import ConvLifSpec, StmSpec, StreamSpec
from hybrid_cvar.neuromorphic.capacities import (
    Capacity,
    ChipCapacities,
    chip_names,
    load_capacities,
    parse_capacities,
)
from hybrid_cvar.neuromorphic.resources import count_layer, fit_chip, report_resources, weight_bits

ENTRY = '{ value = 8, unit = "cores", conditions = "x", source = "y" }'


def of(value, unit="things"):
    return Capacity(value, unit, "in this test", "this test")


def layer(name="motion.0", shape=(4, 5, 2), channels=3, *, kernel=3, stride=(1, 1), padding=(1, 1), **changes):
    weight = np.full((channels, shape[2], kernel, kernel), 2, dtype=np.int32)
    weight[0, 0, 0, 0] = -256
    weight[0, 0, 0, 1 % kernel] = 254 if kernel > 1 else -256
    values = {"graded_input": name.endswith("0"), "threshold": 10, "decay": 400}
    return ConvLifSpec(name=name, input_shape=shape, weight=weight, stride=stride, padding=padding, **values | changes)


def stm(size, *, stride=1, channels=16, timesteps=11, kernel=3):
    streams = []
    for name, channels_in in (("motion", 2), ("residual", 3)):
        step, pad = (stride, stride), (kernel // 2, kernel // 2)
        first = layer(f"{name}.0", (size, size, channels_in), channels, stride=step, padding=pad, kernel=kernel)
        second = layer(f"{name}.1", first.output_shape, channels, stride=step, padding=pad, kernel=kernel)
        streams.append(StreamSpec(name, (first, second)))
    return StmSpec(tuple(streams), timesteps)


def test_counts_of_a_layer_worked_out_by_hand():
    """4x5x2 -> 3, kernel 3, padding 1: rows have 2, 3, 3, 2 taps (10), columns 2, 3, 3, 3, 2 (13)."""
    counts = count_layer(layer(), last=False)
    assert counts.neurons == 4 * 5 * 3
    assert counts.synapses == 10 * 13 * 2 * 3 == 780
    assert counts.unique_weights == 3 * 2 * 9
    assert counts.weight_bits == 8
    assert counts.unrolled_weight_bytes == 780
    assert counts.shared_weight_bytes == 54
    assert counts.state_bytes == 60 * 3, "a 24-bit membrane, which tells by itself whether it spiked"
    assert counts.fan_in == 18
    assert counts.input_axons == 40
    assert counts.output_axons == 60
    assert counts.graded_input
    assert count_layer(layer(), last=True).output_axons == 0
    assert count_layer(layer(reset="hard"), last=False).state_bytes == 60 * 3


def test_counts_equal_the_connections_one_by_one():
    given = layer(shape=(7, 6, 2), kernel=3, stride=(2, 4), padding=(1, 0))
    height, width, channels = given.output_shape
    read = {
        (row, column, dy * 1000 + dx)
        for row in range(height)
        for column in range(width)
        for dy in range(row * 2 - 1, row * 2 + 2)
        for dx in range(column * 4, column * 4 + 3)
        if 0 <= dy < 7 and 0 <= dx < 6
    }
    counts = count_layer(given, last=False)
    assert counts.synapses == len(read) * 2 * channels
    assert counts.input_axons == len({place for _, _, place in read}) * 2


@pytest.mark.parametrize(
    ("values", "bits"),
    [([0, 0], 1), ([-256, 254], 8), ([-256, 0], 1), ([128, -128], 2), ([2, -2], 2), ([6, 4], 3), ([254, 2], 8)],
)
def test_weight_bits_leave_out_the_common_power_of_two(values, bits):
    assert weight_bits(np.array(values, dtype=np.int32)) == bits


def test_sixteen_channels_at_the_papers_input_on_both_chips():
    """224x224, 2 -> 16 -> 16 and 3 -> 16 -> 16, stride 1: 670 taps a side, 802,816 neurons a layer."""
    report = report_resources(stm(224), [load_capacities(name) for name in chip_names()])
    assert [layer.neurons for layer in report.layers] == [224 * 224 * 16] * 4
    assert [layer.synapses for layer in report.layers] == [670 * 670 * 16 * n for n in (2, 16, 3, 16)]
    assert [layer.fan_in for layer in report.layers] == [18, 144, 27, 144]
    first, second = report.chips
    assert [bound.at_least for bound in first.layers] == [784] * 4, "802,816 neurons / 1024"
    assert {bound.at_least_for for bound in first.layers} == {"neurons"}
    assert (first.cores_at_least, first.chips_at_least) == (3136, 25)
    assert first.layers[0].tile == (8, 8, 16)
    assert first.layers[1].tiled == 896, "8x8x16 neurons x 144 bytes are over 128 KB; 7x8x16 are not"
    assert (first.cores_tiled, first.chips_tiled) == (3360, 27)
    assert [bound.at_least for bound in second.layers] == [103] * 4, "802,816 neurons / 7,812"
    assert (second.cores_at_least, second.chips_at_least) == (412, 4)
    assert second.layers[0].tile == (15, 32, 16), "7,680 neurons of 7,812"
    assert second.chips_tiled == -(-second.cores_tiled // 128) == 12


def test_graded_input_is_refused_on_loihi_1_alone():
    report = report_resources(stm(16), [load_capacities(name) for name in chip_names()])
    assert [(finding.subject, finding.found) for finding in report.violations] == [
        ("Loihi 1: motion.0", "input events carry 8 bits"),
        ("Loihi 1: residual.0", "input events carry 8 bits"),
    ]
    for finding in report.violations:
        assert finding.rule == "a spike carries at most 1"
        assert "run this layer on the host" in finding.remedy


SMALL = ChipCapacities("Small", ("nothing",), of(2), neurons_a_core=of(6))


def one_stream(*layers):
    return StmSpec((StreamSpec("motion", layers),), 1)


def fit(chip, **changes):
    return fit_chip(one_stream(layer(shape=(4, 4, 2), channels=3, kernel=1, padding=(0, 0), **changes)), chip)


def test_every_limit_bounds_the_tile():
    """4x4x2 -> 3, kernel 1: 48 neurons, 2 synapses each, 32 inputs."""
    assert fit(SMALL).layers[0].tiled == 48 // 6
    assert fit(SMALL).cores_at_least == 8
    assert fit(SMALL).chips_at_least == fit(SMALL).chips_tiled == 4
    inputs = fit(replace(SMALL, neurons_a_core=None, input_axons_a_core=of(8))).layers[0]
    assert (inputs.tiled, inputs.at_least, inputs.at_least_for, inputs.tiled_for) == (
        4,
        4,
        "input axons",
        "input axons",
    )
    memory = fit(replace(SMALL, neurons_a_core=None, memory_a_core=of(3 * 6 + 2 * 6))).layers[0]
    assert memory.tiled == 8, "3 bytes of state a neuron, 8 bits a weight"
    weights = fit(replace(SMALL, neurons_a_core=None, synapse_memory_a_core=of(24))).layers[0]
    assert (weights.tiled, weights.tiled_for, weights.at_least) == (4, "synapse memory", 1)
    assert fit(ChipCapacities("Endless", ("all",), of(1))).layers[0].tiled == 1


def test_a_tile_within_the_map_reads_more_than_one_at_its_edge():
    """9x9x2, kernel 3, padding 1: a 3x3 tile reads 4x4x2 inputs in a corner and 5x5x2 in the middle."""
    partition = one_stream(layer(shape=(9, 9, 2), channels=1))
    chip = ChipCapacities("Small", ("nothing",), of(2), input_axons_a_core=of(50))
    assert fit_chip(partition, chip).layers[0].tile == (3, 3, 1)
    less = replace(chip, input_axons_a_core=of(49))
    assert fit_chip(partition, less).layers[0].tiled > 9


def test_output_axons_are_counted_by_listening_core():
    """A 3x3 kernel behind: an output at a tile's edge is sent to every core that reads it."""
    first = layer("motion.0", (6, 6, 2), 2, kernel=1, padding=(0, 0))
    partition = one_stream(first, layer("motion.1", (6, 6, 2), 1))
    chip = ChipCapacities("Small", ("nothing",), of(2), input_axons_a_core=of(32), output_axons_a_core=of(32))
    fitted = fit_chip(partition, chip)
    assert fitted.layers[1].tile == (3, 3, 1), "its 3x3 outputs read 4x4x2 inputs, one side being padding"
    # listeners along a side are 1 1 2 2 1 1: a tile of 3x3x2 sends (1 + 1 + 2) ** 2 * 2 = 32
    assert fitted.layers[0].tile == (3, 3, 2)
    assert fitted.layers[0].tiled_for == "output axons"
    tighter = fit_chip(partition, replace(chip, output_axons_a_core=of(31)))
    assert tighter.layers[0].tiled > 4


def test_channels_that_are_split_listen_apiece():
    """1x1 maps of 4 and 6 channels, 2 neurons a core: every neuron of the first is sent to 3 cores."""
    first = layer("motion.0", (1, 1, 2), 4, kernel=1, padding=(0, 0))
    partition = one_stream(first, layer("motion.1", (1, 1, 4), 6, kernel=1, padding=(0, 0)))
    chip = ChipCapacities("Small", ("nothing",), of(2), neurons_a_core=of(2), output_axons_a_core=of(5))
    assert [bound.tiled for bound in fit_chip(partition, chip).layers] == [4, 3]
    assert fit_chip(partition, replace(chip, output_axons_a_core=of(6))).layers[0].tiled == 2


def test_chips_follow_from_cores_neurons_and_synapses():
    """One core; a layer of 60 neurons, 780 connections and 54 weights."""
    chip = ChipCapacities("Small", ("nothing",), of(2))

    def chips(**limit):
        fitted = fit_chip(one_stream(layer()), replace(chip, **limit))
        return fitted.chips_at_least, fitted.chips_tiled

    assert chips() == (1, 1)
    assert chips(neurons_a_chip=of(59)) == (2, 2)
    assert chips(synapses_a_chip=of(779)) == (1, 2), "unrolled: 780 connections"
    assert chips(synapses_a_chip=of(53)) == (2, 15), "stored once: 54 weights"


@pytest.mark.parametrize(
    ("limit", "found", "rule"),
    [
        ({"input_axons_a_core": of(17)}, "one neuron has 18 inputs", "a core has 17 input axons"),
        ({"synapse_memory_a_core": of(17)}, "take 18 bytes", "a core has 17"),
        ({"memory_a_core": of(20)}, "take 21 bytes", "a core has 20"),
        ({"weight_bits": of(7)}, "weights have 8 bits", "at most 7"),
        ({"state_a_neuron": of(2)}, "has 3 bytes of state", "at most 2"),
        ({"spike_bits": of(7)}, "carry 8 bits", "at most 7"),
    ],
)
def test_a_broken_limit_has_value_rule_and_remedy(limit, found, rule):
    partition = one_stream(layer())
    chip = replace(ChipCapacities("Small", ("nothing",), of(1)), **limit)
    (violation,) = fit_chip(partition, chip).violations
    assert found in violation.found
    assert rule in violation.rule
    assert violation.remedy
    key = next(iter(limit))
    just = replace(chip, **{key: of(limit[key].value + 1)})
    assert fit_chip(partition, just).violations == ()


def test_the_cores_of_all_streams_need_chips():
    """A core a stream, a core a chip."""
    streams = tuple(StreamSpec(name, (layer(f"{name}.0", (4, 5, n)),)) for name, n in (("motion", 2), ("residual", 3)))
    partition = StmSpec(streams, 1)
    chip = ChipCapacities("Small", ("nothing",), of(1), chips_a_system=of(1))
    (violation,) = fit_chip(partition, chip).violations
    assert "at least 2 chips" in violation.found and "the largest system has 1" in violation.rule and violation.remedy
    assert fit_chip(partition, replace(chip, chips_a_system=of(2))).violations == ()
    assert fit_chip(StmSpec(streams[:1], 1), chip).violations == ()


def test_the_common_stream_is_counted():
    """224x224, 5 -> 16 -> 16: one first layer of motion's and the residual's inputs."""
    first = layer("common.0", (224, 224, 5), 16)
    report = report_resources(
        StmSpec((StreamSpec("common", (first, layer("common.1", first.output_shape, 16))),), 11),
        [load_capacities("loihi-2")],
    )
    assert [each.name for each in report.layers] == ["common.0", "common.1"]
    assert [each.synapses for each in report.layers] == [670 * 670 * 16 * n for n in (5, 16)]
    assert [each.fan_in for each in report.layers] == [45, 144]
    assert [each.output_axons for each in report.layers] == [224 * 224 * 16, 0]
    assert report.chips[0].cores_at_least == 2 * 103


def test_every_violation_is_listed_at_once_and_a_layer_without_a_tile_has_no_total():
    chip = replace(load_capacities("loihi-1"), input_axons_a_core=of(26), weight_bits=of(7), neurons_a_core=None)
    fitted = fit_chip(stm(16), chip)
    assert [finding.subject.removeprefix("Loihi 1: ") for finding in fitted.violations] == [
        *("motion.0", "motion.0", "motion.1", "motion.1"),
        *("residual.0", "residual.0", "residual.0", "residual.1", "residual.1"),
    ]
    assert fitted.layers[0].tiled is not None
    assert fitted.layers[1].tiled is None
    assert fitted.cores_tiled is fitted.chips_tiled is None


def test_no_tile_at_all_is_a_violation():
    partition = one_stream(layer("motion.0", (6, 6, 2), 1, kernel=1, padding=(0, 0)), layer("motion.1", (6, 6, 1), 1))
    chip = ChipCapacities("Small", ("nothing",), of(2), neurons_a_core=of(1), output_axons_a_core=of(8))
    fitted = fit_chip(partition, chip)
    assert {finding.found for finding in fitted.violations} == {"no tile keeps every limit of a core"}


def test_the_table_names_a_source_for_every_capacity():
    assert chip_names() == ("loihi-1", "loihi-2")
    first, second = (load_capacities(name) for name in chip_names())
    assert (first.cores_a_chip.value, first.neurons_a_core.value, first.synapse_memory_a_core.value) == (
        128,
        1024,
        128 * 1024,
    )
    assert (second.memory_a_core.value, second.neurons_a_chip.value) == (192 * 1024, 1_000_000)
    assert second.input_axons_a_core is None, "no public source"
    assert any("Davies" in source for source in first.sources)
    with pytest.raises(ConfigError, match="loihi-3"):
        load_capacities("loihi-3")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "TOML"),
        ("chip = 3", "must be a table"),
        (f'[a]\nname = "a"\nnot_checked = ["x"]\ncores_a_chip = {ENTRY}\nneurons = {ENTRY}', "'neurons'"),
        (f'[a]\nname = "a"\ncores_a_chip = {ENTRY}', "no not_checked"),
        ('[a]\nname = "a"\nnot_checked = ["x"]', "no cores_a_chip"),
        (f'[a]\nname = "a"\nnot_checked = []\ncores_a_chip = {ENTRY}', "at least one"),
        (f'[a]\nname = "a"\nnot_checked = ["x"]\ncores_a_chip = {ENTRY.replace("8", "0")}', "at least 1"),
        (f'[a]\nname = "a"\nnot_checked = ["x"]\ncores_a_chip = {ENTRY.replace("cores", "tiles")}', "'tiles'"),
        (f'[a]\nname = "a"\nnot_checked = ["x"]\ncores_a_chip = {ENTRY.replace("y", " ")}', "source"),
        (f'[a]\nname = "a"\nnot_checked = ["x"]\ncores_a_chip = {ENTRY.replace("source", "by")}', "must hold"),
    ],
)
def test_a_table_that_breaks_a_rule(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_capacities(text)


def test_no_chip_is_an_error():
    with pytest.raises(ConfigError, match="no chip"):
        report_resources(stm(16), [])
