"""Time that the spiking partition would take on a neuromorphic chip, for one clip (modelled).

    t_clip  = sum over steps s = 0 .. S-1 of ( max over layers l of t(l, s)  +  t_barrier )
    S       = T + L - 1
    t(l, s) = sum over operations t_op * n_op(l, s - d_l) / cores_l  +  neurons_l * sum over updates t_u * share_u(l)

    T          timesteps of a clip (P-frames)
    L          layers of the longest stream: each hands its spikes to the next a step later, and the pipeline drains
    d_l        position of layer l in its stream
    n_op       events, synaptic operations or spikes of the whole layer at its own timestep, mean over the clips that
               ran; 0 before its first and after its last one
    cores_l    cores that the layer is spread over, from the resource counts
    neurons_l  neurons of the fullest of them, which are updated one after the other in every step
    share_u    share of the layer's updates that are of this kind (all, active, inactive)
    t_op, t_u  the profile's times; those of spikes on their way are left out, as cores compute meanwhile
    t_barrier  the profile's, of the number of tiles

A step lasts as long as its busiest core, under `ASSUMPTIONS`.
"""

from hybrid_cvar.energy.counters import last_layers
from hybrid_cvar.energy.profile import Chip, EnergyConstant, EnergyProfile
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import (
    ChipFit,
    ChipLatency,
    CoreBounds,
    LayerLatency,
    ResourceReport,
    SpikingLayerCounts,
    Trace,
)

__all__ = ["model_chip_latency"]

ASSUMPTIONS = (
    "synaptic operations and spikes of a step spread evenly over the cores of their layer",
    "a core does its synaptic operations first, then its neurons one after the other",
    "no contention: messages travel while cores compute, and their time is not counted",
    "no input and output: events are there when their step begins, membranes are read in no time",
    "a layer hands its spikes on one step later; every neuron is updated in every step, those of the drain included",
    "graded input events are handled as spikes without a value",
)


