"""Calibrated thresholds and the seeded checkpoint made with them."""

import dataclasses

import pytest
import torch

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.model import HybridCvarModel, SpikingTemporalModulator, calibrate_thresholds, variant_config
from hybrid_cvar.model.initial import initial_checkpoint

pytestmark = pytest.mark.needs_compile

ORDERS = ["T-LS-GS", "LS-T-GS", "LS-GS-T"]


def spike_rates(model, clips):
    """A layer's spikes a neuron and step, of every STM in the model."""
    rates = []
    for module in model.modules():
        if isinstance(module, SpikingTemporalModulator):
            for block in module.blocks:
                block.register_forward_hook(lambda block, given, out: rates.append(out[0].mean().item()))
    with torch.no_grad():
        model.eval()(*clips)
    return rates


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rate", [0.1, 0.02])
def test_every_layer_spikes_at_the_rate_and_nothing_else_changes(mini_config, real_clips, batch_of, order, rate):
    clips = batch_of(real_clips(mini_config.input, 3), mini_config.input)
    model = HybridCvarModel(dataclasses.replace(mini_config, order=order), 5).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    calibrate_thresholds(model, *clips, rate=rate)
    assert model.training
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert len(changed) == 4 and all(name.endswith("threshold_value") for name in changed)
    rates = spike_rates(model, clips)
    assert len(rates) == 4
    assert all(0.5 * rate < each <= rate for each in rates), rates


def test_a_model_without_an_stm_is_left_alone(mini_config, real_clips, batch_of):
    model = HybridCvarModel(dataclasses.replace(mini_config, temporal="none"), 5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    calibrate_thresholds(model, *batch_of(real_clips(mini_config.input, 1), mini_config.input))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_an_initial_checkpoint_is_its_seeds_and_keeps_the_callers_random_state(mini_config, real_clips):
    clips = real_clips(mini_config.input, 2)
    state = torch.get_rng_state()
    first, again, other = (initial_checkpoint(mini_config, ("a", "b"), seed, clips) for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, again.state_dict[name]) for name, value in first.state_dict.items())
    assert not torch.equal(first.state_dict["ann.classifier.weight"], other.state_dict["ann.classifier.weight"])
    assert (first.labels, first.trained) == (("a", "b"), False)
    assert "seed 3" in first.notice and "recognises nothing" in first.notice
    assert not first.build_model().training


@pytest.mark.parametrize("changes", [{}, {"order": "LS-GS-T"}, {"temporal": "lstm"}, {"temporal": "none"}])
def test_an_initial_checkpoints_normalisation_is_that_of_the_clips(mini_config, real_clips, batch_of, changes):
    config = variant_config(mini_config, changes)
    clips = real_clips(config.input, 2)
    model = initial_checkpoint(config, ("a", "b"), 0, clips).build_model()
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 2 and all(norm.momentum == 0.1 for norm in norms)
    given = []
    for norm in norms:
        norm.register_forward_hook(lambda norm, inputs, out: given.append((norm, inputs[0])))
    with torch.no_grad():
        model(*batch_of(clips, config.input))
    for norm, features in given:
        torch.testing.assert_close(norm.running_mean, features.mean(dim=(0, 2, 3)), rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(norm.running_var, features.var(dim=(0, 2, 3)), rtol=1e-2, atol=1e-3)


def test_an_initial_checkpoint_needs_clips(mini_config):
    with pytest.raises(ConfigError, match="no clips.*at least one.*longer video"):
        initial_checkpoint(mini_config, ("a",), 0, [])
