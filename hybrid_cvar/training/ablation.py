"""The paper's ablations under one budget: the full model and its variants, trained alike, measured on one list.

    recipe + tables -> plan -> one folder a run: train, then measure on the test videos -> Ablation

Every run has the recipe's epochs, order and augmentation of its seed; the model alone differs. A run that is done is
not done again, and one that was stopped goes on.
"""

import dataclasses
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from lightning_fabric import Fabric

from hybrid_cvar.errors import ConfigError, HybridCvarError, MissingPartError, OutputError, TrainingError
from hybrid_cvar.model import VARIANTS, Variant
from hybrid_cvar.model.variants import PAPER_FULL_TOP1, PAPER_FULL_TOP5, PAPER_TABLES
from hybrid_cvar.records import FULL_MODEL, Ablation, AblationMeasurement, AblationResult, VideoDataset
from hybrid_cvar.training.ablation_measurement import measure_run
from hybrid_cvar.training.ablation_store import RESULT_FILE, StoredResult, ablation_identity, load_result, save_result
from hybrid_cvar.training.options import TrainObserver, TrainOptions
from hybrid_cvar.training.recipe import Recipe, adjusted_recipe
from hybrid_cvar.training.train_loop import RUN_FILES, train

__all__ = ["AblationObserver", "AblationRun", "forget_runs", "plan_ablation", "run_ablation"]

FULL_VARIANT = Variant("", FULL_MODEL, "full model", {}, PAPER_FULL_TOP1, PAPER_FULL_TOP5)


@dataclass(frozen=True)
class AblationRun:
    """One model with one seed.

    Attributes:
        name: of its folder, `<variant>-s<seed>`.
        table: the paper's table; empty for the full model.
        variant: of `VARIANTS`, or the full model.
        seed: of weights, order, augmentation and held-out videos.
        recipe: what is trained, with the variant, the seed and a name of its own.
        is_selected: False for a row that is shown but not run now.
    """

    name: str
    table: str
    variant: Variant
    seed: int
    recipe: Recipe
    is_selected: bool = True


@dataclass(frozen=True)
class AblationObserver:
    """Told of progress, on the first device.

    Attributes:
        on_run: (run, its position from 1, of how many) a run begins or goes on.
        on_result: it is measured, or has failed.
        on_change: all that is known, at the start and after each run.
        training: told of the run's training; decoding of test videos and their measurement too.
    """

    on_run: Callable[[AblationRun, int, int], None] = lambda run, position, runs: None
    on_result: Callable[[AblationResult], None] = lambda result: None
    on_change: Callable[[Ablation], None] = lambda ablation: None
    training: TrainObserver = field(default_factory=TrainObserver)


def plan_ablation(
    recipe: Recipe, tables: Sequence[str], seeds: Sequence[int] = (), only: Sequence[str] = ()
) -> tuple[AblationRun, ...]:
    """The runs that the tables ask for, seed by seed, the full model first.

    Args:
        recipe: of the full model.
        tables: of `PAPER_TABLES`.
        seeds: the recipe's if empty.
        only: variants that are run now; the full model, which all are compared with, is always. Empty for all.

    Raises:
        ConfigError: a table or variant is unknown, or the recipe is not one of a full model that variants differ from.
    """
    if not tables:
        raise ConfigError("no table", f"known: {', '.join(PAPER_TABLES)}", "name one at least")
    for table in tables:
        if table not in PAPER_TABLES:
            raise ConfigError(f"table {table!r} does not exist", f"known: {', '.join(PAPER_TABLES)}")
    variants = (FULL_VARIANT, *(variant for variant in VARIANTS if variant.table in tables))
    names = [variant.name for variant in variants]
    for name in only:
        if name not in names:
            raise ConfigError(
                f"variant {name!r} is in none of the tables {', '.join(tables)}", f"known there: {', '.join(names)}"
            )
    _check_full(recipe, variants)
    return tuple(
        _planned(recipe, variant, seed, not only or variant.name in (FULL_MODEL, *only))
        for seed in dict.fromkeys(seeds or (recipe.seed,))
        for variant in variants
    )


