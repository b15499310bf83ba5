"""What a layer counts while it runs (spec.md, What is counted), and how it travels.

A layer's counts of a clip are int64 (T, 7), a row a step, a column a field of `COUNT_FIELDS`. As a message they are
flat, and behind them stand the spells in which the layer computed: int64 (T, 2), nanoseconds of the system's monotonic
clock at which each began and ended, zeros where there were fewer. Time is no count, and no two engines agree on it.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec, StmSpec
from hybrid_cvar.records import SpikingLayerCounts

__all__ = [
    "COUNT_FIELDS",
    "all_layers",
    "computing_seconds",
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


def computing_seconds(spells: NDArray[np.int64]) -> float:
    """Seconds in which at least one of several computed: time that two computed side by side counts once.

    Args:
        spells: int64 (n, 2), begin and end of each, nanoseconds of one clock; in any order.
    """
    total = reached = 0
    for begin, end in sorted(spells.tolist()):
        total += max(end - max(begin, reached), 0)
        reached = max(reached, end)
    return total / 1e9


def message_size(timesteps: int) -> int:
    """Elements of a layer's message."""
    return timesteps * (len(COUNT_FIELDS) + 2)


def pack_counts(counts: NDArray[np.int64], spells: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """int64 (message_size,): a layer's counts of a clip, (T, 7), and at most T spells in which it computed."""
    times = np.zeros((len(counts), 2), dtype=np.int64)
    times[: len(spells)] = spells
    return np.concatenate([counts.ravel(), times.ravel()])


def unpack_counts(messages: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Messages (layers, message_size) as counts (layers, T, 7), and the spells of all layers, (layers * T, 2)."""
    timesteps = messages.shape[1] // (len(COUNT_FIELDS) + 2)
    counts, spells = np.split(messages, [timesteps * len(COUNT_FIELDS)], axis=1)
    return counts.reshape(len(messages), timesteps, len(COUNT_FIELDS)), spells.reshape(-1, 2)
