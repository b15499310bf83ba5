"""What a run did: counts, times and logits."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.records.clip import VideoInfo

__all__ = [
    "STAGES",
    "ClipView",
    "NodeMacs",
    "ReadCounts",
    "SpikingLayerCounts",
    "SpikingResult",
    "StageSeconds",
    "Trace",
    "add_counts",
]


@dataclass(frozen=True)
class SpikingLayerCounts:
    """What one ConvLIF layer did, summed over the clips of a run; counted while it ran.

    Attributes:
        stream: one of `STREAM_CHANNELS`.
        layer: position in the stream, from 0.
        graded_input: True where the input events carry a value (the first layer), False for spikes.
        neurons: output neurons.
        timesteps: steps, over all clips.
        events_in: non-zero inputs.
        synaptic_operations: accumulates: input events x the non-zero weights each one meets (padding excluded).
        stored_operations: accumulates with stored zeros, what a core that stores every weight of the kernel does: input
            events x the weights each one meets, zero or not (padding excluded).
        neuron_updates: membrane updates (every neuron, every step).
        active_updates: those of neurons whose membrane was or became non-zero: not at rest before and after.
        spikes_out: spikes.
        saturated_states: membrane updates that were clipped at 24 bits.
        step_events: `events_in` of each step of a clip (T of them), summed over the clips.
        step_operations: `stored_operations` of each step, summed over the clips.
        step_spikes: `spikes_out` of each step, summed over the clips.
    """

    stream: str
    layer: int
    graded_input: bool
    neurons: int
    timesteps: int
    events_in: int
    synaptic_operations: int
    stored_operations: int
    neuron_updates: int
    active_updates: int
    spikes_out: int
    saturated_states: int
    step_events: tuple[int, ...]
    step_operations: tuple[int, ...]
    step_spikes: tuple[int, ...]

    @property
    def name(self) -> str:
        """`motion.0`, `residual.1`, ..."""
        return f"{self.stream}.{self.layer}"

    @property
    def inactive_updates(self) -> int:
        """Updates of neurons at rest, whose membrane was zero and stayed so."""
        return self.neuron_updates - self.active_updates

    def __add__(self, other: "SpikingLayerCounts") -> "SpikingLayerCounts":
        """The same layer over both runs."""
        if (self.name, self.neurons) != (other.name, other.neurons):
            raise ValueError(f"counts of {self.name} and {other.name} are of different layers")
        added = {name: getattr(self, name) + getattr(other, name) for name in _ADDED}
        steps: dict[str, Any] = {
            name: tuple(a + b for a, b in zip(getattr(self, name), getattr(other, name), strict=True))
            for name in _ADDED_BY_STEP
        }
        return replace(self, **added, **steps)

    @property
    def saturated_share(self) -> float:
        """Membrane updates that were clipped at 24 bits, 0 to 1."""
        return self.saturated_states / self.neuron_updates if self.neuron_updates else 0.0

    @property
    def spike_rate(self) -> float:
        """Spikes a neuron and step, 0 to 1."""
        return self.spikes_out / self.neuron_updates if self.neuron_updates else 0.0


_ADDED_BY_STEP = ("step_events", "step_operations", "step_spikes")
_ADDED = (
    *("timesteps", "events_in", "synaptic_operations", "stored_operations"),
    *("neuron_updates", "active_updates", "spikes_out", "saturated_states"),
)


@dataclass(frozen=True, eq=False)
class SpikingResult:
    """Output of the spiking partition for one clip.

    Attributes:
        readouts: per stream, in the order of the partition's, int32 (h, w, C), membrane of its last layer after
            the last step, in units of 2**-12 of the float model's.
        counts: one entry a layer, stream by stream.
        spikes: per layer, in the order of `counts`, int8 (T, h, w, C); empty unless recording was asked for.
        membranes: per layer, int32 (T, h, w, C), after every step; empty unless recording was asked for.
        compute_seconds: wall-clock seconds in which at least one layer computed (measured); the rest of a clip's time
            is transport. None where the engine does not tell.
    """

    readouts: tuple[NDArray[np.int32], ...]
    counts: tuple[SpikingLayerCounts, ...]
    spikes: tuple[NDArray[np.int8], ...] = ()
    membranes: tuple[NDArray[np.int32], ...] = ()
    compute_seconds: float | None = None


def add_counts(
    before: tuple[SpikingLayerCounts, ...], clip: tuple[SpikingLayerCounts, ...]
) -> tuple[SpikingLayerCounts, ...]:
    """Counts a layer with those of one more clip; `before` is empty for the first."""
    return tuple(left + right for left, right in zip(before, clip, strict=True)) if before else clip


@dataclass(frozen=True)
class NodeMacs:
    """Multiply-accumulates of one ONNX node, for one clip, from the graph and the shapes that ran.

    Attributes:
        name: node name.
        op_type: ONNX operator.
        macs: multiply-accumulates a clip.
    """

    name: str
    op_type: str
    macs: int


@dataclass(frozen=True)
class ReadCounts:
    """What reading did for the clips of a run; observed on this host while it read (measured).

    Attributes:
        frames_decoded: frames that FFmpeg decoded, those on the way to a sampled GOP too.
        motion_vectors: vectors of the sampled GOPs' P-frames that were accumulated.
        accumulated_pixels: pixels x P-frames of the sampled GOPs, at the size at which they are coded; each takes two
            additions for its motion and three subtractions for its residual.
    """

    frames_decoded: int
    motion_vectors: int
    accumulated_pixels: int


@dataclass(frozen=True)
class StageSeconds:
    """Wall-clock time of one stage of a run, clip by clip (measured).

    Attributes:
        stage: one of `STAGES`.
        clip_seconds: wall-clock seconds of each clip. What is done for several clips at once (opening the video; the
            ANN partition's batch) is shared out among them evenly.
    """

    stage: str
    clip_seconds: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """Over all clips."""
        return sum(self.clip_seconds)


STAGES = ("read", "accumulate", "encode", "spiking", "transport", "dense")
"""Stages of a run, in order: decoding (I-frames, vectors, pixels); accumulation of motion and residual and the cut to
the model's input; events from the clip; the spiking partition: time in which a layer of it computes; hand-over to its
Processes or threads and back, when none does; the ANN partition."""


@dataclass(frozen=True, eq=False)
class ClipView:
    """One clip of a run, to be drawn.

    Attributes:
        clip: its position among the run's clips, from 0.
        iframe: uint8 (H, W, 3), RGB.
        motion: int16 (H, W, 2), of the last P-frame, pixels, x then y, destination minus source.
        residual: int16 (H, W, 3), of the last P-frame.
        streams: names of the spiking partition's streams.
        readouts: a stream's last membrane, int32 (h, w, C), in units of 2**-12 of the float model's.
    """

    clip: int
    iframe: NDArray[np.uint8]
    motion: NDArray[np.int16]
    residual: NDArray[np.int16]
    streams: tuple[str, ...]
    readouts: tuple[NDArray[np.int32], ...]


@dataclass(frozen=True, eq=False)
class Trace:
    """What the run of one video saw.

    Attributes:
        video: the probe.
        model: model name from the bundle.
        trained: False if the checkpoint's weights were not trained for recognition.
        engine: `lava` or `native`; runs the spiking partition.
        provider: of ONNX Runtime, `cpu`, `openvino`, `cuda` or `tensorrt`; runs the ANN partition.
        precision: of the ANN partition, `fp32`, `int8` or `bf16`.
        labels: class names, C of them.
        clip_pts_seconds: start of each clip, N of them.
        clip_logits: float32 (N, C).
        spiking: counts a layer, summed over clips (emulated).
        dense: MACs a node and clip (emulated).
        stages: seconds a stage and clip (measured).
        reading: what reading did, over all clips (measured).
        first_prediction_seconds: from the call to the logits of the first clip (measured).
        wall_seconds: wall-clock seconds of the whole call (measured). Where stages did not overlap, it is the sum of
            theirs and the little that lies between them; where they did, it is less than their sum.
        overlapped: True where reading, the spiking and the ANN partition ran side by side. A stage's seconds then hold
            what it lost to the others on the same cores.
        view: a clip to draw; None where none was kept.
        first_prediction_clips: clips whose logits came with the first one's: of a stream 1, of a file the ANN
            partition's first batch.
        bundle_sha256: of the bundle's manifest; empty if it was made in memory.
    """

    video: VideoInfo
    model: str
    trained: bool
    engine: str
    provider: str
    precision: str
    labels: tuple[str, ...]
    clip_pts_seconds: tuple[float, ...]
    clip_logits: NDArray[np.float32]
    spiking: tuple[SpikingLayerCounts, ...]
    dense: tuple[NodeMacs, ...]
    stages: tuple[StageSeconds, ...]
    reading: ReadCounts
    first_prediction_seconds: float
    wall_seconds: float
    overlapped: bool = False
    view: ClipView | None = None
    first_prediction_clips: int = 1
    bundle_sha256: str = ""

    @property
    def clips(self) -> int:
        """Clips that ran (N)."""
        return len(self.clip_pts_seconds)

    @property
    def logits(self) -> NDArray[np.float32]:
        """float32 (C,): the mean over clips (paper Sec. 4.1)."""
        return self.clip_logits.mean(axis=0, dtype=np.float64).astype(np.float32)

    @property
    def dense_macs(self) -> int:
        """Multiply-accumulates of the ANN partition over all clips."""
        return self.clips * sum(node.macs for node in self.dense)

    @property
    def synaptic_operations(self) -> int:
        """Accumulates of the spiking partition over all clips."""
        return sum(layer.synaptic_operations for layer in self.spiking)

    @property
    def spikes_sent(self) -> int:
        """Spikes that another layer listens to, over all clips: not those of a stream's last layer, which is read."""
        last = {layer.stream: layer.layer for layer in sorted(self.spiking, key=lambda layer: layer.layer)}
        return sum(layer.spikes_out for layer in self.spiking if layer.layer != last[layer.stream])

    @property
    def seconds(self) -> float:
        """Seconds of work, over all stages: more than `wall_seconds` where stages overlapped."""
        return sum(stage.seconds for stage in self.stages)
