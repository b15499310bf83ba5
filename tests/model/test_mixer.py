"""Multi-Modal Mixer Block: token folding, conv folding, conv fusion with skips, and what stands in for it."""

import dataclasses

import pytest
import torch
from torch.nn.functional import gelu

from hybrid_cvar.model import ModelConfig
from hybrid_cvar.model.mixer import (
    ConvFolding,
    ConvFusion,
    MultiModalMixer,
    PlainMixer,
    average_to_folded_grid,
    build_mixer,
    fold_tokens,
)
from hybrid_cvar.records import InputSpec

pytestmark = pytest.mark.needs_compile

CONFIG = ModelConfig(input=InputSpec(size=112), width=8, heads=2, fold_width=4, fold_stride=2, fuse_width=6)


def test_token_folding_puts_tokens_back_in_place():
    tokens = torch.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)
    maps = fold_tokens(tokens)
    assert [tuple(each.shape) for each in maps] == [(2, 6, 4, 5)] * 3
    for modality in range(3):
        for row, column in ((0, 4), (3, 0), (2, 1)):
            assert torch.equal(maps[modality][:, :, row, column], tokens[:, modality, row, column])


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("grid", [7, 8, 14])
def test_conv_folding_gives_a_cell_for_every_stride(stride, grid):
    folded = ConvFolding(2, 3, stride)(torch.randn(1, 2, grid, grid))
    assert folded.shape == (1, 3, -(-grid // stride), -(-grid // stride))


def test_conv_folding_overlaps_an_impulse_reaches_the_neighbours():
    folding = ConvFolding(2, 3, stride=2)
    empty = torch.zeros(1, 2, 8, 8)
    for (row, column), cells in {
        (4, 4): {(2, 2)},
        (3, 4): {(1, 2), (2, 2)},
        (4, 5): {(2, 2), (2, 3)},
        (3, 5): {(1, 2), (1, 3), (2, 2), (2, 3)},
    }.items():
        impulse = empty.clone()
        impulse[0, :, row, column] = 1
        with torch.no_grad():
            changed = (folding(impulse) - folding(empty)).abs().amax(dim=1)[0]
        assert {tuple(cell) for cell in changed.nonzero().tolist()} == cells


def test_conv_folding_by_hand():
    folding = ConvFolding(2, 3, stride=2)
    features = torch.randn(1, 2, 5, 5)
    padded = torch.zeros(1, 2, 7, 7)
    padded[..., 1:6, 1:6] = features
    with torch.no_grad():
        folded = folding(features)
        for row, column in ((0, 0), (1, 2), (2, 1)):
            window = padded[0, :, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            expected = gelu(torch.einsum("fcij,cij->f", folding.conv.weight, window) + folding.conv.bias)
            torch.testing.assert_close(folded[0, :, row, column], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("grid", "stride"), [(7, 2), (8, 2), (7, 3)])
def test_averaging_is_the_mean_of_the_cells_that_folding_sees(grid, stride):
    maps = torch.randn(1, 2, grid, grid)
    mean = average_to_folded_grid(maps, stride)
    assert mean.shape[-2:] == ConvFolding(2, 3, stride)(maps).shape[-2:]
    for row in range(mean.shape[2]):
        for column in range(mean.shape[3]):
            top, left = max(stride * row - 1, 0), max(stride * column - 1, 0)
            window = maps[0, :, top : stride * row + 2, left : stride * column + 2]
            torch.testing.assert_close(mean[0, :, row, column], window.mean(dim=(1, 2)))
    assert average_to_folded_grid(maps, 1) is maps


def test_conv_fusion_by_hand():
    fusion = ConvFusion(fold_width=4, low_width=5, folded=2, low=2, fuse_width=3, stride=2)
    folded = [torch.randn(1, 4, 4, 4) for _ in range(2)]
    low = [torch.randn(1, 5, 7, 7) for _ in range(2)]
    with torch.no_grad():
        parts = list(folded)
        for mix, features in zip(fusion.mix_low, low, strict=True):
            mixed = torch.einsum("fl,nlyx->nfyx", mix.weight[..., 0, 0], features) + mix.bias[:, None, None]
            parts.append(average_to_folded_grid(gelu(mixed), 2))
        joined = torch.cat(parts, dim=1)
        expected = torch.einsum("uf,nfyx->nuyx", fusion.fuse.weight[..., 0, 0], joined)
        torch.testing.assert_close(
            fusion(folded, low), expected + fusion.fuse.bias[:, None, None], rtol=1e-4, atol=1e-5
        )


def effect_of_low_maps(mixer):
    tokens, low = torch.randn(1, 3, 7, 7, 8), [torch.randn(1, 8, 7, 7) for _ in range(2)]
    with torch.no_grad():
        base = mixer(tokens, low)
        assert base.shape == (1, 6, 4, 4)
        changed = [[torch.zeros_like(low[0]), low[1]], [low[0], torch.zeros_like(low[1])]]
        return [(mixer(tokens, other) - base).abs().max().item() for other in changed]


def test_with_skips_each_low_level_map_counts_without_none_does():
    assert min(effect_of_low_maps(build_mixer(CONFIG))) > 1e-3
    assert effect_of_low_maps(build_mixer(dataclasses.replace(CONFIG, skips=False))) == [0, 0]
    assert effect_of_low_maps(build_mixer(dataclasses.replace(CONFIG, mixer=False, skips=False))) == [0, 0]


def test_every_modality_is_folded_by_a_convolution_of_its_own():
    mixer = build_mixer(CONFIG)
    assert isinstance(mixer, MultiModalMixer) and len(mixer.fold) == 3
    assert len({id(fold.conv.weight) for fold in mixer.fold}) == 3
    tokens, low = torch.randn(1, 3, 7, 7, 8), [torch.zeros(1, 8, 7, 7)] * 2
    with torch.no_grad():
        assert not torch.allclose(mixer(tokens, low), mixer(tokens[:, [0, 2, 1]], low))


def test_without_the_mixer_the_modalities_are_averaged():
    mixer = build_mixer(dataclasses.replace(CONFIG, mixer=False, skips=False))
    assert isinstance(mixer, PlainMixer)
    tokens = torch.randn(2, 3, 7, 7, 8)
    with torch.no_grad():
        mean = average_to_folded_grid(tokens.mean(dim=1).permute(0, 3, 1, 2), 2)
        expected = torch.einsum("ud,ndyx->nuyx", mixer.project.weight[..., 0, 0], mean)
        torch.testing.assert_close(
            mixer(tokens, []), expected + mixer.project.bias[:, None, None], rtol=1e-4, atol=1e-5
        )
