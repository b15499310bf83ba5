"""`spiking.h5`: the spiking partition's layers, in the layout of lava-dl's SLAYER export.

    <stream>/layer/0           type "input", shape (C, H, W)
    <stream>/layer/1, 2, ...   type "conv", weight (C_out, C_in, kh, kw), stride, padding, dilation, groups,
                               neuron/{type, iDecay, vDecay, vThMant}; the last two are one number, or one a channel
    <stream>                   attributes skip_layers, num_layers: where netx finds the stream
    layer/0, 1, 2, ...         for netx: of each stream a marker and its layers, as hard links

for the streams that the partition has: `motion`, `residual`, both, or `common`. Neuron type `CUBA` is stock Lava's LIF
(hard reset). `SOFT_RESET_LIF` is this project's; netx refuses it, which is right, since its own LIF resets hard.

lava-dl's netx reads one chain of layers, in the root group `layer`, so all streams lie there, one behind the other.
A marker is an input of type `SDNN` that `skip_layers` skips. It tells netx that the layer behind it takes graded
events, without which stock Conv makes them binary. It has no image shape, so that netx refuses, instead of running
one stream into the other, unless `skip_layers` and `num_layers` are those of a stream.

To run a hard-reset stream on stock Lava, without this package's engines (`events` is
`stream_events(clip, spec, "motion")` from `hybrid_cvar.records`, for one of `read_clips`; int8 (T, H, W, C)):

    import h5py
    import numpy as np
    from hybrid_cvar.lava_compat import prepare_slayer
    prepare_slayer()                                   # cures Lava 0.10 on Python 3.11 and later
    from lava.lib.dl.netx.hdf5 import Network
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source

    with h5py.File("spiking.h5") as file:
        stream = {name: int(value) for name, value in file["motion"].attrs.items()}
    network = Network("spiking.h5", **stream)
    late = len(network)                                # stock Conv is one step late a layer
    events = np.concatenate([events, np.zeros((late, *events.shape[1:]))])     # (T + late, H, W, C)
    source = Source(data=events.transpose(2, 1, 3, 0).astype(np.int32))        # Lava's order is W, H, C
    sink = Sink(shape=network.out.shape, buffer=len(events))
    source.s_out.connect(network.inp)
    network.out.connect(sink.a_in)
    network.run(condition=RunSteps(len(events)), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    spikes = sink.data.get().transpose(3, 1, 0, 2)[late:]               # (T, h, w, C_out)
    membrane = network.layers[-1].neuron.v.get().transpose(1, 0, 2)     # u[T], the read-out, (h, w, C_out)
    network.stop()

The spikes and the read-out are those of this package's engines, bit for bit, as long as every synaptic sum z keeps to
-2**17 < z <= 2**17: the current of stock LIF wraps beyond. For several clips, one behind the other, add
`reset_interval=timesteps, reset_offset=1`: netx then uses `LIFReset`, which clears current and membrane of layer k
(from 0) in steps k + 2, k + 2 + T, ... (from 1), before it adds that step's input: the first of a clip. (It warns that
Sigma Delta neurons, the markers, are not reset; they hold nothing.) Lava's own limits: under NumPy 2 stock Conv fails
on inputs wider or higher than 127 (`hybrid_cvar.lava_compat.widen_stock_conv()` cures it), and one threshold or decay a
channel, which stock LIF on the CPU happens to take, is not what its documentation allows.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import BundleError, ConfigError
from hybrid_cvar.fixed_point import DECAY_UNITY
from hybrid_cvar.neuromorphic.layer_spec import MAX_CHANNELS, ConvLifSpec, StmSpec, StreamSpec
from hybrid_cvar.records import STREAM_CHANNELS

__all__ = ["NETX_CHAIN", "NEURON_RESETS", "read_spiking_file", "stream_names"]

NETX_CHAIN = "layer"
"""The one group that netx reads. It may be absent: no engine needs it."""
NEURON_RESETS = {"SOFT_RESET_LIF": "soft", "CUBA": "hard", "LOIHI": "hard"}
LAYER_FIELDS = {
    *("type", "shape", "inChannels", "outChannels", "kernelSize", "stride", "padding", "dilation", "groups"),
    *("weight", "neuron"),
}
NEURON_FIELDS = {"type", "iDecay", "vDecay", "vThMant"}
MAX_LAYERS = 64
MAX_WEIGHTS = 2**26


def read_spiking_file(path: Path, timesteps: int) -> StmSpec:
    """Reads and checks every layer; shapes and types are looked at before values are read.

    Args:
        path: `spiking.h5`.
        timesteps: steps of a clip (T), from the manifest.

    Raises:
        BundleError: the file is damaged, incomplete, or holds a value that no engine can run.
    """
    try:
        with h5py.File(path, "r") as file:
            _refuse_unknown(file, {*STREAM_CHANNELS, NETX_CHAIN})
            streams = tuple(_read_stream(file, name) for name in stream_names(file))
            _check_netx_chain(file)
            return StmSpec(streams, timesteps)
    except ConfigError as error:
        raise BundleError(f"{path.name}: {error.found}", error.rule, "compile the checkpoint again") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise BundleError(
            f"{path.name}: {' '.join(str(error).split())[:160]}",
            "it must hold every stream's layers in SLAYER's layout",
            "compile the checkpoint again",
        ) from error


def stream_names(file: h5py.File) -> tuple[str, ...]:
    """The streams that a file holds, in the order of `STREAM_CHANNELS`."""
    held = set(file)
    return tuple(name for name in STREAM_CHANNELS if name in held)


def _read_stream(file: h5py.File, stream: str) -> StreamSpec:
    group = _group(file, stream)
    _refuse_unknown(group, {"layer"}, {"skip_layers", "num_layers"})
    layers = _group(group, "layer")
    _refuse_unknown(layers, {str(index) for index in range(len(layers))})
    if not 2 <= len(layers) <= MAX_LAYERS:
        raise ValueError(f"{stream} has {len(layers)} layers; 2 to {MAX_LAYERS} are allowed")
    _refuse_unknown(_group(layers, "0"), {"type", "shape"})
    channels, height, width = _whole_numbers(_group(layers, "0"), "shape", 3)
    shape = (height, width, channels)
    specs: list[ConvLifSpec] = []
    for index in range(1, len(layers)):
        spec = _read_layer(_group(layers, str(index)), f"{stream}.{index - 1}", shape, graded=index == 1)
        specs.append(spec)
        shape = spec.output_shape
    return StreamSpec(stream, tuple(specs))


def _check_netx_chain(file: h5py.File) -> None:
    """The chain must hold the very layers that the engines run, or netx would run others."""
    if file.get(NETX_CHAIN, getlink=True) is None:
        return
    chain = _group(file, NETX_CHAIN)
    expected: list[h5py.Group | None] = []
    for stream in stream_names(file):
        layers = _group(_group(file, stream), "layer")
        expected += [None, *(layers[str(index)] for index in range(len(layers)))]
    if len(chain) != len(expected) or not all(
        layer is None or _group(chain, str(index)) == layer for index, layer in enumerate(expected)
    ):
        raise ValueError(f"group {NETX_CHAIN} is not the chain of the streams' layers")
    position = 0
    for stream in stream_names(file):
        marker, layers = _group(chain, str(position)), len(file[stream]["layer"])
        _refuse_unknown(marker, {"type", "shape", "neuron"})
        neuron = _group(marker, "neuron")
        _refuse_unknown(neuron, {"type", "vThMant"})
        if (_text(marker, "type"), _text(neuron, "type"), _whole_numbers(neuron, "vThMant", 1)) != (
            "input",
            "SDNN",
            [0],
        ):
            raise ValueError(f"{marker.name} is not a marker")
        expected_place = {"skip_layers": position + 1, "num_layers": position + 1 + layers}
        place = {name: int(value) for name, value in file[stream].attrs.items()}
        if place != expected_place:
            raise ValueError(f"{stream} lies at {expected_place} of group {NETX_CHAIN}; its attributes say {place}")
        position += 1 + layers


def _read_layer(group: h5py.Group, name: str, input_shape: tuple[int, int, int], graded: bool) -> ConvLifSpec:
    kind = _text(group, "type")
    if kind != "conv":
        raise ValueError(f"{name} is of type {kind!r}; only conv layers are run")
    neuron = _group(group, "neuron")
    _refuse_unknown(group, LAYER_FIELDS)
    _refuse_unknown(neuron, NEURON_FIELDS)
    neuron_type = _text(neuron, "type")
    if neuron_type not in NEURON_RESETS:
        raise ValueError(f"{name} has neurons of type {neuron_type!r}; known: {', '.join(NEURON_RESETS)}")
    if _pair(group, "dilation") != (1, 1) or _whole_numbers(group, "groups", 1) != [1]:
        raise ValueError(f"{name} has dilation or groups, which ConvLIF does not")
    if _whole_numbers(neuron, "iDecay", 1) != [DECAY_UNITY]:
        raise ValueError(f"{name} has a current state (iDecay is not {DECAY_UNITY}), which ConvLIF does not")
    weight = _weight(group, name)
    return ConvLifSpec(
        name=name,
        input_shape=input_shape,
        weight=weight,
        stride=_pair(group, "stride"),
        padding=_pair(group, "padding"),
        threshold=_one_or_each(neuron, "vThMant", len(weight)),
        decay=_one_or_each(neuron, "vDecay", len(weight)),
        reset=NEURON_RESETS[neuron_type],
        graded_input=graded,
    )


def _refuse_unknown(group: h5py.Group, known: set[str], attributes: Collection[str] = ()) -> None:
    """Nothing in the file is ignored: what this release does not know may change what the rest means."""
    unknown = sorted(set(group) - known) + sorted(set(group.attrs) - set(attributes))
    if unknown:
        raise ValueError(f"{group.name} holds {unknown[0]!r}, which is unknown; nothing is ignored")


def _member(group: h5py.Group, name: str) -> Any:
    """What lies at `name` in the file itself; a link could lead to bytes whose hash nobody checked."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name}/{name} is missing or a link")
    return group[name]


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    group = _member(parent, name)
    if not isinstance(group, h5py.Group):
        raise ValueError(f"{group.name} is not a group")
    return group


