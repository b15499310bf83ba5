"""How well logits tell an action from the same action with time reversed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import PairDirection

__all__ = ["pair_directions"]


def pair_directions(
    logits: ArrayLike, truth: ArrayLike, labels: tuple[str, ...], pairs: Sequence[tuple[str, str]]
) -> tuple[PairDirection, ...]:
    """For each pair the share of its videos whose own class has a larger logit than its reverse.

    All other classes are left aside, so that a model which cannot see the order of time gets one half, however well
    or badly it tells the pair from the rest. Equal logits count half.

    Args:
        logits: (V, C), a row a video.
        truth: (V,), positions of the classes.
        labels: C names.
        pairs: class names; a pair with an unknown class, or without a video, is left out.

    Raises:
        ConfigError: shapes that do not fit.
    """
    values, right = np.asarray(logits, np.float64), np.asarray(truth, np.int64)
    if right.ndim != 1 or values.shape != (len(right), len(labels)):
        raise ConfigError(f"logits {values.shape} for {right.shape} videos of {len(labels)} classes", "they must fit")
    places = {label: index for index, label in enumerate(labels)}
    found = []
    for first, second in pairs:
        if first not in places or second not in places:
            continue
        lead = values[:, places[first]] - values[:, places[second]]
        own = np.concatenate([lead[right == places[first]], -lead[right == places[second]]])
        if len(own):
            found.append(PairDirection(first, second, len(own), float(((np.sign(own) + 1) / 2).mean())))
    return tuple(found)
