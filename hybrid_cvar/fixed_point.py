"""Widths, scales and reset modes of the integer specification (neuromorphic/spec.md), in one place.

An integer value is the float value times its scale.
"""

__all__ = [
    "DECAY_UNITY",
    "EVENT_MAX",
    "MEMBRANE_MAX",
    "MEMBRANE_SCALE",
    "RESETS",
    "SYNAPSE_MAX",
    "THRESHOLD_MAX",
    "WEIGHT_MAX",
    "WEIGHT_MIN",
    "WEIGHT_SCALE",
]

WEIGHT_SCALE = 64
"""Of weights, thresholds and synaptic sums (SLAYER's w_scale)."""
WEIGHT_MIN, WEIGHT_MAX = -256, 254
"""Weights are even, in steps of 2."""
THRESHOLD_MAX = 2**17 - 1
DECAY_UNITY = 4096
"""The membrane keeps (DECAY_UNITY - decay) / DECAY_UNITY of itself a step; 12 bit."""
MEMBRANE_SCALE = 4096
"""Of membranes (SLAYER's s_scale): weights' scale, shifted left by 6."""
MEMBRANE_MAX = 2**23 - 1
SYNAPSE_MAX = 2**23 - 1
EVENT_MAX = 127
"""Graded input events are clipped to +-EVENT_MAX."""
RESETS = ("soft", "hard")
"""Of a neuron that spiked: its threshold is subtracted a step later (paper Eq. 3), or it is cleared at once."""
