"""Validation videos, held out of the training videos so that the test videos choose nothing."""

import dataclasses
import hashlib
import re
from collections import defaultdict

from hybrid_cvar.records import LabelledVideo, VideoDataset

__all__ = ["hold_out"]

PREFIX = "group/"
GROUP = re.compile(r"_g(\d+)_c\d+")
"""UCF-101's names: clips of one group show one person before one background, so they stay together."""


def hold_out(dataset: VideoDataset, share: float, seed: int) -> tuple[VideoDataset, VideoDataset]:
    """Splits training videos in two.

    Where names tell groups, whole groups are held out, the same ones of every class, because a group may be one person
    over all classes. Else videos are, class by class.

    Args:
        dataset: the training videos.
        share: that is held out, about, 0 to 0.5.
        seed: decides which.

    Returns:
        (training, validation); each class keeps at least one training video.
    """
    grouped: dict[int, dict[str, list[LabelledVideo]]] = defaultdict(lambda: defaultdict(list))
    for video in dataset.videos:
        grouped[video.label][_group(video) or video.name].append(video)
    common = _choose({name for groups in grouped.values() for name in groups if name.startswith(PREFIX)}, share, seed)
    held: set[str] = set()
    for groups in grouped.values():
        single = _choose({name for name in groups if not name.startswith(PREFIX)}, share, seed)
        chosen = (common & groups.keys()) | single
        if len(chosen) < len(groups):
            held |= {video.name for name in chosen for video in groups[name]}
    training = tuple(video for video in dataset.videos if video.name not in held)
    validation = tuple(video for video in dataset.videos if video.name in held)
    return (
        dataclasses.replace(dataset, videos=training),
        dataclasses.replace(dataset, subset="validation", videos=validation, missing=()),
    )


def _choose(names: set[str], share: float, seed: int) -> set[str]:
    """A share of the names, never all, in an order that the seed fixes."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name.removeprefix(PREFIX)}".encode()).digest())
    return set(ranked[: min(round(share * len(names)), max(0, len(names) - 1))])


def _group(video: LabelledVideo) -> str:
    """`group/08`; empty if the name tells none."""
    found = GROUP.search(video.name)
    return PREFIX + found.group(1) if found else ""
