"""A trace priced by a profile.

    E = sum over spiking layers and operations (e_op * count_op)  +  e_MAC * clips * sum over ANN nodes (MACs)

    e_op      pJ one operation of a spiking layer, from the profile
    count_op  of that layer over all clips, from the counter that the profile names
    e_MAC     pJ one multiply-accumulate of the ANN partition, from the profile
    E         joules for the video, over the clips that ran

With the default profile the one operation is the accumulate: E = 0.9 pJ x ACs + 4.6 pJ x MACs, as arXiv 2503.13724 has
it, whose FLOPs are multiply-accumulates. The counts are emulated, the energy is modelled (count x sourced constant).
"""

from hybrid_cvar.energy.counters import count_of, last_layers
from hybrid_cvar.energy.profile import EnergyConstant, EnergyProfile
from hybrid_cvar.energy.profile_file import NO_LOIHI_2
from hybrid_cvar.records import EnergyEstimate, EnergyTerm, PricedConstant, Trace

__all__ = ["DRAIN", "NO_PROFILE_PRICES", "estimate_energy"]

NO_PROFILE_PRICES = (
    "video decoding and the accumulation of motion vectors and residuals",
    "the boundary between host and neuromorphic chip: input events sent to it, membranes read from it",
    "weight loading",
    "DRAM traffic",
    "static power",
    "operators of the ANN partition that multiply no matrices (normalisation, softmax, activation functions)",
)
"""What a profile's constants cannot be multiplied with, as nothing counts it; every estimate says so, whatever the
profile says of itself."""
DRAIN = (
    "neuron updates in the L - 1 steps in which a pipeline of L layers drains: they are counted over a clip's T steps, "
    "though its time on the chip is that of T + L - 1"
)
"""Added for profiles that have a chip, as `chip_latency` takes its steps."""


def estimate_energy(trace: Trace, profile: EnergyProfile, *, strict: bool = False) -> EnergyEstimate:
    """Prices what a run counted.

    Args:
        trace: the counts; those of spiking layers are sums over clips, those of ANN nodes are for one clip.
        profile: the constants.
        strict: price the graded input events of first layers as multiply-accumulates (the profile's `graded_mac`)
            rather than as events without a value, as the paper does.

    Returns:
        One term a spiking layer and operation of the profile, then one MAC term an ONNX operator (all its nodes, all
        clips), in the order in which the trace names them. Counts are exact integers of any size. With a profile that
        prices accumulates alone they add up to `trace.synaptic_operations` and `trace.dense_macs`.

    Raises:
        ConfigError: `strict`, and the profile has no constant for it.
    """
    if strict:
        profile.check_strict()
    used: dict[tuple[str, str], PricedConstant] = {}

    def term(part: str, partition: str, constant: EnergyConstant, count: int) -> EnergyTerm:
        used[partition, constant.operation] = PricedConstant(
            operation=constant.operation,
            partition=partition,
            picojoules=constant.picojoules,
            nanoseconds=constant.nanoseconds,
            conditions=constant.conditions,
            source=constant.source,
        )
        return EnergyTerm(part, partition, constant.operation, count, constant.picojoules)

    terms = [
        term(layer.name, "spiking", constant, count_of(constant.counted_from, layer, last=last))
        for layer, last in zip(trace.spiking, last_layers(trace.spiking), strict=True)
        for constant in profile.constants_for(graded_input=layer.graded_input, strict=strict)
    ]
    macs_per_clip: dict[str, int] = {}
    for node in trace.dense:
        macs_per_clip[node.op_type] = macs_per_clip.get(node.op_type, 0) + int(node.macs)
    terms += [term(op_type, "dense", profile.mac, trace.clips * macs) for op_type, macs in macs_per_clip.items()]
    return EnergyEstimate(
        profile=profile.name,
        description=f"{profile.description}. {profile.notice}" if profile.notice else profile.description,
        source=profile.source,
        strict=strict,
        terms=tuple(terms),
        constants=tuple(used.values()),
        not_priced=_not_priced(profile, strict=strict),
    )


def _not_priced(profile: EnergyProfile, *, strict: bool) -> tuple[str, ...]:
    """The profile's own words, then what holds for any; each once."""
    entries = (
        *profile.not_priced,
        *(() if strict else profile.not_priced_unless_strict),
        *((DRAIN,) if profile.chip is not None else ()),
        *NO_PROFILE_PRICES,
        NO_LOIHI_2,
    )
    return tuple(dict.fromkeys(entries))
