"""A labelled dataset from its folder: which it is, which subsets it has, and its videos."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.data import hmdb51, kinetics, something_something, ucf101
from hybrid_cvar.data.dataset_lines import SUBSETS
from hybrid_cvar.errors import ConfigError, DatasetError
from hybrid_cvar.records import DRAWN_MARK, VideoDataset

__all__ = ["DATASET_KINDS", "find_kind", "find_subsets", "open_dataset"]

AUTO = "auto"


@dataclass(frozen=True)
class _Format:
    """How a kind of dataset is told and read.

    Attributes:
        looked_for: the file that tells it, in words.
        is_there: True if a folder holds that file.
        find_subsets: (folder, split) to the subsets that have a list.
        open: (folder, subset, split) to the videos.
    """

    looked_for: str
    is_there: Callable[[Path], bool]
    find_subsets: Callable[[Path, int], tuple[str, ...]]
    open: Callable[[Path, str, int], VideoDataset]


_FORMATS: Mapping[str, _Format] = {
    ucf101.KIND: _Format(ucf101.LOOKED_FOR, ucf101.has_ucf101, ucf101.ucf101_subsets, ucf101.open_ucf101),
    hmdb51.KIND: _Format(hmdb51.LOOKED_FOR, hmdb51.has_hmdb51, hmdb51.hmdb51_subsets, hmdb51.open_hmdb51),
    kinetics.KIND: _Format(
        kinetics.LOOKED_FOR, kinetics.has_kinetics, kinetics.kinetics_subsets, kinetics.open_kinetics
    ),
    something_something.KIND: _Format(
        something_something.LOOKED_FOR,
        something_something.has_something_something,
        something_something.something_something_subsets,
        something_something.open_something_something,
    ),
}

DATASET_KINDS: tuple[str, ...] = tuple(_FORMATS)
"""Kinds of datasets, in the order in which a folder is asked for them."""


def open_dataset(root: Path, subset: str, *, kind: str = AUTO, split: int = 1) -> VideoDataset:
    """The videos of a subset, with their labels.

    Folders are listed once, and a file is looked at (its size alone) only when a line names it.

    Args:
        root: the dataset's folder.
        subset: `train`, `validation` or `test`.
        kind: one of `DATASET_KINDS`; `auto` tells it by the lists that lie in `root`.
        split: which of the official train/test splits, from 1; 1 for datasets with one.

    Returns:
        The videos, and the lines that give none, each with its reason.

    Raises:
        ConfigError: a value is out of range, or the dataset has no such subset.
        DatasetError: the folder is none of these datasets, a list is missing or damaged, or no line gives a video.
    """
    if subset not in SUBSETS:
        raise ConfigError(f"subset {subset!r}", f"must be one of {', '.join(SUBSETS)}")
    _check_split(split)
    with _readable(root):
        found = _format(root, kind).open(root, subset, split)
        return dataclasses.replace(found, is_drawn=(root / DRAWN_MARK).is_file())


def find_kind(root: Path) -> str:
    """The kind of a dataset, told by the lists that lie in its folder.

    Raises:
        DatasetError: there are those of none, or of several.
    """
    with _readable(root):
        if not root.is_dir():
            raise DatasetError(
                f"{root}: no folder", "a dataset is a folder with its lists", "give the dataset's folder"
            )
        kinds = [kind for kind, form in _FORMATS.items() if form.is_there(root)]
    if not kinds:
        sought = "; ".join(f"{form.looked_for} ({kind})" for kind, form in _FORMATS.items())
        raise DatasetError(
            f"{root}: no lists of a dataset", f"looked for {sought}", "give the folder in which these lie"
        )
    if len(kinds) > 1:
        raise DatasetError(f"{root}: lists of {' and '.join(kinds)}", "a folder is told by one", "give the kind")
    return kinds[0]


def find_subsets(root: Path, *, kind: str = AUTO, split: int = 1) -> tuple[str, ...]:
    """The subsets that a dataset has lists for, in the order of `SUBSETS`.

    Args:
        root, kind, split: as `open_dataset`.

    Raises:
        ConfigError, DatasetError: as `open_dataset`.
    """
    _check_split(split)
    with _readable(root):
        return _format(root, kind).find_subsets(root, split)


class _readable:
    """A folder that cannot be listed is an error of ours."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise DatasetError(
                f"{error.filename or self._root}: cannot be read ({error.strerror or error})",
                "",
                "check the folder and its permissions",
            ) from error


def _check_split(split: int) -> None:
    if not isinstance(split, int) or isinstance(split, bool) or split < 1:
        raise ConfigError(f"split = {split!r}", "must be a whole number from 1")


def _format(root: Path, kind: str) -> _Format:
    if kind == AUTO:
        return _FORMATS[find_kind(root)]
    if kind not in _FORMATS:
        raise ConfigError(f"kind {kind!r}", f"must be one of {', '.join((AUTO, *DATASET_KINDS))}")
    return _FORMATS[kind]
