"""A smaller, evenly spread part of a dataset, for a quick look."""

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import LabelledVideo, VideoDataset
from hybrid_cvar.video.sampling import segment_centres

__all__ = ["select_videos"]


def select_videos(dataset: VideoDataset, limit: int | None = None) -> tuple[LabelledVideo, ...]:
    """At most `limit` videos, as many of every class as there can be; the same ones every time.

    Args:
        dataset: holds the videos.
        limit: how many, at least 1; None for all.

    Returns:
        The videos in the dataset's order. Class sizes differ by at most one where classes have videos enough; within
        a class they are spread evenly over its list, and so are the classes where there are fewer videos than classes.

    Raises:
        ConfigError: the limit is not positive.
    """
    if limit is None or limit >= len(dataset.videos):
        return dataset.videos
    if limit < 1:
        raise ConfigError(f"limit = {limit}", "must be at least 1", "leave it out for every video")
    of_class: dict[int, list[int]] = {}
    for position, video in enumerate(dataset.videos):
        of_class.setdefault(video.label, []).append(position)
    quotas = dict.fromkeys(sorted(of_class), 0)
    while left := limit - sum(quotas.values()):
        open_classes = [label for label, quota in quotas.items() if quota < len(of_class[label])]
        for index in segment_centres(len(open_classes), left):
            quotas[open_classes[index]] += 1
    chosen = {
        positions[index]
        for label, positions in of_class.items()
        if quotas[label]
        for index in segment_centres(len(positions), quotas[label])
    }
    return tuple(video for position, video in enumerate(dataset.videos) if position in chosen)
