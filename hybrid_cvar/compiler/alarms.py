"""Alarms: layers that did something on the sample clips which a working layer seldom does.

    no input           the stream's first layer met no event: the sample clips say nothing of the stream
    never spikes       no spike in any step
    spikes too often   more than half of all steps of all neurons
    saturates          more than 0.1 % of membrane updates are clipped at 24 bits
    weights at rails   more than 10 % of the weights are -256 or 254
    neuron clipped     a learned threshold or leak lay outside what integers can hold, and the nearest was taken

A stream's last layer is read out as its membrane, and its spikes go nowhere but into its own reset. It is asked the
same: one that never spikes is a leaky sum that no threshold shapes.
"""

from collections.abc import Sequence

from hybrid_cvar.fixed_point import DECAY_UNITY, THRESHOLD_MAX, WEIGHT_SCALE
from hybrid_cvar.records import Finding, LayerMap, SpikingLayerCounts

__all__ = ["MAX_AT_RAILS", "MAX_SATURATED_SHARE", "MAX_SPIKE_RATE", "sample_alarms"]

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
    for layer, seen in zip(maps, counts, strict=True):
        alarms += _activity_alarms(seen)
        if seen.saturated_share > MAX_SATURATED_SHARE:
            alarms.append(
                Finding(
                    layer.name,
                    f"{seen.saturated_share:.2%} of membrane updates are clipped at 24 bits",
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
        alarms += _clipped_alarms(layer)
    return tuple(alarms)


def _clipped_alarms(layer: LayerMap) -> list[Finding]:
    """Rounding moves a value by at most half a step; more than that was clipped."""
    found = []
    for name, before, after, scale, rule in (
        (
            "threshold",
            layer.threshold_float,
            layer.threshold_represented,
            WEIGHT_SCALE,
            f"1/{WEIGHT_SCALE} to {THRESHOLD_MAX / WEIGHT_SCALE:.2f} can be held",
        ),
        ("leak", layer.leak_float, layer.leak_represented, DECAY_UNITY, f"1/{DECAY_UNITY} to 1 can be held"),
    ):
        # Not `>`: a NaN is clipped too.
        outside = [value for value, held in zip(before, after, strict=True) if not abs(value - held) <= 0.51 / scale]
        if outside:
            found.append(
                Finding(
                    layer.name,
                    f"{len(outside)} learned {name}(s) clipped, the first of them {outside[0]:g}",
                    rule,
                    "the nearest was taken; train on from there, or look at what trained it",
                )
            )
    return found


def _activity_alarms(seen: SpikingLayerCounts) -> list[Finding]:
    if seen.layer == 0 and not seen.events_in:
        return [
            Finding(
                seen.name,
                "no input event on the sample clips",
                "a stream needs events to be checked",
                "give a sample video in which something moves",
            )
        ]
    if not seen.spikes_out:
        return [
            Finding(
                seen.name,
                f"0 spikes in {seen.neuron_updates} membrane updates",
                "a layer must spike to be of use",
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
