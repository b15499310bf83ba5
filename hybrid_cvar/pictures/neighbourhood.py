"""What can be counted of trajectories: whether two lie in one place, and whether one goes back on its own path."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["NEIGHBOURS", "chance_overlap", "distances", "overlap", "retrace"]

NEIGHBOURS = 10
"""Nearest neighbours of a frame that `overlap` looks at."""

APART_FRAMES = 3
"""Frames of one video that are nearer in time are its own continuation, not another visit."""

TIE = 1e-9
"""Distances that differ by less than this share of the largest are equal."""

Array = NDArray[np.float64]


def distances(points: NDArray[np.floating]) -> Array:
    """Euclidean distances of all pairs, float64 (N, N), of points (N, F); exactly 0 between equal points."""
    values = points.astype(np.float64)
    return np.stack([np.sqrt(np.square(values - point).sum(axis=1)) for point in values])


def overlap(points: NDArray[np.floating], video: NDArray[np.int64], neighbours: int = NEIGHBOURS) -> float:
    """Share of a frame's nearest neighbours that belong to another video, averaged over all frames, 0 to 1.

    Of frames that are equally far, where not all count among the nearest, each counts in part: where all points fall
    together, the result is that of `chance_overlap`.

    Args:
        points: (N, F), N above `neighbours`.
        video: int64 (N,), the video of each point.
        neighbours: nearest ones looked at.
    """
    apart = distances(points)
    tie = TIE * float(apart.max())
    np.fill_diagonal(apart, np.inf)
    farthest = np.partition(apart, neighbours - 1, axis=1)[:, neighbours - 1 : neighbours]
    nearer = apart < farthest - tie
    level = np.abs(apart - farthest) <= tie
    left = neighbours - nearer.sum(axis=1, keepdims=True)
    weight = nearer + level * (left / level.sum(axis=1, keepdims=True))
    other = video[:, None] != video[None, :]
    return float((weight * other).sum(axis=1).mean() / neighbours)


def chance_overlap(video: NDArray[np.int64]) -> float:
    """What `overlap` is, on average, if which video a point belongs to has nothing to do with where it lies."""
    _, counts = np.unique(video, return_counts=True)
    total = counts.sum()
    return float((counts * (total - counts)).sum() / (total * (total - 1)))


def retrace(points: NDArray[np.floating], video: NDArray[np.int64], frame: NDArray[np.int64]) -> float | None:
    """Share of frames whose nearest other visit of the same video goes the opposite way, 0 to 1.

    A frame's way is `x[n + 1] - x[n - 1]`. Its nearest other visit is the nearest frame of the same video that is more
    than 3 frames away in time. The two go opposite ways if their ways' scalar product is below 0. So 1 is a curve that
    goes to and fro on one path, 0 one that goes round in circles, 0.5 one without a preference.

    Args:
        points: (N, F).
        video: int64 (N,), the video of each point.
        frame: int64 (N,), its number in the video. Only frames whose two neighbours in time are there count.

    Returns:
        The share; None if no frame counts, as in a video in which nothing moves.
    """
    values = points.astype(np.float64)
    place = {key: index for index, key in enumerate(zip(video.tolist(), frame.tolist(), strict=True))}
    inner = [
        (place[v, n - 1], index, place[v, n + 1])
        for (v, n), index in place.items()
        if (v, n - 1) in place and (v, n + 1) in place
    ]
    if not inner:
        return None
    before, here, after = np.array(inner).T
    way = values[after] - values[before]
    moves = np.square(way).sum(axis=1) > 0
    here, way = here[moves], way[moves]
    if not len(here):
        return None
    apart = distances(values[here])
    same = video[here][:, None] == video[here][None, :]
    near_in_time = np.abs(frame[here][:, None] - frame[here][None, :]) <= APART_FRAMES
    apart[~same | near_in_time] = np.inf
    nearest = apart.argmin(axis=1)
    found = np.isfinite(apart.min(axis=1))
    if not found.any():
        return None
    return float(((way * way[nearest]).sum(axis=1) < 0)[found].mean())
