"""The spiking partition on this host's CPU, without Lava: same integers, same bits."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import EngineError
from hybrid_cvar.neuromorphic.conv_lif_core import ConvLifCore, compile_neuron_kernels
from hybrid_cvar.neuromorphic.counting import computing_seconds, layer_counts
from hybrid_cvar.neuromorphic.layer_spec import StmSpec
from hybrid_cvar.records import SpikingResult

__all__ = ["NativeStm", "check_events"]


def check_events(spec: StmSpec, clip: Sequence[NDArray[np.int8]]) -> None:
    """Looks at what a clip holds for every stream.

    Raises:
        EngineError: there is not one array a stream, C-contiguous int8 (T, H, W, C) as the stream takes it.
    """
    if len(clip) != len(spec.streams):
        raise EngineError(
            f"a clip of {len(clip)} arrays",
            f"one is needed for every stream: {', '.join(stream.name for stream in spec.streams)}",
            "make them with stream_events",
        )
    for stream, events in zip(spec.streams, clip, strict=True):
        expected = (spec.timesteps, *stream.layers[0].input_shape)
        if events.shape != expected or events.dtype != np.int8 or not events.flags.c_contiguous:
            raise EngineError(
                f"{stream.name} events are {events.dtype} {events.shape}",
                f"C-contiguous int8 {expected} are needed",
                "make them with stream_events, of a clip cut for this partition",
            )


class NativeStm:
    """Runs clips through every stream, one thread a stream.

    Args:
        spec: the layers.
        record: keep every layer's spikes and membranes, of every step, in the result.
    """

    def __init__(self, spec: StmSpec, *, record: bool = False) -> None:
        self._spec = spec
        self._record = record
        self._cores = [[ConvLifCore(layer) for layer in stream.layers] for stream in spec.streams]
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

    def run_clip(self, *events: NDArray[np.int8]) -> SpikingResult:
        """Runs one clip from cleared state.

        Args:
            events: one array a stream, in the spec's order: int8 (T, H, W, C), graded events (`stream_events`).

        Raises:
            EngineError: the engine is not running, or the arrays are not what the streams take.
        """
        check_events(self._spec, events)
        if self._threads is None:
            raise EngineError("the native engine is not running", "a clip needs it", "use NativeStm in a with block")
        outputs = list(self._threads.map(self._run_stream, self._cores, events))
        cores = [core for stream in self._cores for core in stream]
        return SpikingResult(
            readouts=tuple(stream[-1].membrane.copy() for stream in self._cores),
            counts=layer_counts(self._spec, (core.counts for core in cores)),
            spikes=tuple(spikes for recorded in outputs for spikes, _ in recorded),
            membranes=tuple(membranes for recorded in outputs for _, membranes in recorded),
            compute_seconds=computing_seconds(np.array([spell for core in cores for spell in core.spells])),
        )

    def _run_stream(
        self, cores: list[ConvLifCore], events: NDArray[np.int8]
    ) -> list[tuple[NDArray[np.int8], NDArray[np.int32]]]:
        """Layer by layer, all steps of a layer at once; returns what is recorded of each."""
        recorded = []
        for core in cores:
            core.clear()
            if self._record:
                events, membranes = _run_step_by_step(core, events)
                recorded.append((events, membranes))
            else:
                events = core.run(events)
        return recorded


def _run_step_by_step(core: ConvLifCore, events: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    spikes, membranes = [], []
    for step in range(len(events)):
        spikes.append(core.run(events[step : step + 1])[0])
        membranes.append(core.membrane.copy())
    return np.stack(spikes), np.stack(membranes)
