"""HMDB-51.

Source: https://serre-lab.clps.brown.edu/resource/hmdb-a-large-human-motion-database, "three splits" and their
README; Kuehne et al., HMDB, ICCV 2011.

    hmdb51_org/<class>/<name>.avi                              or <class>/<name>.avi
    testTrainMulti_7030_splits/<class>_test_split1.txt         "<name>.avi 1": 1 train, 2 test, 0 neither

Names hold `#`, `;`, `(`, `)` and `!`; a line that starts with `#` is a video. Classes are in alphabetical order.
"""

import re
from pathlib import Path

from hybrid_cvar.data.dataset_lines import DatasetLines, broken_line, refuse_validation
from hybrid_cvar.data.list_files import read_lines
from hybrid_cvar.data.video_folder import PATH_OUT, VideoFolder, first_folder, leads_out, list_videos
from hybrid_cvar.errors import DatasetError
from hybrid_cvar.records import VideoDataset

__all__ = ["KIND", "LOOKED_FOR", "has_hmdb51", "hmdb51_subsets", "open_hmdb51"]

KIND = "hmdb51"
LISTS = ("testTrainMulti_7030_splits", "splits")
VIDEOS = ("hmdb51_org", "videos", ".")
LOOKED_FOR = "testTrainMulti_7030_splits/<class>_test_split1.txt"
NO_LIST = "its list is not there"

LIST_NAME = re.compile(r"(.+)_test_split(\d{1,6})\.txt")
VIDEO_LINE = re.compile(r"(.*\S)\s+([012])")
UNUSED = 0
FLAGS = {"train": 1, "test": 2}


def has_hmdb51(root: Path) -> bool:
    """True if the lists are there."""
    return _lists(root) is not None


def hmdb51_subsets(root: Path, split: int) -> tuple[str, ...]:
    """Subsets that have lists in a split."""
    return tuple(FLAGS) if split in _splits(_required_lists(root)) else ()


def open_hmdb51(root: Path, subset: str, split: int) -> VideoDataset:
    """Read the lists of HMDB-51.

    Args:
        root: holds the videos' folder and the lists'.
        subset: `train` or `test`.
        split: 1 to 3.

    Raises:
        ConfigError: `subset` is `validation`.
        DatasetError: lists or videos are not there.
    """
    refuse_validation(KIND, subset)
    lists = _required_lists(root)
    splits = _splits(lists)
    if split not in splits:
        raise DatasetError(
            f"{lists}: no <class>_test_split{split}.txt",
            f"splits there: {', '.join(map(str, sorted(splits)))}",
            "choose one of these, or add the lists",
        )
    labels = tuple(sorted({name for classes in splits.values() for name in classes}))
    folder = _videos(root, labels)
    lines = DatasetLines(KIND, subset, split, labels, lists, (folder.base,))
    for label, class_name in enumerate(labels):
        path = splits[split].get(class_name)
        if path is None:
            lines.miss(f"{class_name}_test_split{split}.txt", NO_LIST)
            continue
        for number, text in read_lines(path):
            match = VIDEO_LINE.fullmatch(text)
            name = f"{class_name}/{match[1]}" if match else ""
            if match is None:
                broken = broken_line(path, number, "must be a name and 0, 1 or 2")
                lines.miss(broken.name, broken.reason)
            elif int(match[2]) != FLAGS[subset]:
                continue
            elif leads_out(match[1]) or "/" in match[1]:
                lines.miss(name, PATH_OUT)
            else:
                lines.add(name, label, folder.find(name))
    return lines.finish()


def _lists(root: Path) -> Path | None:
    return first_folder(
        root, LISTS, lambda folder: any(LIST_NAME.fullmatch(path.name) is not None for path in folder.iterdir())
    )


def _required_lists(root: Path) -> Path:
    lists = _lists(root)
    if lists is None:
        raise DatasetError(
            f"{root}: no {LOOKED_FOR}",
            f"the lists of {KIND} lie in {' or '.join(LISTS)}",
            "unpack test_train_splits.rar there",
        )
    return lists


def _splits(lists: Path) -> dict[int, dict[str, Path]]:
    """Split -> class -> list."""
    found: dict[int, dict[str, Path]] = {}
    for path in sorted(lists.iterdir()):
        if match := LIST_NAME.fullmatch(path.name):
            found.setdefault(int(match[2]), {})[match[1]] = path
    return found


def _videos(root: Path, labels: tuple[str, ...]) -> VideoFolder:
    classes = set(labels)
    base = first_folder(root, VIDEOS, lambda folder: any(inner.name in classes for inner in folder.iterdir()))
    if base is None:
        raise DatasetError(
            f"{root}: no folder of a class, such as {labels[0]}",
            f"the videos of {KIND} lie in {', '.join(f'{name}/<class>' for name in VIDEOS[:-1])} or <class>",
            "unpack hmdb51_org.rar there, and the archive of each class in it",
        )
    return list_videos(root, base, lambda name: name in classes)
