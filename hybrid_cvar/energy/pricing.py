"""A trace priced by a profile.

    E = e_AC * sum over spiking layers (synaptic operations) + e_MAC * clips * sum over ANN nodes (MACs)

    e_AC, e_MAC   pJ an accumulate and a multiply-accumulate, from the profile
    E             joules for the video, over the clips that ran

The counts are emulated, the energy is modelled (count x sourced constant).
Source: arXiv 2503.13724, whose FLOPs are multiply-accumulates.
"""

from hybrid_cvar.energy.profile import EnergyProfile
from hybrid_cvar.records import EnergyEstimate, EnergyTerm, Trace

__all__ = ["estimate_energy"]


def estimate_energy(trace: Trace, profile: EnergyProfile) -> EnergyEstimate:
    """Prices what a run counted.

    Graded input events of a first layer are priced as accumulates, as the paper does.

    Args:
        trace: the counts; those of spiking layers are sums over clips, those of ANN nodes are for one clip.
        profile: the constants.

    Returns:
        One AC term a spiking layer, then one MAC term an ONNX operator (all its nodes, all clips), in the
        order in which the trace names them. The counts add up to `trace.synaptic_operations` and
        `trace.dense_macs`.
    """
    terms = [
        EnergyTerm(
            part=layer.name,
            partition="spiking",
            operation="AC",
            count=layer.synaptic_operations,
            picojoules_per_operation=profile.ac.picojoules,
        )
        for layer in trace.spiking
    ]
    macs_per_clip: dict[str, int] = {}
    for node in trace.dense:
        macs_per_clip[node.op_type] = macs_per_clip.get(node.op_type, 0) + node.macs
    terms += [
        EnergyTerm(
            part=op_type,
            partition="dense",
            operation="MAC",
            count=trace.clips * macs,
            picojoules_per_operation=profile.mac.picojoules,
        )
        for op_type, macs in macs_per_clip.items()
    ]
    return EnergyEstimate(
        profile=profile.name, source=profile.source, terms=tuple(terms), not_priced=profile.not_priced
    )
