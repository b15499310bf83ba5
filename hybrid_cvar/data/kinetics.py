"""Kinetics-400 and Kinetics-600.

Source: https://github.com/cvdfoundation/kinetics-dataset; Kay et al., arXiv:1705.06950; Carreira et al.,
arXiv:1808.01340.

    train.csv, validate.csv or val.csv, test.csv     label,youtube_id,time_start,time_end,split[,is_cc]
                                                     also kinetics-400_train.csv, kinetics_600_val.csv, k400_val.csv,
                                                     and in annotations/
    train/, val/ or validate/, test/                 <id>_<start:06d>_<end:06d>.mp4, or <id>.mp4; in this folder or in
                                                     class folders, with spaces or underscores

Columns are found by their names. Classes are the labels of train.csv in alphabetical order, for every subset; where it
is not there, those of all lists that are. A clip is looked up by the video's id and times, so a folder's spelling
of its class does not matter.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hybrid_cvar.data.dataset_lines import (
    NO_LABEL,
    SUBSETS,
    UNKNOWN_LABEL,
    DatasetLines,
    broken_line,
    refuse_split,
)
from hybrid_cvar.data.list_files import damaged_list, read_csv
from hybrid_cvar.data.video_folder import (
    NOT_FOUND,
    PATH_OUT,
    FoundFile,
    VideoFolder,
    leads_out,
    list_videos,
    stem_of,
)
from hybrid_cvar.errors import DatasetError
from hybrid_cvar.records import VideoDataset

__all__ = ["KIND", "LOOKED_FOR", "has_kinetics", "kinetics_subsets", "open_kinetics"]

KIND = "kinetics"
LOOKED_FOR = "train.csv, validate.csv, val.csv or test.csv (also kinetics-400_train.csv and the like, in annotations/)"
NAMES = {"train": ("train",), "validation": ("val", "validate", "validation"), "test": ("test",)}
"""A subset's names, of its list and of its folder."""

LISTS = (".", "annotations")
LIST_PREFIX = r"(?:kinetics(?:[-_]?[46]00)?|k[46]00)[-_]"
REQUIRED_COLUMNS = ("youtube_id", "time_start", "time_end")
WHOLE_SECONDS = re.compile(r"(\d{1,9})(?:\.0*)?")


@dataclass(frozen=True)
class _Row:
    line: int
    name: str
    """`<id>_<start>_<end>`; empty for a broken line."""
    youtube_id: str
    label: str
    fault: str


def has_kinetics(root: Path) -> bool:
    """True if a list is there."""
    return any(_candidates(root, subset) for subset in SUBSETS)


def kinetics_subsets(root: Path, split: int) -> tuple[str, ...]:
    """Subsets that have a list."""
    refuse_split(KIND, split)
    return tuple(subset for subset in SUBSETS if _candidates(root, subset))


def open_kinetics(root: Path, subset: str, split: int) -> VideoDataset:
    """Read a list of Kinetics.

    Args:
        root: holds the lists and the folders of videos.
        subset: `train`, `validation` or `test`.
        split: 1.

    Raises:
        ConfigError: `split` is not 1.
        DatasetError: the list or the videos are not there, two lists could be meant, or one is damaged.
    """
    refuse_split(KIND, split)
    path = _list(root, subset)
    if path is None:
        raise DatasetError(
            f"{root}: no list of {subset}", f"{KIND} has {LOOKED_FOR}", "put it there, or take another subset"
        )
    rows = tuple(_read_rows(path))
    labels = _labels(root, subset, rows)
    clips = _Clips(root, subset)
    lines = DatasetLines(KIND, subset, split, labels, path, clips.looked_in)
    numbers = {label: index for index, label in enumerate(labels)}
    for row in rows:
        if row.fault:
            broken = broken_line(path, row.line, row.fault)
            lines.miss(broken.name, broken.reason)
        elif leads_out(row.youtube_id) or "/" in row.youtube_id:
            lines.miss(row.name, PATH_OUT)
        elif not row.label:
            lines.miss(row.name, NO_LABEL)
        elif row.label not in numbers:
            lines.miss(row.name, f"{UNKNOWN_LABEL}: {row.label!r} is not in the list of train")
        else:
            lines.add(row.name, numbers[row.label], clips.find(row))
    return lines.finish()


