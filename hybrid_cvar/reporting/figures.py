"""Numbers that every rendering of a report shows, derived once from a Report."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hybrid_cvar.records import (
    EnergyEstimate,
    Percentiles,
    Provenance,
    Report,
    SpikingLayerCounts,
    StageSeconds,
    Trace,
    clip_percentiles,
)

__all__ = [
    "PROVENANCE_MEANING",
    "TIME_NOTE",
    "DenseOperator",
    "Pace",
    "StageLatency",
    "VideoSpread",
    "clip_latency",
    "dense_operators",
    "pace",
    "partition_joules",
    "spike_rate",
    "stage_latencies",
    "step_rates",
    "video_spreads",
]

PROVENANCE_MEANING = {
    Provenance.MEASURED: "timed or observed on this host",
    Provenance.EMULATED: "counted while the model ran here",
    Provenance.MODELLED: "a count times a sourced constant",
}
"""One phrase for each mark."""

TIME_NOTE = (
    "Wall-clock time on this host, which simulates the spiking partition; not the speed of a neuromorphic chip. "
    "Start-up is not in it. The ANN partition takes a batch of clips at once: its time, and opening the file, are "
    "shared out evenly among them, so its percentiles do not tell one clip of a batch from another."
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
        seconds: seconds of work, over all stages.
        wall_seconds: wall-clock seconds of the whole video; less than `seconds` where stages ran side by side.
        seconds_per_clip: wall-clock seconds a clip.
        videos_per_second: one video over its wall-clock seconds; None where no time was recorded.
        first_prediction_seconds: from the call to the first clip's logits.
        first_prediction_clips: clips that were answered then, the first batch's; 1 of a stream.
        overlapped: True where stages ran side by side.
    """

    seconds: float
    wall_seconds: float
    seconds_per_clip: float
    videos_per_second: float | None
    first_prediction_seconds: float
    first_prediction_clips: int
    overlapped: bool

    @property
    def first_answered(self) -> str:
        """What the first prediction is of, in words."""
        clips = self.first_prediction_clips
        return "first clip" if clips == 1 else f"first batch, {clips} clips"


@dataclass(frozen=True)
class StageLatency:
    """A stage's time (measured).

    Attributes:
        stage: its name.
        seconds: over all clips.
        clip: its spread over the clips, seconds; None where it holds no clip's time.
    """

    stage: str
    seconds: float
    clip: Percentiles | None


@dataclass(frozen=True)
class VideoSpread:
    """How a number is spread over the videos of a batch.

    Attributes:
        key: its name in the JSON report.
        name: what it is.
        unit: `J` or `s`.
        provenance: where it comes from.
        videos: its spread, in `unit`.
    """

    key: str
    name: str
    unit: str
    provenance: Provenance
    videos: Percentiles


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
    wall = float(trace.wall_seconds)
    return Pace(
        seconds=float(trace.seconds),
        wall_seconds=wall,
        seconds_per_clip=wall / trace.clips,
        videos_per_second=1 / wall if wall > 0 else None,
        first_prediction_seconds=float(trace.first_prediction_seconds),
        first_prediction_clips=int(trace.first_prediction_clips),
        overlapped=bool(trace.overlapped),
    )


def stage_latencies(trace: Trace) -> tuple[StageLatency, ...]:
    """A stage's time and its percentiles over the clips, stage by stage (measured)."""
    return tuple(StageLatency(stage.stage, float(stage.seconds), _spread(stage.clip_seconds)) for stage in trace.stages)


def clip_latency(trace: Trace) -> Percentiles | None:
    """A clip's time over all stages, one after the other (measured); None where stages hold no or other clips."""
    if not _same_clips(trace.stages, trace.clips):
        return None
    return _spread([sum(times) for times in zip(*(stage.clip_seconds for stage in trace.stages), strict=True)])


def video_spreads(reports: Sequence[Report]) -> tuple[VideoSpread, ...]:
    """Energy and time a video, and wall-clock time a clip, over a batch of at least one video."""
    traces = [report.trace for report in reports]
    rows = (
        (
            "energy_joules",
            "energy a video",
            "J",
            Provenance.MODELLED,
            [report.energy.total_joules for report in reports],
        ),
        ("seconds", "time a video", "s", Provenance.MEASURED, [trace.wall_seconds for trace in traces]),
        (
            "seconds_per_clip",
            "time a clip",
            "s",
            Provenance.MEASURED,
            [trace.wall_seconds / trace.clips for trace in traces],
        ),
        (
            "first_prediction_seconds",
            "first prediction",
            "s",
            Provenance.MEASURED,
            [trace.first_prediction_seconds for trace in traces],
        ),
    )
    return tuple(VideoSpread(key, name, unit, mark, clip_percentiles(values)) for key, name, unit, mark, values in rows)


def step_rates(layer: SpikingLayerCounts) -> tuple[float, ...]:
    """Spikes a neuron in each step of a clip, 0 to 1 (emulated); 0 for a layer that never ran."""
    steps = len(layer.step_spikes)
    updates = layer.neuron_updates / steps if steps else 0.0
    return tuple(spikes / updates if updates else 0.0 for spikes in layer.step_spikes)


def _same_clips(stages: Sequence[StageSeconds], clips: int) -> bool:
    return bool(stages) and all(len(stage.clip_seconds) == clips for stage in stages)


def _spread(seconds: Sequence[float]) -> Percentiles | None:
    """None where there is no time, or one that is no number, which whoever writes the total refuses."""
    return clip_percentiles(seconds) if seconds and all(map(math.isfinite, seconds)) else None


def partition_joules(energy: EnergyEstimate, partition: str) -> float:
    """Energy of the `spiking` or the `dense` partition, joules (modelled)."""
    return float(sum(term.energy_joules for term in energy.terms if term.partition == partition))


def spike_rate(trace: Trace) -> float:
    """Spikes a neuron and step over all layers, 0 to 1 (emulated)."""
    updates = sum(layer.neuron_updates for layer in trace.spiking)
    return sum(layer.spikes_out for layer in trace.spiking) / updates if updates else 0.0
