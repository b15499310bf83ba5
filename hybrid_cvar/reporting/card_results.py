"""What a model's folder holds: its recipe, and the results that its card is written from.

<folder>/recipe.toml
<folder>/results/training.json                of `hybrid-cvar train`
<folder>/results/evaluation-<engine>.json     of `hybrid-cvar eval --json`: torch-float, torch, native, lava
<folder>/results/evaluation-iframe-only.json  the same of a control that sees I-frames alone
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Evaluation, TrainingRun
from hybrid_cvar.reporting.evaluation_report import StoredEvaluation, load_stored_evaluation
from hybrid_cvar.reporting.training_report import load_training, training_command

__all__ = ["CONTROL", "ENGINES", "CardResults", "evaluation_file", "read_card_results"]

ENGINES = ("torch-float", "torch", "native", "lava")
"""The chain from training to the simulated chip; a card has a row for each."""
CONTROL = "iframe-only"
MOST_TRUSTED = ("native", "lava", "torch", "torch-float")
"""Whose answers stand for the model, the first that is there: a deployed one before one that is not."""


@dataclass(frozen=True)
class CardResults:
    """A model's folder, read.

    Attributes:
        folder: the folder as the user named it.
        name: of the recipe; the folder's if it gives none.
        root: the dataset's folder, as the recipe says.
        is_drawn: True if the recipe draws its videos.
        recipe: (field, value) of every field that the recipe sets, in its order.
        training: the run; None if its file is not there.
        training_command: the command line that made it; empty if unknown.
        evaluations: by engine, in the order of `ENGINES`, those that are there.
        control: of I-frames alone; None if its file is not there.
    """

    folder: Path
    name: str
    root: str
    is_drawn: bool
    recipe: tuple[tuple[str, str], ...]
    training: TrainingRun | None
    training_command: str
    evaluations: tuple[tuple[str, StoredEvaluation], ...]
    control: StoredEvaluation | None

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names; empty if there is no result."""
        main = self.main
        return main.labels if main else self.training.labels if self.training else ()

    @property
    def main(self) -> Evaluation | None:
        """The evaluation that stands for the model; None if there is none."""
        known = {engine: stored.evaluation for engine, stored in self.evaluations}
        return next((known[engine] for engine in MOST_TRUSTED if engine in known), None)

    @property
    def lacking(self) -> tuple[str, ...]:
        """Names of the result files that are not there."""
        known = {engine for engine, _ in self.evaluations}
        names = [] if self.training else ["training.json"]
        names += [evaluation_file(engine) for engine in ENGINES if engine not in known]
        return tuple(names if self.control else [*names, evaluation_file(CONTROL)])


def evaluation_file(engine: str) -> str:
    """The name of an evaluation's file in the folder of results."""
    return f"evaluation-{engine}.json"


def read_card_results(folder: Path) -> CardResults:
    """Reads a model's folder; a result that is not there is left out.

    Raises:
        ConfigError: there is no recipe, or a file is damaged, of another engine, or of other classes.
    """
    recipe = _read_recipe(folder)
    results = folder / "results"
    training_file = results / "training.json"
    training = load_training(training_file) if training_file.exists() else None
    evaluations = []
    for engine in ENGINES:
        path = results / evaluation_file(engine)
        if not path.exists():
            continue
        stored = load_stored_evaluation(path)
        if stored.evaluation.engine != engine:
            raise ConfigError(
                f"{path}: engine {stored.evaluation.engine!r}",
                "the file's name says the engine",
                f"name it {evaluation_file(stored.evaluation.engine)}",
            )
        evaluations.append((engine, stored))
    control_file = results / evaluation_file(CONTROL)
    control = load_stored_evaluation(control_file) if control_file.exists() else None
    _check_labels(training, training_file, evaluations, control, results)
    data = recipe.get("data")
    data = data if isinstance(data, dict) else {}
    return CardResults(
        folder=folder,
        name=str(recipe.get("name") or folder.resolve().name),
        root=str(data.get("root", "data")),
        is_drawn="puppets" in data,
        recipe=tuple(_flat(recipe)),
        training=training,
        training_command=training_command(training_file) if training else "",
        evaluations=tuple(evaluations),
        control=control,
    )


def _read_recipe(folder: Path) -> dict[str, Any]:
    path = folder / "recipe.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"{path}: no such file", "a card is of a folder with a recipe", "give the folder, as in models/puppet-tiny"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(f"{path}: cannot be read ({reason})", "a recipe is a TOML file") from error


def _check_labels(
    training: TrainingRun | None,
    training_file: Path,
    evaluations: list[tuple[str, StoredEvaluation]],
    control: StoredEvaluation | None,
    results: Path,
) -> None:
    """All results must be of the same classes: a file of another model has no place on the card."""
    known = [(training_file, training.labels)] if training else []
    known += [(results / evaluation_file(engine), stored.evaluation.labels) for engine, stored in evaluations]
    if control is not None:
        known.append((results / evaluation_file(CONTROL), control.evaluation.labels))
    for path, labels in known:
        if set(labels) != set(known[0][1]):
            odd = min(set(labels) ^ set(known[0][1]))
            raise ConfigError(
                f"{path}: class {odd!r} is in it or in {known[0][0].name}, not in both",
                "all results of a card are of the same classes",
                "remove the one that is of another model",
            )


def _flat(table: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Dotted names and values of a TOML table."""
    rows: list[tuple[str, str]] = []
    for name, value in table.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, bool):
            rows.append((f"{prefix}{name}", str(value).lower()))
        else:
            rows.append((f"{prefix}{name}", str(value)))
    return rows
