"""Numbers that every rendering of an ablation shows, derived once from its results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from hybrid_cvar.records import FULL_MODEL, Ablation, AblationMeasurement, AblationResult
from hybrid_cvar.reporting.evaluation_figures import wilson_interval

__all__ = [
    "AblationTable",
    "Difference",
    "OrderAgreement",
    "Share",
    "TableOrder",
    "VariantRow",
    "ablation_tables",
    "order_agreement",
    "share_difference",
]


@dataclass(frozen=True)
class Share:
    """A share, its 95 % Wilson interval, and its range over the seeds; all 0 to 1.

    Attributes:
        mean: over the seeds.
        low, high: interval of the mean, for as many videos as one seed has: the videos are the same in all.
        least, most: of the seeds.
    """

    mean: float
    low: float
    high: float
    least: float
    most: float


@dataclass(frozen=True)
class Difference:
    """How far a model's top-1 lies above the full model's, percentage points; below 0 for a drop.

    Attributes:
        points: mean over the seeds that both have.
        low, high: 95 % interval, see `share_difference`.
    """

    points: float
    low: float
    high: float

    @property
    def is_told_apart(self) -> bool:
        """True if the interval leaves out zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class VariantRow:
    """A model's row: the paper's numbers and ours.

    Attributes:
        variant, table, row, in_paper, paper_top1, paper_top5: as in `AblationResult`.
        paper_points: how far the paper's top-1 lies above its full model's, percentage points; None where unknown.
        state: `measured` if a seed is, else `failed` or `not run`.
        seeds: that are measured.
        reasons: (seed, why it failed).
        top1, top5, direction: ours; None where not measured, `direction` also where there are no pairs.
        difference: from the full model; None for itself and where one is not measured.
        videos: measured on; the fewest of the seeds.
        parameters, macs, dense_accumulates: counts; None where not measured.
        epochs: that were trained, the least and the most of the seeds; None where not measured.
        training_seconds: mean over the seeds; None where not measured.
    """

    variant: str
    table: str
    row: str
    in_paper: bool
    paper_top1: float | None
    paper_top5: float | None
    paper_points: float | None
    state: str
    seeds: tuple[int, ...]
    reasons: tuple[tuple[int, str], ...]
    top1: Share | None
    top5: Share | None
    direction: Share | None
    difference: Difference | None
    videos: int | None
    parameters: int | None
    macs: int | None
    dense_accumulates: int | None
    epochs: tuple[int, int] | None
    training_seconds: float | None


@dataclass(frozen=True)
class AblationTable:
    """One of the paper's tables: the full model's row first.

    Attributes:
        number: `3`, `4a`, ...
        caption: the paper's.
        rows: one a model.
    """

    number: str
    caption: str
    rows: tuple[VariantRow, ...]

    @property
    def has_top5(self) -> bool:
        """True if the paper's table gives a top-5."""
        return any(row.paper_top5 is not None for row in self.rows if row.variant != FULL_MODEL)


@dataclass(frozen=True)
class TableOrder:
    """One table's models by top-1, best first, those alone that the paper and we have numbers for.

    Attributes:
        number: of the table.
        paper, ours: names of the models.
        pairs: of models whose numbers differ in the paper.
        same: how many of them stand in the same order in ours.
    """

    number: str
    paper: tuple[str, ...]
    ours: tuple[str, ...]
    pairs: int
    same: int


@dataclass(frozen=True)
class OrderAgreement:
    """Where our differences from the full model agree with the paper's.

    Attributes:
        compared: variants with a number of both.
        same_sign: of these, whose difference has the paper's sign.
        told_apart: of these, whose 95 % interval leaves out zero.
        covered: of these, whose 95 % interval holds the paper's difference.
        tables: each table's order; those with two models or more.
    """

    compared: tuple[str, ...]
    same_sign: tuple[str, ...]
    told_apart: tuple[str, ...]
    covered: tuple[str, ...]
    tables: tuple[TableOrder, ...]

    @property
    def other_sign(self) -> tuple[str, ...]:
        """Of `compared`, those whose difference is zero or of the other sign."""
        return tuple(name for name in self.compared if name not in self.same_sign)