class _Clips:
    """The clips of a subset, by their names without extension, from one listing."""

    def __init__(self, root: Path, subset: str) -> None:
        names = [name for stem in NAMES[subset] for name in (stem, f"videos_{stem}", f"videos/{stem}")]
        bases = {folder.resolve(): folder for folder in (root / name for name in names) if folder.is_dir()}
        if not bases:
            raise DatasetError(
                f"{root}: no folder {', '.join(names)}",
                f"the clips of {subset} lie in one of these",
                "move or link the clips there",
            )
        self.looked_in: Sequence[Path] = tuple(bases.values())
        self._known: dict[str, list[tuple[VideoFolder, str]]] = {}
        self._closed: dict[str, str] = {}
        for base in self.looked_in:
            folder = list_videos(root, base)
            for name in folder.stems.values():
                self._known.setdefault(_clip_name(name), []).append((folder, name))
            for name, reason in folder.closed.items():
                self._closed[_clip_name(name) if stem_of(name) != name else _plain(name)] = reason

    def find(self, row: _Row) -> FoundFile:
        """A row's clip: by id and times, or by the id alone; of several, one without fault and in its class's folder.

        Files are looked at only when their name fits.
        """
        clips = self._known.get(row.name) or self._known.get(row.youtube_id)
        if clips is None:
            closed = self._closed
            return FoundFile(
                "", closed.get(row.name) or closed.get(row.youtube_id) or closed.get(_plain(row.label)) or NOT_FOUND
            )
        found = None
        for folder, name in sorted(clips, key=partial(_unlikeness, row.label)) if len(clips) > 1 else clips:
            checked = folder.check(name)
            if not checked.fault:
                return checked
            found = found or checked
        return found or FoundFile("", NOT_FOUND)


def _clip_name(name: str) -> str:
    return stem_of(name.rpartition("/")[2])


def _plain(class_name: str) -> str:
    return class_name.replace("_", " ").casefold()


def _unlikeness(label: str, clip: tuple[VideoFolder, str]) -> tuple[bool, str]:
    folder, name = clip
    return _plain(name.rpartition("/")[0]) != _plain(label), str(folder.base / name)


def _list(root: Path, subset: str) -> Path | None:
    found = _candidates(root, subset)
    if len(found) > 1:
        raise DatasetError(
            f"{root}: several lists of {subset}, {', '.join(path.name for path in found)}",
            "a subset has one",
            "leave the one that is meant, or give each dataset a folder of its own",
        )
    return found[0] if found else None


def _candidates(root: Path, subset: str) -> list[Path]:
    """Lists of a subset: those of the plain name in the nearest folder, else those with a prefix."""
    names = "|".join(NAMES[subset])
    for pattern in (rf"(?:{names})\.csv", rf"{LIST_PREFIX}(?:{names})\.csv"):
        for folder in (root / name for name in LISTS):
            if not folder.is_dir():
                continue
            found = [path for path in sorted(folder.iterdir()) if re.fullmatch(pattern, path.name.casefold())]
            if found:
                return found
    return []


def _labels(root: Path, subset: str, rows: Sequence[_Row]) -> tuple[str, ...]:
    """Those of train; without it, those of every list, so that all subsets have the same."""
    sources = ("train",) if _candidates(root, "train") else SUBSETS
    found: set[str] = set()
    for source in sources:
        path = None if source == subset else _list(root, source)
        read = rows if source == subset else _read_rows(path) if path else ()
        found.update(row.label for row in read if row.label and not row.fault)
    return tuple(sorted(found))


def _read_rows(path: Path) -> Iterator[_Row]:
    rows = read_csv(path)
    line, head = next(rows, (1, []))
    columns = {name.casefold(): position for position, name in enumerate(head)}
    if any(name not in columns for name in REQUIRED_COLUMNS):
        raise damaged_list(
            path, line, f"columns {', '.join(head)[:200] or 'none'}, where {', '.join(REQUIRED_COLUMNS)} are needed"
        )
    at_id, at_start, at_end = (columns[name] for name in REQUIRED_COLUMNS)
    at_label = columns.get("label")
    needed = max(at_id, at_start, at_end, at_label or 0) + 1
    for line, row in rows:
        if len(row) < needed:
            yield _Row(line, "", "", "", f"{len(row)} fields, where {needed} are needed")
            continue
        start, end = WHOLE_SECONDS.fullmatch(row[at_start]), WHOLE_SECONDS.fullmatch(row[at_end])
        label = "" if at_label is None else row[at_label]
        if not row[at_id] or not start or not end:
            yield _Row(line, "", row[at_id], label, "must have an id, and a start and an end in whole seconds")
            continue
        yield _Row(line, f"{row[at_id]}_{int(start[1]):06d}_{int(end[1]):06d}", row[at_id], label, "")
