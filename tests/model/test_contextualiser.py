"""Local and global context: order of modalities, instants, steps, and clips that do not mix."""

import dataclasses

import pytest
import torch

from hybrid_cvar.model.contextualiser import GlobalLast, TemporalLast, build_contextualiser
from hybrid_cvar.model.stream_embedding import embed_steps

pytestmark = pytest.mark.needs_compile

ORDERS = ["T-LS-GS", "LS-T-GS", "LS-GS-T"]


@pytest.fixture
def make(mini_config):
    """(changes) to a contextualiser in evaluation mode, whose layers spike, and inputs for two clips."""

    def make(**changes):
        config = dataclasses.replace(mini_config, **changes)
        context = build_contextualiser(config).eval()
        for name, parameter in context.named_parameters():
            if name.endswith("threshold_value"):
                parameter.data.fill_(0.05)
        inputs = {"iframe": torch.randn(2, 3, 64, 64)}
        for name, channels in (("motion", 2), ("residual", 3)):
            spiking = name in config.spiking_streams
            inputs[name] = torch.randn(2, 6, 16, 16) if spiking else 30 * torch.randn(2, 4, channels, 64, 64).round()
        return context, {name: inputs[name] for name in config.token_modalities}

    return make


def run(context, inputs):
    with torch.no_grad():
        return context(inputs)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("modalities", [("iframe", "motion", "residual"), ("motion", "residual"), ("residual",)])
def test_a_map_a_modality_and_a_low_level_map_a_stream(make, order, modalities):
    context, inputs = make(order=order, modalities=modalities)
    assert isinstance(context, TemporalLast if order == "LS-GS-T" else GlobalLast)
    tokens, low = run(context, inputs)
    assert tokens.shape == (2, len(modalities), 4, 4, 32)
    assert [tuple(each.shape) for each in low] == [(2, 32, 4, 4)] * (len(modalities) - ("iframe" in modalities))


@pytest.mark.parametrize("order", ORDERS)
def test_clips_of_a_batch_do_not_mix(make, order):
    context, inputs = make(order=order)
    tokens, low = run(context, inputs)
    for clip in range(2):
        alone, low_alone = run(context, {name: values[clip : clip + 1] for name, values in inputs.items()})
        torch.testing.assert_close(tokens[clip : clip + 1], alone, rtol=1e-3, atol=1e-4)
        for together, single in zip(low, low_alone, strict=True):
            torch.testing.assert_close(together[clip : clip + 1], single, rtol=1e-3, atol=1e-4)


def with_identity(context):
    """Neither encoder nor positions: what goes in as tokens comes out."""
    context.encoder = torch.nn.Identity()
    for parameter in context.position.parameters():
        torch.nn.init.zeros_(parameter)
    return context


@pytest.mark.parametrize("order", ["T-LS-GS", "LS-T-GS"])
def test_tokens_are_the_embeddings_in_order_and_the_streams_are_the_low_level_maps(make, order):
    context, inputs = make(order=order)
    tokens, low = run(with_identity(context), inputs)
    with torch.no_grad():
        maps = [context.embed[name](inputs[name]) for name in ("iframe", "motion", "residual")]
    for index, features in enumerate(maps):
        torch.testing.assert_close(tokens[:, index], features.permute(0, 2, 3, 1))
    assert all(torch.equal(left, right) for left, right in zip(low, maps[1:], strict=True))


def test_the_iframe_stands_at_the_first_instant_the_streams_at_the_last(make):
    context, inputs = make()
    with_identity(context)
    base, _ = run(context, inputs)
    context.position.time.data[0, 0] = 1.0
    context.position.time.data[0, 1] = 10.0
    tokens, _ = run(context, inputs)
    assert [round(float((tokens - base)[:, index].mean())) for index in range(3)] == [1, 10, 10]
    context, _ = make(modalities=("motion", "residual"))
    assert context.instants == [1, 1]


class Recorder(torch.nn.Module):
    """Hands tokens on and keeps them."""

    def forward(self, tokens):
        self.seen = tokens
        return tokens


def test_temporal_last_mixes_every_step_with_the_iframe(make):
    context, inputs = make(order="LS-GS-T")
    with_identity(context).encoder = Recorder()
    context.position.time.data += torch.arange(5.0)[None, :, None, None, None] * 100
    tokens, low = run(context, inputs)
    seen = context.encoder.seen.unflatten(0, (2, 4))  # (N, T, M, g, g, D)
    with torch.no_grad():
        iframe = context.embed["iframe"](inputs["iframe"]).permute(0, 2, 3, 1)
        steps = {name: embed_steps(context.embed[name], inputs[name]) for name in ("motion", "residual")}
        for step in range(4):
            torch.testing.assert_close(seen[:, step, 0], iframe)
            for index, name in enumerate(steps, start=1):
                expected = steps[name][:, step].permute(0, 2, 3, 1) + 100 * (step + 1)
                torch.testing.assert_close(seen[:, step, index], expected)
        torch.testing.assert_close(tokens[:, 0], seen[:, :, 0].mean(dim=1))
        for index, name in enumerate(steps):
            maps = seen[:, :, 1 + index].permute(0, 1, 4, 2, 3)
            torch.testing.assert_close(tokens[:, 1 + index], context.modulate[index](maps).permute(0, 2, 3, 1))
            torch.testing.assert_close(low[index], steps[name].mean(dim=1))


def test_in_temporal_last_every_step_of_every_stream_matters(make):
    context, inputs = make(order="LS-GS-T")
    base, base_low = run(context, inputs)
    for index, name in enumerate(("motion", "residual")):
        for step in range(4):
            other = dict(inputs)
            other[name] = inputs[name].clone()
            other[name][:, step] += 40 * torch.randn_like(other[name][:, step]).round()
            tokens, low = run(context, other)
            changed = (tokens - base).abs().amax(dim=(2, 3, 4))  # the other stream's spikes may stay as they were
            assert changed[:, [0, 1 + index]].min() > 1e-4, "in the I-frame's tokens and in its own"
            assert (low[index] - base_low[index]).abs().max() > 1e-3
            assert torch.equal(low[1 - index], base_low[1 - index])
