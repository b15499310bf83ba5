"""An evaluation for the terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hybrid_cvar.records import Evaluation
from hybrid_cvar.reporting.evaluation_figures import (
    Agreement,
    Spread,
    confusions,
    energy_spread,
    pair_scores,
    seconds_spread,
    wilson_interval,
    worst_classes,
)
from hybrid_cvar.reporting.units import counted, duration, percent, shown, si

__all__ = ["print_comparison", "print_evaluation"]

MOST_NAMED = 10
"""Missing videos and differences that are named; the rest are counted."""


def print_evaluation(evaluation: Evaluation, console: Console, pairs: Sequence[tuple[str, str]] = ()) -> None:
    """Prints top-1 and top-5 with 95 % intervals, the worst classes, confusions, time-reversed pairs, energy and time.

    Args:
        evaluation: the answers.
        console: where to.
        pairs: classes of which each is the other with time reversed; those that the model has not are left out.
    """
    scores = evaluation.scores
    console.print(
        f"[bold]{_safe(evaluation.model)}[/], {evaluation.source} {evaluation.sha256[:12]}, engine {evaluation.engine}"
        f" ({evaluation.provider}, {evaluation.precision})",
        highlight=False,
    )
    console.print(
        f"{_safe(evaluation.dataset)} {evaluation.subset}, split {evaluation.split}: {scores.videos} videos of "
        f"{len(evaluation.labels)} classes, at most {evaluation.clips} clips each",
        highlight=False,
    )
    answered = _table("Accuracy  [measured]", "", "of the videos", "95 % interval")
    for name, share in (("top-1", scores.top1), ("top-5", scores.top5)):
        low, high = wilson_interval(share, scores.videos)
        answered.add_row(name, f"[bold]{percent(share)}[/]", f"{percent(low)} to {percent(high)}")
    answered.add_row("chance", percent(1 / len(evaluation.labels)), "")
    console.print(answered)
    _print_worst(evaluation, console)
    _print_pairs(evaluation, pairs, console)
    costs = _table("A video", "", "mean", "p50", "p95")
    energy = energy_spread(evaluation)
    if energy is not None:
        costs.add_row(f"energy, {_safe(evaluation.profile)}  \\[modelled]", *_cells(energy, joules=True))
    costs.add_row("time, reading included  \\[measured]", *_cells(seconds_spread(evaluation), joules=False))
    console.print(costs)
    _print_missing(evaluation, console)


def print_comparison(found: Agreement, console: Console, other: str) -> None:
    """Prints how far an evaluation agrees with an earlier one.

    Args:
        found: the earlier one is the first of the two.
        console: where to.
        other: what the earlier one is, in words.
    """
    console.print(
        f"[bold]Agreement[/] with {_safe(other)}: {found.same} of {found.videos} videos have the same answer "
        f"({percent(found.share)}); top-1 {percent(found.first_top1)} there, {percent(found.second_top1)} here, "
        f"{found.points:+.2f} points",
        highlight=False,
        soft_wrap=True,
    )
    there, here = found.clips
    if there != here:
        console.print(
            f"  [yellow]Not the same clips[/]: {counted(there, 'clip')} a video there, {here} here; evaluate with "
            f"--clips {there} to compare like with like",
            highlight=False,
            soft_wrap=True,
        )
    for one in found.differences[:MOST_NAMED]:
        console.print(
            f"  {_safe(one.name)}  ({_safe(one.label)}): {_safe(one.first)} there, {_safe(one.second)} here",
            highlight=False,
            soft_wrap=True,
        )
    _print_rest(len(found.differences), console)


def _print_worst(evaluation: Evaluation, console: Console) -> None:
    worst, wrong = worst_classes(evaluation), confusions(evaluation)
    if not worst:
        console.print("Every video is right.", highlight=False)
        return
    classes = _table("Worst classes  [measured]", "class", "videos", "top-1")
    for one in worst:
        classes.add_row(_safe(one.label), str(one.videos), percent(one.top1 or 0.0))
    console.print(classes)
    answers = _table("Most frequent confusions  [measured]", "class", "answered", "videos", "of the class")
    for confusion in wrong:
        answers.add_row(
            _safe(confusion.label), _safe(confusion.answer), str(confusion.videos), percent(confusion.share)
        )
    console.print(answers)


def _print_pairs(evaluation: Evaluation, pairs: Sequence[tuple[str, str]], console: Console) -> None:
    scored = [one for one in pair_scores(evaluation, pairs) if one.videos]
    if not scored:
        return
    table = _table("Time-reversed pairs  [measured]", "pair", "videos", "top-1", "direction")
    for one in scored:
        table.add_row(
            f"{_safe(one.first)} / {_safe(one.second)}",
            str(one.videos),
            percent(one.top1 or 0.0),
            "-" if one.direction is None else percent(one.direction),
        )
    console.print(table)
    console.print("[dim]direction: right ones among the answers within the pair; chance is 50 %[/]", highlight=False)


def _print_missing(evaluation: Evaluation, console: Console) -> None:
    if not evaluation.missing:
        return
    console.print(f"[yellow]{len(evaluation.missing)} listed videos gave no answer:[/]", highlight=False)
    for name, reason in evaluation.missing[:MOST_NAMED]:
        console.print(f"  {_safe(name)}: {_safe(reason)}", highlight=False, soft_wrap=True)
    _print_rest(len(evaluation.missing), console)


def _print_rest(count: int, console: Console) -> None:
    if count > MOST_NAMED:
        console.print(f"  and {count - MOST_NAMED} more", highlight=False)


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title.replace("[", r"\["),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for index, column in enumerate(columns):
        is_text = index == 0 or column == "answered"
        table.add_column(column, justify="left" if is_text else "right", overflow="fold")
    return table


def _cells(spread: Spread, *, joules: bool) -> tuple[str, ...]:
    values = (spread.mean, spread.p50, spread.p95)
    return tuple(si(value, "J") if joules else duration(value) for value in values)


def _safe(text: str) -> str:
    """A user's string, its control characters and markup escaped."""
    return escape(shown(text))
