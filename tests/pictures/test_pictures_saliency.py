"""Where a model looks: maps of toys whose answer is known, shares, and the picture."""

import json

import numpy as np
import pytest

from hybrid_cvar.assets import SAMPLE_VIDEO
from hybrid_cvar.errors import ConfigError, ShortVideoError
from hybrid_cvar.pictures import draw_saliency, find_saliency, render_saliency
from hybrid_cvar.pictures.saliency import clip_saliency, moving_pixels, smoothed
from hybrid_cvar.records import Clip, InputSpec
from hybrid_cvar.video import read_clips
from hybrid_cvar.video.encoding import encode_video

pytestmark = pytest.mark.needs_compile


@pytest.fixture
def checkpoint(small_checkpoint):
    from hybrid_cvar.model import load_checkpoint

    return load_checkpoint(small_checkpoint)


@pytest.fixture(scope="module")
def clip():
    return read_clips(SAMPLE_VIDEO, InputSpec(size=32), 1).clips[0]


def maps_of(model, clip, target=0):
    return {found.modality: found for found in clip_saliency(model, clip, target).maps}


@pytest.fixture
def busy(clip):
    """The clip with events everywhere."""
    rng = np.random.default_rng(3)
    motion, residual = (rng.integers(5, 40, part.shape).astype(np.int16) for part in (clip.motion, clip.residual))
    return Clip(clip.iframe, motion, residual, 0, 0.0)


def test_a_corner_that_the_logit_depends_on_is_all_that_lights(checkpoint, busy, monkeypatch):
    """Top left of the I-frame, top right of motion, bottom left of the residual."""
    model = checkpoint.build_model()

    def corners(iframe, motion, residual):
        import torch

        logit = 0.1 * iframe[:, :8, :4].sum() - motion[:, :, :8, -4:].sum() + residual[:, 2, -4:, :8].sum()
        return torch.stack([logit, 0 * logit])[None]

    monkeypatch.setattr(model, "forward", corners)
    corner = {
        "iframe": np.s_[:14, :10],
        "motion": np.s_[:14, -10:],
        "residual": np.s_[-10:, :14],
    }
    for name, found in maps_of(model, busy).items():
        outside = found.shown.copy()
        outside[corner[name]] = 0
        assert not outside.any(), name
        assert found.shown.max() == 1, name
    for found in maps_of(model, busy, target=1).values():
        assert not found.shown.any()
        assert found.moving_share is None


def test_contributions_are_exact_on_a_linear_toy(checkpoint, busy, monkeypatch):
    from hybrid_cvar.pictures.input_gradients import contributions
    from hybrid_cvar.records import stream_events

    model = checkpoint.build_model()
    monkeypatch.setattr(model, "forward", lambda iframe, motion, residual: (3 * motion).sum().reshape(1, 1))
    found = contributions(model, busy, 0)
    events = stream_events(busy, model.config.input, "motion").astype(float)
    assert np.allclose(found["motion"][0], 3 * events.sum(axis=(0, 3)))
    assert np.allclose(found["motion"][1], np.abs(events).sum(axis=(0, 3)))
    assert not found["iframe"][0].any() and not found["residual"][0].any()


def test_the_real_model_has_a_gradient_at_every_input(checkpoint, clip):
    """And its own tensors stay as they are."""
    import torch

    model = checkpoint.build_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    first, again = maps_of(model, clip), maps_of(model, clip)
    assert set(first) == {"iframe", "motion", "residual"}
    for name, found in first.items():
        assert found.shown.shape == (32, 32) and found.shown.dtype == np.float32
        assert found.shown.max() == 1 and found.shown.min() >= 0
        assert (found.shown == again[name].shown).all()
        assert 0 < found.moving_share <= 1
    assert all((tensor == before[name]).all() for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.ann.parameters())
    assert (torch.get_rng_state() == state).all()


@pytest.mark.parametrize("variant", ["no-residual", "common-stm", "ls-t-gs", "iframe-only"])
def test_variants_have_maps_of_what_they_take(mini_config, variant):
    from hybrid_cvar.model import HybridCvarModel, find_variant, variant_config

    config = variant_config(mini_config, find_variant(variant).changes)
    model = HybridCvarModel(config, 2).eval()
    found = maps_of(model, read_clips(SAMPLE_VIDEO, config.input, 1).clips[0])
    assert tuple(found) == config.modalities


def test_moving_is_other_than_the_camera():
    motion = np.full((4, 6, 8, 2), (3, -1), np.int16)
    motion[-1, 2, 5] = (3, 0)
    motion[0, 0, 0] = 9
    clip = Clip(np.zeros((6, 8, 3), np.uint8), motion, np.zeros((4, 6, 8, 3), np.int16), 0, 0.0)
    assert np.argwhere(moving_pixels(clip)).tolist() == [[2, 5]]


def test_smoothing_keeps_the_sum_and_the_axes():
    spot = np.zeros((20, 30))
    spot[8, 21] = 5.0
    soft = smoothed(spot)
    assert soft.shape == (20, 30)
    assert soft.sum() == pytest.approx(5.0)
    assert np.unravel_index(soft.argmax(), soft.shape) == (8, 21)


def test_a_video_and_its_json(checkpoint, tmp_path):
    from hybrid_cvar.reporting.pictures import new_figure, save_figure

    pytest.importorskip("matplotlib")
    result = find_saliency(checkpoint, SAMPLE_VIDEO, label="Wave", clips=2, name="sample")
    assert (result.label, result.trained, len(result.clips)) == ("wave", False, 2)
    assert find_saliency(checkpoint, SAMPLE_VIDEO).label == result.answer
    content = json.loads(render_saliency(result))
    assert content["schema"] == "hybrid-cvar/saliency"
    assert content["label"] == "wave" and content["probability"] == result.probability
    assert [len(entry["maps"]) for entry in content["clips"]] == [3, 3]
    assert content["clips"][1]["maps"][0]["moving_share"] == result.clips[1].maps[0].moving_share
    for name in ("a.png", "b.png"):
        figure = new_figure(1, 1)
        draw_saliency(result, figure)
        save_figure(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_bad_input_to_saliency_is_named(checkpoint, tmp_path):
    with pytest.raises(ConfigError, match="label 'swim' is none of the model's 3; known: clap, wave, walk"):
        find_saliency(checkpoint, SAMPLE_VIDEO, label="swim")
    for clips in (0, 4):
        with pytest.raises(ConfigError, match=f"clips = {clips}; must be 1 to 3"):
            find_saliency(checkpoint, SAMPLE_VIDEO, clips=clips)
    encode_video([np.zeros((64, 64, 3), np.uint8)] * 7, tmp_path / "short.avi")
    with pytest.raises(ShortVideoError):
        find_saliency(checkpoint, tmp_path / "short.avi")
