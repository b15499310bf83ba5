"""Stitches both partitions: clips -> spiking engine -> dense engine -> Trace."""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.compiler import Bundle
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import (
    Clip,
    NodeMacs,
    SpikingLayerCounts,
    SpikingResult,
    StageSeconds,
    Trace,
    VideoInfo,
    add_counts,
    graded_events,
)
from hybrid_cvar.runtime.dense_engine import DenseEngine
from hybrid_cvar.runtime.spiking_engine import open_spiking_engine
from hybrid_cvar.video import VideoSource, open_clips
from hybrid_cvar.video.warm_up import compile_reader_kernels

__all__ = ["HybridRuntime"]

DENSE_BATCH = 8
"""Clips the ANN partition takes at once (the paper's 8 a video); bounds memory for longer runs."""


class HybridRuntime:
    """Runs videos through a bundle. The Lava network, if any, is started once and serves every video.

    Use as a context manager.

    Args:
        bundle: the compiled model.
        engine: `lava` or `native`.
        threads: ONNX Runtime's threads; 0 takes every usable core.

    Raises:
        ConfigError: the engine does not exist.
        MissingPartError, LavaError, EngineError: an engine cannot start.
    """

    def __init__(self, bundle: Bundle, *, engine: str = "lava", threads: int = 0) -> None:
        self._bundle = bundle
        self._engine_name = engine
        self._threads = threads
        self._spiking = open_spiking_engine(engine, bundle.stm)
        self._dense: DenseEngine | None = None
        self._macs: tuple[NodeMacs, ...] = ()

    def __enter__(self) -> Self:
        compile_reader_kernels()
        self._spiking.start()
        try:
            # After Lava's fork: ONNX Runtime's threads do not survive one.
            self._dense = DenseEngine(self._bundle.ann, len(self._bundle.labels), threads=self._threads)
            self._macs = self._count_macs(self._dense)
        except BaseException:
            self._spiking.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spiking.stop()
        self._dense = None

    def run_video(
        self,
        path: VideoSource,
        *,
        clips: int = 8,
        domain: str = "auto",
        on_video: Callable[[VideoInfo, int], None] = lambda info, clips: None,
        on_clip: Callable[[], None] = lambda: None,
    ) -> Trace:
        """Runs one video: clips sampled uniformly, logits averaged over them.

        Args:
            path: the video, a file or a stream (of which the first clips are taken); see `read_gops`.
            clips: at most so many; a shorter video gives fewer.
            domain: whose GOPs are read, `auto`, `native` or `transcode`; see `probe_video`.
            on_video: told the probe and the number of clips before the first.
            on_clip: called after every clip.

        Raises:
            VideoError: the video cannot be used.
            EngineError: an engine failed.
        """
        if clips < 1:
            raise ConfigError(f"clips = {clips}", "must be at least 1")
        if self._dense is None:
            raise ConfigError("the runtime is not open", "run_video needs it", "use HybridRuntime in a with block")
        clock = _Clock()
        with clock.stage("read"):
            stream = open_clips(path, self._bundle.input, clips, domain=domain)
        on_video(stream.info, stream.expected)
        starts: list[float] = []
        counts: tuple[SpikingLayerCounts, ...] = ()
        logits: list[NDArray[np.float32]] = []
        waiting: list[tuple[NDArray[np.uint8], SpikingResult]] = []
        while (clip := clock.next_clip(stream.clips)) is not None:
            result = self._run_spiking(clip, clock)
            starts.append(clip.pts_seconds)
            counts = add_counts(counts, result.counts)
            waiting.append((clip.iframe, result))
            if len(waiting) == DENSE_BATCH:
                logits.append(self._run_dense(self._dense, waiting, clock))
                waiting = []
            on_clip()
        if waiting:
            logits.append(self._run_dense(self._dense, waiting, clock))
        return Trace(
            video=stream.info,
            model=self._bundle.name,
            trained=self._bundle.trained,
            engine=self._engine_name,
            labels=self._bundle.labels,
            clip_pts_seconds=tuple(starts),
            clip_logits=np.concatenate(logits),
            spiking=counts,
            dense=self._macs,
            stages=clock.stages(),
        )

    def _run_dense(
        self, dense: DenseEngine, waiting: list[tuple[NDArray[np.uint8], SpikingResult]], clock: "_Clock"
    ) -> NDArray[np.float32]:
        with clock.stage("dense"):
            return dense.run(
                np.stack([iframe for iframe, _ in waiting]),
                np.stack([result.motion_membrane for _, result in waiting]),
                np.stack([result.residual_membrane for _, result in waiting]),
            )

    def _count_macs(self, dense: DenseEngine) -> tuple[NodeMacs, ...]:
        """MACs a clip: they follow from the shapes, which are the same for every clip of a bundle."""
        size = self._bundle.input.size
        motion, residual = (
            np.zeros((1, *stream.membrane_shape), dtype=np.int32) for stream in self._bundle.stm.streams
        )
        return dense.count_macs(np.zeros((1, size, size, 3), dtype=np.uint8), motion, residual)

    def _run_spiking(self, clip: Clip, clock: "_Clock") -> SpikingResult:
        spec = self._bundle.input
        with clock.stage("encode"):
            motion = graded_events(clip.motion, spec.motion_step)
            residual = graded_events(clip.residual, spec.residual_step)
        with clock.stage("spiking"):
            return self._spiking.run_clip(motion, residual)


class _Clock:
    """Adds up wall-clock seconds a stage."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(("read", "encode", "spiking", "dense"), 0.0)

    def stages(self) -> tuple[StageSeconds, ...]:
        return tuple(StageSeconds(stage, seconds) for stage, seconds in self._seconds.items())

    def stage(self, name: str) -> "_Stage":
        return _Stage(self._seconds, name)

    def next_clip(self, clips: Iterator[Clip]) -> Clip | None:
        """The next clip, None after the last; the time to make it is reading."""
        with self.stage("read"):
            return next(clips, None)


class _Stage:
    """A with block whose time is added to a stage."""

    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self._seconds = seconds
        self._name = name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self._seconds[self._name] += time.perf_counter() - self._start
