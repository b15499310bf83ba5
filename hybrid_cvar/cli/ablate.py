"""`hybrid-cvar ablate`: the paper's Tables 3 and 4 with our rows beside them."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from hybrid_cvar.cli.console import hear_ctrl_c, heed_ctrl_c, one_line_errors, print_error, progress_bar, stderr
from hybrid_cvar.cli.eval import reversed_pairs
from hybrid_cvar.cli.training_options import (
    DEFAULT_CACHE,
    Accelerator,
    AcceleratorOption,
    CacheOption,
    DataOption,
    DevicesOption,
    Precision,
    PrecisionOption,
    WorkersOption,
    is_first_process,
    open_training_videos,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_cvar.records import Ablation, AblationResult, MissingVideo, VideoDataset
    from hybrid_cvar.training import Recipe
    from hybrid_cvar.training.ablation import AblationObserver, AblationRun

__all__ = ["ablate_command"]


def ablate_command(
    recipe_file: Annotated[
        Path, typer.Argument(metavar="RECIPE", help="models/<name>/recipe.toml, of the full model with new weights.")
    ],
    tables: Annotated[
        str, typer.Option("--tables", metavar="LIST", help="The paper's tables, with commas between.")
    ] = "3,4a,4b,4c,4d",
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Holds the page, and a folder for each run.")
    ] = Path("runs/ablation"),
    data: DataOption = None,
    cache: CacheOption = DEFAULT_CACHE,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Of every run, instead of the recipe's.")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option("--seeds", metavar="LIST", help="Every model with each, as in 0,1; the recipe's if none."),
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            metavar="NAMES",
            help="Run these variants of the tables alone, and the full model; see hybrid-cvar model list.",
        ),
    ] = None,
    accelerator: AcceleratorOption = Accelerator.auto,
    devices: DevicesOption = 1,
    precision: PrecisionOption = Precision.full,
    workers: WorkersOption = 1,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin the runs anew, and lose those that are there.")
    ] = False,
) -> None:
    """Train the full model and the paper's ablations (Tables 3, 4) under one budget, and set ours beside the paper's.

    Every run has the recipe's epochs, order and augmentation; the model alone differs. Each is measured on the test
    list of the same dataset, quantised as it is deployed. The page OUT/ablation.md (with ablation.png, ablation.json)
    is written anew after each run: top-1 with its 95 % interval, the difference from the full model beside the
    paper's, direction of time-reversed pairs, parameters, MACs, minutes, and in how many rows the sign and the order
    are the paper's. Rows that are not run yet say so.

    The runs lie in OUT/VARIANT-sSEED. Ctrl-C keeps all, and the same command goes on. What is measured is not run
    again: the same command with more tables or seeds, or another --only, adds rows. The page has the tables and seeds
    that are named. A run that fails is named and recorded, the others go on, and the exit status is 1.

    Example: [bold]hybrid-cvar ablate models/puppet-tiny/recipe.toml --tables 3,4c --epochs 6 --out runs/ablation[/]

    Example: [bold]hybrid-cvar ablate models/puppet-tiny/recipe.toml --epochs 6 --seeds 0,1 --only lstm,no-stm[/]
    """
    with one_line_errors():
        from hybrid_cvar.lava_compat import prepare_training
        from hybrid_cvar.reporting.ablation_page import PICTURE_FILE, write_page
        from hybrid_cvar.reporting.machine import machine_line
        from hybrid_cvar.reporting.pictures import check_picture

        hear_ctrl_c()
        prepare_training()
        from hybrid_cvar.training import TrainOptions, adjusted_recipe, load_recipe
        from hybrid_cvar.training.ablation import forget_runs, plan_ablation, run_ablation
        from hybrid_cvar.training.memory import keep_freed_memory

        recipe = adjusted_recipe(load_recipe(recipe_file), epochs=epochs)
        runs = plan_ablation(recipe, _listed(tables), _seeds(seeds), _listed(only))
        first = is_first_process()
        out.mkdir(parents=True, exist_ok=True)
        check_picture(out / PICTURE_FILE)
        if restart and first:
            forget_runs(runs, out)
        training = open_training_videos(recipe, data, draw=first)
        test = _open_test_videos(recipe, data)
        keep_freed_memory()
        options = TrainOptions(out, cache, accelerator.value, devices, precision.value, workers)
        command = f"hybrid-cvar {shlex.join(sys.argv[1:])}"
        with _AblateDisplay(lambda ablation: write_page(ablation, out, command=command)) as display:
            ablation = run_ablation(
                recipe,
                runs,
                training,
                test,
                options,
                machine_line(),
                pairs=reversed_pairs(test.labels),
                observer=display.observer,
            )
        if first:
            _print_end(ablation, out)
    if display.failures:
        raise typer.Exit(1)


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in (text or "").split(",") if word.strip()))


def _seeds(text: str | None) -> tuple[int, ...]:
    words = _listed(text)
    odd = next((word for word in words if not (word.isascii() and word.isdigit())), None)
    if odd is not None:
        raise typer.BadParameter(f"--seeds {odd!r}; must be whole numbers with commas between, as in 0,1")
    return tuple(dict.fromkeys(int(word) for word in words))


def _open_test_videos(recipe: "Recipe", data: Path | None) -> "VideoDataset":
    """The test list; of a dataset that has none, the validation list."""
    from hybrid_cvar.data import find_subsets, open_dataset

    root, kind, split = data or Path(recipe.data.root), recipe.data.kind, recipe.data.split
    known = find_subsets(root, kind=kind, split=split)
    subset = "validation" if "validation" in known and "test" not in known else "test"
    return open_dataset(root, subset, kind=kind, split=split)


def _print_end(ablation: "Ablation", out: Path) -> None:
    from hybrid_cvar.reporting.ablation_figures import ablation_tables, order_agreement
    from hybrid_cvar.reporting.ablation_page import JSON_FILE, PAGE_FILE, PICTURE_FILE

    states = [result.state for result in ablation.results]
    found = order_agreement(ablation_tables(ablation))
    failed = f", {states.count('failed')} failed" if "failed" in states else ""
    compared = (
        f"; the difference from the full model has the paper's sign in {len(found.same_sign)} of "
        f"{len(found.compared)} rows"
        if found.compared
        else ""
    )
    Console().print(
        f"{states.count('measured')} of {len(states)} runs are measured{failed}{compared}\n"
        f"wrote {escape(str(out))}/{PAGE_FILE}, {PICTURE_FILE}, {JSON_FILE}",
        highlight=False,
        soft_wrap=True,
    )


class _AblateDisplay:
    """On stderr: a bar over all runs with the time left, one for what the run is at, and a line for each result."""

    def __init__(self, write: "Callable[[Ablation], object]") -> None:
        self.failures = 0
        self._write = write
        self._position, self._runs, self._steps, self._epochs = 1, 1, 0, 1
        self._progress = progress_bar(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[done]}"), TimeRemainingColumn()
        )
        self._all = self._progress.add_task("starting", total=None, done="")
        self._part = self._progress.add_task("", total=None, done="", visible=False)

    def __enter__(self) -> "_AblateDisplay":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    @property
    def observer(self) -> "AblationObserver":
        """Callbacks that move the bars, print, and write the page."""
        from hybrid_cvar.training import TrainObserver
        from hybrid_cvar.training.ablation import AblationObserver

        training = TrainObserver(
            on_cache=lambda videos: self._begin("decoding", videos),
            on_cached=lambda: self._progress.advance(self._part),
            on_start=self._start,
            on_step=self._step,
            on_validation=lambda: self._begin("measuring", None),
        )
        return AblationObserver(
            on_run=self._begin_run,
            on_result=self._show_result,
            on_change=self._write_page,
            training=training,
        )

    def _write_page(self, ablation: "Ablation") -> None:
        self._write(ablation)

    def _begin_run(self, run: "AblationRun", position: int, runs: int) -> None:
        heed_ctrl_c()
        self._position, self._runs = position, runs
        self._progress.update(self._all, description=f"run {position} of {runs}", done=run.name)
        stderr.print(f"run {position} of {runs}: {escape(run.name)}", highlight=False)

    def _begin(self, description: str, total: int | None, completed: int = 0) -> None:
        self._progress.remove_task(self._part)
        self._part = self._progress.add_task(description, total=total, completed=completed, done="")

    def _start(self, missing: "tuple[MissingVideo, ...]", done: int, epochs: int, steps: int) -> None:
        self._epochs, self._steps = epochs, steps
        self._begin("training", epochs * steps, done * steps)
        self._move_all(done * steps)
        if done:
            stderr.print(f"  going on after epoch {done}", highlight=False)

    def _step(self, epoch: int, step: int, loss: float) -> None:
        done = (epoch - 1) * self._steps + step
        if self._progress.tasks[-1].description == "measuring":
            self._begin("training", self._epochs * self._steps, done)
        self._progress.update(
            self._part, completed=done, description=f"epoch {epoch}/{self._epochs}", done=f"loss {loss:.3f}"
        )
        self._move_all(done)

    def _move_all(self, steps: int) -> None:
        whole = self._epochs * self._steps
        self._progress.update(self._all, total=self._runs * whole, completed=(self._position - 1) * whole + steps)

    def _show_result(self, result: "AblationResult") -> None:
        found = result.measurement
        if found is None:
            self.failures += 1
            print_error(f"{result.variant}, seed {result.seed}: {result.reason}")
            return
        direction = f", direction of reversed pairs {found.direction:.1%}" if found.direction is not None else ""
        stderr.print(
            f"  top-1 {found.top1:.1%} of {found.test_videos} videos{direction}, {found.steps} steps in "
            f"{found.training_seconds / 60:.1f} min (measured)",
            highlight=False,
            soft_wrap=True,
        )
