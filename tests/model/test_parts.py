"""Every part of the paper's Fig. 4 is there, does what its name says, and learns."""

import pytest
import torch

from hybrid_cvar.model import HybridCvarModel, as_slayer_events, preset_config
from hybrid_cvar.model.mixer import ConvFolding, MultiModalMixer, fold_tokens
from hybrid_cvar.model.patch_embedding import PatchEmbedding, PositionalEncoding
from hybrid_cvar.model.rrdb import ResidualInResidualDenseBlock
from hybrid_cvar.model.transformer import DilatedAttention, UnifiedTransformer

pytestmark = pytest.mark.needs_compile


@pytest.fixture(scope="module")
def tiny():
    state = torch.get_rng_state()
    torch.manual_seed(2)
    model = HybridCvarModel(preset_config("tiny"), 8)
    torch.set_rng_state(state)
    return model


def clips(count=2, size=112):
    return (
        torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8),
        torch.randint(-20, 20, (count, 11, size, size, 2), dtype=torch.int8),
        torch.randint(-60, 60, (count, 11, size, size, 3), dtype=torch.int8),
    )


def test_tiny_has_the_size_it_is_said_to_have(tiny):
    parameters = sum(parameter.numel() for parameter in tiny.parameters())
    assert 300_000 < parameters < 2_000_000
    assert parameters * 4 < 5e6


def test_every_parameter_gets_a_gradient(tiny):
    logits = tiny.train()(*clips())
    assert logits.shape == (2, 8)
    torch.nn.functional.cross_entropy(logits, torch.tensor([1, 5])).backward()
    silent = [name for name, parameter in tiny.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert silent == []
    tiny.zero_grad()


def test_gap_and_classifier_see_every_modality(tiny):
    tiny.eval()
    given = clips()
    with torch.no_grad():
        base = tiny(*given)
        for changed in range(3):
            other = list(given)
            other[changed] = torch.zeros_like(other[changed])
            assert (tiny(*other) - base).abs().max() > 1e-6


def test_clips_of_a_batch_do_not_mix(tiny):
    tiny.eval()
    given = clips(3)
    with torch.no_grad():
        together = tiny(*given)
        alone = torch.cat([tiny(*(part[n : n + 1] for part in given)) for n in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_stm_hands_on_the_analog_membrane_of_the_last_step(tiny):
    events = as_slayer_events(clips()[1])
    with torch.no_grad():
        membrane, spikes, membranes = tiny.stm_motion.trace(events)
    assert membrane.shape == (2, 16, 28, 28)
    assert torch.equal(membrane, membranes[-1][..., -1])
    assert set(spikes[0].unique().tolist()) <= {0.0, 1.0}
    assert len(membrane.unique()) > 50


def test_patch_embedding_drops_only_a_partial_patch():
    assert PatchEmbedding(3, 8, 4)(torch.zeros(1, 3, 18, 16)).shape == (1, 8, 4, 4)


def test_positional_encoding_tells_place_time_and_modality_apart():
    encoded = PositionalEncoding(3, 4, 6)(torch.zeros(1, 3, 4, 4, 6))
    flat = encoded.reshape(-1, 6)
    assert len(torch.unique(flat, dim=0)) == len(flat)


def test_dilated_attention_reads_only_the_tokens_of_its_phase():
    attention = DilatedAttention(8, 2, dilation=2, phase=(1, 1))
    tokens = torch.randn(1, 3, 5, 5, 8)
    with torch.no_grad():
        base = attention(tokens)
        unread = tokens.clone()
        unread[:, :, 0, 0] += 10
        read = tokens.clone()
        read[:, :, 1, 1] += 10
        others = (slice(None), slice(None), 2, 2)
        torch.testing.assert_close(attention(unread)[others], base[others])
        assert (attention(read)[others] - base[others]).abs().max() > 1e-4


def test_dilation_computes_fewer_keys():
    shapes = []
    attention = DilatedAttention(8, 2, dilation=2, phase=(0, 0))
    attention.key_value.register_forward_hook(lambda module, given, result: shapes.append(result.shape))
    attention(torch.randn(1, 3, 6, 6, 8))
    assert shapes == [torch.Size([1, 3, 3, 3, 16])]


def test_attention_equals_torchs_own_when_nothing_is_left_out():
    attention = DilatedAttention(8, 2, dilation=1, phase=(0, 0))
    tokens = torch.randn(2, 3, 2, 2, 8)
    flat = tokens.reshape(2, 12, 8)
    key, value = attention.key_value(flat).split(8, dim=-1)
    heads = [part.reshape(2, 12, 2, 4).transpose(1, 2) for part in (attention.query(flat), key, value)]
    expected = torch.nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).reshape(2, 12, 8)
    torch.testing.assert_close(attention(tokens).reshape(2, 12, 8), attention.out(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("dilation", "grid"), [(1, 4), (2, 7), (3, 7), (4, 3)])
def test_every_token_is_a_key_once_in_a_round_of_blocks(dilation, grid):
    step = min(dilation, grid)
    transformer = UnifiedTransformer(8, step**2, 2, 2, dilation=dilation, grid=grid)
    times_a_key = torch.zeros(grid, grid, dtype=torch.int64)
    for block in transformer.blocks:
        row, column = block.attention.phase
        times_a_key[row::dilation, column::dilation] += 1
    if dilation <= grid:
        assert (times_a_key == 1).all()
    assert all(
        a.attention.phase != b.attention.phase for a, b in zip(transformer.blocks, transformer.blocks[1:], strict=False)
    )


def test_tiny_reads_every_token(tiny):
    assert tiny.config.depth >= tiny.config.dilation**2


def test_token_folding_puts_tokens_back_in_place():
    tokens = torch.arange(1 * 3 * 2 * 2 * 5).reshape(1, 3, 2, 2, 5)
    maps = fold_tokens(tokens)
    assert len(maps) == 3
    assert torch.equal(maps[1][0, :, 1, 0], tokens[0, 1, 1, 0])


def test_conv_folding_overlaps():
    folding = ConvFolding(2, 3, stride=2)
    assert folding(torch.zeros(1, 2, 8, 8)).shape == (1, 3, 4, 4)
    assert folding.conv.kernel_size[0] > folding.conv.stride[0]


def test_conv_fusion_uses_the_low_level_maps():
    mixer = MultiModalMixer(3, width=8, fold_width=4, fold_stride=1, fuse_width=6, low_width=8)
    tokens, low = torch.randn(1, 3, 4, 4, 8), [torch.randn(1, 8, 4, 4) for _ in range(2)]
    with torch.no_grad():
        base = mixer(tokens, low)
        assert base.shape == (1, 6, 4, 4)
        for skipped in range(2):
            other = [torch.zeros_like(part) if index == skipped else part for index, part in enumerate(low)]
            assert (mixer(tokens, other) - base).abs().max() > 1e-4


def test_rrdb_is_the_input_plus_a_scaled_residual():
    block = ResidualInResidualDenseBlock(6, 4, scale=0.2)
    features = torch.randn(1, 6, 5, 5)
    with torch.no_grad():
        out = block(features)
        inner = block.blocks(features)
    torch.testing.assert_close(out, features + 0.2 * inner)
    assert [conv.in_channels for conv in block.blocks[0].convs] == [6, 10, 14, 18, 22]
