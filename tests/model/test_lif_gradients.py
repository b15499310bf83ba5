"""The neuron's backward pass, against finite differences of a smooth model and against autograd of a plain loop."""

import math

import pytest
import torch
from torch.nn.functional import conv2d

from hybrid_cvar.model.lif_dynamics import MEMBRANE_LIMIT, LifDynamics, LifRule
from hybrid_cvar.model.lif_neuron import LifNeuron

pytestmark = pytest.mark.needs_compile

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()
GAMMA = 100.0
every_kind = pytest.mark.parametrize(
    ("reset", "per_channel"), [(reset, sharing) for reset in ("soft", "hard") for sharing in (False, True)]
)
on_every_device = pytest.mark.parametrize("device", DEVICES)


def smooth_spike(scale):
    """The integral of the surrogate slope, in the place of the step; `scale` is the constant v_th of x."""

    def fire(membrane, threshold, out):
        x = (membrane - threshold) / scale.reshape(threshold.shape)
        return out.copy_(0.5 + torch.atan(math.sqrt(GAMMA) * x) / math.sqrt(GAMMA))

    return fire


def parameters_of(per_channel, threshold, leak, device, channels=3):
    """(leak, threshold) in float64, different in every channel where they may be."""
    spread = torch.linspace(0.8, 1.2, channels if per_channel else 1, dtype=torch.float64, device=device)
    return (
        (1 - (1 - leak) * spread).requires_grad_(),
        (threshold * spread.flip(0)).requires_grad_(),
    )


@on_every_device
@every_kind
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("limit", [math.inf, 1.5])
def test_gradients_are_those_of_a_smooth_model_by_finite_differences(reset, per_channel, steps, limit, device):
    leak, threshold = parameters_of(per_channel, threshold=0.7, leak=0.85, device=device)
    synapse = torch.randn(2, 3, 2, 2, steps, dtype=torch.float64, device=device).requires_grad_()
    rule = LifRule(reset, GAMMA, fixed_point=False, limit=limit, fire=smooth_spike(threshold.detach().clone()))
    with torch.no_grad():
        clipped = LifDynamics.apply(synapse, leak, threshold, LifRule("soft", GAMMA, False, limit))[1].abs() == limit
    assert bool(clipped.any()) == (limit < math.inf) and not clipped.all()
    assert torch.autograd.gradcheck(lambda *given: LifDynamics.apply(*given, rule), (synapse, leak, threshold))


@on_every_device
@every_kind
def test_gradients_of_two_layers_are_those_of_a_smooth_network_by_finite_differences(reset, per_channel, device):
    """Weights included: convolution, neurons, convolution, neurons; the read-out is the last membrane."""
    leaks, thresholds = zip(
        *(parameters_of(per_channel, threshold, leak, device) for threshold, leak in ((0.6, 0.9), (0.4, 0.7))),
        strict=True,
    )
    kernels = [torch.randn(3, channels, 2, 3, dtype=torch.float64, device=device) * 0.5 for channels in (2, 3)]
    events = torch.randint(-3, 4, (4, 2, 5, 5), device=device).double()
    rules = [LifRule(reset, GAMMA, False, 2.0, smooth_spike(each.detach().clone())) for each in thresholds]

    def read_out(*given):
        passing = events  # timesteps in the place of the batch
        for layer, rule in enumerate(rules):
            kernel, leak, threshold = given[3 * layer : 3 * layer + 3]
            z = conv2d(passing, kernel, padding=(1, 1)).movedim(0, -1)[None]
            spikes, membranes = LifDynamics.apply(z, leak, threshold, rule)
            passing = spikes[0].movedim(-1, 0)
        return membranes[..., -1]

    given = [part for layer in range(2) for part in (kernels[layer].requires_grad_(), leaks[layer], thresholds[layer])]
    assert torch.autograd.gradcheck(read_out, given)


