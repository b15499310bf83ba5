"""The ANN partition on ONNX Runtime: against torch, reduced precisions against FP32, against the machine; then all."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hybrid_cvar.benchmark.ann_bench import AnnBench, eager, rounds_of
from hybrid_cvar.benchmark.ann_sessions import (
    FP32,
    LEAST_SHARE_OF_TOP_1,
    PAUSE_SECONDS,
    Feed,
    compare_logits,
    each_clip,
    fp32_candidates,
    load_and_run,
    open_candidate,
)
from hybrid_cvar.benchmark.ann_whole import over_torch_eager, videos_per_second
from hybrid_cvar.benchmark.matrix_peak import fp32_products, onnx_product, rates
from hybrid_cvar.benchmark.measure import peak_memory, seconds_in_turn
from hybrid_cvar.benchmark.results import BenchResult

__all__ = ["ANN_ROWS"]

EAGER = "torch eager"
WEIGHTS = (
    "Seeded and untrained, but for a classifier fitted to tell these videos apart: top-1 is the share of held-out "
    "clips that are given to the right video. It says nothing of actions."
)


def ort_over_eager(bench: AnnBench) -> BenchResult:
    """A video's 8 clips at once, as a run takes them, in torch eager over ONNX Runtime in FP32; and one at a time.

    The value is that of the provider that is faster; the others are in the detail.
    """
    material = bench.material
    ann = material.model.ann
    sessions = {each.name: open_candidate(each, material.fp32_graph) for each in fp32_candidates()}
    feeds = {"batch_1": each_clip(material.feed), "batch_8": [material.feed]}
    shapes: dict[str, dict[str, Any]] = {}
    with eager():
        for shape, batches in feeds.items():
            inputs = [material.eager_ann_inputs(batch) for batch in batches]
            things: dict[str, Callable[[], Any]] = {
                name: partial(_each, partial(_logits, session), batches) for name, session in sessions.items()
            }
            things[EAGER] = partial(_each, lambda tensors: ann(*tensors).numpy(), inputs)
            answers = {name: run() for name, run in things.items()}
            seconds = seconds_in_turn(things, bench.rounds, pause_seconds=PAUSE_SECONDS)
            shapes[shape] = _over_eager(seconds, answers, len(material.clips))
    batch = shapes["batch_8"]
    return BenchResult(
        "ann.ort_fp32_over_eager_speedup",
        batch["speedup"],
        "x",
        detail={
            "target": ">= 1.3",
            "met": batch["speedup"] >= 1.3,
            **batch,
            "met_on_cpu": batch["speedups"][FP32.name] >= 1.3,
            "batch_1": shapes["batch_1"],
            "inputs": "torch is given membranes as floats, channels first; ONNX Runtime turns integers into these",
            **bench.setting,
        },
    )


def _over_eager(
    seconds: Mapping[str, Sequence[float]], answers: Mapping[str, NDArray[np.float32]], clips: int
) -> dict[str, Any]:
    """Speedups over torch of everything else that was timed."""
    medians = {name: 1e3 * statistics.median(found) / clips for name, found in seconds.items()}
    slow = medians.pop(EAGER)
    best = min(medians, key=lambda name: medians[name])
    expected = answers[EAGER]
    same = expected.argmax(axis=1)
    return {
        "speedup": slow / medians[best],
        "medians": [medians[best], slow],
        "medians_unit": "ms a clip",
        "best": best,
        "speedups": {name: slow / median for name, median in medians.items()},
        "seconds": {name: list(found) for name, found in seconds.items()},
        "error_over_largest_logit": max(
            compare_logits(expected, found, same).error_over_largest_logit for found in answers.values()
        ),
    }


def _logits(session: onnxruntime.InferenceSession, batch: Feed) -> NDArray[np.float32]:
    return session.run(["logits"], batch)[0]


def _each(run: Callable[[Any], Any], batches: list[Any]) -> Any:
    return np.concatenate([run(batch) for batch in batches])


def reduced_over_fp32(bench: AnnBench) -> BenchResult:
    """The best reduced precision over the fastest FP32, 8 clips at once; only those that keep FP32's top-1 count.

    Raises:
        EngineError: none does.
    """
    table = bench.reduced
    best = table.best()
    ours = table.timed[best]
    speedup = table.fp32.batch_median / ours.batch_median
    return BenchResult(
        "ann.reduced_over_fp32_speedup",
        speedup,
        "x",
        detail={
            "target": ">= 2.5",
            "met": speedup >= 2.5,
            "medians": [1e3 * ours.batch_median, 1e3 * table.fp32.batch_median],
            "medians_unit": "ms a clip",
            "best": best.name,
            "least_share_of_fp32_top_1": LEAST_SHARE_OF_TOP_1,
            "candidates": table.detail(),
            "failed": dict(table.failed),
            "fp32": {
                "best": table.fp32_name,
                "ms_a_clip_batch_1": 1e3 * table.fp32.one_median,
                "ms_a_clip_batch_8": 1e3 * table.fp32.batch_median,
                **rounds_of(table.fp32),
            },
            "speedup_over_each_fp32": {
                each.name: timed.batch_median / ours.batch_median for each, timed in table.plain.items()
            },
            "calibrated_on_clips": bench.material.quantisation.calibration_clips,
            "nodes_in_int8": len(bench.material.quantisation.quantised),
            "nodes_kept_in_fp32": dict(bench.material.quantisation.kept),
            "weights": WEIGHTS,
            "videos": [video.name for video in bench.videos],
            **bench.setting,
        },
    )


def batch8_over_batch1(bench: AnnBench) -> BenchResult:
    """A clip's time one at a time over that of 8 at once, in the best reduced precision; errors as above."""
    table = bench.reduced
    best = table.best()
    ratios = {each.name: timed.one_median / timed.batch_median for each, timed in table.timed.items()}
    ours = table.timed[best]
    return BenchResult(
        "ann.batch8_over_batch1_speedup",
        ratios[best.name],
        "x",
        detail={
            "target": ">= 1",
            "met": ratios[best.name] >= 1,
            "medians": [1e3 * ours.batch_median, 1e3 * ours.one_median],
            "medians_unit": "ms a clip",
            "best": best.name,
            "all": {
                **ratios,
                **{each.name: timed.one_median / timed.batch_median for each, timed in table.plain.items()},
            },
            **rounds_of(ours),
            **bench.setting,
        },
    )


