"""From the lines of a list to the videos of a dataset, and to the lines that give none."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hybrid_cvar.data.video_folder import PATH_OUT, FoundFile
from hybrid_cvar.errors import ConfigError, DatasetError
from hybrid_cvar.records import LabelledVideo, MissingVideo, VideoDataset

__all__ = [
    "BROKEN_LINE",
    "FILE_TAKEN",
    "LISTED_TWICE",
    "NO_LABEL",
    "SUBSETS",
    "UNKNOWN_LABEL",
    "DatasetLines",
    "broken_line",
    "refuse_split",
    "refuse_validation",
]

SUBSETS = ("train", "validation", "test")

BROKEN_LINE = "broken line"
NO_LABEL = "no label"
UNKNOWN_LABEL = "unknown label"
LISTED_TWICE = "listed twice"
FILE_TAKEN = "its file is another line's"


class DatasetLines:
    """Gathers the lines of a subset.

    Args:
        kind, subset, split, labels: as in `VideoDataset`.
        source: the list, or the folder of lists.
        looked_in: folders in which videos were looked for.
    """

    def __init__(
        self, kind: str, subset: str, split: int, labels: tuple[str, ...], source: Path, looked_in: Sequence[Path]
    ) -> None:
        self._kind = kind
        self._subset = subset
        self._split = split
        self._labels = labels
        self._source = source
        self._looked_in = looked_in
        self._videos: list[LabelledVideo] = []
        self._missing: list[MissingVideo] = []
        self._names: set[str] = set()
        self._paths: set[str] = set()

    def add(self, name: str, label: int, found: FoundFile) -> None:
        """A line with a label; its file may have a fault. A name or a file that came before is missing."""
        if name in self._names:
            self.miss(name, LISTED_TWICE)
            return
        self._names.add(name)
        if found.fault:
            self.miss(name, found.fault)
        elif found.path in self._paths:
            self.miss(name, FILE_TAKEN)
        else:
            self._paths.add(found.path)
            self._videos.append(LabelledVideo(name, Path(found.path), label))

    def miss(self, name: str, reason: str) -> None:
        """A line that gives no video. A reason may go on after a colon; what is before it is counted."""
        self._missing.append(MissingVideo(name, reason))

    def finish(self) -> VideoDataset:
        """The subset.

        Raises:
            DatasetError: it has no video at all.
        """
        if not self._videos:
            raise self._no_video()
        return VideoDataset(
            self._kind, self._subset, self._split, self._labels, tuple(self._videos), tuple(self._missing)
        )

    def _no_video(self) -> DatasetError:
        if not self._missing:
            return DatasetError(f"{self._source}: no line of {self._subset}", "a list has some", "fetch it again")
        reasons = Counter(missing.reason.partition(":")[0] for missing in self._missing)
        counts = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
        places = ", ".join(str(folder) for folder in self._looked_in)
        remedies = {
            NO_LABEL: "take another subset, or add the labels",
            PATH_OUT: "write paths inside the dataset into the list",
        }
        return DatasetError(
            f"{self._source}: none of {len(self._missing)} lines of {self._subset} gives a video: {counts}, as with "
            f"{self._missing[0].name!r}",
            f"videos were looked for in {places}",
            remedies.get(reasons.most_common(1)[0][0], "check that the videos lie there, or give the folder above"),
        )


def broken_line(source: Path, number: int, why: str) -> MissingVideo:
    """A line that cannot be read as one of its list."""
    return MissingVideo(f"{source.name}, line {number}", f"{BROKEN_LINE}: {why}")


def refuse_validation(kind: str, subset: str) -> None:
    """Raises ConfigError for `validation` of a dataset whose lists have none."""
    if subset == "validation":
        raise ConfigError(
            f"subset {subset!r} of {kind}",
            "its official lists are for train and test alone",
            "take test, or hold out a part of train",
        )


def refuse_split(kind: str, split: int) -> None:
    """Raises ConfigError for another split than the first of a dataset that has one."""
    if split != 1:
        raise ConfigError(f"split {split} of {kind}", "it has one split", "take split 1")
