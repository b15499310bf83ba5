"""Transformer blocks and the three encoders of Table 4b."""

import dataclasses

import pytest
import torch

from hybrid_cvar.model import ModelConfig
from hybrid_cvar.model.transformer import ModalityTransformers, TransformerBlock, UnifiedTransformer, build_encoder
from hybrid_cvar.records import InputSpec

pytestmark = pytest.mark.needs_compile

CONFIG = ModelConfig(input=InputSpec(size=64), width=12, heads=3, depth=4, mlp_width=20)


def encoder_of(**changes):
    return build_encoder(dataclasses.replace(CONFIG, **changes))


def test_a_block_is_pre_norm_with_two_residuals():
    block = TransformerBlock(12, 3, 20, 2, (1, 0))
    tokens, context = torch.randn(2, 18, 12), torch.randn(2, 9, 12)
    with torch.no_grad():
        for norm in (block.norm_attention, block.norm_mlp):
            norm.weight.uniform_(0.5, 2)
            norm.bias.normal_()
        for answering, keys in ((tokens, [3, 5, 12, 14]), (context, [3, 5])):
            index = torch.tensor(keys)  # of each 3x3 grid the middle row's outer columns
            mixed = block.attention(block.norm_attention(tokens), block.norm_attention(answering), index)
            between = tokens + mixed
            expected = between + block.contract(torch.nn.functional.gelu(block.expand(block.norm_mlp(between))))
            torch.testing.assert_close(block(tokens, answering, (3, 3)), expected)


@pytest.mark.parametrize("encoder", ["unified", "separate", "cross"])
@pytest.mark.parametrize("dilation", [2, 4])
def test_every_token_is_a_key_once_in_a_round_of_blocks(encoder, dilation):
    built = encoder_of(encoder=encoder, dilation=dilation, depth=dilation**2 + 1)
    for blocks in [built.blocks] if encoder == "unified" else built.encoders:
        times = torch.zeros(4, 4, dtype=torch.int64)
        for block in blocks[:-1]:
            row, column = block.phase
            times[row :: block.dilation, column :: block.dilation] += 1
        assert (times == 1).all()
        assert blocks[-1].phase == blocks[0].phase, "then the phases go round"


def reach(encoder, source, modalities=3):
    """Largest change of every modality's tokens when one modality's change; (M,)."""
    tokens = torch.randn(1, modalities, 4, 4, 12)
    other = tokens.clone()
    other[:, source] += torch.randn(4, 4, 12)
    with torch.no_grad():
        return (encoder(other) - encoder(tokens)).abs().amax(dim=(0, 2, 3, 4))


@pytest.mark.parametrize("source", [0, 1, 2])
def test_who_sees_whom(source):
    own = torch.arange(3) == source
    assert (reach(encoder_of(encoder="unified"), source) > 1e-4).all()
    separate = reach(encoder_of(encoder="separate"), source)
    assert (separate[~own] == 0).all() and separate[source] > 1e-4
    assert (reach(encoder_of(encoder="cross"), source) > 1e-4).all()


def test_separate_transformers_are_as_many_unified_ones_of_one_modality():
    encoder = encoder_of(encoder="separate")
    assert isinstance(encoder, ModalityTransformers) and len(encoder.encoders) == 3
    tokens = torch.randn(2, 3, 4, 4, 12)
    alone = UnifiedTransformer(CONFIG)
    with torch.no_grad():
        for index in range(3):
            alone.blocks, alone.norm = encoder.encoders[index], encoder.norms[index]
            torch.testing.assert_close(encoder(tokens)[:, index], alone(tokens[:, index : index + 1])[:, 0])
    assert len({id(parameter) for parameter in encoder.parameters()}) == 3 * len(list(alone.parameters()))


def test_cross_attention_takes_the_others_as_they_stood_before_the_block():
    encoder = encoder_of(encoder="cross", depth=2)
    tokens = torch.randn(2, 3, 4, 4, 12)
    parts = list(tokens.flatten(2, 3).unbind(1))
    with torch.no_grad():
        for depth in range(2):
            parts = [
                encoder.encoders[0][depth](parts[0], torch.cat([parts[1], parts[2]], dim=1), (4, 4)),
                encoder.encoders[1][depth](parts[1], torch.cat([parts[0], parts[2]], dim=1), (4, 4)),
                encoder.encoders[2][depth](parts[2], torch.cat([parts[0], parts[1]], dim=1), (4, 4)),
            ]
        expected = torch.stack([norm(part) for norm, part in zip(encoder.norms, parts, strict=True)], dim=1)
        torch.testing.assert_close(encoder(tokens).flatten(2, 3), expected)


def test_a_modality_of_cross_attention_does_not_ask_itself():
    """With one block, a change of one token reaches no other token of its own modality."""
    encoder = encoder_of(encoder="cross", depth=1, dilation=1)
    tokens = torch.randn(1, 3, 4, 4, 12)
    other = tokens.clone()
    other[0, 1, 2, 3] += torch.randn(12)
    with torch.no_grad():
        changed = (encoder(other) - encoder(tokens)).abs().amax(dim=-1)[0]
    assert changed[1].count_nonzero() == 1 and changed[1, 2, 3] > 0
    assert (changed[0] > 0).all() and (changed[2] > 0).all()
