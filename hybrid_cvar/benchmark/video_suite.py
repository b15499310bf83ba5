"""The compressed-domain reader: its speed against plain decoding and against another reader, and its memory."""

import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from hybrid_cvar.benchmark.long_video import repeat_video
from hybrid_cvar.benchmark.measure import TwoTimings, peak_memory, ratio_of_medians, seconds_in_turn
from hybrid_cvar.benchmark.real_clips import RealClips
from hybrid_cvar.benchmark.results import BenchResult
from hybrid_cvar.errors import MissingPartError
from hybrid_cvar.records import InputSpec
from hybrid_cvar.video import probe_video, read_clips, read_frames, read_gops
from hybrid_cvar.video.background import usable_cores
from hybrid_cvar.video.motion_field import motion_vectors

__all__ = ["VIDEO_ROWS", "VideoBench"]

CLIPS = 8
SPEC = InputSpec(size=224)
LONG_ROUNDS = 2
PROBE_CALLS = 5
COPY_BYTES = 2**28
STEP_BYTES_PER_PIXEL = 24
"""What accumulation has to move for a pixel of a P-frame: the vector field and the motion before it (4 bytes each),
frame and I-frame (3 each) are read; motion (4) and residual (6) are written."""

LIMIT_IS = "the ratio of every core decoding a video of its own, to RGB and vectors, and nothing else"

INSTALL_OTHER_READER = "pip install --no-deps 'motion-vector-extractor>=2.0'"


@dataclass(frozen=True)
class VideoBench:
    """What the rows are measured on.

    Attributes:
        clips: the two files.
        folder: for the long videos; its contents are the caller's to delete.
        rounds: of every ratio of short files.
        long_seconds: length of the long videos.
    """

    clips: RealClips
    folder: Path
    rounds: int = 5
    long_seconds: float = 600.0

    @property
    def files(self) -> tuple[Path, Path]:
        """Both files."""
        return self.clips.dancer, self.clips.bikes

    @cached_property
    def long_files(self) -> tuple[Path, ...]:
        """Both files, repeated to `long_seconds`; written on first use."""
        made = []
        for source in self.files:
            target = self.folder / f"long-{source.name}"
            repeat_video(source, target, self.long_seconds)
            made.append(target)
        return tuple(made)


def read_fully(path: str | Path) -> int:
    """Frames that a full reading delivers: the I-frame and, with motion and residual, the P-frames of every GOP."""
    return sum(1 + len(gop.motion) for gop in read_gops(path))


def decode_plainly(path: str | Path) -> int:
    """Frames that PyAV decodes to RGB arrays."""
    frames = 0
    with av.open(path) as container:
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24")
            frames += 1
    return frames


def _read_with_vectors(path: Path) -> int:
    return sum(1 for _ in read_frames(path))


def _decode_on_every_core(path: Path) -> int:
    """Frames of as many plain readings, to RGB and vectors, as there are cores."""
    cores = usable_cores()
    with ThreadPoolExecutor(cores) as pool:
        return sum(pool.map(_decode_with_vectors, [path] * cores))


def _decode_with_vectors(path: Path) -> int:
    frames = 0
    reformatter = VideoReformatter()
    with av.open(path) as container:
        decoder = container.streams.video[0].codec_context
        decoder.options = {"flags2": "+export_mvs"}
        decoder.thread_count = 1
        for frame in container.decode(video=0):
            reformatter.reformat(frame, format="rgb24", threads=1)
            motion_vectors(frame)
            frames += 1
    return frames


def _read_with_the_other(path: Path) -> int:
    from mvextractor.videocap import VideoCap

    reader = VideoCap()
    reader.open(str(path))
    frames = 0
    while reader.read()[0]:
        frames += 1
    reader.release()
    return frames


def full_over_decode(bench: VideoBench) -> BenchResult:
    """Frames a second of a full reading over those of a plain decode to RGB."""
    return _speed_ratio("video.full_over_decode_fps", 0.6, bench, read_fully, decode_plainly)


