"""Both partitions of a bundle, ready to run, and the time that each takes."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.compiler import Bundle
from hybrid_cvar.records import ClipView, NodeMacs, stream_events
from hybrid_cvar.runtime.dense_engine import DenseEngine
from hybrid_cvar.runtime.spiking_engine import SpikingEngine
from hybrid_cvar.runtime.work import Answers, ClipSeconds, ReadClip, SpikedClip

__all__ = ["Partitions"]


class Partitions:
    """Clips through the spiking engine, and what comes of it through the dense engine; a `ClipWork`.

    Args:
        bundle: the compiled model.
        spiking: started.
        dense: opened after `spiking` was started.
    """

    def __init__(self, bundle: Bundle, spiking: SpikingEngine, dense: DenseEngine) -> None:
        self._bundle = bundle
        self._spiking = spiking
        self._dense = dense
        self._streams = tuple(stream.name for stream in bundle.stm.streams)

    def warm_up(self) -> tuple[NodeMacs, ...]:
        """Runs the dense engine once, for its first run is slower, and counts its multiply-accumulates.

        Returns:
            Those of one clip: they follow from the shapes, which are the same for every clip of a bundle.
        """
        size = self._bundle.input.size
        membranes = [np.zeros((1, *stream.membrane_shape), dtype=np.int32) for stream in self._bundle.stm.streams]
        zeros = self._feed(np.zeros((1, size, size, 3), dtype=np.uint8), membranes)
        macs = self._dense.count_macs(zeros)
        self._dense.run(zeros)
        return macs

    def spike(self, read: ReadClip) -> SpikedClip:
        """Runs a clip's events through the spiking engine.

        Raises:
            EngineError: the engine failed.
        """
        clip = read.clip
        begin = time.perf_counter()
        events = [stream_events(clip, self._bundle.input, stream) for stream in self._streams]
        encoded = time.perf_counter()
        result = self._spiking.run_clip(*events)
        call = time.perf_counter() - encoded
        # An engine that does not tell its computation apart hands over nothing that could be told from it.
        spiking = call if result.compute_seconds is None else min(result.compute_seconds, call)
        view = ClipView(
            clip=read.index,
            iframe=clip.iframe,
            motion=clip.motion[-1].copy(),
            residual=clip.residual[-1].copy(),
            streams=self._streams,
            readouts=result.readouts,
        )
        seconds = ClipSeconds(read.read_seconds, read.accumulate_seconds, encoded - begin, spiking, call - spiking)
        return SpikedClip(view, clip.pts_seconds, result.counts, seconds)

    def answer(self, clips: Sequence[SpikedClip]) -> Answers:
        """Runs clips through the dense engine, all at once.

        Raises:
            EngineError: the engine failed.
        """
        begin = time.perf_counter()
        iframes = np.stack([clip.view.iframe for clip in clips])
        membranes = [np.stack(stream) for stream in zip(*(clip.view.readouts for clip in clips), strict=True)]
        logits = self._dense.run(self._feed(iframes, membranes))
        done = time.perf_counter()
        return Answers(logits, done - begin, done)

    def _feed(self, iframes: NDArray[np.uint8], membranes: Sequence[NDArray[np.int32]]) -> dict[str, NDArray[Any]]:
        """The dense engine's inputs by name; a model without I-frames has none."""
        names = self._bundle.ann_inputs
        arrays: list[NDArray[Any]] = [iframes] if "iframe" in names else []
        return dict(zip(names, [*arrays, *membranes], strict=True))
