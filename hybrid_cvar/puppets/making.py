"""Making a set of puppet videos: several processes, resumable, the same bytes whatever their number."""

import multiprocessing
import os
import stat
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.child_process import begin_child
from hybrid_cvar.errors import ConfigError, HybridCvarError, OutputError
from hybrid_cvar.puppets.person import new_person
from hybrid_cvar.puppets.scene import draw_puppet
from hybrid_cvar.puppets.video_set import (
    LISTS,
    SETTINGS,
    VIDEOS,
    PuppetOptions,
    PuppetVideo,
    list_texts,
    plan_videos,
    read_settings,
    settings_text,
)
from hybrid_cvar.video.background import usable_cores
from hybrid_cvar.video.encoding import encode_video

__all__ = ["PuppetSummary", "make_puppets"]

QSCALES = (2, 7)  # least, and one more than the most


@dataclass(frozen=True)
class PuppetSummary:
    """What was made.

    Attributes:
        folder: of the set.
        train_videos, test_videos: in the lists.
        made: files written now.
        kept: files that were there.
        size_bytes: of all listed videos.
    """

    folder: Path
    train_videos: int
    test_videos: int
    made: int
    kept: int
    size_bytes: int


def make_puppets(
    options: PuppetOptions, on_progress: Callable[[int, int], None] = lambda done, of: None
) -> PuppetSummary:
    """Draw and encode a set of videos; those that are there already are kept.

    Each file appears whole or not at all, and the lists come last. After an interrupt, or with more videos asked for,
    the same call goes on where the last one ended.

    Args:
        options: what to make.
        on_progress: (videos done, videos in all).

    Returns:
        What was made.

    Raises:
        ConfigError: the folder holds a set with other settings, or other things.
        OutputError: a file cannot be written, or the disk is full.
        HybridCvarError: a worker process died.
    """
    videos = plan_videos(options)
    _prepare_folder(options, videos)
    missing = [video for video in videos if not _is_there(options.folder / VIDEOS / video.name)]
    kept = len(videos) - len(missing)
    on_progress(kept, len(videos))
    workers = min(options.workers or usable_cores(), len(missing))
    if workers == 1:
        for done, video in enumerate(missing, 1):
            _make_video(options.folder, video, options.frames)
            on_progress(kept + done, len(videos))
    elif workers > 1:
        _make_side_by_side(options, missing, workers, lambda done: on_progress(kept + done, len(videos)))
    lists = options.folder / LISTS
    for name, text in list_texts(videos).items():
        write_atomically(lists / name, text)
    return PuppetSummary(
        folder=options.folder,
        train_videos=options.videos,
        test_videos=options.tests,
        made=len(missing),
        kept=kept,
        size_bytes=sum((options.folder / VIDEOS / video.name).stat().st_size for video in videos),
    )


def _is_there(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def _prepare_folder(options: PuppetOptions, videos: tuple[PuppetVideo, ...]) -> None:
    """Refuse a folder that holds something else; otherwise make its subfolders and say what it is made with."""
    folder = options.folder
    found = read_settings(folder)
    wanted = options.fixed
    if found is None and any((folder / name).exists() for name in (VIDEOS, LISTS)):
        raise ConfigError(
            f"{folder} holds {VIDEOS} or {LISTS}, but no {SETTINGS}",
            "a set of puppets is added to no other dataset",
            "choose another folder",
        )
    if found is not None and found != wanted and not options.overwrite:
        differing = ", ".join(
            f"{name} {found[name]}, not {wanted[name]}" for name in wanted if found[name] != wanted[name]
        )
        raise ConfigError(
            f"{folder} holds a set made with {differing}",
            "a set is continued with the settings that it was begun with",
            "give those, another folder, or --overwrite",
        )
    try:
        if found is not None and options.overwrite:
            _remove_set(folder)
        for place in (folder / LISTS, *{(folder / VIDEOS / video.name).parent for video in videos}):
            place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: {error.strerror or error}", "the folder must be writable", "choose another place"
        ) from error
    write_atomically(folder / SETTINGS, settings_text(options))


def _remove_set(folder: Path) -> None:
    for path in (folder / LISTS).glob("*.txt"):
        path.unlink()
    for path in (folder / VIDEOS).glob("*/v_*_g*_c*.avi"):
        path.unlink()


def _make_video(folder: Path, video: PuppetVideo, frames: int) -> None:
    person = new_person(np.random.default_rng(np.random.SeedSequence(video.person_seed)))
    # One number more than the drawing's seed, so that the quantiser is independent of what is drawn.
    qscale = int(np.random.default_rng(np.random.SeedSequence((*video.seed, 1))).integers(*QSCALES))
    encode_video(
        draw_puppet(video.action, video.seed, frames, person=person), folder / VIDEOS / video.name, qscale=qscale
    )


def _make_side_by_side(
    options: PuppetOptions, videos: list[PuppetVideo], workers: int, on_done: Callable[[int], None]
) -> None:
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=begin_child, initargs=(os.getpid(),)
    )
    try:
        futures: list[Future[None]] = [
            pool.submit(_make_video, options.folder, video, options.frames) for video in videos
        ]
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            on_done(done)
    except BrokenProcessPool as error:
        raise HybridCvarError(
            "a process that draws videos ended before its work was done",
            "it needs about 300 MB of memory",
            "give fewer --workers, and run it again to go on",
        ) from error
    finally:
        # The videos that are being made now are finished, which takes less than a second.
        pool.shutdown(wait=True, cancel_futures=True)