def vectors_over_mvextractor(bench: VideoBench) -> BenchResult:
    """Frames a second, pictures and raw vectors, over those of PyPI's motion-vector-extractor.

    Raises:
        MissingPartError: it is not installed.
    """
    try:
        import mvextractor.videocap  # noqa: F401
    except ImportError as error:
        raise MissingPartError(
            f"motion-vector-extractor cannot be imported ({error})",
            "video.vectors_over_mvextractor_fps is measured against it",
            INSTALL_OTHER_READER,
        ) from error
    return _speed_ratio(
        "video.vectors_over_mvextractor_fps",
        2.0,
        bench,
        _read_with_vectors,
        _read_with_the_other,
        _decode_on_every_core,
    )


def _speed_ratio(
    name: str,
    target: float,
    bench: VideoBench,
    ours: Callable[[Path], int],
    other: Callable[[Path], int],
    limit: Callable[[Path], int] | None = None,
) -> BenchResult:
    """The lower of both files' ratios of frames a second; frames counted are those that each delivers.

    With `limit`, a way to keep every core at nothing but the work itself, the detail says the ratio that it has.
    """
    ways = {"seconds": ours, "other_seconds": other, **({"limit_seconds": limit} if limit else {})}
    files: dict[str, dict[str, Any]] = {}
    for path in bench.files:
        # The first call compiles, loads and fills the disk's cache, and gives the counts.
        frames = {way: read(path) for way, read in ways.items()}
        seconds = seconds_in_turn({way: partial(read, path) for way, read in ways.items()}, bench.rounds)
        fps = {way: frames[way] / statistics.median(seconds[way]) for way in ways}
        files[path.name] = {
            "ratio": fps["seconds"] / fps["other_seconds"],
            "median_fps": fps["seconds"],
            "other_median_fps": fps["other_seconds"],
            "frames": frames["seconds"],
            "other_frames": frames["other_seconds"],
            **{way: list(times) for way, times in seconds.items()},
        }
        if limit:
            files[path.name] |= {
                "limit_fps": fps["limit_seconds"],
                "limit_ratio": fps["limit_seconds"] / fps["other_seconds"],
                "part_of_limit": fps["seconds"] / fps["limit_seconds"],
            }
    worst = min(files.values(), key=lambda entry: entry["ratio"])
    detail: dict[str, Any] = {
        **_at_least(target, worst["ratio"]),
        "medians": [worst["median_fps"], worst["other_median_fps"]],
        "medians_unit": "frames/s",
        "rounds": bench.rounds,
        "files": files,
    }
    if limit:
        detail |= {"machine_limit": worst["limit_ratio"], "machine_limit_is": LIMIT_IS}
    return BenchResult(name, worst["ratio"], "x", detail=detail)


def sampled_over_full(bench: VideoBench) -> BenchResult:
    """Seconds of a full reading of a long video over those of its 8 clips."""
    rounds = min(bench.rounds, LONG_ROUNDS)
    files: dict[str, dict[str, Any]] = {}
    for short, path in zip(bench.files, bench.long_files, strict=True):
        read_clips(short, SPEC, CLIPS)  # compiles
        timings = ratio_of_medians(partial(read_clips, path, SPEC, CLIPS), partial(read_fully, path), rounds)
        files[short.name] = {
            "ratio": timings.ratio,
            "sampled_median_seconds": timings.fast_median,
            "full_median_seconds": timings.slow_median,
            "duration_seconds": probe_video(path).duration_seconds,
            **_seconds(timings),
        }
    worst = min(files.values(), key=lambda entry: entry["ratio"])
    return BenchResult(
        "video.sampled_over_full_speedup",
        worst["ratio"],
        "x",
        detail={
            **_at_least(20.0, worst["ratio"]),
            "medians": [worst["sampled_median_seconds"], worst["full_median_seconds"]],
            "medians_unit": "s",
            "clips": CLIPS,
            "size": SPEC.size,
            "rounds": rounds,
            "files": files,
        },
    )


