"""Numbers that every rendering of an evaluation shows, derived once from its answers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import ClassScore, Evaluation, VideoAnswer

__all__ = [
    "Agreement",
    "Confusion",
    "Difference",
    "PairScore",
    "Spread",
    "agreement",
    "confusions",
    "energy_spread",
    "pair_scores",
    "seconds_spread",
    "wilson_interval",
    "worst_classes",
]

Z_95 = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""


@dataclass(frozen=True)
class Spread:
    """A value a video: its mean, median and 95th percentile over the videos."""

    mean: float
    p50: float
    p95: float


@dataclass(frozen=True)
class Confusion:
    """A wrong answer that was given.

    Attributes:
        label: the class.
        answer: what was said.
        videos: how often.
        share: of the class's videos, 0 to 1.
    """

    label: str
    answer: str
    videos: int
    share: float


@dataclass(frozen=True)
class PairScore:
    """Two classes of which each is the other with time reversed.

    Attributes:
        first, second: class names.
        videos: of both.
        top1: share of them answered with exactly their class, 0 to 1; None where there are none.
        within: how many were answered with one of the two.
        direction: share of those `within` that are right, 0 to 1; None where there are none. 0.5 is chance.
    """

    first: str
    second: str
    videos: int
    top1: float | None
    within: int
    direction: float | None


@dataclass(frozen=True)
class Difference:
    """A video that two evaluations answer differently.

    Attributes:
        name: as in `VideoAnswer`.
        label: its class.
        first, second: what the first and the second evaluation answer.
    """

    name: str
    label: str
    first: str
    second: str


@dataclass(frozen=True)
class Agreement:
    """Two evaluations of the same videos.

    Attributes:
        videos: that both answered.
        same: how many of them have the same answer.
        share: the same as a share, 0 to 1.
        first_top1, second_top1: share of right answers on these videos, 0 to 1.
        points: how far the second's top-1 lies above the first's, percentage points.
        differences: the videos with different answers, in the first's order.
        clips: that each of the two wanted of a video.
    """

    videos: int
    same: int
    share: float
    first_top1: float
    second_top1: float
    points: float
    differences: tuple[Difference, ...]
    clips: tuple[int, int]


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """The 95 % confidence interval of a share (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927).

        (p + z^2/2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2/n)

        p   the share that was found
        n   of how many
        z   1.96, the normal quantile of 95 %

    Raises:
        ConfigError: the share is not from 0 to 1, or the count not positive.
    """
    if not 0 <= share <= 1 or count < 1:
        raise ConfigError(f"share = {share}, count = {count}", "must be from 0 to 1, and at least 1")
    square = Z_95 * Z_95
    middle = share + square / (2 * count)
    reach = Z_95 * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    whole = 1 + square / count
    return max((middle - reach) / whole, 0.0), min((middle + reach) / whole, 1.0)


def agreement(first: Evaluation, second: Evaluation) -> Agreement:
    """How far two evaluations give the same answers, on the videos that both have.

    Raises:
        ConfigError: their classes or a video's class differ, or they have no video in common.
    """
    if set(first.labels) != set(second.labels):
        odd = min(set(first.labels) ^ set(second.labels))
        raise ConfigError(
            f"class {odd!r} is in one evaluation only", "answers are compared class by class", "compare like with like"
        )
    others = {answer.name: answer for answer in second.answers}
    pairs = [(answer, others[answer.name]) for answer in first.answers if answer.name in others]
    if not pairs:
        raise ConfigError(
            f"no video is in both evaluations ({len(first.answers)} and {len(second.answers)})",
            "answers are compared video by video",
            "evaluate both on the same subset",
        )
    differences = []
    for one, other in pairs:
        label = first.labels[one.label]
        if label != second.labels[other.label]:
            raise ConfigError(
                f"{one.name} is {label!r} in one evaluation and {second.labels[other.label]!r} in the other",
                "they must be of the same dataset",
            )
        answers = first.labels[one.answer], second.labels[other.answer]
        if answers[0] != answers[1]:
            differences.append(Difference(one.name, label, *answers))
    same = len(pairs) - len(differences)
    first_top1 = sum(one.answer == one.label for one, _ in pairs) / len(pairs)
    second_top1 = sum(other.answer == other.label for _, other in pairs) / len(pairs)
    return Agreement(
        videos=len(pairs),
        same=same,
        share=same / len(pairs),
        first_top1=first_top1,
        second_top1=second_top1,
        points=100 * (second_top1 - first_top1),
        differences=tuple(differences),
        clips=(first.clips, second.clips),
    )


def pair_scores(evaluation: Evaluation, pairs: Sequence[tuple[str, str]]) -> tuple[PairScore, ...]:
    """How well the classes of every pair are told from each other.

    Args:
        evaluation: the answers.
        pairs: class names; a pair of which a class is not the model's is left out.
    """
    places = {label: index for index, label in enumerate(evaluation.labels)}
    return tuple(
        _pair_score(evaluation.answers, first, second, {places[first], places[second]})
        for first, second in pairs
        if first in places and second in places
    )


def _pair_score(answers: Sequence[VideoAnswer], first: str, second: str, classes: set[int]) -> PairScore:
    own = [answer for answer in answers if answer.label in classes]
    within = [answer for answer in own if answer.answer in classes]
    right = sum(answer.answer == answer.label for answer in own)
    return PairScore(
        first,
        second,
        videos=len(own),
        top1=right / len(own) if own else None,
        within=len(within),
        direction=right / len(within) if within else None,
    )


def worst_classes(evaluation: Evaluation, count: int = 5) -> tuple[ClassScore, ...]:
    """The classes with the lowest top-1, lowest first; those without a mistake or a video are left out."""
    scored = [one for one in evaluation.scores.classes if one.top1 is not None and one.top1 < 1]
    return tuple(sorted(scored, key=lambda one: (one.top1 or 0.0, -one.videos))[:count])


def confusions(evaluation: Evaluation, count: int = 5) -> tuple[Confusion, ...]:
    """The most frequent wrong answers, most frequent first."""
    found = [
        Confusion(evaluation.labels[row], evaluation.labels[column], videos, videos / sum(counts))
        for row, counts in enumerate(evaluation.scores.confusion)
        for column, videos in enumerate(counts)
        if row != column and videos
    ]
    return tuple(sorted(found, key=lambda one: (-one.videos, -one.share))[:count])


def seconds_spread(evaluation: Evaluation) -> Spread:
    """Wall clock a video, seconds (measured)."""
    return _spread([answer.seconds for answer in evaluation.answers])


def energy_spread(evaluation: Evaluation) -> Spread | None:
    """Energy a video, joules (modelled); None where a video was not priced."""
    joules = [answer.energy_joules for answer in evaluation.answers if answer.energy_joules is not None]
    return _spread(joules) if joules and len(joules) == len(evaluation.answers) else None


def _spread(values: Sequence[float]) -> Spread:
    return Spread(float(np.mean(values)), *(float(np.percentile(values, at)) for at in (50, 95)))