def share_of_peak(bench: AnnBench) -> BenchResult:
    """Multiply-accumulates a second of FP32, 8 clips at once, over those of the best matrix product in FP32."""
    feed = bench.material.feed
    sessions = {each.name: open_candidate(each, bench.material.fp32_graph) for each in fp32_candidates()}
    with eager():
        products = {
            **fp32_products(bench.product_sizes),
            **{f"onnxruntime {size}": (size, onnx_product(size, FP32, bench.folder)) for size in bench.product_sizes},
        }
        models: dict[str, Callable[[], object]] = {
            name: lambda session=session: session.run(None, feed)  # type: ignore[misc]
            for name, session in sessions.items()
        }
        things = {**models, **{name: call for name, (_, call) in products.items()}}
        for warm_up in things.values():
            warm_up()
        seconds = seconds_in_turn(things, bench.rounds, pause_seconds=PAUSE_SECONDS)
    work = bench.macs * len(bench.material.clips)
    rate = {name: work / statistics.median(seconds[name]) / 1e9 for name in models}
    achieved = max(rate.values())
    found = rates({name: size for name, (size, _) in products.items()}, seconds)
    peak = max(found.values())
    return BenchResult(
        "ann.share_of_peak",
        achieved / peak,
        "of peak",
        detail={
            "target": ">= 0.5",
            "met": achieved / peak >= 0.5,
            "medians": [achieved, peak],
            "medians_unit": "GMAC/s",
            "achieved_is": "of the median round",
            "peak_is": "of the fastest round of the fastest product",
            "macs_a_clip": bench.macs,
            "sides": list(bench.product_sizes),
            "gmac_per_second": found,
            "model_gmac_per_second": rate,
            "model_seconds": {name: list(seconds[name]) for name in models},
            "reduced": _reduced_peaks(bench),
            **bench.setting,
        },
    )


def _reduced_peaks(bench: AnnBench) -> dict[str, Any]:
    """Of each reduced precision, beside a lone product in that precision on the same provider."""
    shares = {}
    for candidate, timed in bench.reduced.timed.items():
        products = {str(size): onnx_product(size, candidate, bench.folder) for size in bench.product_sizes}
        for warm_up in products.values():
            warm_up()
        seconds = seconds_in_turn(products, bench.rounds, pause_seconds=PAUSE_SECONDS)
        found = rates({name: int(name) for name in products}, seconds)
        achieved = bench.macs / timed.batch_median / 1e9
        shares[candidate.name] = {
            "achieved_gmac_per_second": achieved,
            "product_gmac_per_second": found,
            "share": achieved / max(found.values()),
        }
    return shares


def peak_rss(bench: AnnBench) -> BenchResult:
    """Most resident memory of a program that loads the FP32 graph and runs 8 clips as one batch."""
    feed = bench.folder / "feed.npz"
    np.savez(feed, allow_pickle=False, **bench.material.feed)
    graph = bench.material.fp32_graph
    peaks = {arena: peak_memory(load_and_run, str(graph), str(feed), arena) for arena in (True, False)}
    value = peaks[True].bytes / 2**20
    return BenchResult(
        "ann.peak_rss_mb",
        value,
        "MiB",
        detail={
            "target": "< 1500",
            "met": value < 1500,
            "batch": peaks[True].value,
            "without_arena_mb": peaks[False].bytes / 2**20,
            "graph_mb": graph.stat().st_size / 2**20,
            **bench.setting,
        },
    )


ANN_ROWS: Mapping[str, Callable[[AnnBench], BenchResult]] = {
    "ann.ort_fp32_over_eager_speedup": ort_over_eager,
    "ann.reduced_over_fp32_speedup": reduced_over_fp32,
    "ann.batch8_over_batch1_speedup": batch8_over_batch1,
    "ann.share_of_peak": share_of_peak,
    "ann.peak_rss_mb": peak_rss,
    "e2e.base_videos_per_second": videos_per_second,
    "e2e.over_torch_eager_speedup": over_torch_eager,
}
