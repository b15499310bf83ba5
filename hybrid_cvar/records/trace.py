"""What a run did: counts, times and logits."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.records.clip import VideoInfo

__all__ = ["NodeMacs", "SpikingLayerCounts", "SpikingResult", "StageSeconds", "Trace", "add_counts"]


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
        neuron_updates: membrane updates (every neuron, every step).
        spikes_out: spikes.
        saturated_states: membrane updates that were clipped at 24 bits.
    """

    stream: str
    layer: int
    graded_input: bool
    neurons: int
    timesteps: int
    events_in: int
    synaptic_operations: int
    neuron_updates: int
    spikes_out: int
    saturated_states: int

    @property
    def name(self) -> str:
        """`motion.0`, `residual.1`, ..."""
        return f"{self.stream}.{self.layer}"

    def __add__(self, other: "SpikingLayerCounts") -> "SpikingLayerCounts":
        """The same layer over both runs."""
        if (self.name, self.neurons) != (other.name, other.neurons):
            raise ValueError(f"counts of {self.name} and {other.name} are of different layers")
        return SpikingLayerCounts(
            stream=self.stream,
            layer=self.layer,
            graded_input=self.graded_input,
            neurons=self.neurons,
            timesteps=self.timesteps + other.timesteps,
            events_in=self.events_in + other.events_in,
            synaptic_operations=self.synaptic_operations + other.synaptic_operations,
            neuron_updates=self.neuron_updates + other.neuron_updates,
            spikes_out=self.spikes_out + other.spikes_out,
            saturated_states=self.saturated_states + other.saturated_states,
        )

    @property
    def saturated_share(self) -> float:
        """Membrane updates that were clipped at 24 bits, 0 to 1."""
        return self.saturated_states / self.neuron_updates if self.neuron_updates else 0.0

    @property
    def spike_rate(self) -> float:
        """Spikes a neuron and step, 0 to 1."""
        return self.spikes_out / self.neuron_updates if self.neuron_updates else 0.0


@dataclass(frozen=True, eq=False)
class SpikingResult:
    """Output of the spiking partition for one clip.

    Attributes:
        readouts: per stream, in the order of the partition's, int32 (h, w, C), membrane of its last layer after
            the last step, in units of 2**-12 of the float model's.
        counts: one entry a layer, stream by stream.
        spikes: per layer, in the order of `counts`, int8 (T, h, w, C); empty unless recording was asked for.
        membranes: per layer, int32 (T, h, w, C), after every step; empty unless recording was asked for.
    """

    readouts: tuple[NDArray[np.int32], ...]
    counts: tuple[SpikingLayerCounts, ...]
    spikes: tuple[NDArray[np.int8], ...] = ()
    membranes: tuple[NDArray[np.int32], ...] = ()


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
class StageSeconds:
    """Wall-clock time of one stage of a run, summed over its clips (measured).

    Attributes:
        stage: `read`, `encode`, `spiking` or `dense`.
        seconds: wall-clock seconds.
    """

    stage: str
    seconds: float


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
        stages: seconds a stage, summed over clips (measured).
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
    def seconds(self) -> float:
        """Wall-clock seconds over all stages."""
        return sum(stage.seconds for stage in self.stages)
