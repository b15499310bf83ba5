"""Something-Something V2.

Source: https://www.qualcomm.com/developer/software/something-something-v-2-dataset, its "instructions"; Goyal et al.,
ICCV 2017 and arXiv:1804.09235.

    20bn-something-something-v2/<id>.webm
    labels/labels.json                        {"Approaching something with your camera": "0", ...}
    labels/train.json, validation.json        [{"id": "78687", "template": "Holding [something] next to ...", ...}, ...]
    labels/test.json                          [{"id": "1420"}, ...], without a template
    labels/test-answers.csv                   "1420;Lifting something up completely without letting it drop down"

A template without its brackets is a key of labels.json, and its value the class, as text. Releases before labels/ have
`something-something-v2-train.json` and the like. The clips are VP9, which is encoded again when it is read; a copy
made by `hybrid-cvar video convert` (`<id>.avi`) is taken too.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hybrid_cvar.data.dataset_lines import (
    NO_LABEL,
    SUBSETS,
    UNKNOWN_LABEL,
    DatasetLines,
    broken_line,
    refuse_split,
)
from hybrid_cvar.data.list_files import read_csv, read_json
from hybrid_cvar.data.video_folder import PATH_OUT, first_folder, leads_out, list_videos
from hybrid_cvar.errors import DatasetError
from hybrid_cvar.records import VideoDataset

__all__ = [
    "KIND",
    "LOOKED_FOR",
    "has_something_something",
    "open_something_something",
    "something_something_subsets",
]

KIND = "something-something-v2"
LISTS = ("labels", "annotations", ".")
PREFIXES = ("", "something-something-v2-")
VIDEOS = ("20bn-something-something-v2", "videos/20bn-something-something-v2", "videos")
ANSWERS = "test-answers.csv"
LOOKED_FOR = "labels/labels.json"


def has_something_something(root: Path) -> bool:
    """True if the list of classes is there."""
    return _list(root, "labels") is not None


def something_something_subsets(root: Path, split: int) -> tuple[str, ...]:
    """Subsets that have a list."""
    refuse_split(KIND, split)
    return tuple(subset for subset in SUBSETS if _list(root, subset))


def open_something_something(root: Path, subset: str, split: int) -> VideoDataset:
    """Read a list of Something-Something V2.

    Args:
        root: holds the lists' folder and the videos'.
        subset: `train`, `validation` or `test`.
        split: 1.

    Raises:
        ConfigError: `split` is not 1.
        DatasetError: lists or videos are not there, or a list is damaged.
    """
    refuse_split(KIND, split)
    classes, path = _list(root, "labels"), _list(root, subset)
    if classes is None or path is None:
        wanted = "labels" if classes is None else subset
        raise DatasetError(
            f"{root}: no labels/{wanted}.json",
            f"the lists of {KIND} lie in labels/",
            "unpack 20bn-something-something-download-package-labels.zip there",
        )
    numbers = _read_classes(classes)
    labels = tuple(sorted(numbers, key=lambda label: numbers[label]))
    base = first_folder(root, VIDEOS, lambda folder: True)
    if base is None:
        raise DatasetError(
            f"{root}: no folder {VIDEOS[0]}", f"the videos of {KIND} lie in it", "unpack or link the videos there"
        )
    answers = _read_answers(path.parent / ANSWERS) if subset == "test" else {}
    folder = list_videos(root, base, lambda name: False)
    lines = DatasetLines(KIND, subset, split, labels, path, (folder.base,))
    for number, item in enumerate(_items(path), 1):
        name = _text(item, "id")
        if not name:
            broken = broken_line(path, number, "must be an object with an id")
            lines.miss(f"{path.name}, item {number}", broken.reason)
            continue
        label = _without_brackets(_text(item, "template")) or answers.get(name, "")
        if leads_out(name) or "/" in name:
            lines.miss(name, PATH_OUT)
        elif not label:
            lines.miss(name, NO_LABEL)
        elif label not in numbers:
            lines.miss(name, f"{UNKNOWN_LABEL}: {label!r} is not in {classes.name}")
        else:
            lines.add(name, numbers[label], folder.find(name))
    return lines.finish()


def _list(root: Path, name: str) -> Path | None:
    for folder in LISTS:
        for prefix in PREFIXES:
            path = root / folder / f"{prefix}{name}.json"
            # A bare train.json says nothing of its dataset.
            if (folder != "." or prefix) and path.is_file():
                return path
    return None


def _items(path: Path) -> list[Any]:
    found = read_json(path)
    if not isinstance(found, list):
        raise DatasetError(f"{path}: a JSON {type(found).__name__}", "must be a list of videos", "fetch it again")
    return found


def _text(item: Any, key: str) -> str:
    value = item.get(key) if isinstance(item, dict) else None
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _without_brackets(template: str) -> str:
    return template.replace("[", "").replace("]", "")


def _read_classes(path: Path) -> Mapping[str, int]:
    found = read_json(path)
    numbers = {}
    if isinstance(found, dict):
        for label, value in found.items():
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value).isdecimal():
                numbers[label] = int(value)
    if not numbers or not isinstance(found, dict) or sorted(numbers.values()) != list(range(len(found))):
        raise DatasetError(
            f"{path}: {len(numbers)} classes with a number",
            'must be an object of "class": "number", numbered from 0 without a gap',
            "fetch it again",
        )
    return numbers


def _read_answers(path: Path) -> Mapping[str, str]:
    """Class by id; none where the file is not there."""
    if not path.is_file():
        return {}
    return {row[0]: _without_brackets(row[1]) for _, row in read_csv(path, ";") if len(row) > 1}
