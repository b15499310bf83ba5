"""Patch embedding: a strided convolution that drops no pixel."""

import pytest
import torch

from hybrid_cvar.model.patch_embedding import PatchEmbedding

pytestmark = pytest.mark.needs_compile

SIZES = [(8, 12), (9, 12), (8, 11), (5, 7), (3, 3)]


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_every_pixel_counts(rows, columns):
    embed = PatchEmbedding(2, 5, 4)
    pixels = torch.randn(1, 2, rows, columns, requires_grad=True)
    tokens = embed(pixels)
    assert tokens.shape == (1, 5, -(-rows // 4), -(-columns // 4))
    tokens.square().sum().backward()
    assert (pixels.grad != 0).all()


@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_a_token_is_its_own_patch_and_zeros_fill_the_lower_and_right_edge(rows, columns):
    embed = PatchEmbedding(2, 5, 4)
    pixels = torch.randn(1, 2, rows, columns)
    whole = torch.zeros(1, 2, -(-rows // 4) * 4, -(-columns // 4) * 4)
    whole[..., :rows, :columns] = pixels
    with torch.no_grad():
        tokens = embed(pixels)
        for y in range(tokens.shape[2]):
            for x in range(tokens.shape[3]):
                patch = whole[0, :, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
                expected = torch.einsum("dcij,cij->d", embed.project.weight, patch) + embed.project.bias
                torch.testing.assert_close(tokens[0, :, y, x], expected, rtol=1e-4, atol=1e-5)
