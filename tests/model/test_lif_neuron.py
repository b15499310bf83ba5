"""The SLAYER neuron: its parameters, their integers, its export, and that threshold and leak learn."""

import h5py
import numpy as np
import pytest
import torch

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.model import ConvLif, SpikingTemporalModulator, StmConfig
from hybrid_cvar.model.lif_neuron import LifNeuron

pytestmark = pytest.mark.needs_compile

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("per_channel", [False, True])
def test_threshold_and_leak_learn_what_only_they_can_fit(reset, per_channel, device):
    """The weights are the teacher's and frozen; every threshold and leak starts wrong and is found again."""
    teacher, student = (
        ConvLif(2, 4, 3, stride=1, threshold=2.0, leak=0.55, per_channel=per_channel, reset=reset).to(device)
        for _ in range(2)
    )
    with torch.no_grad():
        count = teacher.neuron.threshold_value.numel()
        teacher.neuron.threshold_value.copy_(torch.linspace(1.3, 0.8, count))
        teacher.neuron.leak_value.copy_(torch.linspace(0.95, 0.8, count))
        student.synapse.weight.copy_(teacher.synapse.weight)
    student.synapse.weight.requires_grad_(False)
    events = torch.randint(-2, 3, (8, 2, 8, 8, 11)).float().to(device)
    with torch.no_grad():
        target = teacher(events)
    optimiser = torch.optim.Adam(student.neuron.parameters(), lr=0.03)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, total_iters=200)
    losses = []
    for _ in range(200):
        spikes, membranes = student(events)
        loss = ((membranes - target[1]) ** 2).mean() + ((spikes - target[0]) ** 2).mean()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    assert losses[-1] < 0.1 * losses[0]
    torch.testing.assert_close(student.neuron.threshold_value, teacher.neuron.threshold_value, rtol=0, atol=0.05)
    torch.testing.assert_close(student.neuron.leak_value, teacher.neuron.leak_value, rtol=0, atol=0.02)


def test_parameters_stay_where_integers_can_hold_them():
    neuron = LifNeuron()
    with torch.no_grad():
        neuron.threshold_value.fill_(1e6)
        neuron.leak_value.fill_(7.0)
    neuron(torch.zeros(1, 1, 1, 1, 1))
    assert neuron.threshold_integer == 2**17 - 1
    assert neuron.decay_integer == 0
    with torch.no_grad():
        neuron.leak_value.fill_(-1.0)
        neuron.threshold_value.fill_(1e4)
    assert neuron.decay_integer == 4095
    assert neuron.threshold_integer == 2**17 - 1


@pytest.mark.parametrize(("threshold", "leak"), [(0.002, 0.9), (1.0, 1.0005), (3000.0, 0.0), (0.757, 0.91234)])
def test_evaluation_runs_the_integers_that_are_exported(threshold, leak):
    """An optimiser's last step can leave the parameters outside what integers hold."""
    neuron = LifNeuron().eval()
    with torch.no_grad():
        neuron.threshold_value.fill_(threshold)
        neuron.leak_value.fill_(leak)
        membranes = neuron(torch.full((1, 1, 1, 1, 6), 0.75))[1].flatten() * 4096
    u, o, level = 0, 0, neuron.threshold_integer << 6
    for t in range(6):
        u = u * (4096 - neuron.decay_integer) // 4096 + (48 << 6) - level * o
        o = int(u > level)
        assert membranes[t].item() == u


@pytest.mark.parametrize(("reset", "kind"), [("soft", b"SOFT_RESET_LIF"), ("hard", b"CUBA")])
@pytest.mark.parametrize("per_channel", [False, True])
def test_export_holds_one_value_a_layer_or_one_a_channel(tmp_path, reset, kind, per_channel):
    block = ConvLif(2, 3, 3, 1, threshold=1.5, leak=0.75, per_channel=per_channel, reset=reset)
    if per_channel:
        with torch.no_grad():
            block.neuron.threshold_value.copy_(torch.tensor([1.5, 0.25, 3000.0]))
            block.neuron.leak_value.copy_(torch.tensor([0.75, 1.0, 0.0]))
    block(torch.zeros(1, 2, 4, 4, 1))
    with h5py.File(tmp_path / "block.h5", "w") as file:
        block.export_hdf5(file)
    with h5py.File(tmp_path / "block.h5") as file:
        neuron = {name: value[()] for name, value in file["neuron"].items()}
    assert (neuron["type"], neuron["iDecay"]) == (kind, 4096)
    thresholds, decays = ([96, 16, 2**17 - 1], [1024, 0, 4095]) if per_channel else (96, 1024)
    np.testing.assert_array_equal(neuron["vThMant"], thresholds)
    np.testing.assert_array_equal(neuron["vDecay"], decays)
    assert np.shape(neuron["vThMant"]) == np.shape(neuron["vDecay"]) == ((3,) if per_channel else ())
    assert np.asarray(neuron["vThMant"]).dtype.kind == np.asarray(neuron["vDecay"]).dtype.kind == "i"
    assert isinstance(block.neuron.threshold_integer, np.ndarray if per_channel else int)
    np.testing.assert_array_equal(np.asarray(block.neuron.threshold) * 64, thresholds)


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize(("neuron_parameters", "counts"), [("layer", [1, 1]), ("channel", [5, 3])])
def test_the_config_reaches_every_layer(reset, neuron_parameters, counts):
    config = StmConfig(channels=(5, 3), reset=reset, neuron_parameters=neuron_parameters)
    blocks = SpikingTemporalModulator(2, config).blocks
    assert [block.neuron.reset for block in blocks] == [reset, reset]
    assert [block.neuron.threshold_value.numel() for block in blocks] == counts
    assert [block.neuron.leak_value.numel() for block in blocks] == counts


def test_refusals():
    with pytest.raises(ConfigError, match="reset 'none'"):
        LifNeuron(reset="none")
    for gamma in (0.0, -1.0, float("inf")):
        with pytest.raises(ConfigError, match="width"):
            LifNeuron(gamma=gamma)


def test_block_is_a_slayer_block_with_slayers_synapse_and_quantisation():
    from lava.lib.dl.slayer.block.base import AbstractConv
    from lava.lib.dl.slayer.neuron.base import Neuron
    from lava.lib.dl.slayer.synapse.layer import Conv

    block = ConvLif(2, 4, kernel_size=3, stride=1, threshold=1.0, leak=0.9)
    assert isinstance(block, AbstractConv)
    assert isinstance(block.synapse, Conv)
    assert isinstance(block.neuron, Neuron)
    assert block.synapse.pre_hook_fx == block.neuron.quantize_8bit


@pytest.mark.parametrize("fixed_point", [False, True])
def test_two_forward_passes_before_one_backward(fixed_point):
    """As where one layer serves two inputs; keeping parameters in range must not touch what the first pass keeps."""
    neuron = LifNeuron(threshold=0.5, leak=0.9)
    neuron.fixed_point = fixed_point
    synapse = torch.rand(2, 3, 4, 4, 5)
    spikes = neuron(synapse)[0] + neuron(synapse)[0]
    spikes.sum().backward()
    together = neuron.threshold_value.grad.clone()
    neuron.zero_grad()
    neuron(synapse)[0].sum().backward()
    torch.testing.assert_close(together, 2 * neuron.threshold_value.grad)
