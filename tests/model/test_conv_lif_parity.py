"""The quantised forward of a ConvLIF block meets the integer specification bit for bit, and what keeps it exact."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.fixed_point import SYNAPSE_MAX
from hybrid_cvar.model import ConvLif
from hybrid_cvar.model.lif_neuron import LifNeuron
from hybrid_cvar.model.stm import _full_float32
from hybrid_cvar.neuromorphic import ConvLifSpec, reference_layer

pytestmark = pytest.mark.needs_compile

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()
RAILS = np.array([-256, 254])


@dataclass(frozen=True)
class Case:
    """What decides a block and its events; arrays come from the seed."""

    seed: int = 0
    channels: tuple[int, int] = (3, 5)
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (2, 2)
    padding: tuple[int, int] = (1, 1)
    beyond_kernel: tuple[int, int] = (6, 9)
    steps: int = 7
    reset: str = "soft"
    per_channel: bool = False
    weights: str = "any"
    events: str = "any"
    thresholds: tuple[int, int] = (1, 2000)
    decays: tuple[int, int] = (0, 4095)

    @property
    def side(self) -> tuple[int, int]:
        """(H, W), at least so large that one output is left."""
        return tuple(
            max(1, kernel - 2 * padding) + more
            for kernel, padding, more in zip(self.kernel, self.padding, self.beyond_kernel, strict=True)
        )


def pairs(low, high):
    return st.tuples(st.integers(low, high), st.integers(low, high))


cases = st.builds(
    Case,
    seed=st.integers(0, 2**32 - 1),
    channels=pairs(1, 4),
    kernel=pairs(1, 4),
    stride=pairs(1, 3),
    padding=pairs(0, 2),
    beyond_kernel=pairs(0, 6),
    steps=st.integers(1, 8),
    reset=st.sampled_from(["soft", "hard"]),
    per_channel=st.booleans(),
    weights=st.sampled_from(["any", "small", "rails", "beyond"]),
    events=st.sampled_from(["any", "rails", "sparse", "spikes", "constant"]),
    thresholds=st.sampled_from([(1, 1), (1, 300), (100, 20_000), (1, 2**17 - 1), (2**17 - 1, 2**17 - 1)]),
    decays=st.sampled_from([(0, 0), (0, 4095), (1, 600), (4095, 4095)]),
)


def events_of(case: Case, random: np.random.Generator) -> np.ndarray:
    """int8 (2, T, H, W, C_in)."""
    shape = (2, case.steps, *case.side, case.channels[0])
    if case.events == "rails":
        return random.choice(np.array([-128, -127, 127], dtype=np.int8), shape)
    if case.events == "spikes":
        return random.integers(0, 2, shape).astype(np.int8)
    if case.events == "constant":
        return np.broadcast_to(random.integers(-128, 128, (2, 1, *shape[2:])), shape).astype(np.int8)
    events = random.integers(-128, 128, shape)
    return (events * (random.random(shape) < (0.1 if case.events == "sparse" else 1))).astype(np.int8)


def run_both(case: Case, device: str) -> tuple[list[np.ndarray], list[np.ndarray], ConvLif]:
    """((spikes, membranes) of the specification, those of the block, the block); integers (2, T, h, w, C_out)."""
    random = np.random.default_rng(case.seed)
    count = case.channels[1] if case.per_channel else 1
    thetas, decays = (random.integers(low, high + 1, count) for low, high in (case.thresholds, case.decays))
    shape = (case.channels[1], case.channels[0], *case.kernel)
    weight = random.integers(-10, 11, shape) * 2 if case.weights == "small" else random.integers(-128, 128, shape) * 2
    if case.weights in ("rails", "beyond"):
        weight = random.choice(RAILS, shape)
    block = ConvLif(*case.channels, case.kernel, case.stride, 1.0, 0.9, case.padding, case.per_channel, case.reset).to(
        device
    )
    with torch.no_grad():
        # Not on the quantiser's levels, but nearer to the wanted one than to any other.
        exact = weight + random.uniform(-0.9, 0.9, shape) + (np.sign(weight) * 100 if case.weights == "beyond" else 0)
        block.synapse.weight.copy_(torch.from_numpy(exact / 64)[..., None])
        block.neuron.threshold_value.copy_(torch.from_numpy(thetas / 64))
        block.neuron.leak_value.copy_(torch.from_numpy((4096 - decays) / 4096))
    theta, decay = block.neuron.threshold_integer, block.neuron.decay_integer
    np.testing.assert_array_equal(theta, thetas if case.per_channel else thetas[0])
    np.testing.assert_array_equal(decay, decays if case.per_channel else decays[0])
    spec = ConvLifSpec(
        "case",
        (*case.side, case.channels[0]),
        weight.astype(np.int32),
        case.stride,
        case.padding,
        theta,
        decay,
        case.reset,
        graded_input=True,
    )
    events = events_of(case, random)
    with torch.no_grad():
        given_events = torch.from_numpy(events).permute(0, 4, 2, 3, 1).float().to(device)
        spikes, membranes = (part.permute(0, 4, 2, 3, 1).cpu().numpy() for part in block(given_events))
    expected = zip(*(reference_layer(spec, clip) for clip in events), strict=True)
    return [np.stack(part) for part in expected], [spikes, membranes * 4096], block


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=300, deadline=None, derandomize=True)
@example(Case(weights="rails", events="rails", thresholds=(2**17 - 1, 2**17 - 1), decays=(1, 1)))
@example(Case(weights="rails", events="constant", reset="hard", per_channel=True, thresholds=(1, 2**17 - 1)))
@given(case=cases)
def test_spikes_and_membranes_of_every_step_equal_the_specification(device, case):
    expected, ours, _ = run_both(case, device)
    np.testing.assert_array_equal(ours[0], expected[0])
    np.testing.assert_array_equal(ours[1], expected[1])


def test_the_cases_reach_spikes_truncation_and_clips_of_both_signs():
    usual = run_both(Case(weights="small", events="sparse", thresholds=(1, 2000), decays=(1, 600)), "cpu")[0]
    assert 0.001 < usual[0].mean() < 0.9
    assert (usual[1] % 64 != 0).any() and (usual[1] < 0).any()
    railed = run_both(Case(weights="rails", events="rails", thresholds=(2**17 - 1, 2**17 - 1)), "cpu")[0]
    assert railed[1].max() == 2**23 - 1 and railed[1].min() == -(2**23 - 1)


@pytest.mark.parametrize("device", DEVICES)
def test_float32_sums_are_exact_to_four_times_the_specifications_limit_and_not_beyond(device):
    """Products are multiples of 2 (weights are even), so float32 is exact to 2**24 of them in any order."""

    def summed(weight: list[int], events: list[int]) -> float:
        block = ConvLif(len(weight), 1, 1, 1, threshold=1.0, leak=0.9).to(device)
        with torch.no_grad():
            block.synapse.weight.copy_(torch.tensor(weight).reshape(1, -1, 1, 1, 1) / 64)
            return block.synapse(torch.tensor(events).float().reshape(1, -1, 1, 1, 1).to(device)).item() * 64

    full = -256 * -128
    for seed in range(5):
        weight, events = [-256] * 1023 + [-254, 2], [-128] * 1023 + [-128, 127]
        order = np.random.default_rng(seed).permutation(1025)
        mixed = [weight[index] for index in order], [events[index] for index in order]
        assert summed(*mixed) == 1023 * full + 254 * 128 + 2 * 127 == 2**25 - 2
        signed = [-value if index % 2 else value for index, value in enumerate(mixed[1])]
        assert summed(mixed[0], signed) == int(np.dot(mixed[0], signed))
    assert summed([-256] * 1024 + [2], [-128] * 1024 + [1]) != 2**25 + 2
    assert 4 * SYNAPSE_MAX < 2**25
    with pytest.raises(ConfigError, match="synaptic sum can reach"):
        ConvLifSpec("at", (1, 1, 256), np.full((1, 256, 1, 1), -256, np.int32), (1, 1), (0, 0), 1, 0, graded_input=True)


@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_an_inexact_convolutions_error_does_not_reach_the_membrane(reset):
    neuron = LifNeuron(threshold=1.0, leak=0.9, reset=reset)
    synapse = torch.randint(-64, 65, (2, 3, 4, 5, 9)) / 32
    with torch.no_grad():
        exact = neuron(synapse)
        disturbed = neuron(synapse + torch.empty_like(synapse).uniform_(-0.007, 0.007))
    assert exact[0].any()
    for left, right in zip(exact, disturbed, strict=True):
        assert torch.equal(left, right)


@pytest.mark.parametrize("device", DEVICES)
def test_autocast_changes_no_bit(device):
    block = ConvLif(3, 4, 3, 1, threshold=40.0, leak=0.9).to(device)
    events = torch.randint(-127, 128, (2, 3, 9, 9, 5)).float().to(device)
    with torch.no_grad():
        plain = block(events)
        with torch.autocast(device, dtype=torch.bfloat16):
            automatic = block(events)
    assert plain[0].any()
    for left, right in zip(plain, automatic, strict=True):
        assert torch.equal(left, right)


def test_tf32_is_off_inside_and_as_it_was_outside():
    cudnn = torch.backends.cudnn

    def precision():
        return cudnn.conv.fp32_precision if hasattr(cudnn, "conv") else cudnn.allow_tf32

    before = precision()
    assert before not in ("ieee", False)
    with _full_float32(torch.device("cuda")):
        assert precision() in ("ieee", False)
    assert precision() == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_neuron_waits_for_no_transfer_from_the_gpu():
    block = ConvLif(3, 4, 3, 1, threshold=40.0, leak=0.9, per_channel=True).to("cuda")
    events = torch.randint(-127, 128, (2, 3, 9, 9, 5)).float().to("cuda")
    block(events)[1].sum().backward()
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        block(events)[1].sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode(mode)
