"""`spiking.h5`: written and read back whole, and run by stock Lava with the engines' own bits."""

import textwrap

import h5py
import numpy as np
import pytest

from hybrid_cvar.assets import DEFAULT_BUNDLE
from hybrid_cvar.compiler import spiking_file
from hybrid_cvar.compiler.spiking_file import read_spiking_file
from hybrid_cvar.errors import BundleError
from hybrid_cvar.neuromorphic import ConvLifSpec, NativeStm, StmSpec, StreamSpec
from hybrid_cvar.neuromorphic.reference import reference_layer, synaptic_sum
from hybrid_cvar.records import STREAM_CHANNELS

pytestmark = [pytest.mark.needs_compile, pytest.mark.needs_lava]

TIMESTEPS = 5
LAYER_FIELDS = ("name", "input_shape", "stride", "padding", "threshold", "decay", "reset", "graded_input", "weight")


def netx_network(path, stream, **options):
    from hybrid_cvar.lava_compat import prepare_slayer

    prepare_slayer()
    from lava.lib.dl.netx.hdf5 import Network

    with h5py.File(path) as file:
        options = {name: int(value) for name, value in file[stream].attrs.items()} | options
    return Network(str(path), **options)


def run_on_stock_lava(network, events):
    """(spikes (T, h, w, C_out), v of the last layer (h, w, C_out)) of events (T, H, W, C)."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    late = len(network)
    padded = np.concatenate([events, np.zeros((late, *events.shape[1:]))])
    source = Source(data=padded.transpose(2, 1, 3, 0).astype(np.int32))
    sink = Sink(shape=network.out.shape, buffer=len(padded))
    source.s_out.connect(network.inp)
    network.out.connect(sink.a_in)
    network.run(condition=RunSteps(len(padded)), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    try:
        spikes = sink.data.get().transpose(3, 1, 0, 2)[late:]
        return spikes, network.layers[-1].neuron.v.get().transpose(1, 0, 2)
    finally:
        network.stop()


def a_model(neuron_parameters, reset):
    """An untrained model whose thresholds and leaks all differ."""
    import torch

    from hybrid_cvar.model import HybridCvarModel, ModelConfig, StmConfig
    from hybrid_cvar.records import InputSpec

    stm = StmConfig(channels=(4, 3), threshold=0.5, neuron_parameters=neuron_parameters, reset=reset)
    config = ModelConfig(
        name="small",
        input=InputSpec(size=16, timesteps=TIMESTEPS),
        stm=stm,
        patch=4,
        width=16,
        depth=1,
        heads=2,
        fold_width=4,
        fuse_width=4,
        rrdb_growth=4,
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = HybridCvarModel(config, 3)
        with torch.no_grad():
            for block in (block for stm in model.stm.values() for block in stm.blocks):
                block.neuron.threshold_value.mul_(0.5 + torch.rand_like(block.neuron.threshold_value))
                block.neuron.leak_value.mul_(0.5 + 0.5 * torch.rand_like(block.neuron.leak_value))
    return model


def write_model(path, neuron_parameters="layer", reset="hard"):
    from hybrid_cvar.compiler.partition import partition_model
    from hybrid_cvar.compiler.spiking_export import write_spiking_file

    model = a_model(neuron_parameters, reset)
    stm = partition_model(model).stm
    write_spiking_file(model, stm, path)
    return stm


def a_layer(rng, name, input_shape, *, graded, kernel, stride, padding, per_channel):
    channels = 3
    count = channels if per_channel else ()
    return ConvLifSpec(
        name=name,
        input_shape=input_shape,
        weight=rng.integers(-128, 128, (channels, input_shape[2], *kernel), dtype=np.int32) * 2,
        stride=stride,
        padding=padding,
        threshold=rng.integers(900, 9000, count) if graded else rng.integers(0, 400, count),
        decay=rng.integers(0, 4096, count),
        reset="hard",
        graded_input=graded,
    )


def a_lopsided_stm(seed, per_channel, depths=None):
    """Sides, kernels, strides and padding that all differ between the axes; streams of different depth."""
    rng = np.random.default_rng(seed)
    streams = []
    for name, depth in (depths or {"motion": 1, "residual": 3}).items():
        shape, layers = (11, 8, STREAM_CHANNELS[name]), []
        for index in range(depth):
            layers.append(
                a_layer(
                    rng,
                    f"{name}.{index}",
                    shape,
                    graded=index == 0,
                    kernel=(3, 2) if index % 2 else (2, 3),
                    stride=(1, 2) if index == 0 else (1, 1),
                    padding=(0, 1) if index % 2 else (1, 0),
                    per_channel=per_channel,
                )
            )
            shape = layers[-1].output_shape
        streams.append(StreamSpec(name, tuple(layers)))
    return StmSpec(tuple(streams), TIMESTEPS)


def write_stm(stm, path):
    """The layout of SLAYER's export, from the layers alone."""
    from hybrid_cvar.compiler.spiking_export import link_netx_chain

    with h5py.File(path, "w") as file:
        for stream in stm.streams:
            height, width, channels = stream.layers[0].input_shape
            group = file.create_group(f"{stream.name}/layer/0")
            group["type"], group["shape"] = np.array([b"input"]), (channels, height, width)
            for index, layer in enumerate(stream.layers, start=1):
                out_height, out_width, out_channels = layer.output_shape
                values = {
                    "type": np.array([b"conv"]),
                    "shape": (out_channels, out_height, out_width),
                    "weight": layer.weight.astype(np.float32),
                    "stride": layer.stride,
                    "padding": layer.padding,
                    "dilation": (1, 1),
                    "groups": 1,
                    "neuron/type": "CUBA",
                    "neuron/iDecay": 4096,
                    "neuron/vDecay": layer.decay,
                    "neuron/vThMant": layer.threshold,
                }
                for name, value in values.items():
                    file[f"{stream.name}/layer/{index}/{name}"] = value
        link_netx_chain(file)


