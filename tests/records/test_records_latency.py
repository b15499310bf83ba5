"""Percentiles: linear interpolation, and nothing to guess at."""

import math

import pytest

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Percentiles, clip_percentiles


def test_percentiles_lie_between_the_nearest_values():
    # 1..101: the p-th percentile stands at position p exactly.
    assert clip_percentiles([float(value) for value in range(101, 0, -1)]) == Percentiles(51.0, 96.0, 100.0, 51.0, 101)
    two = clip_percentiles((1.0, 2.0))
    assert (two.p50, two.mean, two.count) == (1.5, 1.5, 2)
    assert two.p95 == pytest.approx(1.95, abs=1e-12) and two.p99 == pytest.approx(1.99, abs=1e-12)


def test_one_clip_is_its_own_percentile():
    assert clip_percentiles([0.25]) == Percentiles(0.25, 0.25, 0.25, 0.25, 1)


@pytest.mark.parametrize(
    ("values", "words"),
    [([], "of 0 values"), ([1.0, math.nan], "of nan; need finite"), ([math.inf], "of inf; need finite")],
)
def test_no_value_or_one_that_is_no_number_is_refused(values, words):
    with pytest.raises(ConfigError, match=words):
        clip_percentiles(values)