def _dataset(group: h5py.Group, name: str, largest: int) -> h5py.Dataset:
    dataset = _member(group, name)
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise ValueError(f"{group.name}/{name} is not an array")
    if dataset.size > largest:
        raise ValueError(f"{dataset.name} holds {dataset.size} values; at most {largest} are allowed")
    if dataset.external or dataset.is_virtual:
        raise ValueError(f"{dataset.name} lies in another file")
    return dataset


def _whole_numbers(group: h5py.Group, name: str, count: int) -> list[int]:
    values = np.ravel(_dataset(group, name, count)[()])
    if values.dtype.kind not in "iuf" or len(values) != count or not np.array_equal(values, np.rint(values)):
        raise ValueError(f"{group.name}/{name} is not {count} whole number(s)")
    if np.abs(values.astype(np.float64)).max() > 2**31:
        raise ValueError(f"{group.name}/{name} is out of range")
    return [int(value) for value in values]


def _one_or_each(group: h5py.Group, name: str, channels: int) -> int | NDArray[np.integer]:
    """One value for the layer, or one an output channel."""
    if _dataset(group, name, MAX_CHANNELS).size == 1:
        return _whole_numbers(group, name, 1)[0]
    return np.array(_whole_numbers(group, name, channels))


def _pair(group: h5py.Group, name: str) -> tuple[int, int]:
    vertical, horizontal = _whole_numbers(group, name, 2)
    return vertical, horizontal


def _weight(group: h5py.Group, name: str) -> NDArray[np.int32]:
    dataset = _dataset(group, "weight", MAX_WEIGHTS)
    if dataset.ndim != 4 or max(dataset.shape) > MAX_CHANNELS or dataset.dtype.kind not in "iuf":
        raise ValueError(f"{name} has weights {dataset.dtype} {dataset.shape}")
    values = dataset[...]
    if not np.array_equal(values, np.rint(values)) or np.abs(values.astype(np.float64)).max(initial=0) > 2**15:
        raise ValueError(f"{name} has weights that are not whole numbers in range")
    return np.asarray(values, dtype=np.int32)


def _text(group: h5py.Group, name: str) -> str:
    value = np.ravel(_dataset(group, name, 1)[()])[0]
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
