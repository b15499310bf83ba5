"""A priced trace as a Report: the answer, and what a reader must know to take the numbers right."""

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError, EngineError
from hybrid_cvar.records import ChipLatency, EnergyEstimate, ParityRow, Prediction, Report, ResourceReport, Trace
from hybrid_cvar.reporting.units import exact, percent

__all__ = ["build_report", "probabilities", "trace_notices"]

_ALWAYS_SPIKING = 0.95
"""Spikes a neuron and step from which a layer carries next to no information."""


def build_report(
    trace: Trace,
    energy: EnergyEstimate,
    *,
    top: int = 5,
    notices: tuple[str, ...] = (),
    chip_latency: ChipLatency | None = None,
    resources: ResourceReport | None = None,
    parity: tuple[ParityRow, ...] = (),
) -> Report:
    """Joins what a run saw with what it would cost.

    Args:
        trace: the run.
        energy: the same run, priced.
        top: classes to name, at least 1; more than there are names all.
        notices: the caller's notices; they come first, those of `trace_notices` follow.
        chip_latency, resources, parity: as of `Report`.

    Raises:
        ConfigError: `top` is less than 1.
        EngineError: the trace holds no clip, or its logits do not fit its labels or are not finite.
    """
    if top < 1:
        raise ConfigError(f"top = {top}", "must be at least 1", "ask for one class or more")
    shape = trace.clip_logits.shape
    if trace.clips < 1 or shape != (trace.clips, len(trace.labels)) or not trace.labels:
        raise EngineError(
            f"{trace.video.path}: logits of shape {shape} for {trace.clips} clips and {len(trace.labels)} labels",
            "a trace holds one row a clip and one column a label, at least one of each",
        )
    if not np.isfinite(trace.clip_logits).all():
        raise EngineError(
            f"{trace.video.path}: logits that are not finite",
            "the ANN partition must return numbers",
            "check the checkpoint, then compile it again",
        )
    shares = probabilities(trace.logits)
    best = np.argsort(-shares, kind="stable")[:top]
    return Report(
        trace=trace,
        energy=energy,
        predictions=tuple(Prediction(label=trace.labels[i], probability=float(shares[i])) for i in best),
        notices=tuple(dict.fromkeys(notices + trace_notices(trace))),
        chip_latency=chip_latency,
        resources=resources,
        parity=parity,
    )


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax in float64: `exp(x_i - max x) / sum_j exp(x_j - max x)`; shape (C,) in, (C,) out."""
    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    return np.asarray(shifted / shifted.sum(), dtype=np.float64)


def trace_notices(trace: Trace) -> tuple[str, ...]:
    """Notices that follow from the trace itself: untrained weights, dead, stuck and saturated layers."""
    notices = []
    if not trace.trained:
        notices.append(
            f"The weights of {trace.model} were not trained for recognition: the answer means nothing; "
            "operations, energy and time are those of the architecture."
        )
    last = {layer.stream: layer.layer for layer in trace.spiking}
    for layer in trace.spiking:
        # The last layer of a stream hands on its membrane, so its silence loses nothing.
        if layer.events_in and not layer.spikes_out and layer.layer != last[layer.stream]:
            notices.append(f"Layer {layer.name} never spiked, so nothing reaches the layer after it.")
        if layer.spike_rate >= _ALWAYS_SPIKING:
            notices.append(
                f"Layer {layer.name} spiked in {percent(layer.spike_rate)} of its updates: it carries next to nothing."
            )
        if layer.saturated_states:
            notices.append(
                f"Layer {layer.name} clipped its membrane at 24 bits {exact(layer.saturated_states)} times, so it "
                "departs from the float model."
            )
    return tuple(notices)
