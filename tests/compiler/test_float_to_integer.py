"""The float-to-integer map says what became of every parameter."""

import json

import numpy as np
import pytest

pytestmark = pytest.mark.needs_compile


@pytest.fixture
def edited(small_checkpoint):
    """The small checkpoint's model with weights and neurons of known values in motion.0."""
    import torch

    from hybrid_cvar.model import load_checkpoint

    model = load_checkpoint(small_checkpoint).build_model()
    block = model.stm["motion"].blocks[0]
    with torch.no_grad():
        weight = block.synapse.weight
        weight.fill_(0.5)
        flat = weight.view(-1)
        assert len(flat) == 4 * 2 * 9
        # one step above the upper rail; far below the lower; both rails themselves; off by a quarter step
        flat[0], flat[1], flat[2], flat[3], flat[4] = 4.0, -5.0, 254 / 64, -4.0, 0.5 + 0.5 / 64
        block.neuron.threshold_value.fill_(0.7)
        block.neuron.leak_value.fill_(0.9)
    return model


def test_weights_by_hand(edited):
    from hybrid_cvar.compiler.partition import partition_model

    layer = partition_model(edited).maps[0]
    assert (layer.name, layer.weight_scale) == ("motion.0", 64)
    assert layer.weights_at_rails == 4 / 72
    assert layer.weights_clipped == 2 / 72, "4.0 (256) and -5.0 (-320); 254 / 64 and -4.0 are held exactly"
    assert layer.weight_rounding_largest == 1.0, "-5.0 became -4.0"
    errors = [2 / 64, 1.0, 0.0, 0.0, 0.5 / 64]
    assert layer.weight_rounding_rms == pytest.approx(np.sqrt(sum(error**2 for error in errors) / 72), rel=1e-12)


def test_neurons_by_hand(edited):
    from hybrid_cvar.compiler.partition import partition_model

    layer = partition_model(edited).maps[0]
    assert layer.threshold_float == pytest.approx((0.7,), rel=1e-6)
    assert layer.threshold_integer == (45,), "0.7 x 64 = 44.8"
    assert layer.threshold_represented == (45 / 64,)
    assert layer.leak_float == pytest.approx((0.9,), rel=1e-6)
    assert layer.decay_integer == (4096 - 3686,), "0.9 x 4096 = 3686.4"
    assert layer.leak_represented == (3686 / 4096,)


def test_every_channel_is_kept_where_channels_differ(small_checkpoint):
    import dataclasses

    import torch

    from hybrid_cvar.compiler.partition import partition_model
    from hybrid_cvar.model import HybridCvarModel, load_checkpoint

    config = load_checkpoint(small_checkpoint).config
    config = dataclasses.replace(config, stm=dataclasses.replace(config.stm, neuron_parameters="channel"))
    model = HybridCvarModel(config, 3)
    neuron = model.stm["residual"].blocks[1].neuron
    with torch.no_grad():
        neuron.threshold_value.copy_(torch.tensor([0.25, 0.5, 1.0, 2.0]))
        neuron.leak_value.copy_(torch.tensor([1.0, 0.5, 0.25, 0.75]))
    layer = partition_model(model).maps[3]
    assert layer.threshold_float == layer.threshold_represented == (0.25, 0.5, 1.0, 2.0)
    assert layer.threshold_integer == (16, 32, 64, 128)
    assert layer.leak_float == layer.leak_represented == (1.0, 0.5, 0.25, 0.75)
    assert layer.decay_integer == (0, 2048, 3072, 1024)


@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_the_reset_is_the_neurons(small_checkpoint, reset):
    import dataclasses

    from hybrid_cvar.compiler.partition import partition_model
    from hybrid_cvar.model import HybridCvarModel, load_checkpoint

    config = load_checkpoint(small_checkpoint).config
    config = dataclasses.replace(config, stm=dataclasses.replace(config.stm, reset=reset))
    stm = partition_model(HybridCvarModel(config, 3)).stm
    assert {layer.reset for stream in stm.streams for layer in stream.layers} == {reset}


@pytest.mark.needs_lava
def test_the_manifest_keeps_the_whole_map(small_bundle, small_checkpoint):
    import dataclasses

    from hybrid_cvar.compiler.partition import partition_model
    from hybrid_cvar.model import load_checkpoint

    kept = json.loads((small_bundle / "manifest.json").read_text())["spiking"]["layers"]
    maps = partition_model(load_checkpoint(small_checkpoint).build_model()).maps
    for layer, entry in zip(maps, kept, strict=True):
        expected = json.loads(json.dumps(dataclasses.asdict(layer)))
        assert {name: entry[name] for name in expected} == expected
        assert set(entry) - set(expected) == {"sample_spike_rate", "sample_saturated_share"}


@pytest.mark.needs_lava
@pytest.mark.parametrize("channels", [(1, 4), (4, 1)])
def test_a_layer_of_one_channel_with_a_neuron_of_its_own_compiles(tmp_path, channels):
    """Its one threshold is one value a layer and one a channel; both read back the same."""
    import torch

    from hybrid_cvar.assets import SAMPLE_VIDEO
    from hybrid_cvar.compiler.compile import compile_checkpoint
    from hybrid_cvar.model import Checkpoint, HybridCvarModel, ModelConfig, StmConfig, save_checkpoint
    from hybrid_cvar.records import InputSpec
    from hybrid_cvar.video import read_clips

    config = ModelConfig(
        input=InputSpec(size=32),
        stm=StmConfig(channels=channels, threshold=0.5, neuron_parameters="channel", reset="hard"),
        **{"patch": 8, "width": 16, "depth": 1, "heads": 2, "fold_width": 8, "fuse_width": 8, "rrdb_growth": 4},
    )
    torch.manual_seed(0)
    path = tmp_path / "one.pt"
    save_checkpoint(Checkpoint(config, ("a", "b"), HybridCvarModel(config, 2).state_dict(), trained=False), path)
    clips = lambda loaded: read_clips(SAMPLE_VIDEO, loaded.config.input, 1).clips  # noqa: E731
    result = compile_checkpoint(path, tmp_path / "one.bundle", clips)
    assert {layer.reset for layer in result.maps} == {"hard"}


@pytest.mark.parametrize("name", ["threshold", "decay", "reset"])
def test_a_file_that_reads_back_differently_fails(small_bundle, name):
    from dataclasses import replace as changed

    from hybrid_cvar.compiler import load_bundle
    from hybrid_cvar.compiler.compile import _check_read_back
    from hybrid_cvar.errors import ParityError
    from hybrid_cvar.neuromorphic import StmSpec, StreamSpec

    stm = load_bundle(small_bundle).stm
    _check_read_back(small_bundle, stm)
    motion, residual = stm.streams
    first, *rest = motion.layers
    other = changed(first, **{name: "hard" if name == "reset" else int(getattr(first, name)) + 1})
    written = StmSpec((StreamSpec("motion", (other, *rest)), residual), stm.timesteps)
    with pytest.raises(ParityError, match="reads back differently"):
        _check_read_back(small_bundle, written)
