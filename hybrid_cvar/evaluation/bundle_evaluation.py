"""A bundle's answers on a dataset, from the engines that `hybrid-cvar run` has; needs no torch."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from hybrid_cvar.compiler import Bundle
from hybrid_cvar.energy import EnergyProfile, estimate_energy
from hybrid_cvar.errors import EngineError
from hybrid_cvar.evaluation.evaluator import EvaluationObserver, Subject, evaluate_videos
from hybrid_cvar.evaluation.recognised import Recognised
from hybrid_cvar.onnx_session import SessionSettings, default_provider
from hybrid_cvar.records import Evaluation, VideoDataset
from hybrid_cvar.runtime import HybridRuntime

__all__ = ["evaluate_bundle"]


def evaluate_bundle(
    bundle: Bundle,
    dataset: VideoDataset,
    profile: EnergyProfile,
    *,
    engine: str = "native",
    dense: SessionSettings | None = None,
    clips: int = 8,
    limit: int | None = None,
    journal: Path | None = None,
    machine: str = "",
    observer: EvaluationObserver | None = None,
) -> Evaluation:
    """Runs a dataset's videos with one runtime; a runtime that breaks is started anew for the next video.

    Args:
        bundle: the compiled model.
        dataset: the videos; its labels are the model's, see `match_labels`.
        profile: prices the counts.
        engine: `native` or `lava`; the same bits.
        dense: provider, threads and memory of the ANN partition; see `HybridRuntime`.
        clips: of a video, uniformly spread, centre crop; fewer where it has fewer GOPs.
        limit: at most so many videos, evenly spread over the classes; None for all.
        journal: file that answers are kept in while it runs, and from which the same evaluation goes on; it is left
            there. None for none.
        machine: CPU, cores and operating system, for the record.
        observer: told of progress.

    Returns:
        The answers; a video that failed, or that Ctrl-C left out, is a row of `missing` with its reason.

    Raises:
        ConfigError, MissingPartError, EngineError: the runtime cannot start at all, labels do not fit, or no video
            gave an answer.
        OutputError: the journal cannot be written.
        KeyboardInterrupt: Ctrl-C before the first answer.
    """
    settings = dense or SessionSettings(provider=default_provider(bundle.precision))
    subject = Subject(
        model=bundle.name,
        source="bundle",
        sha256=bundle.sha256,
        engine=engine,
        provider=settings.provider,
        precision=bundle.precision,
        labels=bundle.labels,
        profile=profile.name,
        constants=tuple(constant.picojoules for constant in (*profile.spiking, profile.mac)),
    )
    return evaluate_videos(
        subject,
        lambda: _BundleRecogniser(bundle, profile, engine, settings, clips),
        dataset,
        clips=clips,
        limit=limit,
        journal=journal,
        machine=machine,
        observer=observer or EvaluationObserver(),
    )


class _BundleRecogniser:
    """Holds the runtime, and a new one after an engine's failure."""

    def __init__(
        self, bundle: Bundle, profile: EnergyProfile, engine: str, settings: SessionSettings, clips: int
    ) -> None:
        self._bundle = bundle
        self._profile = profile
        self._engine = engine
        self._settings = settings
        self._clips = clips
        self._stack = ExitStack()
        self._runtime: HybridRuntime | None = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._stop()

    def recognise(self, path: Path, on_clip: Callable[[], None]) -> Recognised:
        try:
            runtime = self._runtime or self._start()
            begin = time.perf_counter()
            trace = runtime.run_video(path, clips=self._clips, on_clip=on_clip)
            seconds = time.perf_counter() - begin
        except EngineError:
            self._stop()
            raise
        energy = estimate_energy(trace, self._profile)
        return Recognised(trace.logits, trace.clips, energy.total_joules, seconds)

    def _start(self) -> HybridRuntime:
        self._runtime = self._stack.enter_context(
            HybridRuntime(self._bundle, engine=self._engine, dense=self._settings)
        )
        return self._runtime

    def _stop(self) -> None:
        self._runtime = None
        self._stack.close()
