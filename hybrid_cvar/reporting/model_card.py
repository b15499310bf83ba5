"""A model's card: a Markdown page and its pictures, every number from the result files of its folder."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.records import Evaluation
from hybrid_cvar.reporting.card_results import CONTROL, ENGINES, CardResults, evaluation_file
from hybrid_cvar.reporting.confusion_picture import write_confusion
from hybrid_cvar.reporting.evaluation_figures import (
    Agreement,
    PairScore,
    Spread,
    agreement,
    energy_spread,
    pair_scores,
    seconds_spread,
    wilson_interval,
)
from hybrid_cvar.reporting.evaluation_report import StoredEvaluation
from hybrid_cvar.reporting.training_report import write_curves
from hybrid_cvar.reporting.units import duration, exact, percent, shown, si

__all__ = ["CARD_FILE", "render_card", "write_card"]

CARD_FILE = "card.md"
CURVES_FILE = "curves.png"
CONFUSION_FILE = "confusion.png"
TITLES = {
    "torch-float": "float, torch",
    "torch": "quantised, torch",
    "native": "bundle, native engine",
    "lava": "bundle, Lava simulator",
}
CHAIN = (("torch-float", "torch"), ("torch", "native"), ("native", "lava"))
"""Neighbours whose answers are compared."""


@dataclass(frozen=True)
class _EngineRow:
    """An engine's row of the tables.

    Attributes:
        title: the engine in words.
        evaluation: its answers.
        top1_interval, top5_interval: 95 % intervals, as text.
        energy, time: a video's mean, p50 and p95, as text.
    """

    title: str
    evaluation: Evaluation
    top1_interval: str
    top5_interval: str
    energy: str
    time: str


@dataclass(frozen=True)
class _Step:
    """Two neighbours of the chain and how far they agree."""

    title: str
    found: Agreement


@dataclass(frozen=True)
class _ClassRow:
    """A class's row: its videos, top-1, and the wrong answer that was given most."""

    label: str
    videos: int
    top1: float | None
    wrong: str


def write_card(results: CardResults, pairs: Sequence[tuple[str, str]] = ()) -> tuple[Path, ...]:
    """Writes `card.md`, `curves.png` and `confusion.png` into the model's folder, each whole or not at all.

    Args:
        results: the folder, read; a picture whose result is not there is not drawn.
        pairs: classes of which each is the other with time reversed; such a model is one of drawn puppets.

    Returns:
        The files.

    Raises:
        MissingPartError: matplotlib is not installed.
        OutputError: a file cannot be written.
    """
    files = []
    if results.training is not None:
        files.append(results.folder / CURVES_FILE)
        write_curves(results.training, files[-1])
    if results.main is not None:
        files.append(results.folder / CONFUSION_FILE)
        write_confusion(results.main, files[-1])
    files.append(results.folder / CARD_FILE)
    write_atomically(files[-1], render_card(results, pairs))
    return tuple(files)


