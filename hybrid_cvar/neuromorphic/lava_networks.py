"""The Lava networks of the spiking partition: both streams together, or every layer apart.

Both have a `root` Process to compile, a `period` of run steps a clip, and know how a clip goes in and comes out. Lava
compiles what is connected: the streams of either are joined where their counts come together.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.neuromorphic.lava_runtime import LavaRuntime
from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec, StmSpec, StreamSpec
from hybrid_cvar.neuromorphic.native_stm import all_layers, layer_counts
from hybrid_cvar.records import SpikingLayerCounts, SpikingResult

__all__ = ["LayerNetwork", "StreamNetwork"]


class StreamNetwork:
    """One Process a stream.

    Args:
        spec: the layers.
        record: have every layer's spikes and membranes in the result.
    """

    def __init__(self, spec: StmSpec, *, record: bool) -> None:
        from hybrid_cvar.neuromorphic.lava_processes.clip_io import CLIPS_IN_FLIGHT
        from hybrid_cvar.neuromorphic.lava_processes.conv_lif_stream import ConvLifStream

        self._spec = spec
        self._record = record
        self.period = spec.timesteps
        layers_before = len(spec.motion.layers)
        motion, residual = (
            ConvLifStream(stream=stream, timesteps=spec.timesteps, layers_before=before, record=record)
            for stream, before in zip(spec.streams, (0, layers_before), strict=True)
        )
        motion.counts_out.connect(residual.counts_in)
        residual.counts_out.flag_external_pipe(buffer_size=CLIPS_IN_FLIGHT)
        for process in (motion, residual):
            process.s_in.flag_external_pipe(buffer_size=spec.timesteps)
            outputs = [process.membrane_out, *((process.spikes_out, process.membranes_out) if record else ())]
            for port in outputs:
                port.flag_external_pipe(buffer_size=CLIPS_IN_FLIGHT)
        self._streams = (motion, residual)
        self.root = residual

    def send(self, runtime: LavaRuntime, clip: tuple[NDArray[np.int8], NDArray[np.int8]]) -> None:
        """Sends both streams' events, step by step; all fit into the pipes."""
        for step in range(self._spec.timesteps):
            for process, events in zip(self._streams, clip, strict=True):
                runtime.send(process.s_in, events[step])

    def receive(self, runtime: LavaRuntime, deadline: float) -> SpikingResult:
        """Waits for a clip's read-out; `deadline` in time.monotonic seconds."""
        motion, residual = (runtime.receive(process.membrane_out, deadline) for process in self._streams)
        counts = layer_counts(self._spec, runtime.receive(self._streams[1].counts_out, deadline))
        if not self._record:
            return SpikingResult(motion, residual, counts)
        spikes, membranes = (
            tuple(
                part
                for stream, process in zip(self._spec.streams, self._streams, strict=True)
                for part in _by_layer(stream, runtime.receive(getattr(process, port), deadline))
            )
            for port in ("spikes_out", "membranes_out")
        )
        return SpikingResult(motion, residual, counts, spikes, membranes)


def _by_layer(stream: StreamSpec, flat: NDArray[Any]) -> list[NDArray[Any]]:
    """(T, neurons of all layers) to one (T, h, w, C) a layer."""
    ends = np.cumsum([layer.neurons for layer in stream.layers])[:-1]
    parts = np.split(flat, ends, axis=1)
    return [part.reshape(len(flat), *layer.output_shape) for part, layer in zip(parts, stream.layers, strict=True)]


class LayerNetwork:
    """One Process a layer, or, as SubProcessModels, two: stock Conv and neuron.

    Args:
        spec: the layers.
        stock: it will run as SubProcessModels: stock Conv sends what it computed a step earlier, and there are no
            counts.
        record: have every layer's spikes and membranes in the result.
    """

    def __init__(self, spec: StmSpec, *, stock: bool, record: bool) -> None:
        from hybrid_cvar.neuromorphic.lava_processes.clip_io import ReadOut

        self._spec = spec
        self._stock = stock
        self._record = record
        self._delay_per_layer = 1 if stock else 0
        self.period = spec.timesteps + self._delay_per_layer * max(len(stream.layers) for stream in spec.streams)
        last_steps = [self._delay_per_layer * len(stream.layers) + spec.timesteps - 1 for stream in spec.streams]
        self._layers = all_layers(spec)
        self.root = ReadOut(
            motion_shape=spec.motion.membrane_shape,
            residual_shape=spec.residual.membrane_shape,
            rows=len(self._layers),
            period=self.period,
            motion_step=last_steps[0],
            residual_step=last_steps[1],
            with_counts=not stock,
        )
        self._sources: list[Any] = []
        self._spike_sinks: list[Any] = []
        self._membrane_sinks: list[Any] = []
        self._add_stream(spec.motion, self.root.motion_in, first_row=0)
        self._add_stream(spec.residual, self.root.residual_in, first_row=len(spec.motion.layers))

    def send(self, runtime: LavaRuntime, clip: tuple[NDArray[np.int8], NDArray[np.int8]]) -> None:
        """Sends both streams' events."""
        for source, events in zip(self._sources, clip, strict=True):
            runtime.send(source.clip_in, events)

    def receive(self, runtime: LavaRuntime, deadline: float) -> SpikingResult:
        """Waits for a clip's read-out; `deadline` in time.monotonic seconds."""
        motion = runtime.receive(self.root.motion_out, deadline)
        residual = runtime.receive(self.root.residual_out, deadline)
        counts: tuple[SpikingLayerCounts, ...] = ()
        if not self._stock:
            counts = layer_counts(self._spec, runtime.receive(self.root.counts_out, deadline))
        spikes, membranes = (
            tuple(runtime.receive(sink.steps_out, deadline) for sink in sinks)
            for sinks in (self._spike_sinks, self._membrane_sinks)
        )
        return SpikingResult(motion, residual, counts, spikes, membranes)

    def _add_stream(self, stream: StreamSpec, membrane_in: Any, first_row: int) -> None:
        from hybrid_cvar.neuromorphic.lava_processes.clip_io import ClipSource
        from hybrid_cvar.neuromorphic.lava_processes.conv_lif import ConvLif

        steps = self._spec.timesteps
        source = ClipSource(shape=stream.layers[0].input_shape, timesteps=steps, period=self.period)
        self._sources.append(source)
        upstream = source.s_out
        process: Any = None
        for index, layer in enumerate(stream.layers):
            offset = (index + 1) * self._delay_per_layer
            process = ConvLif(
                spec=layer,
                timesteps=steps,
                period=self.period,
                offset=offset,
                row=first_row + index,
                rows=len(self._layers),
                name=layer.name,
            )
            upstream.connect(process.s_in)
            upstream = process.s_out
            if not self._stock:
                process.counts_out.connect(self.root.counts_in)
            if self._record:
                self._add_sinks(process, layer, offset)
        process.membrane_out.connect(membrane_in)

    def _add_sinks(self, process: Any, layer: ConvLifSpec, first_step: int) -> None:
        from hybrid_cvar.neuromorphic.lava_processes.clip_io import MembraneSink, SpikeSink

        for sinks, kind, port in (
            (self._spike_sinks, SpikeSink, process.s_out),
            (self._membrane_sinks, MembraneSink, process.u_out),
        ):
            sink = kind(
                shape=layer.output_shape, timesteps=self._spec.timesteps, period=self.period, first_step=first_step
            )
            port.connect(sink.s_in)
            sinks.append(sink)
