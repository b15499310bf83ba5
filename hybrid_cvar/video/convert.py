"""A folder of videos to the paper's format: side by side, resumable, never a half file.

convert_plan (which file becomes which) -> convert_worker (processes) -> convert_one (one video, one AVI file)
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.video.background import usable_cores
from hybrid_cvar.video.convert_one import ConvertedVideo, check_settings, convert_video, is_finished
from hybrid_cvar.video.convert_plan import ConversionPlan, PlannedVideo, plan_conversion
from hybrid_cvar.video.convert_worker import convert_side_by_side
from hybrid_cvar.video.encoding import GOP_FRAMES, QSCALE
from hybrid_cvar.video.partial_file import remove_leftovers

__all__ = [
    "ConversionResult",
    "ConvertFailure",
    "ConvertObserver",
    "ConvertedVideo",
    "convert_tree",
    "convert_video",
    "usable_cores",
]


@dataclass(frozen=True)
class ConvertFailure:
    """A video that was not converted.

    Attributes:
        source: the video, or a folder that cannot be listed.
        error: what is wrong with it, the rule, and the remedy.
    """

    source: Path
    error: str


@dataclass(frozen=True)
class ConversionResult:
    """What became of the videos.

    Attributes:
        converted: in the order in which they were done.
        skipped: those whose target was there, complete and not older.
        failures: those that failed, each with its reason.
        not_reached: those that an interrupt left; their targets are as they were before.
        other_files: files of the folder left out because of their extension.
        links_left_out: links that were not followed.
        interrupted: True if Ctrl-C ended the conversion early.
    """

    converted: tuple[ConvertedVideo, ...]
    skipped: tuple[PlannedVideo, ...]
    failures: tuple[ConvertFailure, ...]
    not_reached: tuple[PlannedVideo, ...]
    other_files: int
    links_left_out: int
    interrupted: bool


@dataclass(frozen=True)
class ConvertObserver:
    """Told of progress.

    Attributes:
        on_plan: (videos to convert, their bytes, videos skipped) the work is known.
        on_bytes: (bytes) of the sources, so many are done by now.
        on_converted: (result) a video is done.
        on_failure: (failure) one failed.
    """

    on_plan: Callable[[int, int, int], None] = lambda videos, size_bytes, skipped: None
    on_bytes: Callable[[float], None] = lambda done: None
    on_converted: Callable[[ConvertedVideo], None] = lambda converted: None
    on_failure: Callable[[ConvertFailure], None] = lambda failure: None


def convert_tree(
    source: Path,
    target: Path,
    *,
    gop: int = GOP_FRAMES,
    qscale: int = QSCALE,
    workers: int | None = None,
    overwrite: bool = False,
    every_file: bool = False,
    observer: ConvertObserver | None = None,
) -> ConversionResult:
    """Convert a video, or every video of a folder and its subfolders, to the paper's format.

    `convert_plan` says which files are taken and how targets are named. A video whose target is there is skipped unless
    the source is newer or was cut off; whether the target was made with the same `gop` and `qscale` is not looked at.
    One that fails does not stop the others. Partial files that a killed run left in the targets' folders are removed.

    Args:
        source: a video or a folder.
        target: a folder; for one video also a file that ends in `.avi`.
        gop, qscale: as `convert_video`.
        workers: processes at a time; the usable cores if None.
        overwrite: convert again what is finished.
        every_file: take files of any extension.
        observer: told of progress.

    Returns:
        What became of each video, also after Ctrl-C: `interrupted` is True then.

    Raises:
        UnsupportedVideoError, ConfigError: as `plan_conversion`, or a number is out of range.
        HybridCvarError: the worker processes cannot start.
    """
    check_settings(gop, qscale)
    workers = usable_cores() if workers is None else workers
    if workers < 1:
        raise ConfigError(f"workers = {workers}", "must be at least 1")
    watch = observer or ConvertObserver()
    tally = _Tally(plan_conversion(source, target, every_file=every_file))
    try:
        tally.sort_out(overwrite)
        watch.on_plan(len(tally.open), sum(tally.open.values()), len(tally.skipped))
        for failure in tally.failures:
            watch.on_failure(failure)
        with closing(convert_side_by_side(list(tally.open), gop=gop, qscale=qscale, workers=workers)) as updates:
            for update in updates:
                if update.converted is not None:
                    tally.close(update.video)
                    tally.converted.append(update.converted)
                    watch.on_converted(update.converted)
                elif update.error:
                    tally.close(update.video)
                    tally.failures.append(ConvertFailure(update.video.source, update.error))
                    watch.on_failure(tally.failures[-1])
                else:
                    tally.fractions[update.video] = update.fraction
                watch.on_bytes(tally.done_bytes())
    except KeyboardInterrupt:
        tally.interrupted = True
    return tally.result()


class _Tally:
    """What is done and what is not."""

    def __init__(self, plan: ConversionPlan) -> None:
        self._plan = plan
        self.open: dict[PlannedVideo, int] = {}
        self.skipped: list[PlannedVideo] = []
        self.converted: list[ConvertedVideo] = []
        self.failures: list[ConvertFailure] = []
        self.fractions: dict[PlannedVideo, float] = {}
        self.interrupted = False
        self._closed_bytes = 0

    def sort_out(self, overwrite: bool) -> None:
        """Tell finished videos from open ones, and clear the targets' folders of what a killed run left."""
        self.open = dict.fromkeys(self._plan.videos, 0)
        for folder in {video.target.parent for video in self._plan.videos}:
            remove_leftovers(folder)
        for folder, reason in self._plan.unreadable:
            error = f"{folder}: {reason}; a folder must be readable to be searched; check its permissions"
            self.failures.append(ConvertFailure(folder, error))
        for video in self._plan.videos:
            try:
                if not overwrite and is_finished(video.source, video.target):
                    del self.open[video]
                    self.skipped.append(video)
                else:
                    self.open[video] = video.source.stat().st_size
            except OSError:
                continue  # converting it will say why

    def close(self, video: PlannedVideo) -> None:
        """It is done, one way or the other."""
        self._closed_bytes += self.open.pop(video)
        self.fractions.pop(video, None)

    def done_bytes(self) -> float:
        """Bytes of the sources that are done, parts of videos counted."""
        return self._closed_bytes + sum(self.open[video] * share for video, share in self.fractions.items())

    def result(self) -> ConversionResult:
        return ConversionResult(
            converted=tuple(self.converted),
            skipped=tuple(self.skipped),
            failures=tuple(self.failures),
            not_reached=tuple(self.open),
            other_files=self._plan.other_files,
            links_left_out=self._plan.links_left_out,
            interrupted=self.interrupted,
        )