def a_clip(stream, seed, peak=60):
    rng = np.random.default_rng(seed)
    shape = (TIMESTEPS, *stream.layers[0].input_shape)
    return (rng.integers(-peak, peak + 1, shape) * (rng.random(shape) < 0.5)).astype(np.int8)


def run_in_reference(stream, events):
    """(spikes of the last layer, its membrane after the last step, largest |z| of all layers)."""
    membranes, largest = np.zeros(0), 0
    for layer in stream.layers:
        for step in events:
            z = synaptic_sum(layer.weight, step, layer.output_shape, layer.stride, layer.padding)
            largest = max(largest, int(np.abs(z).max()))
        events, membranes = reference_layer(layer, events)
    return events, membranes[-1], largest


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("neuron_parameters", ["layer", "channel"])
def test_what_is_written_is_read_back(tmp_path, neuron_parameters, reset):
    written = write_model(tmp_path / "spiking.h5", neuron_parameters, reset)
    read = read_spiking_file(tmp_path / "spiking.h5", TIMESTEPS)
    assert [stream.name for stream in read.streams] == ["motion", "residual"]
    for before, after in zip(written.streams, read.streams, strict=True):
        for left, right in zip(before.layers, after.layers, strict=True):
            assert left.reset == reset
            assert np.size(left.threshold) == (1 if neuron_parameters == "layer" else len(left.weight))
            for name in LAYER_FIELDS:
                np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


@pytest.mark.parametrize("per_channel", [False, True], ids=["one threshold", "one a channel"])
@pytest.mark.parametrize(
    "depths",
    [{"motion": 1, "residual": 3}, {"motion": 2}, {"residual": 3}, {"common": 2}],
    ids=lambda depths: "+".join(depths),
)
def test_every_set_of_streams_is_read_back(tmp_path, depths, per_channel):
    written = a_lopsided_stm(5, per_channel, depths)
    write_stm(written, tmp_path / "spiking.h5")
    read = read_spiking_file(tmp_path / "spiking.h5", TIMESTEPS)
    assert [(stream.name, len(stream.layers)) for stream in read.streams] == list(depths.items())
    for before, after in zip(written.streams, read.streams, strict=True):
        for left, right in zip(before.layers, after.layers, strict=True):
            for name in LAYER_FIELDS:
                np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)
    with h5py.File(tmp_path / "spiking.h5") as file:
        assert len(file["layer"]) == sum(2 + depth for depth in depths.values())


