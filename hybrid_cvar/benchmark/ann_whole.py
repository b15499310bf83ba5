"""The whole model on a video: read, spiking partition on Lava, ANN partition in the best reduced precision."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hybrid_cvar.benchmark.ann_bench import AnnBench, eager
from hybrid_cvar.benchmark.ann_sessions import FP32, PAUSE_SECONDS, compare_logits, logits_of, open_candidate
from hybrid_cvar.benchmark.measure import ratio_of_medians
from hybrid_cvar.benchmark.results import BenchResult
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.compiler.ann_feed import ann_feed
from hybrid_cvar.compiler.compile import compile_checkpoint
from hybrid_cvar.errors import ParityError
from hybrid_cvar.neuromorphic.lava_stm import LavaStm
from hybrid_cvar.onnx_session import SessionSettings
from hybrid_cvar.runtime import HybridRuntime

__all__ = ["over_torch_eager", "videos_per_second"]

EAGER_ROUNDS = 3
LIVE_TENSORS = 12
"""Of a layer's size, that SLAYER's forward pass of a batch has at once (about 10 were seen)."""
BYTES_TO_SPARE = 2**30


def videos_per_second(bench: AnnBench) -> BenchResult:
    """Videos a second of a runtime that is open: 8 clips of dancer.avi, from the file to the logits.

    Raises:
        EngineError: no reduced precision keeps FP32's answers.
        ParityError: the bundle answers otherwise than FP32 does.
    """
    material = bench.material
    best = bench.chosen.candidate
    path = bench.folder / "model.bundle"
    compile_checkpoint(
        material.checkpoint_file,
        path,
        lambda loaded: material.clips[:1],
        precision=best.precision,
        take_calibration=lambda loaded: material.clips_to_fit,
        overwrite=True,
    )
    seconds: list[float] = []
    stages: dict[str, list[float]] = {}
    with HybridRuntime(load_bundle(path), dense=SessionSettings(provider=best.provider)) as runtime:
        trace = runtime.run_video(bench.video, clips=len(material.clips))
        for _ in range(bench.rounds):
            begin = time.perf_counter()
            trace = runtime.run_video(bench.video, clips=len(material.clips))
            seconds.append(time.perf_counter() - begin)
            for stage in trace.stages:
                stages.setdefault(stage.stage, []).append(stage.seconds)
    expected = logits_of(open_candidate(FP32, material.fp32_graph), material.feed)
    agreement = compare_logits(expected, trace.clip_logits, expected.argmax(axis=1))
    if agreement.same_top_1 < 1:
        raise ParityError(
            f"{best.name}: {agreement.same_top_1:.3g} of the video's clips keep FP32's answer",
            "all must, for its speed to count",
            "see `ann.reduced_over_fp32_speedup`",
        )
    median = statistics.median(seconds)
    of_stage = {stage: statistics.median(found) for stage, found in stages.items()}
    return BenchResult(
        "e2e.base_videos_per_second",
        1 / median,
        "videos/s",
        detail={
            "median_seconds": median,
            "seconds": seconds,
            "stage_seconds": of_stage,
            "stage_shares": {stage: found / sum(of_stage.values()) for stage, found in of_stage.items()},
            "clips_a_video": len(trace.clip_logits),
            "engine": trace.engine,
            "ann": best.name,
            "same_top_1": agreement.same_top_1,
            "error_over_largest_logit": agreement.error_over_largest_logit,
            "start_up": "not in it: the runtime is open, its Lava processes and its ONNX Runtime session are warm",
            **bench.setting,
        },
    )


def over_torch_eager(bench: AnnBench) -> BenchResult:
    """The same decoded clips: the whole model in torch eager over Lava and the best reduced precision.

    Raises:
        EngineError: no reduced precision keeps FP32's answers.
    """
    material, chosen = bench.material, bench.chosen
    clips = material.clips
    events = [material.events(clip) for clip in clips]
    with LavaStm(material.partitions.stm) as lava, eager():
        # After Lava's fork: its threads do not survive one.
        session = open_candidate(chosen.candidate, chosen.graph)

        def ours() -> NDArray[np.float32]:
            feed = ann_feed(bench.config, clips, [lava.run_clip(*of_clip) for of_clip in events])
            return session.run(["logits"], feed)[0]

        slow, batch, tried = _fastest_eager(bench)
        answers = ours()
        rounds = min(bench.rounds, EAGER_ROUNDS)
        timings = ratio_of_medians(ours, slow, rounds, pause_seconds=PAUSE_SECONDS)
        expected = slow()
    agreement = compare_logits(expected, answers, expected.argmax(axis=1))
    return BenchResult(
        "e2e.over_torch_eager_speedup",
        timings.ratio,
        "x",
        detail={
            "target": ">= 2.5",
            "met": timings.ratio >= 2.5,
            "medians": [timings.fast_median, timings.slow_median],
            "medians_unit": "s a video",
            "fast_seconds": list(timings.fast_seconds),
            "slow_seconds": list(timings.slow_seconds),
            "ann": chosen.candidate.name,
            "torch_batch": batch,
            "torch_seconds_tried": tried,
            "torch_arithmetic": "fixed point in the spiking partition, as trained; FP32 in the ANN partition",
            "same_top_1": agreement.same_top_1,
            "error_over_largest_logit": agreement.error_over_largest_logit,
            **bench.setting,
        },
    )


def _fastest_eager(bench: AnnBench) -> tuple[Callable[[], NDArray[np.float32]], int, dict[str, float]]:
    """(run, batch size, seconds of one warm run at each batch size) of the whole model in torch, within `eager`."""
    clips = bench.material.clips
    runs: dict[int, Callable[[], NDArray[np.float32]]] = {}
    seconds: dict[int, float] = {}
    for batch in dict.fromkeys((1, len(clips))):
        if batch > 1 and _batch_bytes(bench, batch) > _free_bytes():
            continue
        parts = [bench.material.eager_inputs(clips[first : first + batch]) for first in range(0, len(clips), batch)]
        runs[batch] = _eager_run(bench, parts)
        runs[batch]()
        begin = time.perf_counter()
        runs[batch]()
        seconds[batch] = time.perf_counter() - begin
    fastest = min(seconds, key=lambda batch: seconds[batch])
    return runs[fastest], fastest, {f"batch_{batch}": found for batch, found in seconds.items()}


def _eager_run(bench: AnnBench, parts: Sequence[tuple[torch.Tensor, ...]]) -> Callable[[], NDArray[np.float32]]:
    model: Any = bench.material.model
    return lambda: np.concatenate([model(*part).numpy() for part in parts])


def _batch_bytes(bench: AnnBench, batch: int) -> int:
    """What a batch may take in SLAYER, whose tensors have all steps."""
    largest = max(int(np.prod(layer.output_shape)) for s in bench.material.partitions.stm.streams for layer in s.layers)
    return LIVE_TENSORS * batch * largest * bench.config.input.timesteps * 4 + BYTES_TO_SPARE


def _free_bytes() -> int:
    """Memory that can be had without swapping."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
