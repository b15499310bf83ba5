"""Runs several videos through one bundle; one that fails does not stop the others."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from hybrid_cvar.compiler import Bundle
from hybrid_cvar.compiler.manifest_records import read_parity, read_resources
from hybrid_cvar.energy import EnergyProfile, estimate_energy, model_chip_latency
from hybrid_cvar.errors import EngineError, HybridCvarError
from hybrid_cvar.onnx_session import SessionSettings
from hybrid_cvar.records import Report, VideoInfo
from hybrid_cvar.reporting import VideoFailure, build_report
from hybrid_cvar.runtime import HybridRuntime
from hybrid_cvar.video import VideoSource, source_name

__all__ = ["BatchObserver", "BatchResult", "run_batch"]


@dataclass(frozen=True, eq=False)
class BatchResult:
    """What became of the videos.

    Attributes:
        reports: of the videos that ran, in order.
        failures: of those that did not, those not reached among them.
        interrupted: True if Ctrl-C ended the batch early; what was done by then is here.
    """

    reports: tuple[Report, ...]
    failures: tuple[VideoFailure, ...]
    interrupted: bool


@dataclass(frozen=True)
class BatchObserver:
    """Told of progress.

    Attributes:
        on_start: (its name) a video begins.
        on_video: (probe, clips) it was opened.
        on_clip: a clip is done.
        on_report: (report) it is done.
        on_first_prediction: (label, probability, seconds) of a stream, what its first clip alone would be.
        on_failure: (failure, a ProcessModel's own traceback or nothing) it failed.
    """

    on_start: Callable[[str], None] = lambda name: None
    on_video: Callable[[VideoInfo, int], None] = lambda info, clips: None
    on_clip: Callable[[], None] = lambda: None
    on_first_prediction: Callable[[str, float, float], None] = lambda label, probability, seconds: None
    on_report: Callable[[Report], None] = lambda report: None
    on_failure: Callable[[VideoFailure, str], None] = lambda failure, traceback: None


def run_batch(
    videos: Sequence[VideoSource],
    bundle: Bundle,
    profile: EnergyProfile,
    *,
    engine: str = "lava",
    dense: SessionSettings | None = None,
    clips: int = 8,
    top: int = 5,
    domain: str = "auto",
    strict: bool = False,
    overlap: bool = False,
    observer: BatchObserver | None = None,
) -> BatchResult:
    """Runs every video with one runtime; a runtime that breaks is started anew for the next video.

    Args:
        videos: files or streams; see `read_gops`. bundle: the compiled model. profile: prices the counts.
        engine: `lava` or `native`. dense: provider, threads and memory of the ANN partition; see `HybridRuntime`.
        clips: at most so many a video. top: classes to name.
        domain: whose GOPs are read, `auto`, `native` or `transcode`; see `probe_video`.
        strict: price graded input events as multiply-accumulates; see `estimate_energy`.
        overlap: reading and the two partitions work side by side; see `HybridRuntime.run_video`.
        observer: told of progress.

    Raises:
        BundleError: what the bundle says of its resources or its parity is damaged.
        ConfigError, MissingPartError, EngineError: the runtime cannot start at all.
    """
    if strict:
        profile.check_strict()
    watch = observer or BatchObserver()
    reports: list[Report] = []
    failures: list[VideoFailure] = []
    interrupted = False
    notices = (bundle.notice,) if bundle.notice else ()
    resources, parity = read_resources(bundle), read_parity(bundle)
    with ExitStack() as stack:
        runtime: HybridRuntime | None = stack.enter_context(HybridRuntime(bundle, engine=engine, dense=dense))
        try:
            for path in videos:
                name = source_name(path)
                watch.on_start(name)
                try:
                    if runtime is None:
                        runtime = stack.enter_context(HybridRuntime(bundle, engine=engine, dense=dense))
                    trace = runtime.run_video(
                        path,
                        clips=clips,
                        domain=domain,
                        overlap=overlap,
                        on_video=watch.on_video,
                        on_clip=watch.on_clip,
                        on_first_prediction=watch.on_first_prediction,
                    )
                    report = build_report(
                        trace,
                        estimate_energy(trace, profile, strict=strict),
                        top=top,
                        notices=notices,
                        chip_latency=model_chip_latency(trace, profile, resources),
                        resources=resources,
                        parity=parity,
                    )
                except HybridCvarError as error:
                    failures.append(VideoFailure(name, str(error)))
                    watch.on_failure(failures[-1], getattr(error, "process_traceback", ""))
                    if isinstance(error, EngineError):
                        stack.close()
                        runtime = None
                else:
                    reports.append(report)
                    watch.on_report(report)
        except KeyboardInterrupt:
            interrupted = True
            not_run = "not run: interrupted; run it again"
            rest = videos[len(reports) + len(failures) :]
            failures += [VideoFailure(name, f"{name}: {not_run}") for name in map(source_name, rest)]
    return BatchResult(tuple(reports), tuple(failures), interrupted)
