"""The whole model: what goes where, and that nothing leaks between clips."""

import dataclasses

import pytest
import torch

from hybrid_cvar.fixed_point import MEMBRANE_SCALE
from hybrid_cvar.model import DeployedAnn, HybridCvarModel, as_slayer_events, calibrate_thresholds, preset_config

pytestmark = pytest.mark.needs_compile


@pytest.fixture
def model(mini_config, clips):
    model = HybridCvarModel(mini_config, 5)
    calibrate_thresholds(model, *clips)
    return model.eval()


@pytest.fixture
def clips(mini_config, real_clips, batch_of):
    return batch_of(real_clips(mini_config.input, 3), mini_config.input)


def test_every_modality_and_every_step_reaches_the_logits(model, clips):
    with torch.no_grad():
        base = model(*clips)
        assert base.shape == (3, 5)
        for changed in range(3):
            other = list(clips)
            other[changed] = torch.zeros_like(other[changed])
            assert (model(*other) - base).abs().amax(dim=1).min() > 1e-6
        for step in range(4):
            other = list(clips)
            other[2] = clips[2].clone()
            other[2][:, step] = 127
            assert (model(*other) - base).abs().amax(dim=1).min() > 1e-6


def test_clips_of_a_batch_do_not_mix(model, clips):
    with torch.no_grad():
        together = model(*clips)
        alone = torch.cat([model(*(part[n : n + 1] for part in clips)) for n in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_the_stm_hands_on_the_analog_membrane_of_the_last_step(model, clips):
    with torch.no_grad():
        membrane, spikes, membranes = model.stm["motion"].trace(as_slayer_events(clips[1]))
        assert torch.equal(membrane, model.stm["motion"](as_slayer_events(clips[1])))
    assert membrane.shape == (3, 6, 16, 16)
    assert torch.equal(membrane, membranes[-1][..., -1])
    assert [layer.shape[1:] for layer in spikes] == [(4, 32, 32, 4), (6, 16, 16, 4)]
    assert set(spikes[0].unique().tolist()) == {0.0, 1.0}
    assert len(membrane.unique()) > 50


def test_iframes_are_normalised_with_imagenets_mean_and_deviation(model, clips):
    seen = []
    model.ann.context.embed["iframe"].register_forward_hook(lambda module, given, out: seen.append(given[0]))
    model(*clips)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = ((clips[0].float() / 255 - mean) / std).permute(0, 3, 1, 2)
    torch.testing.assert_close(seen[0], expected, rtol=1e-4, atol=1e-5)


def test_an_input_that_the_config_does_not_use_may_be_anything(mini_config, clips):
    model = HybridCvarModel(dataclasses.replace(mini_config, modalities=("residual",)), 5).eval()
    with torch.no_grad():
        assert torch.equal(model(None, None, clips[2]), model(*clips))


def test_a_common_stm_takes_motions_channels_first(mini_config, clips):
    model = HybridCvarModel(dataclasses.replace(mini_config, temporal="common-stm"), 5)
    common = model.stream_events(*clips[1:])["common"]
    assert torch.equal(common[..., :2], clips[1]) and torch.equal(common[..., 2:], clips[2])
    assert list(model.modulators) == ["common"] and model.stm["common"].blocks[0].synapse.in_channels == 5


def test_the_deployed_ann_takes_the_read_outs_as_integers(model, clips):
    with torch.no_grad():
        membranes = [
            model.stm[name](as_slayer_events(events))
            for name, events in zip(("motion", "residual"), clips[1:], strict=True)
        ]
        integers = [(each * MEMBRANE_SCALE).permute(0, 2, 3, 1) for each in membranes]
        assert all(torch.equal(each, each.round()) for each in integers)
        deployed = DeployedAnn(model.ann)(clips[0], *(each.to(torch.int32) for each in integers))
        # The same float32 values in another memory order, which the convolutions add up in another order.
        torch.testing.assert_close(deployed, model(*clips), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [71, 80, 100])
def test_sizes_that_the_patch_does_not_divide(mini_config, real_clips, batch_of, size):
    config = dataclasses.replace(mini_config, input=dataclasses.replace(mini_config.input, size=size))
    model = HybridCvarModel(config, 5).eval()
    clips = batch_of(real_clips(config.input, 1), config.input)
    with torch.no_grad():
        base = model(*clips)
        for part, changed in ((0, 255 - clips[0][:, -1]), (2, torch.full_like(clips[2][:, :, -1], 127))):
            other = [clip.clone() for clip in clips]
            other[part][(slice(None),) * (1 if part == 0 else 2) + (-1,)] = changed
            assert (model(*other) - base).abs().max() > 1e-7, "the last row counts"


def test_tiny_is_small_and_reads_every_token():
    tiny = preset_config("tiny")
    assert sum(parameter.numel() for parameter in HybridCvarModel(tiny, 8).parameters()) * 4 < 5e6
    assert tiny.depth >= tiny.dilation**2
