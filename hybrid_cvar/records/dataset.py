"""Labelled videos as they lie on a disk."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["DRAWN_MARK", "LabelledVideo", "MissingVideo", "VideoDataset"]

DRAWN_MARK = "puppets.json"
"""The file in a dataset's folder that says that its videos are drawn puppets, and with which settings."""


@dataclass(frozen=True)
class LabelledVideo:
    """One video of a dataset.

    Attributes:
        name: unique in its dataset, as its lists write it (`ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi`).
        path: the file; it exists.
        label: position of its class in `VideoDataset.labels`.
    """

    name: str
    path: Path
    label: int


@dataclass(frozen=True)
class MissingVideo:
    """A line of a dataset's lists that gives no usable video.

    Attributes:
        name: as in `LabelledVideo`.
        reason: why, one short phrase.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class VideoDataset:
    """One part of a labelled dataset.

    Attributes:
        kind: `ucf101`, `hmdb51`, `kinetics` or `something-something-v2`.
        subset: `train`, `validation` or `test`.
        split: which of the official train/test splits, from 1; 1 for datasets with one only.
        labels: class names, in the order of the logits.
        videos: those on the disk, in the order of the lists.
        missing: those that are not; counted and listed, never fatal.
        is_drawn: True if the videos are drawn puppets, laid out as `kind` is.
    """

    kind: str
    subset: str
    split: int
    labels: tuple[str, ...]
    videos: tuple[LabelledVideo, ...]
    missing: tuple[MissingVideo, ...]
    is_drawn: bool = False

    @property
    def name(self) -> str:
        """What the videos are, in words: `hmdb51`, or `drawn puppets (laid out as ucf101)`."""
        return f"drawn puppets (laid out as {self.kind})" if self.is_drawn else self.kind
