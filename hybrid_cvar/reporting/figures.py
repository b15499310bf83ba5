"""Numbers that every rendering of a report shows, derived once from a Report."""

from dataclasses import dataclass

from hybrid_cvar.records import EnergyEstimate, Provenance, Trace

__all__ = [
    "PROVENANCE_MEANING",
    "TIME_NOTE",
    "DenseOperator",
    "Pace",
    "dense_operators",
    "pace",
    "partition_joules",
    "spike_rate",
]

PROVENANCE_MEANING = {
    Provenance.MEASURED: "timed or observed on this host",
    Provenance.EMULATED: "counted while the model ran here",
    Provenance.MODELLED: "a count times a sourced constant",
}
"""One phrase for each mark."""

TIME_NOTE = (
    "Wall-clock time on this host, which simulates the spiking partition; not the speed of a neuromorphic chip. "
    "Start-up is not in it."
)


@dataclass(frozen=True)
class DenseOperator:
    """All ANN nodes of one ONNX operator.

    Attributes:
        op_type: ONNX operator.
        nodes: how many.
        macs_per_clip: multiply-accumulates a clip.
        macs: multiply-accumulates over all clips.
    """

    op_type: str
    nodes: int
    macs_per_clip: int
    macs: int


@dataclass(frozen=True)
class Pace:
    """How fast a run was (measured).

    Attributes:
        seconds: wall-clock seconds over all stages.
        seconds_per_clip: the same a clip.
        videos_per_second: one video over its seconds; None where no time was recorded.
    """

    seconds: float
    seconds_per_clip: float
    videos_per_second: float | None


def dense_operators(trace: Trace) -> tuple[DenseOperator, ...]:
    """MACs by operator, in the order of the graph; they add up to `trace.dense_macs` (emulated)."""
    nodes: dict[str, list[int]] = {}
    for node in trace.dense:
        nodes.setdefault(node.op_type, []).append(int(node.macs))
    return tuple(
        DenseOperator(op_type=op_type, nodes=len(macs), macs_per_clip=sum(macs), macs=trace.clips * sum(macs))
        for op_type, macs in nodes.items()
    )


def pace(trace: Trace) -> Pace:
    """Speed of the run (measured)."""
    seconds = float(trace.seconds)
    return Pace(
        seconds=seconds,
        seconds_per_clip=seconds / trace.clips,
        videos_per_second=1 / seconds if seconds > 0 else None,
    )


def partition_joules(energy: EnergyEstimate, partition: str) -> float:
    """Energy of the `spiking` or the `dense` partition, joules (modelled)."""
    return float(sum(term.energy_joules for term in energy.terms if term.partition == partition))


def spike_rate(trace: Trace) -> float:
    """Spikes a neuron and step over all layers, 0 to 1 (emulated)."""
    updates = sum(layer.neuron_updates for layer in trace.spiking)
    return sum(layer.spikes_out for layer in trace.spiking) / updates if updates else 0.0
