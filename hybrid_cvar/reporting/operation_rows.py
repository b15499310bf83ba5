"""Every count of a run in one table, with the convention that it follows and where it comes from."""

from dataclasses import dataclass

from hybrid_cvar.records import CONVENTIONS, Provenance, Trace

__all__ = ["OperationRow", "operation_rows"]

READING = ("read", "accumulate")


@dataclass(frozen=True)
class OperationRow:
    """A count over all clips.

    Attributes:
        stage: that did it.
        name: what is counted.
        count: over all clips.
        convention: whose, in a sentence.
        provenance: measured for what reading did on this host, emulated for the partitions.
    """

    stage: str
    name: str
    count: int
    convention: str
    provenance: Provenance


def operation_rows(trace: Trace) -> tuple[OperationRow, ...]:
    """Counts of reading, of the spiking and of the ANN partition, in the order of the flow."""
    graded = [layer for layer in trace.spiking if layer.graded_input]
    binary = [layer for layer in trace.spiking if not layer.graded_input]
    stored = sum(layer.stored_operations for layer in trace.spiking)
    rows = [
        ("read", "frames decoded", trace.reading.frames_decoded, "frames_decoded"),
        ("accumulate", "motion vectors", trace.reading.motion_vectors, "motion_vectors"),
        ("accumulate", "pixels", trace.reading.accumulated_pixels, "accumulated_pixels"),
        ("spiking", "input events, graded", sum(layer.events_in for layer in graded), "events_in"),
        ("spiking", "input events, binary", sum(layer.events_in for layer in binary), "events_in"),
        ("spiking", "accumulates", trace.synaptic_operations, "synaptic_operations"),
        ("spiking", "accumulates, stored zeros too", stored, "stored_operations"),
        ("spiking", "neuron updates, active", sum(x.active_updates for x in trace.spiking), "active_updates"),
        ("spiking", "neuron updates, at rest", sum(x.inactive_updates for x in trace.spiking), "inactive_updates"),
        ("spiking", "spikes", sum(x.spikes_out for x in trace.spiking), "spikes_out"),
        ("spiking", "spikes sent on", trace.spikes_sent, "spikes_sent"),
        ("dense", "multiply-accumulates", trace.dense_macs, "macs"),
    ]  # fmt: skip
    return tuple(
        OperationRow(
            stage,
            name,
            int(value),
            CONVENTIONS[key],
            Provenance.MEASURED if stage in READING else Provenance.EMULATED,
        )
        for stage, name, value, key in rows
    )
