"""Every test of the model starts from one random state and leaves the one it found."""

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    state = torch.get_rng_state()
    torch.manual_seed(0)
    yield
    torch.set_rng_state(state)
