"""Stitches both partitions: clips -> spiking engine -> dense engine -> Trace."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import count
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.compiler import Bundle
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.onnx_session import SessionSettings, default_provider, require_provider
from hybrid_cvar.records import NodeMacs, Trace, VideoInfo
from hybrid_cvar.runtime.dense_engine import DenseEngine
from hybrid_cvar.runtime.partitions import Partitions
from hybrid_cvar.runtime.pipeline import run_in_turn, run_overlapped
from hybrid_cvar.runtime.spiking_engine import open_spiking_engine
from hybrid_cvar.runtime.trace_builder import TraceBuilder
from hybrid_cvar.runtime.work import ReadClip, SpikedClip
from hybrid_cvar.video import ClipStream, ReadMeter, VideoSource, open_clips
from hybrid_cvar.video.container import is_stream
from hybrid_cvar.video.warm_up import compile_reader_kernels

__all__ = ["HybridRuntime"]

DENSE_BATCH = 8
"""Clips the ANN partition takes at once (the paper's 8 a video); bounds memory for longer runs."""

OVERLAPPED_BATCH = {"cpu": 2}
"""The same where stages overlap, by provider: small, so that the ANN partition has work before the last clip. Only a
provider whose logits do not hang on the batch has a row (of `cpu` it is tested, to the bit); others keep the large."""


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
        self._partitions: Partitions | None = None
        self._macs: tuple[NodeMacs, ...] = ()

    def __enter__(self) -> Self:
        compile_reader_kernels()
        self._spiking.start()
        try:
            # After Lava's fork: ONNX Runtime's threads do not survive one.
            dense = DenseEngine(
                self._bundle.ann,
                len(self._bundle.labels),
                precision=self._bundle.precision,
                settings=self._settings,
            )
            self._partitions = Partitions(self._bundle, self._spiking, dense)
            self._macs = self._partitions.warm_up()
        except BaseException:
            self._spiking.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spiking.stop()
        self._partitions = None

    def run_video(
        self,
        path: VideoSource,
        *,
        clips: int = 8,
        domain: str = "auto",
        overlap: bool = False,
        on_video: Callable[[VideoInfo, int], None] = lambda info, clips: None,
        on_clip: Callable[[], None] = lambda: None,
        on_first_prediction: Callable[[str, float, float], None] = lambda label, probability, seconds: None,
    ) -> Trace:
        """Runs one video: clips sampled uniformly, logits averaged over them.

        A stage's times are wall-clock times of the thread it runs on. A clip's reading is what the reader took to give
        it, and for a stream that includes waiting for its sender. Opening a file is shared out evenly among its clips;
        opening a stream, which waits for the first GOP, is the first clip's reading.

        Args:
            path: the video, a file or a stream (of which the first clips are taken); see `read_gops`. A stream's first
                clip is answered by itself, as soon as it is there; a file's with the first batch.
            clips: at most so many; a shorter video gives fewer.
            domain: whose GOPs are read, `auto`, `native` or `transcode`; see `probe_video`.
            overlap: reading, the spiking and the ANN partition work side by side: more videos a second, the same counts
                and logits to the bit. Then a stage's seconds hold what it lost to the others on the same cores. Threads
                started for it have ended when this returns or raises; Ctrl-C waits for the clip that an engine is at.
            on_video: told the probe and the number of clips before the first.
            on_clip: called after every clip.
            on_first_prediction: of a stream, told what its first clip alone would be: label, probability (0 to 1), and
                seconds since the call.

        All callbacks come on the caller's thread.

        Raises:
            VideoError: the video cannot be used.
            EngineError: an engine failed.
        """
        began = time.perf_counter()
        if clips < 1:
            raise ConfigError(f"clips = {clips}", "must be at least 1")
        if self._partitions is None:
            raise ConfigError("the runtime is not open", "run_video needs it", "use HybridRuntime in a with block")
        live = is_stream(path)
        reading = _Reading()
        stream = reading.open(lambda: open_clips(path, self._bundle.input, clips, domain=domain, meter=reading.meter))
        on_video(stream.info, stream.expected)
        built = TraceBuilder(stream.expected)
        run = run_overlapped if overlap else run_in_turn
        batch = OVERLAPPED_BATCH.get(self._settings.provider, DENSE_BATCH) if overlap else DENSE_BATCH
        with (
            closing(reading.clips(stream, opening_is_first=live)) as read,
            closing(run(read, self._partitions, batch, first_alone=live)) as steps,
        ):
            for step in steps:
                if isinstance(step, SpikedClip):
                    built.add_clip(step)
                    on_clip()
                    continue
                first = built.first_done is None
                built.add_answers(step)
                if first and live and np.isfinite(step.logits[0]).all():
                    on_first_prediction(*_best(self._bundle.labels, step.logits[0]), step.done - began)
        return Trace(
            video=stream.info,
            model=self._bundle.name,
            trained=self._bundle.trained,
            engine=self._engine_name,
            provider=self._settings.provider,
            precision=self._bundle.precision,
            labels=self._bundle.labels,
            clip_pts_seconds=tuple(built.starts),
            clip_logits=built.logits(),
            spiking=built.counts,
            dense=self._macs,
            stages=built.stages(reading.shared_seconds),
            reading=reading.meter.counts,
            first_prediction_seconds=(built.first_done or began) - began,
            wall_seconds=time.perf_counter() - began,
            overlapped=overlap,
            view=built.view,
            first_prediction_clips=built.first_clips,
            bundle_sha256=self._bundle.sha256,
        )


def _best(labels: tuple[str, ...], logits: NDArray[np.float32]) -> tuple[str, float]:
    """The label of the largest logit, and its softmax probability."""
    shifted = np.exp(logits.astype(np.float64) - float(logits.max()))
    return labels[int(logits.argmax())], float(shifted.max() / shifted.sum())


class _Reading:
    """Takes clips from the reader, and the time.

    Attributes:
        meter: tells accumulation from decoding.
        shared_seconds: reading that served no clip more than another: opening a file, and finding its end.
    """

    def __init__(self) -> None:
        self.meter = ReadMeter()
        self.shared_seconds = 0.0

    def open(self, open_stream: Callable[[], ClipStream]) -> ClipStream:
        begin = time.perf_counter()
        stream = open_stream()
        self.shared_seconds += time.perf_counter() - begin
        return stream

    def clips(self, stream: ClipStream, *, opening_is_first: bool) -> Generator[ReadClip, None, None]:
        """The clips one by one; `opening_is_first` gives the first the time of opening, too."""
        carried, accumulated = 0.0, 0.0
        if opening_is_first:
            carried, self.shared_seconds = self.shared_seconds, 0.0
        for index in count():
            begin = time.perf_counter()
            clip = next(stream.clips, None)
            seconds = time.perf_counter() - begin + carried
            accumulating = self.meter.accumulate_seconds - accumulated
            if clip is None:
                self.shared_seconds += seconds
                return
            yield ReadClip(index, clip, seconds - accumulating, accumulating)
            carried, accumulated = 0.0, accumulated + accumulating
