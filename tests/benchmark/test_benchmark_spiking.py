"""The spiking suite in small form: every row on small inputs, one round."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from hybrid_cvar.benchmark import BenchRun, describe_machine, write_plots
from hybrid_cvar.benchmark import spiking_suite as suite
from hybrid_cvar.benchmark.kernel_speed import ACTIVITIES, crossover
from hybrid_cvar.benchmark.spiking_material import BASE_SIZE, CHANNELS, SPIKE_RATE
from hybrid_cvar.benchmark.spiking_suite import SPIKING_ROWS, SpikingBench
from hybrid_cvar.neuromorphic import NativeStm

pytestmark = [pytest.mark.needs_lava, pytest.mark.needs_compile, pytest.mark.needs_clips]

CONTRACT = {
    "spiking.parity_mismatches": ("values", "== 0"),
    "spiking.lava_over_native_time": ("x", "<= 1.5"),
    "spiking.fused_over_reference_speedup": ("x", ">= 20"),
    "spiking.native_over_torch_speedup": ("x", ">= 2"),
    "spiking.fixed_over_float_training_time": ("x", "<= 2"),
    "spiking.gsynops_per_second": ("G accumulates/s", None),
    "spiking.peak_rss_mb": ("MiB", "< 1500"),
}


@pytest.fixture(scope="module")
def bench(dancer):
    return SpikingBench(dancer, rounds=1, size=40, stock_size=24)


@pytest.fixture(scope="module")
def results(bench):
    return {name: row(bench) for name, row in SPIKING_ROWS.items()}


def test_rows_are_the_contracts():
    assert list(CONTRACT) == list(SPIKING_ROWS)


@pytest.mark.parametrize("name", CONTRACT)
def test_row(results, name):
    unit, target = CONTRACT[name]
    result = results[name]
    assert (result.name, result.unit, result.detail.get("target")) == (name, unit, target)
    assert name == "spiking.parity_mismatches" or result.value > 0
    if "medians" in result.detail:
        one, other = result.detail["medians"]
        upside_down = name in ("spiking.fused_over_reference_speedup", "spiking.native_over_torch_speedup")
        assert result.value == pytest.approx(other / one if upside_down else one / other)


def test_parity_compares_every_form(results):
    detail = results["spiking.parity_mismatches"].detail
    assert results["spiking.parity_mismatches"].value == 0
    forms = ["SLAYER quantised", "native, all steps at once", "Lava streams", "Lava layers", "Lava stock"]
    forms.append("Lava streams as timed")
    ends = ["40", "24, hard reset, one neuron a channel"]
    names = [name.split(" and ")[0] for name in detail["pairs"]]
    assert names == 2 * forms and all(any(name.endswith(f", {end}") for end in ends) for name in detail["pairs"])
    # Spikes and membranes of 20 + 16 channels in two streams, 11 steps; both read-outs; 7 counts a layer, and 3 of them
    # step by step.
    recorded, read_outs, counts = 2 * 2 * 11 * (20 + 16) * 40 * 40, 2 * 16 * 40 * 40, 4 * (7 + 3 * 11)
    values = {name.split(" and ")[0]: pair["values"] for name, pair in detail["pairs"].items() if name.endswith("40")}
    assert values["Lava streams"] == recorded + read_outs + counts
    assert values["Lava stock"] == recorded + read_outs
    assert values["native, all steps at once"] == values["Lava streams as timed"] == read_outs + counts
    # So few values are no proof.
    assert detail["compared"] < detail["compared_at_least"] == 10**8 and not detail["met"]


def test_parity_counts_what_differs(bench, monkeypatch):
    def one_spike_more(spec, clip):
        result = plain(spec, clip)
        spikes = [layer.copy() for layer in result.spikes]
        spikes[3][-1, 0, 0, 0] ^= 1
        return dataclasses.replace(result, spikes=tuple(spikes))

    from hybrid_cvar.benchmark import slayer_forward

    plain = slayer_forward.run_slayer
    monkeypatch.setattr(slayer_forward, "run_slayer", one_spike_more)
    result = suite.parity_mismatches(bench)
    # One spike in each of the two partitions.
    assert result.value == 2 and not result.detail["met"]


def test_the_share_of_the_peak_is_that_of_the_kernel_chosen(results):
    result = results["spiking.gsynops_per_second"]
    detail = result.detail
    assert detail["kernel"] == ("scatter" if detail["rows_scattered"] >= detail["rows_gathered"] else "gather")
    assert detail["rows_scattered"] + detail["rows_gathered"] > 0
    assert detail["share_of_peak"] == pytest.approx(result.value / detail["peak_g"][detail["kernel"]])
    assert 0 < detail["share_of_peak"] < 1


def test_the_base_size_is_that_of_the_preset():
    from hybrid_cvar.model import preset_config

    base = preset_config("base")
    assert (base.stm.channels, base.stm.kernel_size, base.input.size) == (CHANNELS, 3, BASE_SIZE)
    assert set(base.stm.strides) == {1}


def test_thresholds_keep_every_layer_busy(bench):
    with NativeStm(bench.partition) as native:
        rates = {layer.name: layer.spike_rate for layer in native.run_clip(*bench.events[0]).counts}
    assert max(rates.values()) <= SPIKE_RATE
    assert min(rates["residual.0"], rates["residual.1"]) > 0.5 * SPIKE_RATE


def test_torch_computes_the_same(bench):
    import torch

    from hybrid_cvar.benchmark.torch_conv_lif import TorchPartition

    partition = TorchPartition(bench.partition, torch.contiguous_format)
    motion, residual = partition.run(tuple(partition.prepare(events) for events in bench.events[1]))
    for membrane, expected in zip((motion, residual), bench.result.readouts, strict=True):
        error = np.abs(membrane.permute(1, 2, 0).numpy() - expected)
        # Float keeps what the integers truncate, and now and then a spike more or less follows from that.
        assert np.median(error) < 64 and (error > 4096).mean() < 0.2


def test_crossover_is_where_the_curves_meet():
    rising = [1 + 9 * activity for activity in ACTIVITIES]
    assert crossover({"scatter": rising, "gather": [4.6] * len(ACTIVITIES)}) == pytest.approx(0.4)
    assert crossover({"scatter": [1.0] * len(ACTIVITIES), "gather": [2.0] * len(ACTIVITIES)}) is None


def test_the_crossover_is_drawn(results, tmp_path):
    run = BenchRun(describe_machine(), tuple(results.values()), ())
    (path,) = write_plots(run, tmp_path / "plots")
    assert path.name == "spiking.gsynops_per_second.png"
    with Image.open(path) as image:
        assert image.size == (1050, 630) and image.convert("L").getextrema()[0] < 100
    first = path.read_bytes()
    write_plots(run, tmp_path / "plots")
    assert path.read_bytes() == first