def share_difference(first: float, first_count: int, second: float, second_count: int) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares (R. G. Newcombe, Statist. Med. 17, 1998, 873, method 10).

        p1 - p2 - sqrt((p1 - l1)^2 + (u2 - p2)^2)   to   p1 - p2 + sqrt((u1 - p1)^2 + (p2 - l2)^2)

        p1, p2   the shares that were found
        l, u     ends of each one's Wilson interval

    It is that of independent videos; both models saw the same ones, for which it is on the wide side.

    Raises:
        ConfigError: as `wilson_interval`.
    """
    low, high = wilson_interval(first, first_count)
    other_low, other_high = wilson_interval(second, second_count)
    middle = first - second
    return middle - math.hypot(first - low, other_high - second), middle + math.hypot(high - first, second - other_low)


def ablation_tables(ablation: Ablation) -> tuple[AblationTable, ...]:
    """Each of the paper's tables with its rows; the full model's is in all."""
    of_full = [result for result in ablation.results if result.variant == FULL_MODEL]
    rows: dict[str, list[AblationResult]] = {}
    for result in ablation.results:
        rows.setdefault(result.variant, []).append(result)
    return tuple(
        AblationTable(
            number,
            caption,
            tuple(
                _row(results, of_full, number)
                for variant, results in rows.items()
                if variant == FULL_MODEL or results[0].table == number
            ),
        )
        for number, caption in ablation.tables
    )


def order_agreement(tables: Sequence[AblationTable]) -> OrderAgreement:
    """Compares signs and orders with the paper's, over all rows that have numbers of both."""
    rows = [row for table in tables for row in table.rows if row.variant != FULL_MODEL]
    known = [
        (row.variant, row.paper_points, row.difference)
        for row in rows
        if row.paper_points is not None and row.difference is not None
    ]
    return OrderAgreement(
        compared=tuple(name for name, _, _ in known),
        same_sign=tuple(name for name, paper, own in known if paper * own.points > 0),
        told_apart=tuple(name for name, _, own in known if own.is_told_apart),
        covered=tuple(name for name, paper, own in known if own.low <= paper <= own.high),
        tables=tuple(order for table in tables if (order := _order(table)) is not None),
    )


def _row(results: Sequence[AblationResult], of_full: Sequence[AblationResult], table: str) -> VariantRow:
    head = results[0]
    measured = _measured(results)
    found = list(measured.values())
    full = of_full[0] if of_full else None
    points = None
    if full is not None and full.paper_top1 is not None and head.paper_top1 is not None and head.variant != FULL_MODEL:
        points = head.paper_top1 - full.paper_top1
    epochs = [one.epochs for one in found]
    states = {result.state for result in results}
    return VariantRow(
        variant=head.variant,
        table=table,
        row=head.row,
        in_paper=head.in_paper,
        paper_top1=head.paper_top1,
        paper_top5=head.paper_top5,
        paper_points=points,
        state=next(state for state in ("measured", "failed", "not run") if state in states),
        seeds=tuple(measured),
        reasons=tuple((result.seed, result.reason) for result in results if result.state == "failed"),
        top1=_share([one.top1 for one in found], [one.test_videos for one in found]),
        top5=_share([one.top5 for one in found], [one.test_videos for one in found]),
        direction=_share(
            [one.direction for one in found if one.direction is not None],
            [one.pair_videos for one in found if one.direction is not None],
        ),
        difference=None if head.variant == FULL_MODEL else _difference(measured, _measured(of_full)),
        videos=min((one.test_videos for one in found), default=None),
        parameters=found[0].parameters if found else None,
        macs=found[0].macs if found else None,
        dense_accumulates=found[0].dense_accumulates if found else None,
        epochs=(min(epochs), max(epochs)) if epochs else None,
        training_seconds=sum(one.training_seconds for one in found) / len(found) if found else None,
    )


def _measured(results: Sequence[AblationResult]) -> dict[int, AblationMeasurement]:
    return {result.seed: result.measurement for result in results if result.measurement is not None}


def _share(shares: Sequence[float], videos: Sequence[int]) -> Share | None:
    if not shares:
        return None
    mean = min(max(sum(shares) / len(shares), min(shares)), max(shares))  # rounding must not leave the range
    return Share(mean, *wilson_interval(mean, min(videos)), min(shares), max(shares))


def _difference(own: dict[int, AblationMeasurement], full: dict[int, AblationMeasurement]) -> Difference | None:
    both = [seed for seed in own if seed in full]
    if not both:
        return None
    shares = [_share([of[seed].top1 for seed in both], [of[seed].test_videos for seed in both]) for of in (own, full)]
    counts = [min(of[seed].test_videos for seed in both) for of in (own, full)]
    first, second = (share.mean for share in shares if share is not None)
    low, high = share_difference(first, counts[0], second, counts[1])
    return Difference(100 * (first - second), 100 * low, 100 * high)


def _order(table: AblationTable) -> TableOrder | None:
    known = [(row.variant, row.paper_top1, row.top1.mean) for row in table.rows if row.paper_top1 and row.top1]
    if len(known) < 2:
        return None
    products = [(a[1] - b[1]) * (a[2] - b[2]) for a, b in combinations(known, 2) if a[1] != b[1]]
    return TableOrder(
        table.number,
        paper=tuple(name for name, _, _ in sorted(known, key=lambda one: -one[1])),
        ours=tuple(name for name, _, _ in sorted(known, key=lambda one: -one[2])),
        pairs=len(products),
        same=sum(product > 0 for product in products),
    )
