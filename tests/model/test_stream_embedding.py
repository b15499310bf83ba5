"""From a stream to tokens: which module the config asks for, and what each computes."""

import dataclasses

import pytest
import torch

from hybrid_cvar.model.contextualiser import build_contextualiser
from hybrid_cvar.model.stream_embedding import (
    EVENT_SCALE,
    LstmEmbedding,
    MembraneEmbedding,
    PatchThenStm,
    StackedEmbedding,
    StmOverPatches,
    build_stream_embedding,
    embed_steps,
)

pytestmark = pytest.mark.needs_compile

KINDS = [
    ({}, "motion", MembraneEmbedding),
    ({"temporal": "common-stm"}, "common", MembraneEmbedding),
    ({"temporal": "lstm"}, "residual", LstmEmbedding),
    ({"temporal": "none"}, "motion", StackedEmbedding),
    ({"order": "LS-T-GS"}, "residual", PatchThenStm),
]


def events_of(channels, size=64):
    return torch.randint(-60, 60, (2, 4, channels, size, size)).float()


@pytest.mark.parametrize(("changes", "stream", "kind"), KINDS)
def test_the_config_names_it(mini_config, changes, stream, kind):
    assert type(build_stream_embedding(dataclasses.replace(mini_config, **changes), stream)) is kind


@pytest.mark.parametrize("size", [64, 72])
@pytest.mark.parametrize(
    ("changes", "kind"),
    [({"temporal": "lstm"}, LstmEmbedding), ({"temporal": "none"}, StackedEmbedding), ({}, PatchThenStm)],
)
@pytest.mark.parametrize(("stream", "channels"), [("motion", 2), ("residual", 3)])
def test_events_become_a_token_grid_and_every_step_and_pixel_counts(mini_config, changes, kind, size, stream, channels):
    config = dataclasses.replace(mini_config, input=dataclasses.replace(mini_config.input, size=size), **changes)
    embed = kind(config, stream).train()
    if kind is PatchThenStm:
        embed.modulate.stm.blocks[0].neuron.threshold_value.data.fill_(0.05)
    events = events_of(channels, size).requires_grad_()
    tokens = embed(events)
    assert tokens.shape == (2, 32, config.grid, config.grid)
    tokens.square().sum().backward()
    assert (events.grad.abs().amax(dim=(0, 2, 3, 4)) > 0).all(), "every step"
    assert (events.grad.abs().amax(dim=(0, 1, 2)) > 0).float().mean() > 0.99, "to the last partial patch"
    assert (events.grad[..., -1, :] != 0).any() and (events.grad[..., -1] != 0).any()


def test_a_membrane_is_normalised_a_channel_then_cut_into_patches(mini_config):
    embed = MembraneEmbedding(mini_config).eval()
    membrane = torch.randn(2, 6, 16, 16)
    with torch.no_grad():
        embed.normalise.running_mean.normal_()
        embed.normalise.running_var.uniform_(0.5, 3)
        mean, deviation = embed.normalise.running_mean, (embed.normalise.running_var + 1e-5).sqrt()
        normal = (membrane - mean[:, None, None]) / deviation[:, None, None]
        torch.testing.assert_close(embed(membrane), embed.embed.project(normal), rtol=1e-4, atol=1e-5)
        assert embed(membrane).shape == (2, 32, 4, 4)


def test_an_stm_over_patches_runs_in_plain_float_with_stride_1(mini_config):
    over = StmOverPatches(mini_config)
    assert [block.synapse.stride[:2] for block in over.stm.blocks] == [(1, 1), (1, 1)]
    assert not any(block.neuron.fixed_point for block in over.stm.blocks)
    assert all(block.synapse.pre_hook_fx is None for block in over.stm.blocks)
    maps = torch.randn(2, 4, 32, 4, 4)
    with torch.no_grad():
        over.eval()
        membrane = over.stm(maps.permute(0, 2, 3, 4, 1))
        assert ((membrane * 64) % 1 != 0).any(), "no integer steps"
        torch.testing.assert_close(over(maps), over.project(over.normalise(membrane)))
        assert (over(maps.flip(1)) - over(maps)).abs().max() > 1e-3, "the order of the steps counts"


def test_patches_of_every_step(mini_config):
    embed = PatchThenStm(mini_config, "residual")
    events = events_of(3)
    with torch.no_grad():
        patches = embed_steps(embed.embed, events)
        assert patches.shape == (2, 4, 32, 4, 4)
        for step in (0, 3):
            torch.testing.assert_close(patches[:, step], embed.embed(events[:, step] * EVENT_SCALE))
        torch.testing.assert_close(embed(events), embed.modulate(patches))


def test_stacked_steps_are_channels(mini_config):
    embed = StackedEmbedding(mini_config, "motion").eval()
    assert embed.embed.project.in_channels == 4 * 2
    events = events_of(2)
    with torch.no_grad():
        embed.normalise.running_mean.copy_(torch.arange(8.0))
        stacked = torch.cat([events[:, step] for step in range(4)], dim=1) - torch.arange(8.0)[:, None, None]
        torch.testing.assert_close(embed(events), embed.embed(stacked / (1 + 1e-5) ** 0.5), rtol=1e-4, atol=1e-4)


def test_an_lstm_takes_the_events_as_slayer_scales_them(mini_config):
    embed = LstmEmbedding(dataclasses.replace(mini_config, temporal="lstm"), "motion").eval()
    events = events_of(2)
    with torch.no_grad():
        torch.testing.assert_close(embed(events), embed.embed(embed.lstm(events / 64)))


def test_a_tokens_modality_is_where_its_stream_is(mini_config):
    """Order of modalities: I-frame, motion, residual, each through the module of its own channels."""
    for changes in ({"temporal": "lstm"}, {"order": "LS-T-GS"}, {"order": "LS-GS-T"}):
        context = build_contextualiser(dataclasses.replace(mini_config, **changes))
        assert list(context.embed) == ["iframe", "motion", "residual"]
