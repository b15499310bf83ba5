"""The videos of a folder, listed once."""

import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath

from hybrid_cvar.errors import DatasetError
from hybrid_cvar.video.convert_plan import VIDEO_EXTENSIONS

__all__ = [
    "EMPTY",
    "LINK_OUT",
    "NOT_FOUND",
    "NOT_LISTED",
    "NOT_PLAIN",
    "PATH_OUT",
    "FoundFile",
    "VideoFolder",
    "first_folder",
    "leads_out",
    "list_videos",
    "stem_of",
]

NOT_FOUND = "not found"
EMPTY = "empty file"
NOT_PLAIN = "no plain file"
PATH_OUT = "path leads out of the dataset"
LINK_OUT = "link leads out of the dataset"
NOT_LISTED = "folder cannot be listed"

PREFERRED = (".avi", ".mp4", ".webm", ".mkv")
"""Which of several files is taken that differ in their extension alone."""


@dataclass(frozen=True)
class FoundFile:
    """What a name of a list leads to.

    Attributes:
        path: the file; empty where there is a fault.
        fault: why there is no usable file, one of this module's phrases; empty if there is one.
    """

    path: str
    fault: str


@dataclass(frozen=True, eq=False)
class VideoFolder:
    """The videos of a folder and of its subfolders, by name.

    A name is looked up in this listing and nowhere else, so whatever a list says, only files that were listed here
    can come of it.

    Attributes:
        base: the folder.
        files: name relative to `base`, with `/` -> its entry.
        closed: name of a link or a folder that is not followed -> why.
        stems: as `files`, without the extension -> name.
        folded: as `stems`, without regard to case -> name; empty unless asked for.
    """

    base: Path
    files: Mapping[str, "os.DirEntry[str]"]
    closed: Mapping[str, str]
    stems: Mapping[str, str]
    folded: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> FoundFile:
        """The file of that name; or of that name with another video extension, as conversion leaves it.

        Args:
            name: relative to `base`, with or without an extension.
        """
        if leads_out(name):
            return FoundFile("", PATH_OUT)
        known = self._known(name) or self._known(posixpath.normpath(name))
        if known is not None:
            return self.check(known)
        folder = name.split("/", 1)[0]
        return FoundFile("", self.closed.get(name) or self.closed.get(folder) or NOT_FOUND)

    def check(self, name: str) -> FoundFile:
        """A listed file, looked at once: it is there, plain and not empty."""
        entry = self.files[name]
        try:
            status = entry.stat()
        except OSError:
            return FoundFile("", NOT_FOUND)
        if not stat.S_ISREG(status.st_mode):
            return FoundFile("", NOT_PLAIN)
        return FoundFile("", EMPTY) if status.st_size == 0 else FoundFile(entry.path, "")

    def _known(self, name: str) -> str | None:
        if name in self.files:
            return name
        stem = stem_of(name)
        return self.stems.get(stem) or self.folded.get(stem.casefold())


def list_videos(
    root: Path, base: Path, wanted: Callable[[str], bool] = lambda name: True, *, ignore_case: bool = False
) -> VideoFolder:
    """List the videos of a folder and of its subfolders, not deeper; no file is looked at.

    A link is followed where it stays inside `base` or `root`. `base` itself may be a link to anywhere.

    Args:
        root: the dataset's folder.
        base: the folder to list, in it.
        wanted: tells which subfolders are listed.
        ignore_case: names are found in another case too, if only one fits.

    Raises:
        DatasetError: `base` cannot be listed.
    """
    bounds = tuple(os.path.join(os.path.realpath(folder), "") for folder in (root, base))
    files: dict[str, os.DirEntry[str]] = {}
    closed: dict[str, str] = {}
    try:
        listed = list(_entries(base))
    except OSError as error:
        raise DatasetError(
            f"{base}: cannot be listed ({error.strerror or error})", "", "check the folder and its permissions"
        ) from error
    for entry in listed:
        if _leaves(entry, bounds):
            closed[entry.name] = LINK_OUT
        elif _is_video(entry.name) and not entry.is_dir():
            files[entry.name] = entry
        elif wanted(entry.name) and entry.is_dir():
            try:
                inner = list(_entries(Path(entry.path)))
            except OSError:
                closed[entry.name] = NOT_LISTED
                continue
            for file in inner:
                name = f"{entry.name}/{file.name}"
                if _leaves(file, bounds):
                    closed[name] = LINK_OUT
                elif _is_video(file.name):
                    files[name] = file
    stems: dict[str, str] = {}
    for name in files:
        stem = stem_of(name)
        other = stems.setdefault(stem, name)
        if other is not name and _preference(name) < _preference(other):
            stems[stem] = name
    return VideoFolder(base, files, closed, stems, _fold(stems) if ignore_case else {})


def first_folder(root: Path, names: Sequence[str], fits: Callable[[Path], bool]) -> Path | None:
    """The first of some folders in `root` that is there and fits; `.` is `root`."""
    for name in names:
        folder = root / name
        if folder.is_dir() and fits(folder):
            return folder
    return None


def leads_out(name: str) -> bool:
    """True for an absolute path, and for one that climbs, on any system; such a name is never looked up."""
    if "/" not in name and "\\" not in name and ":" not in name:
        return name == ".."
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or PurePosixPath(name).is_absolute() or bool(PureWindowsPath(name).anchor)


def stem_of(name: str) -> str:
    """A name without its extension, if that is a video's."""
    stem, dot, extension = name.rpartition(".")
    return stem if stem and stem[-1] != "/" and f"{dot}{extension.lower()}" in VIDEO_EXTENSIONS else name


def _entries(folder: Path) -> "Iterator[os.DirEntry[str]]":
    with os.scandir(folder) as entries:
        yield from entries


def _leaves(entry: "os.DirEntry[str]", bounds: tuple[str, ...]) -> bool:
    return entry.is_symlink() and not os.path.realpath(entry.path).startswith(bounds)


def _is_video(name: str) -> bool:
    return stem_of(name) != name


def _preference(name: str) -> tuple[int, str]:
    extension = posixpath.splitext(name)[1].lower()
    return PREFERRED.index(extension) if extension in PREFERRED else len(PREFERRED), name


def _fold(stems: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for stem, name in stems.items():
        key = stem.casefold()
        found[key] = "" if key in found else name
    return found