class Step(torch.autograd.Function):
    """Heaviside step of (u - v_th) / v_th with the surrogate slope, alone."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient / (1 + GAMMA * x * x)


def plain_loop(synapse, leak, threshold, reset, fixed_point):
    """The equations step by step on (N, C, H, W, T); autograd does the rest."""
    leak, threshold = leak.reshape(-1, 1, 1), threshold.reshape(-1, 1, 1)
    u = o = torch.zeros_like(synapse[..., 0])
    spikes, membranes = [], []
    for t in range(synapse.shape[-1]):
        kept = leak * u
        if fixed_point:
            kept = kept + (torch.trunc(kept * 4096) / 4096 - kept).detach()
        u = kept + synapse[..., t]
        if reset == "soft":
            u = u - threshold * o
        if fixed_point:
            u = u.clamp(-MEMBRANE_LIMIT, MEMBRANE_LIMIT)
        # The threshold acts as a constant scale of the surrogate, as a difference inside the step.
        o = Step.apply((u - threshold) / threshold.detach())
        if reset == "hard":
            u = u * (1 - o)
        spikes.append(o)
        membranes.append(u)
    return torch.stack(spikes, dim=-1), torch.stack(membranes, dim=-1)


@on_every_device
@every_kind
@pytest.mark.parametrize("fixed_point", [True, False])
@pytest.mark.parametrize(("steps", "dtype"), [(1, torch.float64), (9, torch.float64), (9, torch.float32)])
def test_gradients_equal_autograd_of_a_plain_loop(reset, per_channel, fixed_point, steps, dtype, device):
    """In fixed point at membranes of which some are clipped at 24 bits, on both sides."""
    scale = 300.0 if fixed_point else 1.0
    leak, threshold = (
        (torch.round(each.detach() * 4096) / 4096).requires_grad_()
        for each in parameters_of(per_channel, threshold=scale, leak=0.85, device=device)
    )
    synapse = torch.randn(2, 3, 4, 5, steps, dtype=torch.float64, device=device) * 3 * scale
    synapse = (torch.round(synapse * 32) / 32).requires_grad_()
    weights = torch.randn(2, *synapse.shape, dtype=torch.float64, device=device)
    rule = (LifRule.quantised if fixed_point else LifRule.plain)(reset, GAMMA)

    ours = [each.detach().to(dtype).requires_grad_() for each in (synapse, leak, threshold)]
    result = LifDynamics.apply(*ours, rule)
    expected = plain_loop(synapse, leak, threshold, reset, fixed_point)
    for left, right in zip(result, expected, strict=True):
        torch.testing.assert_close(left.double(), right, rtol=0, atol=0 if fixed_point else 1e-3)
    if fixed_point:
        assert (result[1] == -MEMBRANE_LIMIT).any()
        assert (result[1] == MEMBRANE_LIMIT).any() == (reset == "soft")
    assert 0.05 < result[0].mean().item() < 0.95

    gradients, plain = (
        torch.autograd.grad(
            sum((part * weight.to(part.dtype)).sum() for part, weight in zip(outputs, weights, strict=True)),
            inputs,
            allow_unused=True,
        )
        for outputs, inputs in ((result, ours), (expected, [synapse, leak, threshold]))
    )
    # float64: sums in another order; float32: also rounding of each of the sums' terms.
    tolerance = {"rtol": 1e-9, "atol": 1e-9} if dtype == torch.float64 else {"rtol": 2e-3, "atol": 2e-3}
    for name, left, right in zip(("synapse", "leak", "threshold"), gradients, plain, strict=True):
        assert left.shape == right.shape and left.any() == right.any() == (name != "leak" or steps > 1)
        torch.testing.assert_close(left.double(), right, **tolerance, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("used", [0, 1])
def test_an_output_without_gradient_counts_as_zero(used):
    synapse = torch.randn(1, 2, 3, 3, 4).requires_grad_()
    neuron = LifNeuron(threshold=0.5)
    alone = torch.autograd.grad(neuron(synapse)[used].sum(), synapse)[0]
    both = torch.autograd.grad(sum(part.sum() * (index == used) for index, part in enumerate(neuron(synapse))), synapse)
    assert alone.any()
    assert torch.equal(alone, both[0])


def test_the_given_synapse_is_left_as_it_is():
    synapse = torch.randn(4, 2, 3, 3, 1)  # one step: moving the axis copies nothing
    before = synapse.clone()
    LifNeuron()(synapse)
    assert torch.equal(synapse, before)


def test_only_the_fixed_point_forward_clips_and_only_there_the_gradient_stops():
    synapse = torch.tensor([1500.0, 3000.0, 2500.0]).reshape(1, 1, 1, 1, 3)
    for fixed_point, expected in ((False, [True, True, True]), (True, [False, False, False])):
        neuron = LifNeuron(threshold=2000.0, leak=1.0)
        neuron.fixed_point = fixed_point
        given = synapse.clone().requires_grad_()
        neuron(given)[1][..., -1].sum().backward()
        assert (given.grad.flatten() != 0).tolist() == expected


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("fixed_point", [True, False])
@pytest.mark.parametrize("per_channel", [True, False])
def test_kernels_give_the_bits_of_torchs_operations(reset, fixed_point, per_channel, monkeypatch):
    """Images of 9x15 pixels: two whole tiles and a part of one."""
    from hybrid_cvar.model import lif_dynamics

    threshold = (torch.rand(3 if per_channel else 1) * 4 + 1).mul(64).round().div(64)
    leak = (torch.rand(3 if per_channel else 1) * 0.2 + 0.75).mul(4096).round().div(4096)
    synapse = torch.randn(5, 3, 9, 15, 11).mul(64 * 300).round().div(64 if fixed_point else 4096)
    weights = torch.randn(2, *synapse.shape)
    rule = (LifRule.quantised if fixed_point else LifRule.plain)(reset, GAMMA)
    results = []
    for kernels, threads in ((True, 2), (True, 1), (False, 1)):
        monkeypatch.setattr(lif_dynamics, "_has_kernel", lambda values, rule, kernels=kernels: kernels)
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        given = [each.clone().requires_grad_() for each in (synapse, leak, threshold)]
        outputs = LifDynamics.apply(*given, rule)
        loss = sum((output * weight).sum() for output, weight in zip(outputs, weights, strict=True))
        results.append([*outputs, *torch.autograd.grad(loss, given)])
    two_threads, one_thread, plain = results
    assert 0.01 < plain[0].mean() < 0.99
    for left, right in zip(two_threads, one_thread, strict=True):
        assert torch.equal(left, right)
    if not fixed_point:  # torch rounds product and sum at once, so its membranes differ in the last bit
        assert torch.equal(one_thread[0], plain[0])
        torch.testing.assert_close(one_thread[1], plain[1], rtol=1e-5, atol=1e-3)
        return
    for left, right in zip(one_thread[:2], plain[:2], strict=True):
        assert torch.equal(left, right)
    for left, right in zip(one_thread[2:], plain[2:], strict=True):
        # Divisions and sums are done in another order.
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-4 * right.abs().max().item())
