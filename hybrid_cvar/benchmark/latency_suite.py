"""How long a clip, a video and a stream's first answer take, stage by stage, with the shipped bundle on both engines.

What is measured is this host, which simulates the spiking partition; not the speed of a neuromorphic chip.
"""

import functools
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

from hybrid_cvar.assets import DEFAULT_BUNDLE
from hybrid_cvar.benchmark.measure import ratio_of_medians
from hybrid_cvar.benchmark.results import BenchResult
from hybrid_cvar.compiler import Bundle, load_bundle
from hybrid_cvar.errors import ParityError
from hybrid_cvar.records import STAGES, Percentiles, Trace, clip_percentiles
from hybrid_cvar.runtime import ENGINES, HybridRuntime
from hybrid_cvar.video.background import usable_cores

__all__ = ["LATENCY_ROWS", "LatencyBench"]

CLIPS = 8
VIDEOS_A_ROUND = 5
FIRST_PREDICTIONS_A_ROUND = 2
HEADLINE = "lava"
"""Whose number a row's value is: the engine that `run` takes unless told otherwise."""


class LatencyBench:
    """A video, and a runtime of the shipped bundle for each engine, opened when first used. Use as a context manager.

    Args:
        video: its 8 clips are what runs.
        rounds: of every timing.
        bundle: the shipped one if None.
    """

    def __init__(self, video: Path, rounds: int, bundle: Bundle | None = None) -> None:
        self.video = video
        self.rounds = rounds
        self._bundle = bundle or load_bundle(DEFAULT_BUNDLE)
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    @functools.cached_property
    def runtimes(self) -> dict[str, HybridRuntime]:
        """One for each engine, warm: every one has run the video once.

        Raises:
            MissingPartError, EngineError: an engine cannot start.
        """
        # Lava forks first, before ONNX Runtime has threads.
        opened: dict[str, HybridRuntime] = {}
        for engine in sorted(ENGINES, key=lambda name: name != "lava"):
            opened[engine] = self._opened.enter_context(HybridRuntime(self._bundle, engine=engine))
        for runtime in opened.values():
            runtime.run_video(self.video, clips=CLIPS)
        return opened

    @functools.cached_property
    def traces(self) -> dict[str, tuple[Trace, ...]]:
        """Runs of the video, stages in turn; the engines take turns."""
        runs: dict[str, list[Trace]] = {engine: [] for engine in self.runtimes}
        for _ in range(self.rounds * VIDEOS_A_ROUND):
            for engine, runtime in self.runtimes.items():
                runs[engine].append(runtime.run_video(self.video, clips=CLIPS))
        return {engine: tuple(of_engine) for engine, of_engine in runs.items()}

    def setting(self, trace: Trace) -> dict[str, Any]:
        """What a row's numbers hold for."""
        return {
            "engine": HEADLINE,
            "video": self.video.name,
            "clips_a_video": trace.clips,
            "model": trace.model,
            "input_side": self._bundle.input.size,
            "timesteps": self._bundle.input.timesteps,
            "ann": f"{trace.provider} {trace.precision}",
            "cores": usable_cores(),
            "start_up": "not in it: the runtime is open and has run a video",
        }


def clip_percentile(bench: LatencyBench, percentile: str) -> BenchResult:
    """One percentile of the time that a clip takes, all stages together, one after the other."""
    details = {engine: _spread(traces) for engine, traces in bench.traces.items()}
    return BenchResult(
        f"latency.clip_{percentile}_ms",
        details[HEADLINE]["clip_ms"][percentile],
        "ms",
        detail={**bench.setting(bench.traces[HEADLINE][0]), "engines": details},
    )