def peak_rss(bench: VideoBench) -> BenchResult:
    """Most resident memory of a process, with its children, that reads all of a long video."""
    files: dict[str, dict[str, Any]] = {}
    for short, path in zip(bench.files, bench.long_files, strict=True):
        peak = peak_memory(read_fully, str(path))
        files[short.name] = {
            "peak_mb": peak.bytes / 2**20,
            "tree_mb": peak.tree_bytes / 2**20,
            "own_mb": peak.own_bytes / 2**20,
            "frames": peak.value,
        }
    worst = max(entry["peak_mb"] for entry in files.values())
    return BenchResult(
        "video.peak_rss_mb",
        worst,
        "MiB",
        detail={"target": "< 300", "met": worst < 300, "long_seconds": bench.long_seconds, "files": files},
    )


def full_fps(bench: VideoBench) -> BenchResult:
    """Frames a second of a full reading, and how much of the machine's memory speed its accumulation could use."""
    bandwidth = _copy_bytes_per_second()
    files: dict[str, dict[str, Any]] = {}
    for path in bench.files:
        frames = read_fully(path)
        seconds = []
        for _ in range(bench.rounds):
            begin = time.perf_counter()
            read_fully(path)
            seconds.append(time.perf_counter() - begin)
        first = next(iter(read_gops(path)))
        limit = bandwidth / (STEP_BYTES_PER_PIXEL * first.iframe.shape[0] * first.iframe.shape[1])
        fps = frames / statistics.median(seconds)
        files[path.name] = {
            "median_fps": fps,
            "accumulation_limit_fps": limit,
            "part_of_limit": fps / limit,
            "seconds": seconds,
        }
    worst = min(entry["median_fps"] for entry in files.values())
    return BenchResult(
        "video.full_fps",
        worst,
        "frames/s",
        detail={
            "copy_bytes_per_second": bandwidth,
            "step_bytes_per_pixel": STEP_BYTES_PER_PIXEL,
            "rounds": bench.rounds,
            "files": files,
        },
    )


def probe_ms(bench: VideoBench) -> BenchResult:
    """Milliseconds of a probe, the slower file's."""
    files: dict[str, dict[str, Any]] = {}
    worst = 0.0
    for path in bench.files:
        seconds = []
        for _ in range(PROBE_CALLS):
            begin = time.perf_counter()
            probe_video(path)
            seconds.append(time.perf_counter() - begin)
        files[path.name] = {"median_ms": 1e3 * statistics.median(seconds), "seconds": seconds}
        worst = max(worst, 1e3 * statistics.median(seconds))
    return BenchResult("video.probe_ms", worst, "ms", detail={"files": files})


def _copy_bytes_per_second() -> float:
    """Bytes read and written a second by one thread that copies a block far larger than the caches."""
    source = np.zeros(COPY_BYTES, np.uint8)
    target = np.ones_like(source)
    seconds = []
    for _ in range(PROBE_CALLS):
        begin = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - begin)
    return 2 * COPY_BYTES / statistics.median(seconds)


def _seconds(timings: TwoTimings) -> dict[str, Any]:
    return {"seconds": list(timings.fast_seconds), "other_seconds": list(timings.slow_seconds)}


def _at_least(target: float, value: float) -> dict[str, Any]:
    return {"target": f">= {target:g}", "met": value >= target}


VIDEO_ROWS: Mapping[str, Callable[[VideoBench], BenchResult]] = {
    "video.full_over_decode_fps": full_over_decode,
    "video.vectors_over_mvextractor_fps": vectors_over_mvextractor,
    "video.sampled_over_full_speedup": sampled_over_full,
    "video.peak_rss_mb": peak_rss,
    "video.full_fps": full_fps,
    "video.probe_ms": probe_ms,
}
