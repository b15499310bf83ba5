"""Stitches both partitions: clips -> spiking engine -> dense engine -> Trace."""

import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.compiler import Bundle
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.onnx_session import SessionSettings, default_provider, require_provider
from hybrid_cvar.records import (
    Clip,
    NodeMacs,
    SpikingLayerCounts,
    SpikingResult,
    StageSeconds,
    Trace,
    VideoInfo,
    add_counts,
    stream_events,
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
        dense: provider, threads and memory of the ANN partition; None for the bundle's default.

    Raises:
        ConfigError: the engine does not exist, or the provider does not compute in the bundle's precision.
        MissingPartError, LavaError, EngineError: an engine cannot start.
    """

    def __init__(self, bundle: Bundle, *, engine: str = "lava", dense: SessionSettings | None = None) -> None:
        self._bundle = bundle
        self._engine_name = engine
        self._settings = dense or SessionSettings(provider=default_provider(bundle.precision))
        require_provider(self._settings.provider, bundle.precision)
        self._spiking = open_spiking_engine(engine, bundle.stm)
        self._dense: DenseEngine | None = None
        self._macs: tuple[NodeMacs, ...] = ()

    def __enter__(self) -> Self:
        compile_reader_kernels()
        self._spiking.start()
        try:
            # After Lava's fork: ONNX Runtime's threads do not survive one.
            self._dense = DenseEngine(
                self._bundle.ann,
                len(self._bundle.labels),
                precision=self._bundle.precision,
                settings=self._settings,
            )
            zeros = self._zero_feed()
            self._macs = self._dense.count_macs(zeros)
            self._dense.run(zeros)  # a session's first run is slower, and is start-up
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
            provider=self._settings.provider,
            precision=self._bundle.precision,
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
            iframes = np.stack([iframe for iframe, _ in waiting])
            membranes = [np.stack(stream) for stream in zip(*(result.readouts for _, result in waiting), strict=True)]
            return dense.run(self._feed(iframes, membranes))

    def _feed(self, iframes: NDArray[np.uint8], membranes: Sequence[NDArray[np.int32]]) -> dict[str, NDArray[Any]]:
        """The dense engine's inputs by name; a model without I-frames has none."""
        names = self._bundle.ann_inputs
        arrays: list[NDArray[Any]] = [iframes] if "iframe" in names else []
        return dict(zip(names, [*arrays, *membranes], strict=True))

    def _zero_feed(self) -> dict[str, NDArray[Any]]:
        """One clip of zeros: MACs follow from the shapes, which are the same for every clip of a bundle."""
        size = self._bundle.input.size
        membranes = [np.zeros((1, *stream.membrane_shape), dtype=np.int32) for stream in self._bundle.stm.streams]
        return self._feed(np.zeros((1, size, size, 3), dtype=np.uint8), membranes)

    def _run_spiking(self, clip: Clip, clock: "_Clock") -> SpikingResult:
        with clock.stage("encode"):
            events = [stream_events(clip, self._bundle.input, stream.name) for stream in self._bundle.stm.streams]
        with clock.stage("spiking"):
            return self._spiking.run_clip(*events)


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
