"""UCF-101 and every dataset in its layout.

Source: https://www.crcv.ucf.edu/data/UCF101.php, "UCF101TrainTestSplits-RecognitionTask"; Soomro, Zamir and Shah,
UCF101, CRCV-TR-12-01, 2012.

    UCF-101/<Class>/v_<Class>_gNN_cNN.avi            or videos/<Class>/..., or <Class>/...
    ucfTrainTestlist/classInd.txt                    "1 ApplyEyeMakeup"
    ucfTrainTestlist/trainlist01.txt                 "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1"
    ucfTrainTestlist/testlist01.txt                  "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"

Classes are in the order of classInd.txt, which is not the alphabet's. The label is the folder's, since test lists have
none; the folder `HandstandPushups` holds `v_HandStandPushups_*`, and some copies spell the folder as its files, so
case is ignored where the name as written is not there.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from hybrid_cvar.data.dataset_lines import UNKNOWN_LABEL, DatasetLines, broken_line, refuse_validation
from hybrid_cvar.data.list_files import damaged_list, read_lines
from hybrid_cvar.data.video_folder import PATH_OUT, VideoFolder, first_folder, leads_out, list_videos
from hybrid_cvar.errors import DatasetError
from hybrid_cvar.records import VideoDataset

__all__ = ["KIND", "LOOKED_FOR", "has_ucf101", "open_ucf101", "ucf101_subsets"]

KIND = "ucf101"
LISTS = ("ucfTrainTestlist", "UCF101TrainTestSplits-RecognitionTask/ucfTrainTestlist")
VIDEOS = ("UCF-101", "UCF101", "videos", ".")
LOOKED_FOR = "ucfTrainTestlist/classInd.txt"
OTHER_NUMBER = "class number is not its folder's"

CLASS_LINE = re.compile(r"(\d{1,6})\s+(\S.*)")
VIDEO_LINE = re.compile(r"(.*\S)\s+(\d{1,6})")
LIST_NAME = re.compile(r"(train|test)list(\d{1,6})\.txt")


def has_ucf101(root: Path) -> bool:
    """True if the lists are there."""
    return _lists(root) is not None


def ucf101_subsets(root: Path, split: int) -> tuple[str, ...]:
    """Subsets that have a list in a split."""
    there = _splits(_required_lists(root))
    return tuple(subset for subset in ("train", "test") if split in there[subset])


def open_ucf101(root: Path, subset: str, split: int) -> VideoDataset:
    """Read a list of UCF-101.

    Args:
        root: holds the videos' folder and the lists'.
        subset: `train` or `test`.
        split: 1 to 3 in the official lists.

    Raises:
        ConfigError: `subset` is `validation`.
        DatasetError: lists or videos are not there, or `classInd.txt` is damaged.
    """
    refuse_validation(KIND, subset)
    lists = _required_lists(root)
    splits = _splits(lists)[subset]
    if split not in splits:
        there = ", ".join(map(str, sorted(splits))) or "none"
        raise DatasetError(
            f"{lists}: no {subset}list{split:02d}.txt", f"splits there: {there}", "choose one of these, or add the list"
        )
    labels = _read_classes(lists / "classInd.txt")
    folder = _videos(root, labels)
    lines = DatasetLines(KIND, subset, split, labels, splits[split], (folder.base,))
    numbers = _numbers(labels)
    for number, text in read_lines(splits[split]):
        match = VIDEO_LINE.fullmatch(text)
        name, given = (match[1], int(match[2])) if match else (text, None)
        class_name, _, file = name.partition("/")
        label = numbers.get(class_name, numbers.get(class_name.casefold()))
        if leads_out(name):
            lines.miss(name, PATH_OUT)
        elif not file:
            broken = broken_line(splits[split], number, "must be Class/video.avi and, in train lists, a number")
            lines.miss(broken.name, broken.reason)
        elif label is None:
            lines.miss(name, f"{UNKNOWN_LABEL}: {class_name!r} is not in classInd.txt")
        elif given not in (None, label + 1):
            lines.miss(name, f"{OTHER_NUMBER}: {given}, where {class_name} is {label + 1}")
        else:
            lines.add(name, label, folder.find(name))
    return lines.finish()


def _lists(root: Path) -> Path | None:
    return first_folder(root, LISTS, lambda folder: (folder / "classInd.txt").is_file())


def _required_lists(root: Path) -> Path:
    lists = _lists(root)
    if lists is None:
        raise DatasetError(
            f"{root}: no {LOOKED_FOR}",
            f"the lists of {KIND} lie in {' or '.join(LISTS)}",
            "unpack UCF101TrainTestSplits-RecognitionTask.zip there",
        )
    return lists


def _splits(lists: Path) -> dict[str, dict[int, Path]]:
    found: dict[str, dict[int, Path]] = {"train": {}, "test": {}}
    for path in sorted(lists.iterdir()):
        if match := LIST_NAME.fullmatch(path.name):
            found[match[1]].setdefault(int(match[2]), path)
    return found


def _read_classes(path: Path) -> tuple[str, ...]:
    classes: dict[int, str] = {}
    for number, text in read_lines(path):
        match = CLASS_LINE.fullmatch(text)
        if match is None:
            raise damaged_list(path, number, f"{text[:80]!r} is not a number and a class")
        if int(match[1]) in classes or match[2] in classes.values():
            raise damaged_list(path, number, f"{text[:80]!r} has the number or the name of another class")
        classes[int(match[1])] = match[2]
    if sorted(classes) != list(range(1, len(classes) + 1)) or not classes:
        raise DatasetError(
            f"{path}: {len(classes)} classes, numbered {min(classes, default=0)} to {max(classes, default=0)}",
            "numbers must run from 1 without a gap",
            "fetch it again",
        )
    return tuple(classes[number] for number in sorted(classes))


def _numbers(labels: tuple[str, ...]) -> Mapping[str, int]:
    """Position by class name, and by folded name where that is one class's alone."""
    folded = [label.casefold() for label in labels]
    found = {fold: index for index, fold in enumerate(folded) if folded.count(fold) == 1}
    return found | {label: index for index, label in enumerate(labels)}


def _videos(root: Path, labels: tuple[str, ...]) -> VideoFolder:
    folded = {label.casefold() for label in labels}
    base = first_folder(root, VIDEOS, lambda folder: any(inner.name.casefold() in folded for inner in folder.iterdir()))
    if base is None:
        raise DatasetError(
            f"{root}: no folder of a class, such as {labels[0]}",
            f"the videos of {KIND} lie in {', '.join(f'{name}/<Class>' for name in VIDEOS[:-1])} or <Class>",
            "unpack UCF101.rar there",
        )
    return list_videos(root, base, lambda name: name.casefold() in folded, ignore_case=True)