def run_ablation(
    recipe: Recipe,
    runs: Sequence[AblationRun],
    training: VideoDataset,
    test: VideoDataset,
    options: TrainOptions,
    machine: str,
    *,
    pairs: Sequence[tuple[str, str]] = (),
    observer: AblationObserver | None = None,
) -> Ablation:
    """Trains and measures what is not done yet, each run in `<options.out>/<run.name>/`.

    A run that cannot be trained is recorded as failed, and the others go on.

    Args:
        recipe: of the full model, as planned from.
        runs: of `plan_ablation`.
        training, test: subsets of one dataset.
        options: the machine; `out` holds the runs' folders.
        machine: its description, for the record.
        pairs: classes of which each is the other with time reversed.
        observer: told of progress.

    Returns:
        All rows, those not run included.

    Raises:
        ConfigError: the subsets have different classes.
        TrainingError: a folder holds a run of another budget or of other videos.
        OutputError, MissingPartError: no run could go on.
        KeyboardInterrupt: what is done stays, and the same call goes on.
    """
    if training.labels != test.labels:
        raise ConfigError(
            f"{len(training.labels)} classes of {training.subset}, {len(test.labels)} of {test.subset}",
            "both must have the same, in the same order",
            "check the dataset's lists: hybrid-cvar data check ROOT",
        )
    fabric = Fabric(accelerator=options.accelerator, devices=options.devices, precision=options.precision)  # type: ignore[arg-type]
    fabric.launch()
    watch = observer if observer is not None and fabric.is_global_zero else AblationObserver()
    identities = {run.name: ablation_identity(run.recipe, training, test, pairs) for run in runs}
    results = {run.name: _known_result(run, options.out / run.name, identities[run.name]) for run in runs}
    fabric.barrier()  # no device may write before all have read
    due = [run for run in runs if run.is_selected and results[run.name].state != "measured"]
    watch.on_change(_ablation(recipe, runs, training, test, results.values()))
    for position, run in enumerate(due, 1):
        watch.on_run(run, position, len(due))
        own = dataclasses.replace(options, out=options.out / run.name)
        stored = StoredResult(identities[run.name], "started")
        if fabric.is_global_zero:
            save_result(own.out, stored)
        try:
            trained = train(run.recipe, training, own, machine, watch.training)
            found = measure_run(fabric, run.recipe, trained, test, own, pairs, watch.training)
            stored = dataclasses.replace(stored, state="measured", measurement=found)
        except (OutputError, MissingPartError):
            raise
        except (HybridCvarError, torch.OutOfMemoryError) as error:
            stored = dataclasses.replace(stored, state="failed", reason=" ".join(str(error).split()))
        if fabric.is_global_zero:
            save_result(own.out, stored)
        results[run.name] = _result(run, stored.state, stored.reason, stored.measurement)
        watch.on_result(results[run.name])
        watch.on_change(_ablation(recipe, runs, training, test, results.values()))
    return _ablation(recipe, runs, training, test, results.values())


def forget_runs(runs: Sequence[AblationRun], out: Path) -> None:
    """Removes what the selected runs left in their folders."""
    for run in runs:
        if run.is_selected:
            for name in (*RUN_FILES, RESULT_FILE):
                (out / run.name / name).unlink(missing_ok=True)
            shutil.rmtree(out / run.name / "tensorboard", ignore_errors=True)


def _check_full(recipe: Recipe, variants: Sequence[Variant]) -> None:
    if recipe.model.variant:
        raise ConfigError(
            f"model.variant = {recipe.model.variant!r}", "variants are compared with the full model", "remove it"
        )
    if recipe.model.weights:
        raise ConfigError(
            f"model.weights = {recipe.model.weights!r}",
            "every row starts from new weights, for those of one model do not fit another",
            "remove it",
        )
    for variant in variants:
        twice = sorted(set(variant.changes) & set(recipe.model.changes))
        if twice:
            raise ConfigError(
                f"the recipe and variant {variant.name!r} both change {twice[0]!r}",
                "the recipe's would undo the variant's",
                "remove it from the recipe's changes, or leave the variant's table out",
            )


def _planned(recipe: Recipe, variant: Variant, seed: int, is_selected: bool) -> AblationRun:
    name = f"{variant.name}-s{seed}"
    model = dataclasses.replace(recipe.model, variant="" if variant.name == FULL_MODEL else variant.name)
    own = dataclasses.replace(adjusted_recipe(recipe, seed=seed), name=f"{recipe.name}-{name}", model=model)
    return AblationRun(name, variant.table, variant, seed, own, is_selected)


def _known_result(run: AblationRun, folder: Path, identity: str) -> AblationResult:
    stored = load_result(folder)
    if stored is not None and stored.identity != identity:
        if run.is_selected:
            raise TrainingError(
                f"{folder / RESULT_FILE}: the run there is of another recipe, of other epochs or of other videos",
                "one page compares runs of one budget",
                "give --restart to begin anew, or another --out",
            )
        stored = None
    if stored is None or stored.state == "started":
        return _result(run, "not run")
    return _result(run, stored.state, stored.reason, stored.measurement)


def _result(
    run: AblationRun, state: str, reason: str = "", measurement: AblationMeasurement | None = None
) -> AblationResult:
    variant = run.variant
    return AblationResult(
        variant.name,
        variant.table,
        variant.row,
        variant.in_paper,
        variant.paper_top1,
        variant.paper_top5,
        run.seed,
        state,
        reason,
        measurement,
    )


def _ablation(
    recipe: Recipe,
    runs: Sequence[AblationRun],
    training: VideoDataset,
    test: VideoDataset,
    results: Iterable[AblationResult],
) -> Ablation:
    return Ablation(
        recipe=recipe.name,
        preset=recipe.model.preset,
        tables=tuple((table, PAPER_TABLES[table]) for table in dict.fromkeys(run.table for run in runs if run.table)),
        seeds=tuple(dict.fromkeys(run.seed for run in runs)),
        epochs=recipe.schedule.epochs,
        batch=recipe.schedule.batch,
        clips=recipe.data.clips,
        dataset=test.kind,
        is_drawn=recipe.data.puppets is not None,
        subset=test.subset,
        split=test.split,
        classes=len(test.labels),
        train_videos=len(training.videos),
        test_videos=len(test.videos),
        results=tuple(results),
    )
