"""Presets' sizes against the paper's numbers; descriptions against the real module."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hybrid_cvar.energy import load_profile
from hybrid_cvar.model import PRESETS, VARIANTS, HybridCvarModel, ModelConfig, preset_config, variant_config
from hybrid_cvar.model.describe import describe_model
from hybrid_cvar.records import STREAM_CHANNELS

pytestmark = pytest.mark.needs_compile

UCF_CLASSES, CLIPS = 101, 8
SPIKING_JOULES = 3.6e-3
"""Of 8 clips, about; nearly all of the paper's energy is the ANN's."""
CHANGES = {"full": {}} | {variant.name: variant.changes for variant in VARIANTS}


def test_there_are_four_presets_of_which_three_have_the_papers_input():
    assert list(PRESETS) == ["tiny", "small", "base", "large"]
    for name in ("small", "base", "large"):
        config = preset_config(name)
        assert (config.name, config.input.size, config.patch, config.input.timesteps) == (name, 224, 16, 11)
        assert config.input.accumulated and config.modalities == ("iframe", "motion", "residual")
    sizes = [describe_model(config, UCF_CLASSES).parameters for config in PRESETS.values()]
    assert sizes == sorted(sizes) and sizes[1] < 20e6


def test_base_is_the_papers_model():
    base = describe_model(preset_config("base"), UCF_CLASSES)
    assert base.parameters == pytest.approx(83.41e6, rel=0.01)
    assert CLIPS * base.macs == pytest.approx(0.1588e12, rel=0.02)
    joules = CLIPS * base.macs * load_profile("paper-45nm").mac.picojoules * 1e-12 + SPIKING_JOULES
    assert joules == pytest.approx(0.734, rel=0.02)


def test_large_is_the_papers_large_model():
    large = describe_model(preset_config("large"), UCF_CLASSES)
    assert CLIPS * large.macs * 4.6e-12 + SPIKING_JOULES == pytest.approx(1.40, rel=0.03)


def flops_of(config, model, batch):
    """Of all, of the spiking partition, of the ANN partition, as torch counts them on the real module."""
    size, steps = config.input.size, config.input.timesteps
    clips = [torch.zeros((batch, size, size, 3), dtype=torch.uint8)]
    clips += [
        torch.zeros((batch, steps, size, size, STREAM_CHANNELS[name]), dtype=torch.int8)
        for name in ("motion", "residual")
    ]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(*clips)
    modules = counter.get_flop_counts()
    stms = sum(sum(modules.get(f"HybridCvarModel.stm.{name}", {}).values()) for name in config.spiking_streams)
    return counter.get_total_flops(), stms, sum(modules["HybridCvarModel.ann"].values())


@pytest.mark.parametrize("name", CHANGES)
def test_totals_are_the_sums_and_the_real_modules(mini_config, name):
    config = variant_config(mini_config, CHANGES[name])
    described = describe_model(config, 5, ("a = 1",))
    model = HybridCvarModel(config, 5).eval().requires_grad_(False)
    assert described.parameters == sum(part.parameters for part in described.parts)
    assert described.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert described.macs == sum(part.macs for part in described.parts)
    total, spiking, ann = flops_of(config, model, batch=1)
    assert (2 * described.dense_accumulates, 2 * described.macs) == (spiking, ann)
    assert total == spiking + ann
    assert flops_of(config, model, batch=3)[0] == 3 * total
    assert bool(described.dense_accumulates) == bool(config.spiking_streams)
    for part in described.parts:
        assert not (part.spiking and part.macs) and not (part.dense_accumulates and not part.spiking)
    assert (described.name, described.classes, described.changes) == ("mini", 5, ("a = 1",))
    assert (described.input_size, described.timesteps) == (64, 4)


def test_parts_by_hand(mini_config):
    parts = {part.name: part for part in describe_model(mini_config, 5).parts}
    assert list(parts) == [
        *("ConvLIF motion 0", "ConvLIF motion 1", "ConvLIF residual 0", "ConvLIF residual 1"),
        *("patch embedding I-frame", "patch embedding motion", "patch embedding residual", "positional encodings"),
        *("transformer (unified)", "conv folding I-frame", "conv folding motion", "conv folding residual"),
        *("conv fusion", "RRDB", "global average pooling", "classifier"),
    ]

    def facts(name):
        part = parts[name]
        return part.spiking, part.output_shape, part.parameters, part.macs, part.dense_accumulates

    # kernel weights, threshold and leak; pixels x channels x fan-in x steps
    assert facts("ConvLIF motion 0") == (True, (4, 32, 32, 4), 4 * 2 * 9 + 2, 0, 32 * 32 * 4 * 2 * 9 * 4)
    assert facts("ConvLIF residual 1") == (True, (6, 16, 16, 4), 6 * 4 * 9 + 2, 0, 16 * 16 * 6 * 4 * 9 * 4)
    assert facts("patch embedding I-frame") == (False, (32, 4, 4), 3 * 256 * 32 + 32, 16 * 3 * 256 * 32, 0)
    # patches of 4 in the membrane, and the normalisation's two values a channel
    assert facts("patch embedding motion") == (False, (32, 4, 4), 6 * 16 * 32 + 32 + 12, 16 * 6 * 16 * 32, 0)
    assert facts("positional encodings") == (False, (3, 4, 4, 32), (16 + 2 + 3) * 32, 0, 0)
    tokens, keys = 48, 12
    block = tokens * 2 * 32 * 32 + keys * 32 * 64 + 2 * tokens * keys * 32 + 2 * tokens * 32 * 48
    weights = 4 * (32 * 32 + 32) + 2 * 32 * 48 + 48 + 32 + 4 * 32
    assert facts("transformer (unified)") == (False, (3, 4, 4, 32), 2 * weights + 64, 2 * block, 0)
    assert facts("conv folding motion") == (False, (12, 4, 4), 32 * 9 * 12 + 12, 16 * 32 * 9 * 12, 0)
    fused = 2 * 32 * 12 + 5 * 12 * 16
    assert facts("conv fusion") == (False, (16, 4, 4), fused + 2 * 12 + 16, 16 * fused, 0)
    convolutions = 9 * (4 * (16 + 20 + 24 + 28) + 16 * 32)
    assert facts("RRDB") == (False, (16, 4, 4), 3 * (convolutions + 4 * 4 + 16), 3 * 16 * convolutions, 0)
    assert facts("global average pooling") == (False, (16,), 0, 0, 0)
    assert facts("classifier") == (False, (5,), 16 * 5 + 5, 16 * 5, 0)


def test_dilation_takes_macs_and_classes_take_parameters():
    tiny = preset_config("tiny")
    more = describe_model(variant_config(tiny, {"dilation": 1}), 10)
    less = describe_model(tiny, 10)
    assert more.parameters == less.parameters and more.macs > less.macs
    assert describe_model(tiny, 11).parameters - less.parameters == tiny.fuse_width + 1


def test_nothing_is_given_memory():
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    described = describe_model(ModelConfig(width=8192, depth=24, heads=64, mlp_width=8192), 5)
    assert described.parameters * 4 > 20e9
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
