"""The spiking partition on Lava's Loihi simulator: one runtime for all clips (spec.md)."""

import time
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError, LavaError
from hybrid_cvar.lava_compat import prepare_lava
from hybrid_cvar.neuromorphic.conv_lif_core import compile_neuron_kernels
from hybrid_cvar.neuromorphic.lava_runtime import LavaRuntime
from hybrid_cvar.neuromorphic.layer_spec import StmSpec, StreamSpec
from hybrid_cvar.neuromorphic.native_stm import check_events, layer_counts
from hybrid_cvar.records import SpikingLayerCounts, SpikingResult

__all__ = ["LavaStm"]


class LavaStm:
    """Runs clips through both streams as Lava processes in fixed point.

    Use as a context manager: entering builds the network and starts its processes, leaving ends them
    and removes their shared memory, also after an error or Ctrl-C.

    Args:
        spec: the layers.
        reference: run the SubProcessModels (stock Conv and neuron) instead of the fused models; slow,
            and without operation counts.
        floating_point: run the layers in float64 (tag `floating_pt`), for debugging; not with `reference`.
        record_spikes: keep every layer's spikes in the result.
        clip_timeout_seconds: a clip that takes longer is an error.

    Raises:
        MissingPartError: lava-nc is not installed.
        LavaError: a process failed, hung or could not start.
    """

    def __init__(
        self,
        spec: StmSpec,
        *,
        reference: bool = False,
        floating_point: bool = False,
        record_spikes: bool = False,
        clip_timeout_seconds: float = 600.0,
    ) -> None:
        if reference and floating_point:
            raise ConfigError("reference and floating_point", "the reference graph is fixed-point only", "choose one")
        prepare_lava()
        self._spec = spec
        self._reference = reference
        self._tag = "floating_pt" if floating_point else "fixed_pt"
        self._record_spikes = record_spikes
        self._timeout = clip_timeout_seconds
        # Stock Conv sends what it computed a step earlier; the fused model does not.
        self._delay_per_layer = 1 if reference else 0
        self._period = spec.timesteps + self._delay_per_layer * max(len(stream.layers) for stream in spec.streams)
        self._sources: list[Any] = []
        self._spike_sinks: list[Any] = []
        self._read_out: Any = None
        self._runtime: LavaRuntime | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self._end()

    def start(self) -> None:
        """Builds the network and starts its processes; does nothing if they run already."""
        if self._runtime is None:
            self._build_network()
            compile_neuron_kernels()
            self._runtime = LavaRuntime(self._read_out, reference=self._reference, tag=self._tag)

    def stop(self) -> None:
        """Ends the processes and removes their shared memory; does nothing if none run."""
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            runtime.stop()

    def _end(self) -> None:
        """As `stop`, without asking the processes first."""
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            runtime.end()

    def run_clip(self, motion: NDArray[np.int8], residual: NDArray[np.int8]) -> SpikingResult:
        """Runs one clip from cleared state.

        Args:
            motion: int8 (T, H, W, 2), graded events.
            residual: int8 (T, H, W, 3), graded events.

        Raises:
            LavaError: a process failed or the clip took longer than the timeout; the network has ended.
        """
        check_events(self._spec, motion, residual)
        if self._runtime is None:
            raise LavaError("the Lava network is not running", "a clip needs it", "use LavaStm in a with block")
        try:
            return self._run_clip(self._runtime, motion, residual)
        except BaseException:
            self._end()
            raise

    def _run_clip(self, runtime: LavaRuntime, motion: NDArray[np.int8], residual: NDArray[np.int8]) -> SpikingResult:
        deadline = time.monotonic() + self._timeout
        for source, events in zip(self._sources, (motion, residual), strict=True):
            runtime.send(source.clip_in, events)
        runtime.begin_steps(self._period)
        motion_membrane = runtime.receive(self._read_out.motion_out, deadline)
        residual_membrane = runtime.receive(self._read_out.residual_out, deadline)
        counts: tuple[SpikingLayerCounts, ...] = ()
        if not self._reference:
            counts = self._counts(runtime.receive(self._read_out.counts_out, deadline))
        spikes = tuple(runtime.receive(sink.spikes_out, deadline) for sink in self._spike_sinks)
        runtime.finish_steps(deadline)
        return SpikingResult(motion_membrane, residual_membrane, counts, spikes)

    def _counts(self, rows: NDArray[np.int64]) -> tuple[SpikingLayerCounts, ...]:
        layers = [
            (stream.name, index, layer) for stream in self._spec.streams for index, layer in enumerate(stream.layers)
        ]
        return tuple(
            layer_counts(name, index, layer, self._spec.timesteps, row)
            for (name, index, layer), row in zip(layers, rows, strict=True)
        )

    def _build_network(self) -> None:
        from hybrid_cvar.neuromorphic.lava_processes.clip_io import ReadOut

        self._sources, self._spike_sinks = [], []
        steps = self._spec.timesteps
        last_steps = [self._delay_per_layer * len(stream.layers) + steps - 1 for stream in self._spec.streams]
        self._read_out = ReadOut(
            motion_shape=self._spec.motion.membrane_shape,
            residual_shape=self._spec.residual.membrane_shape,
            rows=self._layer_count,
            period=self._period,
            motion_step=last_steps[0],
            residual_step=last_steps[1],
            with_counts=not self._reference,
        )
        self._add_stream(self._spec.motion, self._read_out.motion_in, first_row=0)
        self._add_stream(self._spec.residual, self._read_out.residual_in, first_row=len(self._spec.motion.layers))

    @property
    def _layer_count(self) -> int:
        return sum(len(stream.layers) for stream in self._spec.streams)

    def _add_stream(self, stream: StreamSpec, membrane_in: Any, first_row: int) -> None:
        from hybrid_cvar.neuromorphic.lava_processes.clip_io import ClipSource, SpikeSink
        from hybrid_cvar.neuromorphic.lava_processes.conv_lif import ConvLif

        steps = self._spec.timesteps
        source = ClipSource(shape=stream.layers[0].input_shape, timesteps=steps, period=self._period)
        self._sources.append(source)
        upstream = source.s_out
        process: Any = None
        for index, layer in enumerate(stream.layers):
            offset = (index + 1) * self._delay_per_layer
            process = ConvLif(
                spec=layer,
                timesteps=steps,
                period=self._period,
                offset=offset,
                row=first_row + index,
                rows=self._layer_count,
                name=layer.name,
            )
            upstream.connect(process.s_in)
            upstream = process.s_out
            if not self._reference:
                process.counts_out.connect(self._read_out.counts_in)
            if self._record_spikes:
                sink = SpikeSink(shape=layer.output_shape, timesteps=steps, period=self._period, first_step=offset)
                process.s_out.connect(sink.s_in)
                self._spike_sinks.append(sink)
        process.membrane_out.connect(membrane_in)