def overlap_speedup(bench: LatencyBench) -> BenchResult:
    """Videos a second with stages side by side over those with one after the other.

    Raises:
        ParityError: an answer or a count is another one.
    """
    details: dict[str, dict[str, Any]] = {}
    for engine, runtime in bench.runtimes.items():
        runs: dict[bool, list[Trace]] = {True: [], False: []}

        def run(overlap: bool, runtime: HybridRuntime = runtime, runs: dict[bool, list[Trace]] = runs) -> None:
            for _ in range(VIDEOS_A_ROUND):
                runs[overlap].append(runtime.run_video(bench.video, clips=CLIPS, overlap=overlap))

        run(True)
        runs[True].clear()
        timings = ratio_of_medians(partial(run, True), partial(run, False), bench.rounds)
        _require_same(engine, [*runs[False], *runs[True]])
        medians = [VIDEOS_A_ROUND / timings.fast_median, VIDEOS_A_ROUND / timings.slow_median]
        details[engine] = {
            "ratio": timings.ratio,
            "medians": medians,
            "medians_unit": "videos/s",
            "fast_seconds": list(timings.fast_seconds),
            "slow_seconds": list(timings.slow_seconds),
            "videos_a_round": VIDEOS_A_ROUND,
            "in_turn": _spread(runs[False]),
            "overlapped": _spread(runs[True]),
        }
    headline = details[HEADLINE]
    return BenchResult(
        "latency.overlap_speedup",
        headline["ratio"],
        "x",
        detail={
            **bench.setting(bench.traces[HEADLINE][0]),
            "medians": headline["medians"],
            "medians_unit": headline["medians_unit"],
            "same_bits": "every logit and count of every run (checked)",
            "engines": details,
        },
    )


def _require_same(engine: str, traces: Sequence[Trace]) -> None:
    expected = traces[0]
    for trace in traces:
        if trace.clip_logits.tobytes() != expected.clip_logits.tobytes() or trace.spiking != expected.spiking:
            raise ParityError(
                f"{engine}: stages side by side give other logits or counts",
                "they must be the same to the bit, for their speed to count",
                "report it with the machine's description",
            )


def first_prediction(bench: LatencyBench) -> BenchResult:
    """From the call to the first answer of a stream: the video through a pipe, as fast as it is taken."""
    details: dict[str, dict[str, Any]] = {}
    for engine, runtime in bench.runtimes.items():
        traces = [_run_stream(runtime, bench.video) for _ in range(bench.rounds * FIRST_PREDICTIONS_A_ROUND)]
        first: dict[str, list[float]] = {stage: [] for stage in STAGES}
        for trace in traces:
            for of_stage in trace.stages:
                first[of_stage.stage].append(1e3 * of_stage.clip_seconds[0])
        details[engine] = {
            "first_prediction_ms": _dict(clip_percentiles([1e3 * trace.first_prediction_seconds for trace in traces])),
            "first_clip_stages_ms": {stage: _dict(clip_percentiles(values)) for stage, values in first.items()},
        }
    return BenchResult(
        "latency.first_prediction_ms",
        details[HEADLINE]["first_prediction_ms"]["p50"],
        "ms",
        detail={
            **bench.setting(bench.traces[HEADLINE][0]),
            "stream": "a pipe from another process, `cat VIDEO`, which starts just before the call",
            "reading": "of the first clip: opening the stream, finding out what it is, and its first GOP",
            "engines": details,
        },
    )


def _run_stream(runtime: HybridRuntime, video: Path) -> Trace:
    with subprocess.Popen(["cat", str(video)], stdout=subprocess.PIPE, bufsize=0) as sender:
        try:
            return runtime.run_video(cast(BinaryIO, sender.stdout), clips=CLIPS)
        finally:
            sender.kill()  # it has more to send than the clips that were asked for


def _spread(traces: Sequence[Trace]) -> dict[str, Any]:
    """Percentiles, in milliseconds: of a clip, of a clip in each stage, of a video from the call to its return."""
    stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for trace in traces:
        for stage in trace.stages:
            stages[stage.stage] += [1e3 * seconds for seconds in stage.clip_seconds]
    return {
        "clip_ms": _dict(clip_percentiles([sum(clip) for clip in zip(*stages.values(), strict=True)])),
        "stages_ms": {stage: _dict(clip_percentiles(values)) for stage, values in stages.items()},
        "video_ms": _dict(clip_percentiles([1e3 * trace.wall_seconds for trace in traces])),
        "first_prediction_ms": _dict(clip_percentiles([1e3 * trace.first_prediction_seconds for trace in traces])),
    }


def _dict(percentiles: Percentiles) -> dict[str, Any]:
    return {name: getattr(percentiles, name) for name in ("p50", "p95", "p99", "mean", "count")}


LATENCY_ROWS: Mapping[str, Callable[[LatencyBench], BenchResult]] = {
    "latency.clip_p50_ms": partial(clip_percentile, percentile="p50"),
    "latency.clip_p95_ms": partial(clip_percentile, percentile="p95"),
    "latency.clip_p99_ms": partial(clip_percentile, percentile="p99"),
    "latency.first_prediction_ms": first_prediction,
    "latency.overlap_speedup": overlap_speedup,
}