def model_chip_latency(trace: Trace, profile: EnergyProfile, resources: ResourceReport | None) -> ChipLatency | None:
    """Time of one clip on the profile's chip; the equation is the module's.

    Args:
        trace: counts by step, summed over the clips that ran.
        profile: the times.
        resources: which cores every layer takes, from the bundle: those of the mapping in tiles, of a layer that has
            none the least there can be.

    Returns:
        The mean clip's time. None where the profile gives no times, or the resources do not cover its chip, or
        nothing ran.

    Raises:
        ConfigError: the resources are those of other layers.
    """
    if profile.chip is None or resources is None or not trace.spiking or trace.clips == 0:
        return None
    fit = next((fit for fit in resources.chips if fit.chip == profile.chip.name), None)
    if fit is None:
        return None
    if [layer.name for layer in trace.spiking] != [layer.name for layer in fit.layers]:
        raise ConfigError(
            f"the trace's layers are {', '.join(layer.name for layer in trace.spiking)}",
            f"the resources are those of {', '.join(layer.name for layer in fit.layers)}",
            "give the resources of the bundle that ran",
        )
    rows, seconds_by_step = _layers(trace, fit, profile)
    cores = sum(row.cores for row in rows)
    tiles = -(-cores // profile.chip.cores_a_tile)
    barrier = 1e-9 * profile.chip.barrier_nanoseconds(tiles)
    return ChipLatency(
        profile=profile.name,
        chip=profile.chip.name,
        steps=len(seconds_by_step),
        cores=cores,
        barrier_seconds=barrier,
        clip_seconds=sum(max(step) + barrier for step in seconds_by_step),
        layers=rows,
        assumptions=(
            *ASSUMPTIONS,
            *_mapping_words(fit),
            f"a barrier ends every step; its times hold for: {profile.chip.conditions}",
            *_barrier_words(tiles, profile.chip),
        ),
        sources=tuple(dict.fromkeys((profile.chip.source, *(each.source for each in _timed(profile)), *fit.sources))),
    )


def _layers(trace: Trace, fit: ChipFit, profile: EnergyProfile) -> tuple[tuple[LayerLatency, ...], list[list[float]]]:
    """A row a layer; and of every step, the seconds of every layer's fullest core."""
    timesteps = len(trace.spiking[0].step_operations)
    steps = timesteps + max(layer.layer for layer in trace.spiking)
    rows, columns = [], []
    for layer, last, bounds in zip(trace.spiking, last_layers(trace.spiking), fit.layers, strict=True):
        cores = bounds.at_least if bounds.tiled is None else bounds.tiled
        neurons = _fullest(layer, bounds, cores)
        updates = neurons * sum(_update_nanoseconds(layer, constant) for constant in _timed(profile))
        column = [updates] * steps
        for timestep in range(timesteps):
            work = sum(_work_nanoseconds(layer, constant, timestep, last) for constant in _timed(profile))
            column[timestep + layer.layer] += work / (trace.clips * cores)
        columns.append([1e-9 * nanoseconds for nanoseconds in column])
        rows.append(
            LayerLatency(
                name=layer.name,
                cores=cores,
                neurons_a_core=neurons,
                operations_a_core=sum(layer.step_operations) / (trace.clips * cores),
                seconds=sum(columns[-1]),
            )
        )
    return tuple(rows), [list(step) for step in zip(*columns, strict=True)]


def _timed(profile: EnergyProfile) -> tuple[EnergyConstant, ...]:
    """Constants whose time a core spends: messages are on their way while it computes."""
    return tuple(each for each in profile.spiking if each.time is not None and each.counted_from != "spikes_sent")


def _fullest(layer: SpikingLayerCounts, bounds: CoreBounds, cores: int) -> int:
    """Neurons of the fullest core."""
    if bounds.tiled is not None and bounds.tile is not None:
        height, width, channels = bounds.tile
        return height * width * channels
    return -(-layer.neurons // cores)


def _update_nanoseconds(layer: SpikingLayerCounts, constant: EnergyConstant) -> float:
    """Mean time of one neuron in one step."""
    if not layer.neuron_updates or constant.nanoseconds is None:
        return 0.0
    counts = {
        "neuron_updates": layer.neuron_updates,
        "active_updates": layer.active_updates,
        "inactive_updates": layer.inactive_updates,
    }
    return constant.nanoseconds * counts.get(constant.counted_from, 0) / layer.neuron_updates


def _work_nanoseconds(layer: SpikingLayerCounts, constant: EnergyConstant, timestep: int, last: bool) -> float:
    """Time of a layer's events and spikes at one of its timesteps, over all clips, were they done by one core."""
    if constant.nanoseconds is None:
        return 0.0
    stored = layer.step_operations[timestep]
    # Effective operations are not kept by step: the layer's own share of the stored ones is taken.
    effective = stored * layer.synaptic_operations / layer.stored_operations if layer.stored_operations else 0.0
    counts: dict[str, float] = {
        "events_in": layer.step_events[timestep],
        "stored_operations": stored,
        "synaptic_operations": effective,
        "spikes_out": layer.step_spikes[timestep],
    }
    return constant.nanoseconds * counts.get(constant.counted_from, 0)


def _mapping_words(fit: ChipFit) -> tuple[str, ...]:
    without = [layer.name for layer in fit.layers if layer.tiled is None]
    words = [f"cores of the mapping in tiles on {fit.chip}, as the resource counts construct it"]
    if without:
        words.append(f"{', '.join(without)}: no mapping in tiles, so the least number of cores that any could take")
    if fit.violations:
        words.append(f"as if the limits of {fit.chip} that the partition breaks ({len(fit.violations)}) were kept")
    return tuple(words)


def _barrier_words(tiles: int, chip: Chip) -> tuple[str, ...]:
    sourced = [count for count, _ in chip.barrier]
    if tiles > chip.largest_tiles:
        return (
            f"the barrier over {tiles} tiles is taken as that of {chip.largest_tiles}, the most that the source states "
            "(barriers across chips have none): the least there can be",
        )
    if tiles not in sourced:
        nearest = min(count for count in sourced if count >= tiles)
        return (f"the barrier over {tiles} tiles is taken as that of {nearest}: the most there can be",)
    return ()
