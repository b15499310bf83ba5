"""Pooling: the mean over places, or a class token that attends to them."""

import dataclasses

import pytest
import torch

from hybrid_cvar.model import ModelConfig
from hybrid_cvar.model.pooling import ClassTokenPooling, GlobalAveragePooling, build_pooling

pytestmark = pytest.mark.needs_compile


def shuffled(maps):
    order = torch.randperm(maps.shape[2] * maps.shape[3])
    return maps.flatten(2)[:, :, order].reshape(maps.shape)


def token_by_hand(pool, maps):
    """Formula of the docstring, head by head."""
    width = maps.shape[1]
    places = pool.norm(maps.flatten(2).transpose(1, 2))
    query = pool.query(pool.norm(pool.token[0]))  # (1, F)
    key, value = pool.key_value(places).split(width, dim=-1)
    head = width // pool.heads
    mixed = []
    for first in range(0, width, head):
        q, k, v = (part[..., first : first + head] for part in (query, key, value))
        weights = torch.softmax(torch.einsum("qd,nkd->nqk", q, k) / head**0.5, dim=-1)
        mixed.append(weights @ v)
    return pool.norm_out(pool.token + pool.out(torch.cat(mixed, dim=-1)))[:, 0]


def loosened(features, heads):
    """Class-token pooling whose every parameter has a value of its own."""
    pool = ClassTokenPooling(features, heads)
    with torch.no_grad():
        for parameter in pool.parameters():
            parameter.normal_(std=0.4)
    return pool


def test_the_mean_over_places():
    maps = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(GlobalAveragePooling()(maps), maps.reshape(2, 3, 20).sum(dim=2) / 20)


@pytest.mark.parametrize(("features", "heads"), [(12, 3), (12, 1)])
def test_class_token_formula(features, heads):
    pool = loosened(features, heads)
    maps = torch.randn(2, features, 3, 4)
    with torch.no_grad():
        torch.testing.assert_close(pool(maps), token_by_hand(pool, maps), rtol=1e-4, atol=1e-5)


def test_a_permutation_of_the_places_does_not_change_the_result_another_value_does():
    for pool in (GlobalAveragePooling(), loosened(12, 3)):
        maps = torch.randn(2, 12, 3, 4)
        with torch.no_grad():
            base = pool(maps)
            torch.testing.assert_close(pool(shuffled(maps)), base, rtol=1e-4, atol=1e-5)
            for place in ((0, 0), (2, 3)):
                other = maps.clone()
                other[:, 0, place[0], place[1]] += 5
                assert (pool(other) - base).abs().max() > 1e-3


def test_clips_of_a_batch_do_not_mix():
    pool = loosened(12, 3)
    maps = torch.randn(3, 12, 2, 2)
    with torch.no_grad():
        torch.testing.assert_close(pool(maps)[1:2], pool(maps[1:2]), rtol=1e-4, atol=1e-5)


def test_the_config_names_it():
    assert isinstance(build_pooling(ModelConfig()), GlobalAveragePooling)
    built = build_pooling(dataclasses.replace(ModelConfig(), pool="class-token"))
    assert isinstance(built, ClassTokenPooling) and built.token.shape == (1, 1, ModelConfig().fuse_width)
