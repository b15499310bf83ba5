"""Makers of layers, partitions and events; asymmetric kernels, so that a flip shows."""

import numpy as np
import pytest

from hybrid_cvar.neuromorphic import ConvLifSpec, StmSpec, StreamSpec
from hybrid_cvar.records import STREAM_CHANNELS


def _layer(rng, name, input_shape, channels, *, graded, reset="soft", kernel=(3, 3), stride=(2, 1), padding=(1, 0)):
    weight = rng.integers(-128, 128, (channels, input_shape[2], *kernel), dtype=np.int32) * 2
    weight[rng.random(weight.shape) < 0.2] = 0
    return ConvLifSpec(
        name=name,
        input_shape=input_shape,
        weight=weight,
        stride=stride,
        padding=padding,
        threshold=int(rng.integers(50, 900)) * (16 if graded else 1),
        decay=int(rng.integers(0, 4096)),
        reset=reset,
        graded_input=graded,
    )


def _stm(seed=0, *, names=("motion", "residual"), height=10, width=13, timesteps=5, reset="soft"):
    rng = np.random.default_rng(seed)
    streams = []
    for name in names:
        first = _layer(rng, f"{name}.0", (height, width, STREAM_CHANNELS[name]), 4, graded=True, reset=reset)
        second = _layer(rng, f"{name}.1", first.output_shape, 3, graded=False, reset=reset, kernel=(2, 3))
        streams.append(StreamSpec(name, (first, second)))
    return StmSpec(tuple(streams), timesteps)


def _clip(stm, seed):
    rng = np.random.default_rng(seed)
    return tuple(
        (
            rng.integers(-128, 128, (stm.timesteps, *stream.layers[0].input_shape))
            * (rng.random((stm.timesteps, *stream.layers[0].input_shape)) < 0.4)
        ).astype(np.int8)
        for stream in stm.streams
    )


@pytest.fixture(scope="session")
def make_stm():
    return _stm


@pytest.fixture(scope="session")
def make_clip():
    return _clip
