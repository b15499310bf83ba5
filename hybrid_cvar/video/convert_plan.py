"""Which files of a folder are converted, and to which names.

Taken are files with an extension of `VIDEO_EXTENSIONS`, in any case. Left out are hidden files and folders, links
to folders (they can form loops), links to files outside the source folder, and the target folder where it lies
inside the source folder.

A target keeps its source's place in the tree and its name, with `.avi` for the extension. Where two sources would
so get one target, as `a.mp4` and `a.mkv` would, both keep their extension: `a.mp4.avi` and `a.mkv.avi`.
"""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.errors import ConfigError, UnsupportedVideoError

__all__ = ["SUFFIX", "VIDEO_EXTENSIONS", "ConversionPlan", "PlannedVideo", "plan_conversion"]

SUFFIX = ".avi"
# fmt: off
VIDEO_EXTENSIONS = frozenset((
    ".3g2", ".3gp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h263", ".h264", ".h265", ".264",
    ".265", ".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4",
    ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".ogm", ".ogv", ".rm", ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
))
# fmt: on


@dataclass(frozen=True)
class PlannedVideo:
    """One video and where its converted form goes.

    Attributes:
        source: the video.
        target: the file to write.
    """

    source: Path
    target: Path


@dataclass(frozen=True)
class ConversionPlan:
    """What a conversion would do.

    Attributes:
        videos: in order of the sources' names, no two with the same target.
        other_files: files left out because of their extension.
        links_left_out: links that are not followed.
        unreadable: (folder, why) of folders that cannot be listed.
    """

    videos: tuple[PlannedVideo, ...]
    other_files: int = 0
    links_left_out: int = 0
    unreadable: tuple[tuple[Path, str], ...] = ()


def plan_conversion(source: Path, target: Path, *, every_file: bool = False) -> ConversionPlan:
    """Say what becomes of what; nothing is written or opened.

    Args:
        source: a video, or a folder that is searched with all its subfolders.
        target: a folder, made later if need be; for one video also a file that ends in `.avi`.
        every_file: take files of a folder whatever their extension.

    Returns:
        The plan; a file named itself is taken whatever its extension.

    Raises:
        UnsupportedVideoError: the source is missing, or a folder without videos.
        ConfigError: the target does not fit the source, or would replace one of the sources.
    """
    if source.is_dir():
        plan = _plan_folder(source, target, every_file)
    elif source.exists():
        plan = ConversionPlan((PlannedVideo(source, _single_target(source, target)),))
    else:
        raise UnsupportedVideoError(f"{source}: no such file or folder", "videos are needed", "check the path")
    sources = {os.path.realpath(video.source) for video in plan.videos}
    for video in plan.videos:
        if os.path.realpath(video.target) in sources:
            raise ConfigError(
                f"{video.target} is one of the videos to convert",
                "a source is never replaced",
                "choose another target folder",
            )
    return plan


def _single_target(source: Path, target: Path) -> Path:
    if target.is_dir():
        return target / f"{source.stem}{SUFFIX}"
    suffix = target.suffix.lower()
    if suffix != SUFFIX and suffix in VIDEO_EXTENSIONS:
        raise ConfigError(f"{target} is named {suffix}", "what is written is an AVI file", f"name it {SUFFIX}")
    return target if suffix == SUFFIX else target / f"{source.stem}{SUFFIX}"


def _plan_folder(source: Path, target: Path, every_file: bool) -> ConversionPlan:
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{target} is a file", "a folder's videos go into a folder", "name a folder")
    root, own = os.path.realpath(source), os.path.realpath(target)
    found: list[Path] = []
    others = links = 0
    unreadable: list[tuple[Path, str]] = []

    def note(error: OSError) -> None:
        unreadable.append((Path(error.filename), error.strerror or str(error)))

    for folder, subfolders, names in os.walk(source, onerror=note):
        here = Path(folder)
        links += sum((here / name).is_symlink() for name in subfolders if not name.startswith("."))
        # os.walk goes on with what is left in its list.
        subfolders[:] = sorted(
            name for name in subfolders if not name.startswith(".") and os.path.realpath(here / name) != own
        )
        for name in sorted(names):
            path = here / name
            if name.startswith("."):
                continue
            if not every_file and path.suffix.lower() not in VIDEO_EXTENSIONS:
                others += 1
            elif path.is_symlink() and not os.path.realpath(path).startswith(os.path.join(root, "")):
                links += 1
            else:
                found.append(path.relative_to(source))
    if not found and not unreadable:
        raise UnsupportedVideoError(
            f"{source}: no video among its files ({others} with other extensions, {links} links left out)",
            "a video's name ends in .mp4, .avi, .mkv, .webm or the like",
            "check the folder, or take every file with --all",
        )
    videos = tuple(
        PlannedVideo(source / name, target / to) for name, to in zip(found, _target_names(found), strict=True)
    )
    return ConversionPlan(videos, others, links, tuple(unreadable))


def _target_names(sources: list[Path]) -> list[Path]:
    """Names without the source's extension where that leaves them different, else with it."""
    names = [path.with_suffix(SUFFIX) for path in sources]
    while True:
        uses = Counter(names)
        # A name that keeps its extension can clash with another's short one; full names never clash.
        wanted = [
            path.with_name(path.name + SUFFIX) if uses[name] > 1 else name
            for path, name in zip(sources, names, strict=True)
        ]
        if wanted == names:
            return names
        names = wanted
