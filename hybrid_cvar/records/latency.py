"""Percentiles of times: what a median hides."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid_cvar.errors import ConfigError

__all__ = ["Percentiles", "clip_percentiles"]


@dataclass(frozen=True)
class Percentiles:
    """How values are spread; in their unit.

    Attributes:
        p50, p95, p99: so many per cent of the values are at most this (linear interpolation between the two nearest).
        mean: arithmetic mean.
        count: values there were. Below 100 of them p99 lies between the two largest.
    """

    p50: float
    p95: float
    p99: float
    mean: float
    count: int


def clip_percentiles(values: Sequence[float]) -> Percentiles:
    """Percentiles of one value a clip (or a video).

    Args:
        values: at least one, all finite; of any unit.

    Raises:
        ConfigError: there is none, or one is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ConfigError(f"percentiles of {array.size} values", "need at least one", "run at least one clip")
    if not np.isfinite(array).all():
        raise ConfigError(f"percentiles of {array[~np.isfinite(array)][0]}", "need finite values", "run it again")
    p50, p95, p99 = (float(value) for value in np.percentile(array, (50, 95, 99), method="linear"))
    return Percentiles(p50, p95, p99, float(array.mean()), int(array.size))
