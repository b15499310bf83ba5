"""The Lava networks of the spiking partition: a Process a stream, or every layer apart.

Both have a `root` Process to compile, a `period` of run steps a clip, and know how a clip goes in and comes out. Lava
compiles what is connected: the streams of either are joined by their counts, which pass from one to the next.
"""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.neuromorphic.counting import all_layers, computing_seconds, layer_counts, unpack_counts
from hybrid_cvar.neuromorphic.lava_runtime import LavaRuntime
from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec, StmSpec, StreamSpec
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
        self._streams = [
            ConvLifStream(stream=stream, timesteps=spec.timesteps, layers_before=before, record=record)
            for stream, before in zip(spec.streams, _layers_before(spec), strict=True)
        ]
        for earlier, later in pairwise(self._streams):
            earlier.counts_out.connect(later.counts_in)
        self.root = self._streams[-1]
        self.root.counts_out.flag_external_pipe(buffer_size=CLIPS_IN_FLIGHT)
        for process in self._streams:
            process.s_in.flag_external_pipe(buffer_size=spec.timesteps)
            outputs = [process.membrane_out, *((process.spikes_out, process.membranes_out) if record else ())]
            for port in outputs:
                port.flag_external_pipe(buffer_size=CLIPS_IN_FLIGHT)

    def send(self, runtime: LavaRuntime, clip: Sequence[NDArray[np.int8]]) -> None:
        """Sends every stream's events, step by step; all fit into the pipes."""
        for step in range(self._spec.timesteps):
            for process, events in zip(self._streams, clip, strict=True):
                runtime.send(process.s_in, events[step])

    def receive(self, runtime: LavaRuntime, deadline: float) -> SpikingResult:
        """Waits for a clip's read-out; `deadline` in time.monotonic seconds."""
        readouts = tuple(runtime.receive(process.membrane_out, deadline) for process in self._streams)
        counts, seconds = _counted(self._spec, runtime.receive(self.root.counts_out, deadline))
        if not self._record:
            return SpikingResult(readouts, counts, compute_seconds=seconds)
        spikes, membranes = (
            tuple(
                part
                for stream, process in zip(self._spec.streams, self._streams, strict=True)
                for part in _by_layer(stream, runtime.receive(getattr(process, port), deadline))
            )
            for port in ("spikes_out", "membranes_out")
        )
        return SpikingResult(readouts, counts, spikes, membranes, seconds)


def _counted(spec: StmSpec, messages: NDArray[np.int64]) -> tuple[tuple[SpikingLayerCounts, ...], float]:
    """A clip's counts, and the seconds in which a layer computed, of all layers' messages."""
    counts, spells = unpack_counts(messages)
    return layer_counts(spec, counts), computing_seconds(spells)


def _layers_before(spec: StmSpec) -> list[int]:
    """Layers of the streams before each stream."""
    return list(accumulate((len(stream.layers) for stream in spec.streams[:-1]), initial=0))


def _by_layer(stream: StreamSpec, flat: NDArray[Any]) -> list[NDArray[Any]]:
    """(T, neurons of all layers) to one (T, h, w, C) a layer."""
    ends = np.cumsum([layer.neurons for layer in stream.layers])[:-1]
    parts = np.split(flat, ends, axis=1)
    return [part.reshape(len(flat), *layer.output_shape) for part, layer in zip(parts, stream.layers, strict=True)]


class LayerNetwork:
    """One Process a layer, or, as SubProcessModels, two: stock Conv and neuron.

    Args:
        spec: the layers.
        stock: it will run as SubProcessModels: stock Conv sends what it computed a step earlier, and there are neither
            counts nor the time that was computed.
        record: have every layer's spikes and membranes in the result.
    """

    def __init__(self, spec: StmSpec, *, stock: bool, record: bool) -> None:
        from hybrid_cvar.neuromorphic.lava_processes.clip_io import CLIPS_IN_FLIGHT

        self._spec = spec
        self._stock = stock
        self._record = record
        self._delay_per_layer = 1 if stock else 0
        self.period = spec.timesteps + self._delay_per_layer * max(len(stream.layers) for stream in spec.streams)
        self._rows = len(all_layers(spec))
        self._sources: list[Any] = []
        self._readouts: list[Any] = []
        self._spike_sinks: list[Any] = []
        self._membrane_sinks: list[Any] = []
        for stream, first_row in zip(spec.streams, _layers_before(spec), strict=True):
            self._add_stream(stream, first_row)
        for earlier, later in pairwise(self._readouts):
            earlier.counts_out.connect(later.counts_in)
        self.root = self._readouts[-1]
        self.root.counts_out.flag_external_pipe(buffer_size=CLIPS_IN_FLIGHT)

    def send(self, runtime: LavaRuntime, clip: Sequence[NDArray[np.int8]]) -> None:
        """Sends every stream's events."""
        for source, events in zip(self._sources, clip, strict=True):
            runtime.send(source.clip_in, events)

    def receive(self, runtime: LavaRuntime, deadline: float) -> SpikingResult:
        """Waits for a clip's read-out; `deadline` in time.monotonic seconds."""
        readouts = tuple(runtime.receive(readout.membrane_out, deadline) for readout in self._readouts)
        counts: tuple[SpikingLayerCounts, ...] = ()
        seconds = None
        if not self._stock:
            counts, seconds = _counted(self._spec, runtime.receive(self.root.counts_out, deadline))
        spikes, membranes = (
            tuple(runtime.receive(sink.steps_out, deadline) for sink in sinks)
            for sinks in (self._spike_sinks, self._membrane_sinks)
        )
        return SpikingResult(readouts, counts, spikes, membranes, seconds)

    def _add_stream(self, stream: StreamSpec, first_row: int) -> None:
        from hybrid_cvar.neuromorphic.lava_processes.clip_io import ClipSource, ReadOut
        from hybrid_cvar.neuromorphic.lava_processes.conv_lif import ConvLif

        steps = self._spec.timesteps
        readout = ReadOut(
            shape=stream.membrane_shape,
            rows=self._rows,
            timesteps=steps,
            period=self.period,
            last_step=self._delay_per_layer * len(stream.layers) + steps - 1,
            with_counts=not self._stock,
        )
        self._readouts.append(readout)
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
                rows=self._rows,
                name=layer.name,
            )
            upstream.connect(process.s_in)
            upstream = process.s_out
            if not self._stock:
                process.counts_out.connect(readout.counts_in)
            if self._record:
                self._add_sinks(process, layer, offset)
        process.membrane_out.connect(readout.membrane_in)

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
