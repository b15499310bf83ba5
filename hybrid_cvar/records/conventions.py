"""What each count of a trace counts, and whose convention that is."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["CONVENTIONS"]

CONVENTIONS: Mapping[str, str] = MappingProxyType(
    {
        "events_in": (
            "Ours: non-zero inputs of the layer, each once a step, whatever their value and however many weights "
            "they meet."
        ),
        "synaptic_operations": (
            "NeuroBench 2.3, effective ACs (effective MACs where the input is graded): non-zero input x non-zero "
            "weight, taps that fall on padding left out."
        ),
        "stored_operations": (
            "Dense-stored: non-zero input x every weight that it meets, zeros too, as a core does that stores the "
            "whole kernel; taps that fall on padding left out."
        ),
        "neuron_updates": "Ours: every neuron in every step, whether it is at rest or not.",
        "active_updates": (
            "Ours: updates of a neuron whose membrane is non-zero before the update, or after it has integrated "
            "and before a hard reset clears it."
        ),
        "inactive_updates": "Ours: neuron updates less the active ones: a membrane of zero that stays zero.",
        "spikes_out": "Ours: spikes, each once, however many weights of the next layer they meet.",
        "spikes_sent": (
            "Ours: spikes of layers that another one listens to; the last layer of a stream spikes too, but its "
            "membrane is read instead."
        ),
        "macs": (
            "torch FlopCounterMode, FLOPs / 2: outputs x products for each, of convolutions, linear layers and "
            "attention, taps on padding included; biases, norms, activations and softmax are not counted."
        ),
        "frames_decoded": "Ours: frames that FFmpeg decoded on this host, those on the way to a sampled GOP too.",
        "motion_vectors": (
            "Ours: vectors that the sampled GOPs' P-frames carry and that were accumulated, one a block."
        ),
        "accumulated_pixels": (
            "Ours: pixels x P-frames of the sampled GOPs at the coded size; each stands for two additions of "
            "motion and three subtractions of residual."
        ),
    }
)
"""One sentence a count, by the name of the field or property of the records (`SpikingLayerCounts`, `Trace`,
`NodeMacs`, `ReadCounts`)."""