def remove_all(file):
    for name in list(file):
        del file[name]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.move("residual", "flow"), "holds 'flow', which is unknown"),
        (lambda f: f.copy("residual", "common"), "not the chain"),
        (lambda f: (f.__delitem__("layer"), f.copy("residual", "common")), "streams motion, residual, common"),
        (lambda f: f.__delitem__("residual"), "not the chain"),
        (lambda f: (f.__delitem__("layer"), f.move("residual", "common")), "streams motion, common"),
        (lambda f: (f.__delitem__("layer"), f.__delitem__("motion"), f.move("residual", "motion")), "takes 3 channels"),
        (lambda f: soft_link(f, "residual", "/nowhere"), "residual is missing or a link"),
        (remove_all, "streams none"),
    ],
)
def test_other_streams_are_refused(tmp_path, change, words):
    write_stm(a_lopsided_stm(5, False), tmp_path / "spiking.h5")
    with h5py.File(tmp_path / "spiking.h5", "r+") as file:
        change(file)
    with pytest.raises(BundleError, match=words):
        read_spiking_file(tmp_path / "spiking.h5", TIMESTEPS)


@pytest.mark.parametrize("stream", ["motion", "residual"])
def test_the_documented_recipe_gives_the_engines_bits_on_stock_lava(tmp_path, monkeypatch, stream):
    stm = write_model(tmp_path / "spiking.h5")
    clips = [a_clip(each, seed=1) for each in stm.streams]
    with NativeStm(stm, record=True) as native:
        expected = native.run_clip(*clips)
    text = spiking_file.__doc__
    recipe = text[text.index("    from hybrid_cvar.lava_compat") : text.index("The spikes and the read-out")]
    monkeypatch.chdir(tmp_path)
    index = ("motion", "residual").index(stream)
    names = {"h5py": h5py, "np": np, "events": clips[index]}
    exec(textwrap.dedent(recipe).replace("motion", stream), names)  # the recipe is our own docstring
    assert expected.spikes[2 * index].any()
    assert 0 < expected.spikes[2 * index + 1].sum() < expected.spikes[2 * index + 1].size
    np.testing.assert_array_equal(names["spikes"], expected.spikes[2 * index + 1])
    membrane = expected.readouts[index]
    assert membrane.any()
    np.testing.assert_array_equal(names["membrane"], membrane)


@pytest.mark.filterwarnings("ignore:Reset is not supported with Sigma Delta")  # the markers, which hold no state
@pytest.mark.parametrize("per_channel", [False, True], ids=["one threshold", "one a channel"])
@pytest.mark.parametrize(
    ("stream", "depths"),
    [("motion", None), ("residual", None), ("residual", {"residual": 2}), ("common", {"common": 2})],
    ids=["motion of both", "residual of both", "residual", "common"],
)
def test_clips_one_behind_the_other_on_stock_lava(tmp_path, stream, depths, per_channel):
    """Lopsided layers, so that an axis, a flip or a clip's first step taken wrongly shows."""
    stm = a_lopsided_stm(11, per_channel, depths)
    write_stm(stm, tmp_path / "spiking.h5")
    (layers,) = (each for each in stm.streams if each.name == stream)
    clips = [a_clip(layers, seed) for seed in range(3)]
    expected = [run_in_reference(layers, clip) for clip in clips]
    assert max(largest for _, _, largest in expected) < 2**17
    assert all(spikes.any() for spikes, _, _ in expected)
    network = netx_network(tmp_path / "spiking.h5", stream, reset_interval=TIMESTEPS, reset_offset=1)
    spikes, membrane = run_on_stock_lava(network, np.concatenate(clips))
    np.testing.assert_array_equal(spikes, np.concatenate([spikes for spikes, _, _ in expected]))
    np.testing.assert_array_equal(membrane, expected[-1][1])


def test_the_reset_of_netx_is_what_clears_a_clip(tmp_path):
    stm = a_lopsided_stm(11, False)
    write_stm(stm, tmp_path / "spiking.h5")
    clips = [a_clip(stm.streams[0], seed) for seed in range(2)]
    expected = np.concatenate([run_in_reference(stm.streams[0], clip)[0] for clip in clips])
    spikes, _ = run_on_stock_lava(netx_network(tmp_path / "spiking.h5", "motion"), np.concatenate(clips))
    np.testing.assert_array_equal(spikes[:TIMESTEPS], expected[:TIMESTEPS])
    assert (spikes[TIMESTEPS:] != expected[TIMESTEPS:]).any()


