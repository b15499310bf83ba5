"""Decodes a dataset into the cache, side by side, before the first epoch."""

import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from hybrid_cvar.atomic_file import remove_leftovers
from hybrid_cvar.child_process import begin_child
from hybrid_cvar.data.gop_cache import CachedVideo, GopCache
from hybrid_cvar.errors import OutputError, TrainingError, VideoError
from hybrid_cvar.records import InputSpec, LabelledVideo, MissingVideo

__all__ = ["fill_cache"]

CHUNK = 4
"""Videos handed to a process at once."""
WORTH_PROCESSES = 24
"""Videos below which it takes longer to start processes than to decode."""
ENOUGH_TO_FORESEE = 32
"""Decoded videos from whose size that of the rest is foreseen."""


def fill_cache(
    cache: GopCache, videos: Iterable[LabelledVideo], workers: int, on_video: Callable[[], object] = lambda: None
) -> tuple[tuple[CachedVideo, ...], tuple[MissingVideo, ...]]:
    """Makes sure that every video is in the cache.

    Args:
        cache: where they go.
        videos: in any state; those that are there already are only looked up.
        workers: processes.
        on_video: called as each is done.

    Returns:
        Those that can be read, in order, and those that cannot, with the reason.

    Raises:
        TrainingError: a process died, as for want of memory.
        OutputError: the cache cannot be written, or the disk will not hold it.
    """
    for folder in cache.folder.glob("*/"):
        remove_leftovers(folder)
    found: dict[str, CachedVideo | str] = {}
    absent: list[LabelledVideo] = []
    wanted = list(videos)
    for video in wanted:
        try:
            cached = cache.look_up(video)
        except (VideoError, OSError) as error:
            found[video.name] = str(error)
        else:
            if cached is None:
                absent.append(video)
                continue
            found[video.name] = cached
        on_video()
    stored: list[int] = []
    for done, (video, result) in enumerate(zip(absent, _store_all(cache, absent, workers), strict=True), 1):
        found[video.name] = result
        if isinstance(result, CachedVideo):
            stored.append(result.file.stat().st_size)
        if done % ENOUGH_TO_FORESEE == 0 and stored:
            _check_room(cache.folder, sum(stored) // len(stored) * (len(absent) - done))
        on_video()
    usable = tuple(each for video in wanted if isinstance(each := found[video.name], CachedVideo))
    broken = tuple(MissingVideo(video.name, each) for video in wanted if isinstance(each := found[video.name], str))
    return usable, broken


def _store_all(cache: GopCache, videos: list[LabelledVideo], workers: int) -> Iterable[CachedVideo | str]:
    if not videos:
        return
    task = (cache.folder, cache.spec, cache.most_gops)
    if workers <= 1 or len(videos) < WORTH_PROCESSES:
        _open_cache(*task)
        yield from map(_store, videos)
        return
    # A fresh interpreter each: this one has started torch's threads, which do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=(os.getpid(), *task))
    try:
        yield from pool.map(_store, videos, chunksize=CHUNK)
    except BrokenProcessPool as error:
        raise TrainingError(
            "a process that decodes videos died",
            "all must come to their end",
            "free memory, and start again: what is decoded is kept",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _check_room(folder: Path, needed: int) -> None:
    """A full disk is foreseen from the videos that are decoded, hours before the last of them fails."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"{folder}: the videos that are left will take about {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            "the cache holds every video's GOPs",
            "free the disk, give --cache a folder on another one, or lower data.most_gops in the recipe; what is "
            "decoded is kept",
        )


_cache: GopCache | None = None


def _begin_worker(parent: int, folder: Path, spec: InputSpec, most_gops: int) -> None:
    begin_child(parent)
    os.nice(5)
    _open_cache(folder, spec, most_gops)


def _open_cache(folder: Path, spec: InputSpec, most_gops: int) -> None:
    global _cache
    _cache = GopCache(folder, spec, most_gops)


def _store(video: LabelledVideo) -> CachedVideo | str:
    assert _cache is not None
    try:
        return _cache.store(video)
    except (VideoError, FileNotFoundError, PermissionError) as error:
        return str(error)
