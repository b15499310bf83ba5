"""What a layer counts while it runs (spec.md, What is counted), and how it travels.

A layer's counts of a clip are int64 (T, 7), a row a step, a column a field of `COUNT_FIELDS`. As a message they are
flat, with the nanoseconds that the layer computed behind them: time is no count, and no two engines agree on it.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec, StmSpec
from hybrid_cvar.records import SpikingLayerCounts

__all__ = [
    "COUNT_FIELDS",
    "all_layers",
    "busiest_stream_seconds",
    "layer_counts",
    "message_size",
    "pack_counts",
    "unpack_counts",
]

COUNT_FIELDS = (
    *("events_in", "synaptic_operations", "stored_operations"),
    *("neuron_updates", "active_updates", "spikes_out", "saturated_states"),
)
"""Columns of a layer's counts, in order."""


def all_layers(spec: StmSpec) -> list[tuple[str, int, ConvLifSpec]]:
    """(stream, position in it, layer), stream by stream."""
    return [(stream.name, index, layer) for stream in spec.streams for index, layer in enumerate(stream.layers)]


def layer_counts(spec: StmSpec, counts: Iterable[NDArray[np.int64]]) -> tuple[SpikingLayerCounts, ...]:
    """One clip's counts as records; an array (T, 7) for each of `all_layers`."""
    records = []
    for (stream, index, layer), of_layer in zip(all_layers(spec), counts, strict=True):
        steps = dict(zip(COUNT_FIELDS, (tuple(column.tolist()) for column in of_layer.T), strict=True))
        records.append(
            SpikingLayerCounts(
                stream=stream,
                layer=index,
                graded_input=layer.graded_input,
                neurons=layer.neurons,
                timesteps=spec.timesteps,
                **{field: sum(column) for field, column in steps.items()},
                step_events=steps["events_in"],
                step_operations=steps["stored_operations"],
                step_spikes=steps["spikes_out"],
            )
        )
    return tuple(records)


def busiest_stream_seconds(spec: StmSpec, nanoseconds: Iterable[int]) -> float:
    """Seconds that the stream computed which computed longest; nanoseconds for each of `all_layers`."""
    by_stream = dict.fromkeys((stream.name for stream in spec.streams), 0)
    for (stream, _, _), of_layer in zip(all_layers(spec), nanoseconds, strict=True):
        by_stream[stream] += int(of_layer)
    return max(by_stream.values()) / 1e9


def message_size(timesteps: int) -> int:
    """Elements of a layer's message."""
    return timesteps * len(COUNT_FIELDS) + 1


def pack_counts(counts: NDArray[np.int64], nanoseconds: int) -> NDArray[np.int64]:
    """int64 (message_size,): a layer's counts of a clip, (T, 7), and the nanoseconds that it computed."""
    return np.append(counts.ravel(), np.int64(nanoseconds))


def unpack_counts(messages: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Messages (layers, message_size) as counts (layers, T, 7) and nanoseconds (layers,)."""
    return messages[:, :-1].reshape(len(messages), -1, len(COUNT_FIELDS)), messages[:, -1]
