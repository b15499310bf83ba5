"""A training step of one stream: fixed-point forward against float."""

from collections.abc import Callable
from functools import partial

import torch

from hybrid_cvar.benchmark.measure import TwoTimings, ratio_of_medians
from hybrid_cvar.model import SpikingTemporalModulator, StmConfig

__all__ = ["fixed_and_float_steps"]

TIMESTEPS = 11
ACTIVITY = 0.3
LARGEST_EVENT = 20


def fixed_and_float_steps(
    rounds: int, side: int, batch: int, strides: tuple[int, int], *, backward: bool
) -> TwoTimings:
    """Seconds through two layers of 16 channels, with gradients recorded, in turn; float is the fast one.

    Args:
        rounds: of each.
        side: of the input, pixels.
        batch: clips of 11 steps.
        strides: of the layers.
        backward: time the backward pass too.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    stm = SpikingTemporalModulator(2, StmConfig(strides=strides, threshold=20.0)).to(device)
    shape = (batch, 2, side, side, TIMESTEPS)
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(-LARGEST_EVENT, LARGEST_EVENT + 1, shape, generator=generator)
    events = (values * (torch.rand(shape, generator=generator) < ACTIVITY)).float().to(device)

    def step(fixed_point: bool) -> None:
        stm.set_fixed_point(fixed_point)
        stm.zero_grad()
        loss = stm(events).sum()
        if backward:
            loss.backward()
        if device == "cuda":
            torch.cuda.synchronize()

    in_float: Callable[[], None] = partial(step, False)
    in_integers: Callable[[], None] = partial(step, True)
    for _ in range(2):
        in_float()
        in_integers()
    return ratio_of_medians(in_float, in_integers, rounds)
