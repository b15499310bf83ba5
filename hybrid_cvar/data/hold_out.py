"""Validation videos, held out of the training videos so that the test videos choose nothing."""

import dataclasses
import hashlib
import re
from collections import defaultdict

from hybrid_cvar.records import LabelledVideo, VideoDataset

__all__ = ["hold_out"]

GROUP = re.compile(r"_g(\d+)_c\d+")
"""UCF-101's names: clips of one group show one person before one background, so they stay together."""


def hold_out(dataset: VideoDataset, share: float, seed: int) -> tuple[VideoDataset, VideoDataset]:
    """Splits training videos in two.

    Args:
        dataset: the training videos.
        share: of every class that is held out, about, 0 to 0.5; whole groups of UCF-101's kind, else videos.
        seed: decides which.

    Returns:
        (training, validation); each class keeps at least one training group, so small ones may give no validation.
    """
    groups: dict[int, set[str]] = defaultdict(set)
    for video in dataset.videos:
        groups[video.label].add(_group(video))
    everywhere = sorted(set().union(*groups.values()))
    rank = {name: hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in everywhere}
    chosen = {
        (label, name)
        for label, names in groups.items()
        for name in sorted(names, key=rank.__getitem__)[: min(round(share * len(names)), len(names) - 1)]
    }
    training: list[LabelledVideo] = []
    validation: list[LabelledVideo] = []
    for video in dataset.videos:
        (validation if (video.label, _group(video)) in chosen else training).append(video)
    return (
        dataclasses.replace(dataset, videos=tuple(training)),
        dataclasses.replace(dataset, subset="validation", videos=tuple(validation), missing=()),
    )


def _group(video: LabelledVideo) -> str:
    found = GROUP.search(video.name)
    return found.group(1) if found else video.name
