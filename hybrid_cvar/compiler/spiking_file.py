"""`spiking.h5`: the spiking partition's layers, in the layout of lava-dl's SLAYER export.

    <stream>/layer/0           type "input", shape (C, H, W)
    <stream>/layer/1, 2, ...   type "conv", weight (C_out, C_in, kh, kw), stride, padding, dilation, groups,
                               neuron/{type, iDecay, vDecay, vThMant}

for the streams `motion` and `residual`. Neuron type `SOFT_RESET_LIF` is this project's; netx refuses it,
which is right, since its own LIF resets hard.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import BundleError, ConfigError
from hybrid_cvar.fixed_point import DECAY_UNITY
from hybrid_cvar.neuromorphic.layer_spec import MAX_CHANNELS, ConvLifSpec, StmSpec, StreamSpec

__all__ = ["NEURON_RESETS", "STREAM_NAMES", "read_spiking_file"]

STREAM_NAMES = ("motion", "residual")
NEURON_RESETS = {"SOFT_RESET_LIF": "soft", "CUBA": "hard", "LOIHI": "hard"}
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
            motion, residual = (_read_stream(file, name) for name in STREAM_NAMES)
            return StmSpec(motion, residual, timesteps)
    except ConfigError as error:
        raise BundleError(f"{path.name}: {error.found}", error.rule, "compile the checkpoint again") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise BundleError(
            f"{path.name}: {' '.join(str(error).split())[:160]}",
            "it must hold both streams' layers in SLAYER's layout",
            "compile the checkpoint again",
        ) from error


def _read_stream(file: h5py.File, stream: str) -> StreamSpec:
    layers = _group(_group(file, stream), "layer")
    if not 2 <= len(layers) <= MAX_LAYERS:
        raise ValueError(f"{stream} has {len(layers)} layers; 2 to {MAX_LAYERS} are allowed")
    channels, height, width = _whole_numbers(_group(layers, "0"), "shape", 3)
    shape = (height, width, channels)
    specs: list[ConvLifSpec] = []
    for index in range(1, len(layers)):
        spec = _read_layer(_group(layers, str(index)), f"{stream}.{index - 1}", shape, graded=index == 1)
        specs.append(spec)
        shape = spec.output_shape
    return StreamSpec(stream, tuple(specs))


def _read_layer(group: h5py.Group, name: str, input_shape: tuple[int, int, int], graded: bool) -> ConvLifSpec:
    kind = _text(group, "type")
    if kind != "conv":
        raise ValueError(f"{name} is of type {kind!r}; only conv layers are run")
    neuron = _group(group, "neuron")
    neuron_type = _text(neuron, "type")
    if neuron_type not in NEURON_RESETS:
        raise ValueError(f"{name} has neurons of type {neuron_type!r}; known: {', '.join(NEURON_RESETS)}")
    if _pair(group, "dilation") != (1, 1) or _whole_numbers(group, "groups", 1) != [1]:
        raise ValueError(f"{name} has dilation or groups, which ConvLIF does not")
    if _whole_numbers(neuron, "iDecay", 1) != [DECAY_UNITY]:
        raise ValueError(f"{name} has a current state (iDecay is not {DECAY_UNITY}), which ConvLIF does not")
    return ConvLifSpec(
        name=name,
        input_shape=input_shape,
        weight=_weight(group, name),
        stride=_pair(group, "stride"),
        padding=_pair(group, "padding"),
        threshold=_whole_numbers(neuron, "vThMant", 1)[0],
        decay=_whole_numbers(neuron, "vDecay", 1)[0],
        reset=NEURON_RESETS[neuron_type],
        graded_input=graded,
    )


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
