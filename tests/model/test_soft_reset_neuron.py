"""The SLAYER neuron: its gradient, its integers, and that threshold and leak learn."""

import numpy as np
import pytest
import torch

from hybrid_cvar.model import ConvLif
from hybrid_cvar.model.soft_reset_neuron import SoftResetNeuron
from hybrid_cvar.neuromorphic import ConvLifSpec, reference_layer

pytestmark = pytest.mark.needs_compile


class _Step(torch.autograd.Function):
    """Heaviside step of (u - v_th) / v_th with the surrogate slope, in plain torch."""

    @staticmethod
    def forward(ctx, x, gamma):
        ctx.save_for_backward(x)
        ctx.gamma = gamma
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient / (1 + ctx.gamma * x * x), None


def plain_loop(synapse, leak, threshold, gamma):
    """Eq. 3 and 4 step by step; autograd does the rest."""
    u = o = torch.zeros_like(synapse[..., 0])
    spikes, membranes = [], []
    for t in range(synapse.shape[-1]):
        u = leak * u + synapse[..., t] - threshold * o
        # The threshold acts as a constant scale of the surrogate, as a difference inside the step.
        o = _Step.apply((u - threshold) / threshold.detach(), gamma)
        spikes.append(o)
        membranes.append(u)
    return torch.stack(spikes, dim=-1), torch.stack(membranes, dim=-1)


def test_float_gradients_equal_a_plain_torch_loop():
    neuron = SoftResetNeuron(threshold=0.7, leak=0.85)
    neuron.fixed_point = False
    synapse = torch.randn(2, 3, 4, 5, 9).requires_grad_()
    weights = torch.randn(2, 3, 4, 5, 9), torch.randn(2, 3, 4, 5, 9)

    spikes, membranes = neuron(synapse)
    loss = (spikes * weights[0]).sum() + (membranes * weights[1]).sum()
    ours = torch.autograd.grad(loss, [synapse, neuron.leak_value, neuron.threshold_value])

    leak = neuron.leak_value.detach().clone().requires_grad_()
    threshold = neuron.threshold_value.detach().clone().requires_grad_()
    again = synapse.detach().clone().requires_grad_()
    plain_spikes, plain_membranes = plain_loop(again, leak, threshold, neuron.gamma)
    assert torch.equal(spikes, plain_spikes)
    torch.testing.assert_close(membranes, plain_membranes)
    assert 0.05 < spikes.mean().item() < 0.95
    plain_loss = (plain_spikes * weights[0]).sum() + (plain_membranes * weights[1]).sum()
    theirs = torch.autograd.grad(plain_loss, [again, leak, threshold])
    for name, left, right in zip(("synapse", "leak", "threshold"), ours, theirs, strict=True):
        # FP32 sums in another order.
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(("threshold", "leak"), [(0.5, 0.9), (1.7, 1.0), (30.0, 0.3), (2047.0, 0.999)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_quantised_forward_meets_the_integer_specification(threshold, leak, kernel):
    block = ConvLif(3, 5, kernel_size=kernel, stride=2, threshold=threshold, leak=leak)
    with torch.no_grad():
        block.synapse.weight.mul_(4)  # some reach the rails
    events = torch.randint(-128, 128, (2, 3, 10, 13, 7)).float()
    with torch.no_grad():
        spikes, membranes = block.eval()(events)
    weight = block.neuron.quantize_8bit(block.synapse.weight.detach(), descale=True)[..., 0].numpy().astype(np.int32)
    layer = ConvLifSpec(
        "slayer",
        (10, 13, 3),
        weight,
        (2, 2),
        (kernel // 2, kernel // 2),
        block.neuron.threshold_integer,
        block.neuron.decay_integer,
        "soft",
        True,
    )
    for n in range(2):
        expected = reference_layer(layer, events[n].permute(3, 1, 2, 0).numpy().astype(np.int8))
        np.testing.assert_array_equal(spikes[n].permute(3, 1, 2, 0).numpy(), expected[0])
        np.testing.assert_array_equal((membranes[n] * 4096).permute(3, 1, 2, 0).numpy(), expected[1])


def test_threshold_and_leak_learn_a_rate_that_only_they_can_set():
    """Fixed input and no weights: the targets of spikes and membrane fix threshold and leak."""
    teacher, student = SoftResetNeuron(threshold=0.6, leak=0.95), SoftResetNeuron(threshold=1.4, leak=0.6)
    synapse = torch.rand(8, 4, 6, 6, 11) * 0.5
    with torch.no_grad():
        target = teacher(synapse)
    optimiser = torch.optim.Adam(student.parameters(), lr=0.02)
    for _ in range(150):
        spikes, membranes = student(synapse)
        loss = ((membranes - target[1]) ** 2).mean() + ((spikes.mean() - target[0].mean()) ** 2)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert student.threshold_value.item() == pytest.approx(0.6, abs=0.1)
    assert student.leak_value.item() == pytest.approx(0.95, abs=0.05)


def test_parameters_stay_where_integers_can_hold_them():
    neuron = SoftResetNeuron()
    with torch.no_grad():
        neuron.threshold_value.fill_(1e6)
        neuron.leak_value.fill_(7.0)
    neuron(torch.zeros(1, 1, 1, 1, 1))
    assert neuron.threshold_integer == 2**17 - 1
    assert neuron.decay_integer == 0
    with torch.no_grad():
        neuron.leak_value.fill_(-1.0)
    assert neuron.decay_integer == 4095


@pytest.mark.parametrize(("threshold", "leak"), [(0.002, 0.9), (1.0, 1.0005), (3000.0, 0.0)])
def test_evaluation_runs_the_integers_that_are_exported(threshold, leak):
    """An optimiser's last step can leave the parameters outside what integers hold."""
    neuron = SoftResetNeuron().eval()
    with torch.no_grad():
        neuron.threshold_value.fill_(threshold)
        neuron.leak_value.fill_(leak)
        membranes = neuron(torch.full((1, 1, 1, 1, 6), 0.75))[1].flatten() * 4096
    u, o, level = 0, 0, neuron.threshold_integer << 6
    for t in range(6):
        u = u * (4096 - neuron.decay_integer) // 4096 + (48 << 6) - level * o
        o = int(u > level)
        assert membranes[t].item() == u


def test_only_the_fixed_point_forward_clips_and_only_there_the_gradient_stops():
    synapse = torch.tensor([1500.0, 3000.0, 2500.0]).reshape(1, 1, 1, 1, 3)
    for fixed_point, expected in ((False, [True, True, True]), (True, [False, False, False])):
        neuron = SoftResetNeuron(threshold=2000.0, leak=1.0)
        neuron.fixed_point = fixed_point
        given = synapse.clone().requires_grad_()
        neuron(given)[1][..., -1].sum().backward()
        assert (given.grad.flatten() != 0).tolist() == expected


def test_block_is_a_slayer_block_with_slayers_synapse_and_quantisation():
    from lava.lib.dl.slayer.block.base import AbstractConv
    from lava.lib.dl.slayer.neuron.base import Neuron
    from lava.lib.dl.slayer.synapse.layer import Conv

    block = ConvLif(2, 4, kernel_size=3, stride=1, threshold=1.0, leak=0.9)
    assert isinstance(block, AbstractConv)
    assert isinstance(block.synapse, Conv)
    assert isinstance(block.neuron, Neuron)
    assert block.synapse.pre_hook_fx == block.neuron.quantize_8bit