def test_netx_takes_the_first_layers_input_as_graded(tmp_path):
    write_model(tmp_path / "spiking.h5")
    for stream in ("motion", "residual"):
        network = netx_network(tmp_path / "spiking.h5", stream)
        assert [bool(layer.input_message_bits) for layer in network.layers] == [True, False]


def test_netx_refuses_soft_reset(tmp_path):
    """It knows no such neuron and fails on the parameters that it did not find."""
    write_model(tmp_path / "spiking.h5", reset="soft")
    for stream in ("motion", "residual"):
        with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'pop'"):
            netx_network(tmp_path / "spiking.h5", stream)


@pytest.mark.parametrize("wrong", [{}, {"skip_layers": 1}, {"num_layers": 4}, {"skip_layers": 4}])
def test_netx_refuses_to_chain_one_stream_to_the_other(tmp_path, wrong):
    from hybrid_cvar.lava_compat import prepare_slayer

    write_model(tmp_path / "spiking.h5")
    prepare_slayer()
    from lava.lib.dl.netx.hdf5 import Network

    with pytest.raises(ValueError, match="3 dimensional"):
        Network(str(tmp_path / "spiking.h5"), **wrong)


def test_the_chain_holds_the_streams_own_layers(tmp_path):
    write_model(tmp_path / "spiking.h5")
    with h5py.File(tmp_path / "spiking.h5") as file:
        own = [file[f"{stream}/layer/{index}"] for stream in ("motion", "residual") for index in range(3)]
        assert [file[f"layer/{index}"] for index in (1, 2, 3, 5, 6, 7)] == own
        assert len(file["layer"]) == 8


def copy_over(file, name, source):
    del file[name]
    file.copy(file[source], file, name)


def soft_link(file, name, target):
    del file[name]
    file[name] = h5py.SoftLink(target)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: copy_over(f, "layer/2", "motion/layer/1"), "not the chain"),
        (lambda f: f.__delitem__("layer/7"), "not the chain"),
        (lambda f: f.create_group("layer/8"), "not the chain"),
        (lambda f: f.move("layer/7", "layer/8"), "missing or a link"),
        (lambda f: soft_link(f, "layer/2", "/motion/layer/1"), "link"),
        (lambda f: soft_link(f, "layer", "/motion/layer"), "link"),
        (lambda f: (f.__delitem__("layer"), f.create_dataset("layer", data=1)), "not a group"),
    ],
)
def test_a_chain_that_is_not_the_streams_is_refused(tmp_path, change, words):
    write_model(tmp_path / "spiking.h5")
    with h5py.File(tmp_path / "spiking.h5", "r+") as file:
        change(file)
    with pytest.raises(BundleError, match=words):
        read_spiking_file(tmp_path / "spiking.h5", TIMESTEPS)


def test_a_file_without_the_chain_is_read(tmp_path):
    written = write_model(tmp_path / "spiking.h5")
    with h5py.File(tmp_path / "spiking.h5", "r+") as file:
        del file["layer"]
    read = read_spiking_file(tmp_path / "spiking.h5", TIMESTEPS)
    np.testing.assert_array_equal(read.streams[1].layers[1].weight, written.streams[1].layers[1].weight)


@pytest.mark.parametrize("name", ["CUBA", "LOIHI"])
def test_both_of_slayers_names_of_stock_lif_reset_hard(tmp_path, name):
    write_model(tmp_path / "spiking.h5", reset="soft")
    with h5py.File(tmp_path / "spiking.h5", "r+") as file:
        del file["motion/layer/1/neuron/type"]
        file["motion/layer/1/neuron/type"] = name
    layers = read_spiking_file(tmp_path / "spiking.h5", TIMESTEPS).streams[0].layers
    assert [layer.reset for layer in layers] == ["hard", "soft"]


def test_the_shipped_file_is_read():
    streams = read_spiking_file(DEFAULT_BUNDLE / "spiking.h5", 11).streams
    assert [stream.name for stream in streams] == ["motion", "residual"]
