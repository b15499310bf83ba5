"""Dilated attention: the arithmetic of dense attention over the selected keys, and no work for the others."""

import itertools

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hybrid_cvar.model.attention import DilatedAttention, dilated_index, dilation_phases
from hybrid_cvar.model.transformer import TransformerBlock

pytestmark = pytest.mark.needs_compile


def by_hand(attention, tokens, context, dilation, phase):
    """Head by head over a list of the selected tokens, context (N, M, h, w, D); as tokens, (N, L, D)."""
    seen = [
        context[:, modality, y, x]
        for modality in range(context.shape[1])
        for y in range(phase[0], context.shape[2], dilation)
        for x in range(phase[1], context.shape[3], dilation)
    ]
    seen = torch.stack(seen, dim=1)
    query, key, value = attention.query(tokens), attention.key(seen), attention.value(seen)
    head = tokens.shape[-1] // attention.heads
    mixed = []
    for first in range(0, tokens.shape[-1], head):
        q, k, v = (part[..., first : first + head] for part in (query, key, value))
        mixed.append(torch.softmax(torch.einsum("nqd,nkd->nqk", q, k) / head**0.5, dim=-1) @ v)
    return attention.out(torch.cat(mixed, dim=-1))


def index_of(context, dilation, phase):
    return torch.tensor(dilated_index(*context.shape[1:4], dilation, phase))


@pytest.mark.parametrize(
    ("dilation", "phase", "rows", "columns"),
    [(1, (0, 0), 4, 3), (2, (0, 1), 5, 4), (2, (1, 0), 4, 7), (3, (2, 1), 7, 5)],
)
def test_equals_dense_attention_over_the_selected_tokens(dilation, phase, rows, columns):
    attention = DilatedAttention(12, 3)
    tokens, context = torch.randn(2, 2, rows, columns, 12), torch.randn(2, 3, rows, columns, 12)
    with torch.no_grad():
        for answering in (tokens, context):
            flat = tokens.flatten(1, 3)
            given = attention(flat, answering.flatten(1, 3), index_of(answering, dilation, phase))
            expected = by_hand(attention, flat, answering, dilation, phase)
            torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)
            assert given.shape == flat.shape


def test_equals_torchs_own_attention_when_nothing_is_left_out():
    attention = DilatedAttention(8, 2)
    tokens = torch.randn(2, 12, 8)
    parts = (attention.query(tokens), attention.key(tokens), attention.value(tokens))
    heads = [part.reshape(2, 12, 2, 4).transpose(1, 2) for part in parts]
    expected = torch.nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).reshape(2, 12, 8)
    torch.testing.assert_close(attention(tokens, tokens, torch.arange(12)), attention.out(expected))


@pytest.mark.parametrize("dilation", [2, 3])
def test_keys_values_and_products_cost_dilation_squared_times_less(dilation):
    counted = {}
    for step in (1, dilation):
        block = TransformerBlock(8, 2, 16, step, (step - 1, 0)).requires_grad_(False)
        tokens = torch.randn(1, 108, 8)
        with FlopCounterMode(display=False) as counter:
            block(tokens, tokens, (6, 6))
        of_modules = counter.get_flop_counts()
        parts = {
            name: sum(of_modules[f"TransformerBlock.attention.{name}"].values())
            for name in ("query", "key", "value", "out")
        }
        products = sum(of_modules["TransformerBlock.attention"].values()) - sum(parts.values())
        counted[step] = (parts["query"], parts["out"], parts["key"] + parts["value"], products)
    assert counted[1][:2] == counted[dilation][:2], "every token still asks"
    assert counted[1][2] == dilation**2 * counted[dilation][2] == 2 * 108 * 8 * 16
    assert counted[1][3] == dilation**2 * counted[dilation][3] == 2 * 2 * 108 * 108 * 8


@pytest.mark.parametrize("dilation", [1, 2, 3, 4])
@pytest.mark.parametrize("grid", [4, 7])
def test_every_token_is_a_key_once_in_a_round_of_phases(dilation, grid):
    times = torch.zeros(grid, grid, dtype=torch.int64)
    phases = dilation_phases(dilation)
    assert len(phases) == dilation**2
    for row, column in phases:
        times[row::dilation, column::dilation] += 1
    assert (times == 1).all()
    for index, (before, after) in enumerate(itertools.pairwise(phases), start=1):
        if dilation > 2 or index % dilation:  # of the four phases of dilation 2, only diagonal pairs share neither
            assert before[0] != after[0] and before[1] != after[1]
