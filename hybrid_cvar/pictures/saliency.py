"""Where in its input a model finds a class (paper Fig. 5 and "Qualitative Results")."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Clip
from hybrid_cvar.video import VideoSource, read_clips, source_name

if TYPE_CHECKING:
    from hybrid_cvar.model import Checkpoint, HybridCvarModel

__all__ = ["MOST_CLIPS", "ClipSaliency", "SaliencyMap", "VideoSaliency", "find_saliency", "moving_pixels", "smoothed"]

MOST_CLIPS = 3
SIGMA = 1.5
"""Of the Gaussian that smooths a map, pixels of the model's input."""

BRIGHTEST = 99.0
"""Percentile of a map that is shown as 1."""

LABELS_NAMED = 12


@dataclass(frozen=True, eq=False)
class SaliencyMap:
    """The significant pixels of one modality of a clip.

    Attributes:
        modality: `iframe`, `motion` or `residual`.
        shown: float32 (H, W), 0 to 1: |contribution| smoothed (Gaussian, sigma 1.5 pixels), over its 99th percentile,
            clipped; 0 everywhere if that is 0.
        moving_share: share of the sum of |contribution|, unsmoothed, that lies on moving pixels, 0 to 1; None if the
            sum is 0.
        input_share: the same for the magnitude of the input itself, whatever the model makes of it: events lie where
            something moves or changes, so a map of them does too. Above it, the model prefers moving pixels.
    """

    modality: str
    shown: NDArray[np.float32]
    moving_share: float | None
    input_share: float | None


@dataclass(frozen=True, eq=False)
class ClipSaliency:
    """The maps of one clip.

    Attributes:
        clip: what the model was given.
        moving: bool (H, W), see `moving_pixels`.
        moving_area: share of the pixels that move, 0 to 1.
        maps: one a modality of the model.
    """

    clip: Clip
    moving: NDArray[np.bool_]
    moving_area: float
    maps: tuple[SaliencyMap, ...]


@dataclass(frozen=True, eq=False)
class VideoSaliency:
    """The maps of a video's clips.

    Attributes:
        name: of the video.
        model: the config's name.
        trained: False if the weights were not trained for recognition; the maps then show no recognition either.
        label: the class whose logit was followed.
        probability: of that class, 0 to 1: softmax of the clips' mean logits.
        answer: the class with the highest one.
        clips: in the video's order.
    """

    name: str
    model: str
    trained: bool
    label: str
    probability: float
    answer: str
    clips: tuple[ClipSaliency, ...]


def find_saliency(
    checkpoint: "Checkpoint",
    video: VideoSource,
    *,
    label: str | None = None,
    clips: int = 1,
    name: str | None = None,
    seed: int = 0,
) -> VideoSaliency:
    """Find which pixels of a video's clips a model's logit depends on.

    The map of a modality is |gradient x input| of the class's logit (Simonyan et al., 2013, arXiv:1312.6034, for the
    gradient; SmoothGrad, Smilkov et al., 2017, for the I-frame's), summed over channels and timesteps before the
    absolute value; `input_gradients.contributions` has the equation. It is a first-order measure at this input: where
    it is bright, a small change of the input changes the logit. It does not say for or against.

    Args:
        checkpoint: the model.
        video: as `read_clips` takes it.
        label: the class; the model's answer over these clips if None.
        clips: at the centres of so many equal parts of the video, 1 to 3.
        name: of the video, for pictures; the source's own if None.
        seed: of SmoothGrad's noise.

    Raises:
        ConfigError: the model has no such label, or `clips` is out of range.
        CheckpointError: the checkpoint's tensors do not fit its config.
        VideoError: as `read_clips`.
        MissingPartError: torch or lava-dl is not installed.
    """
    from hybrid_cvar.pictures.input_gradients import class_probabilities

    if not 1 <= clips <= MOST_CLIPS:
        raise ConfigError(f"clips = {clips}", f"must be 1 to {MOST_CLIPS}", "a picture has room for that many")
    wanted = None if label is None else _position(checkpoint.labels, label)
    taken = read_clips(video, checkpoint.config.input, clips).clips
    model = checkpoint.build_model()
    probabilities = class_probabilities(model, taken)
    answer = int(probabilities.argmax())
    target = answer if wanted is None else wanted
    return VideoSaliency(
        source_name(video) if name is None else name,
        checkpoint.config.name,
        checkpoint.trained,
        checkpoint.labels[target],
        float(probabilities[target]),
        checkpoint.labels[answer],
        tuple(clip_saliency(model, clip, target, seed=seed) for clip in taken),
    )


def clip_saliency(model: "HybridCvarModel", clip: Clip, target: int, *, seed: int = 0) -> ClipSaliency:
    """The maps of one clip for one logit; see `find_saliency`."""
    from hybrid_cvar.pictures.input_gradients import contributions

    moving = moving_pixels(clip)
    maps = []
    for modality, (contribution, magnitude) in contributions(model, clip, target, seed=seed).items():
        strength = np.abs(contribution)
        maps.append(SaliencyMap(modality, _shown(strength), _share(strength, moving), _share(magnitude, moving)))
    return ClipSaliency(clip, moving, float(moving.mean()), tuple(maps))


def moving_pixels(clip: Clip) -> NDArray[np.bool_]:
    """Pixels whose motion at the last P-frame is not the frame's median, which is the camera's: bool (H, W).

    Motion is in whole pixels of the model's input, accumulated or raw as the model takes it. What moves lay elsewhere
    in the I-frame, by that motion.
    """
    last = clip.motion[-1].astype(np.int32)
    camera = np.rint(np.median(last.reshape(-1, 2), axis=0)).astype(np.int32)
    moving: NDArray[np.bool_] = (last != camera).any(axis=-1)
    return moving


def smoothed(values: NDArray[np.float64], sigma: float = SIGMA) -> NDArray[np.float64]:
    """(H, W) after a Gaussian of `sigma` pixels, cut at 3 sigma; borders are repeated."""
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / sigma))
    kernel /= kernel.sum()
    found = np.pad(values, reach, mode="edge")
    for _ in range(2):
        found = np.apply_along_axis(np.convolve, 0, found, kernel, mode="valid").T
    return found


def _shown(strength: NDArray[np.float64]) -> NDArray[np.float32]:
    soft = smoothed(strength)
    full = float(np.percentile(soft, BRIGHTEST))
    return np.clip(soft / full, 0, 1).astype(np.float32) if full > 0 else np.zeros(soft.shape, np.float32)


def _share(values: NDArray[np.float64], moving: NDArray[np.bool_]) -> float | None:
    total = float(values.sum())
    return float(values[moving].sum()) / total if total > 0 else None


def _position(labels: tuple[str, ...], label: str) -> int:
    """The label's place; case does not matter where it tells no two labels apart."""
    if label in labels:
        return labels.index(label)
    alike = [index for index, each in enumerate(labels) if each.casefold() == label.casefold()]
    if len(alike) == 1:
        return alike[0]
    known = ", ".join(labels[:LABELS_NAMED]) + (", ..." if len(labels) > LABELS_NAMED else "")
    raise ConfigError(
        f"label {label!r} is none of the model's {len(labels)}", f"known: {known}", "spell it as the model does"
    )
