"""Residual in residual dense block, by its formula."""

import pytest
import torch
from torch.nn.functional import conv2d

from hybrid_cvar.model.rrdb import DenseBlock, ResidualInResidualDenseBlock

pytestmark = pytest.mark.needs_compile


def dense_by_hand(block, x):
    maps = x
    for conv in block.convs[:4]:
        new = conv2d(maps, conv.weight, conv.bias, padding=1)
        maps = torch.cat([maps, torch.where(new > 0, new, 0.2 * new)], dim=1)
    return x + block.scale * conv2d(maps, block.convs[4].weight, block.convs[4].bias, padding=1)


def test_formula_by_hand():
    rrdb = ResidualInResidualDenseBlock(3, 2, scale=0.3)
    features = torch.randn(2, 3, 4, 5)
    with torch.no_grad():
        torch.testing.assert_close(rrdb.blocks[1](features), dense_by_hand(rrdb.blocks[1], features))
        passing = features
        for block in rrdb.blocks:
            passing = dense_by_hand(block, passing)
        torch.testing.assert_close(rrdb(features), features + 0.3 * passing)


def test_five_convolutions_see_all_maps_before_them():
    block = DenseBlock(6, 4, 0.2)
    assert [conv.in_channels for conv in block.convs] == [6, 10, 14, 18, 22]
    assert [conv.out_channels for conv in block.convs] == [4, 4, 4, 4, 6]
    assert len(ResidualInResidualDenseBlock(6, 4, 0.2).blocks) == 3


def test_scale_0_is_the_identity():
    features = torch.randn(1, 3, 4, 5)
    rrdb = ResidualInResidualDenseBlock(3, 2, scale=0.0)
    assert torch.equal(rrdb(features), features)
    assert torch.equal(DenseBlock(3, 2, 0.0)(features), features)
