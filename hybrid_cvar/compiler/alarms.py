"""Alarms: layers that did something on the sample clips which a working layer seldom does.

    no input           the stream's first layer met no event: the sample clips say nothing of the stream
    never spikes       no spike in any step; not asked of a stream's last layer
    spikes too often   more than half of all steps of all neurons
    saturates          more than 0.1 % of membrane updates are clipped at 24 bits
    weights at rails   more than 10 % of the weights are -256 or 254

A stream's last layer is read out as its membrane, and its spikes go nowhere: one that never spikes passes its
leaky sum on unchanged, which is a read-out in its own right. It is asked everything else, since a spike still
resets its membrane, and a clipped membrane is a wrong read-out.
"""

from collections.abc import Sequence

from hybrid_cvar.records import Finding, LayerMap, SpikingLayerCounts

__all__ = ["MAX_AT_RAILS", "MAX_SATURATED_SHARE", "MAX_SPIKE_RATE", "sample_alarms", "saturated_share"]

MAX_SPIKE_RATE = 0.5
MAX_SATURATED_SHARE = 0.001
MAX_AT_RAILS = 0.1


def sample_alarms(maps: Sequence[LayerMap], counts: Sequence[SpikingLayerCounts]) -> tuple[Finding, ...]:
    """Every alarm, layer after layer.

    Args:
        maps: float-to-integer map a layer.
        counts: what the same layers did on the sample clips.
    """
    alarms: list[Finding] = []
    for position, (layer, seen) in enumerate(zip(maps, counts, strict=True)):
        last = position + 1 == len(counts) or counts[position + 1].stream != seen.stream
        alarms += _activity_alarms(seen, last)
        if saturated_share(seen) > MAX_SATURATED_SHARE:
            alarms.append(
                Finding(
                    layer.name,
                    f"{saturated_share(seen):.2%} of membrane updates are clipped at 24 bits",
                    f"at most {MAX_SATURATED_SHARE:.1%}",
                    "train with smaller weights, a lower leak or a larger event step",
                )
            )
        if layer.weights_at_rails > MAX_AT_RAILS:
            alarms.append(
                Finding(
                    layer.name,
                    f"{layer.weights_at_rails:.1%} of the weights are at the rails, -256 or 254",
                    f"at most {MAX_AT_RAILS:.0%}",
                    "train with weight decay or a lower threshold, so that weights stay within 4 float units",
                )
            )
    return tuple(alarms)


def saturated_share(seen: SpikingLayerCounts) -> float:
    """Membrane updates that were clipped at 24 bits, 0 to 1."""
    return seen.saturated_states / seen.neuron_updates if seen.neuron_updates else 0.0


def _activity_alarms(seen: SpikingLayerCounts, last: bool) -> list[Finding]:
    if seen.layer == 0 and not seen.events_in:
        return [
            Finding(
                seen.name,
                "no input event on the sample clips",
                "a stream needs events to be checked",
                "give a sample video in which something moves",
            )
        ]
    if not last and not seen.spikes_out:
        return [
            Finding(
                seen.name,
                f"0 spikes in {seen.neuron_updates} membrane updates",
                "a layer that feeds another must spike",
                "train with a lower threshold or larger weights",
            )
        ]
    if seen.spike_rate > MAX_SPIKE_RATE:
        return [
            Finding(
                seen.name,
                f"spikes in {seen.spike_rate:.1%} of its steps",
                f"at most {MAX_SPIKE_RATE:.0%}",
                "train with a higher threshold, a lower leak or a penalty on spikes",
            )
        ]
    return []
