"""The spiking partition on this host's CPU, without Lava: same integers, same bits."""

from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import EngineError
from hybrid_cvar.neuromorphic.conv_lif_core import COUNT_FIELDS, ConvLifCore, compile_neuron_kernels
from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec, StmSpec, StreamSpec
from hybrid_cvar.records import SpikingLayerCounts, SpikingResult

__all__ = ["NativeStm", "check_events", "layer_counts"]


def layer_counts(
    stream: str, index: int, spec: ConvLifSpec, timesteps: int, counts: NDArray[np.int64]
) -> SpikingLayerCounts:
    """One layer's counters of one clip as a record; `counts` is ordered as `COUNT_FIELDS`."""
    return SpikingLayerCounts(
        stream=stream,
        layer=index,
        graded_input=spec.graded_input,
        neurons=spec.neurons,
        timesteps=timesteps,
        **dict(zip(COUNT_FIELDS, (int(count) for count in counts), strict=True)),
    )


def check_events(spec: StmSpec, motion: NDArray[np.int8], residual: NDArray[np.int8]) -> None:
    """Raises ValueError unless both arrays are C-contiguous int8 (T, H, W, C) as the streams take them."""
    for stream, events in zip(spec.streams, (motion, residual), strict=True):
        expected = (spec.timesteps, *stream.layers[0].input_shape)
        if events.shape != expected or events.dtype != np.int8 or not events.flags.c_contiguous:
            raise ValueError(
                f"{stream.name} events are {events.dtype} {events.shape}; C-contiguous int8 {expected} are needed"
            )


class NativeStm:
    """Runs clips through both streams, one thread a stream.

    Args:
        spec: the layers.
        record_spikes: keep every layer's spikes in the result.
    """

    def __init__(self, spec: StmSpec, *, record_spikes: bool = False) -> None:
        self._spec = spec
        self._record_spikes = record_spikes
        self._cores = [[ConvLifCore.of(layer) for layer in stream.layers] for stream in spec.streams]
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the threads; does nothing if they run already."""
        if self._threads is None:
            compile_neuron_kernels()
            streams = len(self._spec.streams)
            self._threads = ThreadPoolExecutor(max_workers=streams, thread_name_prefix="stm")

    def stop(self) -> None:
        """Ends the threads; does nothing if none run."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()

    def run_clip(self, motion: NDArray[np.int8], residual: NDArray[np.int8]) -> SpikingResult:
        """Runs one clip from cleared state.

        Args:
            motion: int8 (T, H, W, 2), graded events.
            residual: int8 (T, H, W, 3), graded events.
        """
        check_events(self._spec, motion, residual)
        if self._threads is None:
            raise EngineError("the native engine is not running", "a clip needs it", "use NativeStm in a with block")
        outputs = list(self._threads.map(self._run_stream, self._spec.streams, self._cores, (motion, residual)))
        return SpikingResult(
            motion_membrane=outputs[0][0],
            residual_membrane=outputs[1][0],
            counts=tuple(count for _, counts, _ in outputs for count in counts),
            spikes=tuple(spikes for _, _, recorded in outputs for spikes in recorded),
        )

    def _run_stream(
        self, stream: StreamSpec, cores: list[ConvLifCore], events: NDArray[np.int8]
    ) -> tuple[NDArray[np.int32], list[SpikingLayerCounts], list[NDArray[np.int8]]]:
        steps = self._spec.timesteps
        recorded = (
            [np.zeros((steps, *layer.output_shape), dtype=np.int8) for layer in stream.layers]
            if self._record_spikes
            else []
        )
        for core in cores:
            core.clear()
        for t in range(steps):
            passing = events[t]
            for index, core in enumerate(cores):
                passing = core.step(passing)
                if recorded:
                    recorded[index][t] = passing
        counts = [
            layer_counts(stream.name, index, layer, steps, core.counts)
            for index, (layer, core) in enumerate(zip(stream.layers, cores, strict=True))
        ]
        return cores[-1].membrane.copy(), counts, recorded