def render_card(results: CardResults, pairs: Sequence[tuple[str, str]] = ()) -> str:
    """The card as Markdown.

    Args:
        results: the folder, read.
        pairs: as in `write_card`.
    """
    # Markdown, not HTML: user strings go through the filter `text`.
    environment = Environment(
        loader=PackageLoader("hybrid_cvar.reporting"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "exact": exact,
        "percent": percent,
        "share": lambda share: "-" if share is None else percent(share),
        "text": _text,
    }
    known = {engine: stored.evaluation for engine, stored in results.evaluations}
    rows = [_engine_row(engine, known[engine]) for engine in ENGINES if engine in known]
    run, main = results.training, results.main
    control = results.control.evaluation if results.control else None
    control_pairs = [one for one in pair_scores(control, pairs) if one.videos] if control else []
    steps = [_step(known[a], known[b], a, b) for a, b in CHAIN if a in known and b in known]
    page = environment.get_template("model_card.md").render(
        results=results,
        drawn=results.is_drawn or bool(pairs),
        run=run,
        best=next((row for row in run.epochs if row.epoch == run.best_epoch), None) if run else None,
        main=main,
        rows=rows,
        notes=_notes(results),
        steps=steps,
        drop=next((0.0 - step.found.points for step in steps if step.title == _chain_title(*CHAIN[0])), None),
        lacking_engines=[evaluation_file(engine) for engine in ENGINES if engine not in known],
        pairs=[one for one in pair_scores(main, pairs) if one.videos] if main else [],
        control=control,
        control_pairs=control_pairs,
        control_whole=_sum_pairs(control_pairs),
        classes=_class_rows(main) if main else [],
        machines=sorted({row.evaluation.machine for row in rows}),
        commands=_commands(results),
        reproduce=_reproduce(results),
        minutes=_minutes,
    )
    return page.rstrip() + "\n"


def _engine_row(engine: str, evaluation: Evaluation) -> _EngineRow:
    scores = evaluation.scores
    energy = energy_spread(evaluation)
    arithmetic = f"{evaluation.provider}, {evaluation.precision}" if evaluation.source == "bundle" else ""
    return _EngineRow(
        title=TITLES[engine] + (f" ({arithmetic})" if arithmetic else ""),
        evaluation=evaluation,
        top1_interval=_interval(scores.top1, scores.videos),
        top5_interval=_interval(scores.top5, scores.videos),
        energy=_spelled(energy, joules=True) if energy else "not priced",
        time=_spelled(seconds_spread(evaluation), joules=False),
    )


def _step(first: Evaluation, second: Evaluation, *engines: str) -> _Step:
    return _Step(_chain_title(*engines), agreement(first, second))


def _chain_title(first: str, second: str) -> str:
    return f"{TITLES[first]} -> {TITLES[second]}"


def _notes(results: CardResults) -> list[str]:
    """What a reader must know to compare the rows."""
    notes = []
    known = dict(results.evaluations)
    for engine, stored in known.items():
        if stored.interrupted:
            notes.append(f"The evaluation with {TITLES[engine]} was interrupted: it lacks videos.")
    of_checkpoint = {
        stored.evaluation.sha256 for stored in known.values() if stored.evaluation.source == "checkpoint"
    } | ({results.training.checkpoint_sha256} if results.training else set())
    if len(of_checkpoint) > 1:
        notes.append("**Training and evaluations in torch are not of one checkpoint**: their SHA-256 differ.")
    if len({stored.evaluation.sha256 for stored in known.values() if stored.evaluation.source == "bundle"}) > 1:
        notes.append("**The evaluations of the bundle are not of one bundle**: their SHA-256 differ.")
    if len({stored.evaluation.clips for stored in known.values()}) > 1:
        notes.append("The engines were given different numbers of clips a video.")
    if len({(one.evaluation.dataset, one.evaluation.subset, one.evaluation.split) for one in known.values()}) > 1:
        notes.append("**The engines were evaluated on different lists of videos.**")
    if len({stored.evaluation.scores.videos for stored in known.values()}) > 1:
        notes.append("The engines answered different numbers of videos; the agreement below is on common ones.")
    return notes


def _class_rows(evaluation: Evaluation) -> list[_ClassRow]:
    rows = []
    for index, (score, counts) in enumerate(zip(evaluation.scores.classes, evaluation.scores.confusion, strict=True)):
        wrong = Counter({column: videos for column, videos in enumerate(counts) if column != index and videos})
        named = [f"{evaluation.labels[column]} ({videos})" for column, videos in wrong.most_common(1)]
        rows.append(_ClassRow(score.label, score.videos, score.top1, named[0] if named else "-"))
    return rows


def _sum_pairs(scores: Sequence[PairScore]) -> PairScore:
    """All pairs in one row, over their videos."""
    videos, within = sum(one.videos for one in scores), sum(one.within for one in scores)
    right = sum(round((one.top1 or 0.0) * one.videos) for one in scores)
    return PairScore("", "", videos, right / videos if videos else None, within, right / within if within else None)


def _commands(results: CardResults) -> dict[str, str]:
    """What makes each result file, by its name."""
    checkpoint, bundle = f"runs/{results.name}/checkpoint.pt", f"runs/{results.name}/checkpoint.bundle"
    sources = {"torch-float": checkpoint, "torch": checkpoint, "native": bundle, "lava": bundle}
    commands = {"training.json": _joined("train", f"{results.folder}/recipe.toml")}
    for engine, source in sources.items():
        target = f"{results.folder}/results/{evaluation_file(engine)}"
        commands[evaluation_file(engine)] = _joined("eval", source, results.root, "--engine", engine, "--json", target)
    target = f"{results.folder}/results/{evaluation_file(CONTROL)}"
    commands[evaluation_file(CONTROL)] = _joined("data", "control", results.root, "--json", target)
    return commands


def _reproduce(results: CardResults) -> list[str]:
    """The commands in their order: those that the files say where they do, else those that would make them."""
    made = _commands(results)
    said: dict[str, StoredEvaluation] = {evaluation_file(engine): one for engine, one in results.evaluations}
    if results.control is not None:
        said[evaluation_file(CONTROL)] = results.control
    lines = [results.training_command or made["training.json"]]
    folder = f"runs/{results.name}"
    lines.append(f"mkdir -p {shlex.quote(f'{results.folder}/results')}")
    lines.append(shlex.join(["cp", f"{folder}/training.json", f"{results.folder}/results/"]))
    lines.append(_joined("compile", f"{folder}/checkpoint.pt", "-o", f"{folder}/checkpoint.bundle"))
    for name in (*map(evaluation_file, ENGINES), evaluation_file(CONTROL)):
        lines.append((said[name].command if name in said else "") or made[name])
    return [*(shown(line) for line in lines), _joined("card", str(results.folder))]


def _joined(*words: str) -> str:
    return shlex.join(["hybrid-cvar", *words])


def _interval(share: float, videos: int) -> str:
    low, high = wilson_interval(share, videos)
    return f"{percent(low)} to {percent(high)}"


def _spelled(spread: Spread, *, joules: bool) -> str:
    values = (spread.mean, spread.p50, spread.p95)
    return ", ".join(si(value, "J") if joules else duration(value) for value in values)


def _minutes(seconds: float) -> str:
    return f" ({seconds / 60:.0f} min)" if seconds >= 120 else ""


def _text(value: Any) -> str:
    """A user's string as a Markdown cell or line shows it, and nothing else."""
    text = shown(str(value))
    for sign in "\\`*_[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return text
