"""What a profile's constants can be counted from: the counters of one spiking layer, by name."""

from collections.abc import Callable, Mapping

from hybrid_cvar.records import SpikingLayerCounts

__all__ = ["COUNTERS", "OPERATION_COUNTERS", "count_of", "last_layers"]

COUNTERS: Mapping[str, Callable[[SpikingLayerCounts, bool], int]] = {
    "events_in": lambda layer, last: layer.events_in,
    "synaptic_operations": lambda layer, last: layer.synaptic_operations,
    "stored_operations": lambda layer, last: layer.stored_operations,
    "neuron_updates": lambda layer, last: layer.neuron_updates,
    "active_updates": lambda layer, last: layer.active_updates,
    "inactive_updates": lambda layer, last: layer.inactive_updates,
    "spikes_out": lambda layer, last: layer.spikes_out,
    "spikes_sent": lambda layer, last: 0 if last else layer.spikes_out,
}
"""Those of `SpikingLayerCounts`; and `spikes_sent`, the spikes of layers that another one listens to: the last layer of
a stream spikes too, but its membrane is read instead."""

OPERATION_COUNTERS = frozenset({"synaptic_operations", "stored_operations"})
"""Those that count what a synapse does with an event."""


def count_of(counter: str, layer: SpikingLayerCounts, *, last: bool) -> int:
    """What a counter says of a layer, as a plain int of any size.

    Args:
        counter: one of `COUNTERS`.
        layer: its counts.
        last: True for the last layer of its stream.
    """
    return int(COUNTERS[counter](layer, last))


def last_layers(layers: tuple[SpikingLayerCounts, ...]) -> tuple[bool, ...]:
    """Of every layer, whether it is the last of its stream."""
    deepest: dict[str, int] = {}
    for layer in layers:
        deepest[layer.stream] = max(layer.layer, deepest.get(layer.stream, 0))
    return tuple(layer.layer == deepest[layer.stream] for layer in layers)
