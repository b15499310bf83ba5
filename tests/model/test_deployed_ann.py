"""The deployed form computes what the trained one does, from integers, with normalisation folded away."""

import dataclasses

import pytest
import torch

from hybrid_cvar.fixed_point import MEMBRANE_SCALE
from hybrid_cvar.model import DeployedAnn, HybridCvarModel, variant_config
from hybrid_cvar.model.deployed_ann import FoldedPatchEmbedding
from hybrid_cvar.model.patch_embedding import PatchEmbedding

pytestmark = pytest.mark.needs_compile


def trained_like(config):
    """A model whose normalisation is not the identity."""
    model = HybridCvarModel(config, 5)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-2, 2)
            module.running_var.uniform_(0.2, 4)
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.uniform_(module.bias, -1, 1)
    return model.eval()


def integers(config, count=2):
    lowest = {"uint8": (0, 256), "int32": (-40_000, 60_000), "int8": (-127, 128)}
    return [
        torch.randint(*lowest[each.dtype], (count, *each.shape), dtype=getattr(torch, each.dtype))
        for each in config.ann_inputs
    ]


def plain_form(model, config, inputs):
    ready = [
        values.permute(0, 3, 1, 2).float() / MEMBRANE_SCALE if each.kind == "membrane" else values
        for each, values in zip(config.ann_inputs, inputs, strict=True)
    ]
    with torch.no_grad():
        return model.ann(*ready)


@pytest.mark.parametrize(
    ("changes", "folded"),
    [
        ({}, (True, True, True)),
        ({"modalities": ("motion", "residual")}, (True, True)),
        ({"temporal": "common-stm"}, (True, True)),
        ({"temporal": "lstm"}, (True, False, False)),
        ({"temporal": "none"}, (True, False, False)),
        ({"order": "LS-GS-T"}, (True, False, False)),
        ({"input.size": 60}, (False, False, False)),  # a patch at the edge is partial
    ],
)
def test_same_logits_from_integers(mini_config, changes, folded):
    config = variant_config(mini_config, changes)
    model, inputs = trained_like(config), integers(config)
    deployed = DeployedAnn(model.ann)
    assert deployed.folded == folded
    with torch.no_grad():
        logits = deployed(*inputs)
    expected = plain_form(model, config, inputs)
    assert (logits - expected).abs().max() <= 2e-5 * expected.abs().max()
    assert expected.std() > 1e-3


def test_folding_puts_scale_and_shift_into_the_weights():
    embed = PatchEmbedding(3, 4, 2)
    scale, shift = torch.tensor([0.5, -2.0, 3.0]), torch.tensor([1.0, -4.0, 0.25])
    values = torch.randint(-50, 50, (2, 6, 4, 3), dtype=torch.int32)
    with torch.no_grad():
        expected = embed(values.permute(0, 3, 1, 2) * scale.view(-1, 1, 1) + shift.view(-1, 1, 1))
        torch.testing.assert_close(FoldedPatchEmbedding(embed, scale, shift)(values), expected, rtol=1e-5, atol=1e-4)


def test_is_a_copy_that_later_training_does_not_reach(mini_config):
    model, inputs = trained_like(mini_config), integers(mini_config)
    deployed = DeployedAnn(model.ann)
    with torch.no_grad():
        before = deployed(*inputs)
        for parameter in model.parameters():
            parameter.add_(1)
        assert torch.equal(deployed(*inputs), before)
    assert type(model.ann.context.embed["motion"]).__name__ == "MembraneEmbedding"
    assert dataclasses.replace(mini_config) == model.config
