"""Videos of one action as curves in t-SNE space (paper Fig. 1 and "Generalization using compressed signals")."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError, MissingPartError
from hybrid_cvar.pictures.frame_points import REPRESENTATIONS, FramePoints
from hybrid_cvar.pictures.neighbourhood import NEIGHBOURS, chance_overlap, overlap, retrace

__all__ = ["Trajectories", "TrajectorySpace", "embed_trajectories"]

COMPONENTS = 30
"""Principal components that t-SNE is given."""

USUAL_PERPLEXITY = 30.0
SMALLEST_SPREAD = 0.1
"""No value is divided by less than this share of the values' root mean square spread: what stands still but for the
codec's noise must not weigh as much as what moves."""

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrajectorySpace:
    """The frames of all videos in one representation, N points.

    Attributes:
        representation: one of `REPRESENTATIONS`.
        video: int64 (N,), the video of each point, counted from 0.
        gop, step: int64 (N,), as in `FramePoints`.
        position: float64 (N, 2), where t-SNE puts them; no unit. All 0 if the points are one point.
        variance_kept: share of the variance that the principal components hold, 0 to 1.
        overlap_features: `neighbourhood.overlap` of the P-frames as t-SNE's input has them, before the principal
            components.
        overlap_embedding: the same where t-SNE puts them.
        chance: what both are for videos that are mixed at random.
        retrace: `neighbourhood.retrace` of the P-frames before t-SNE; None if nothing moves.
    """

    representation: str
    video: NDArray[np.int64]
    gop: NDArray[np.int64]
    step: NDArray[np.int64]
    position: Array
    variance_kept: float
    overlap_features: float
    overlap_embedding: float
    chance: float
    retrace: float | None


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Videos as curves, in each representation.

    Attributes:
        names: of the videos.
        frames: of each video that were taken.
        spaces: one a representation, in the order of `REPRESENTATIONS`.
        neighbours: of a frame that the overlap looks at.
        perplexity: of t-SNE.
        seed: of t-SNE.
    """

    names: tuple[str, ...]
    frames: tuple[int, ...]
    spaces: tuple[TrajectorySpace, ...]
    neighbours: int
    perplexity: float
    seed: int


def embed_trajectories(
    videos: Sequence[FramePoints], *, perplexity: float | None = None, seed: int = 0
) -> Trajectories:
    """Embed the frames of several videos together, once a representation.

    Every value is standardised over the frames of all videos (a spread below a tenth of the usual one counts as that
    tenth), and t-SNE (van der Maaten and Hinton, 2008; scikit-learn's, from the principal axes) is given the first 30
    principal components. It runs on one thread, so that the same seed gives the same positions.

    At an I-frame, accumulated motion and residual are 0 by definition, in every video: such points would lie together
    whatever the videos show. So motion and residual have P-frames only, and a curve goes from a GOP's last P-frame to
    the first of the next. RGB has I-frames too, as they are frames like others. All numbers are of P-frames alone, the
    same ones in each representation. The first P-frames of a GOP still lie near 0 in every video: an overlap says
    that two videos share a place, not why, and videos of different actions have one too.

    Args:
        videos: two at least.
        perplexity: of t-SNE, from 1 to below the number of P-frames; 30, or a third of them if that is less, if None.
        seed: of t-SNE, 0 or more.

    Raises:
        ConfigError: there is one video, or a number is out of range.
        MissingPartError: scikit-learn is not installed.
    """
    if len(videos) < 2:
        raise ConfigError(f"{len(videos)} video", "trajectories are compared between at least 2", "give another video")
    if not 0 <= seed < 2**32:
        raise ConfigError(f"seed = {seed}", "must be from 0 to 2**32 - 1")
    p_frames = sum(int((video.step > 0).sum()) for video in videos)
    chosen = min(USUAL_PERPLEXITY, (p_frames - 1) / 3) if perplexity is None else perplexity
    if not 1 <= chosen < p_frames:
        raise ConfigError(
            f"perplexity = {chosen:g}",
            f"must be from 1 to below {p_frames}, the number of P-frames",
            "30 is usual; give less for short videos",
        )
    spaces = tuple(_space(videos, representation, chosen, seed) for representation in REPRESENTATIONS)
    return Trajectories(
        tuple(video.name for video in videos),
        tuple(len(video.step) for video in videos),
        spaces,
        NEIGHBOURS,
        chosen,
        seed,
    )


def _space(videos: Sequence[FramePoints], representation: str, perplexity: float, seed: int) -> TrajectorySpace:
    index = np.concatenate([np.full(len(video.step), number) for number, video in enumerate(videos)])
    gop, step = (np.concatenate([getattr(video, name) for video in videos]) for name in ("gop", "step"))
    values = np.concatenate([video.values(representation) for video in videos])
    frame = np.concatenate([np.arange(len(video.step)) for video in videos])
    if representation != "rgb":
        kept = step > 0
        index, gop, step, values, frame = (each[kept] for each in (index, gop, step, values, frame))
    features = _standardised(values)
    position, variance_kept = _embedded(features, perplexity, seed)
    coded = step > 0
    return TrajectorySpace(
        representation,
        index,
        gop,
        step,
        position,
        variance_kept,
        overlap(features[coded], index[coded]),
        overlap(position[coded], index[coded]),
        chance_overlap(index[coded]),
        retrace(features[coded], index[coded], frame[coded]),
    )


def _standardised(values: NDArray[np.float32]) -> Array:
    centred = values - values.mean(axis=0, dtype=np.float64)
    spread = centred.std(axis=0)
    usual = float(np.sqrt(np.square(spread).mean()))
    if usual == 0:
        return np.zeros_like(centred)
    return centred / np.maximum(spread, SMALLEST_SPREAD * usual)


def _embedded(features: Array, perplexity: float, seed: int) -> tuple[Array, float]:
    """Positions, (N, 2), and the share of the variance that they were made from."""
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
        from threadpoolctl import threadpool_limits
    except ModuleNotFoundError as error:
        raise MissingPartError(
            "scikit-learn is not installed", "t-SNE is its", "install it: pip install 'hybrid-cvar[train]'"
        ) from error
    if not features.any():
        return np.zeros((len(features), 2)), 1.0
    # Several threads sum in an order of their own each time.
    with threadpool_limits(limits=1):
        components = PCA(min(COMPONENTS, *features.shape), svd_solver="full")
        reduced = components.fit_transform(features)
        embedding = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        position = embedding.fit_transform(reduced)
    return position.astype(np.float64), min(float(components.explained_variance_ratio_.sum()), 1.0)
