"""`hybrid-cvar train`: a recipe to a checkpoint."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from hybrid_cvar.cli.console import hear_ctrl_c, one_line_errors, progress_bar, stderr
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
    from hybrid_cvar.records import EpochRow, MissingVideo
    from hybrid_cvar.training import Recipe, TrainObserver

__all__ = ["train_command"]

LISTED_MISSING = 5


def train_command(
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help="models/<name>/recipe.toml")],
    data: DataOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="The run's folder; runs/<name> if not given.")
    ] = None,
    cache: CacheOption = DEFAULT_CACHE,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Instead of the recipe's; the learning rate follows.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Instead of the recipe's.")] = None,
    variant: Annotated[
        str | None, typer.Option("--variant", metavar="NAME", help="An ablated model; see hybrid-cvar model list.")
    ] = None,
    accelerator: AcceleratorOption = Accelerator.auto,
    devices: DevicesOption = 1,
    precision: PrecisionOption = Precision.full,
    workers: WorkersOption = 1,
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, and lose the run that is there.")] = False,
) -> None:
    """Train a model by a recipe: SLAYER's fixed-point forward pass, arctangent surrogate gradient.

    Videos are decoded once into a cache of GOPs; then every epoch shows each video in another crop, scale and flip.
    Ctrl-C keeps the state, and the same command goes on from it to the same losses. A recipe for puppets draws its
    videos where they are not there yet. The folder of the run then holds checkpoint.pt (for hybrid-cvar compile),
    training.json, curves.png, log.jsonl (every loss) and tensorboard/.

    Several GPUs: --devices 4, or torchrun --nproc-per-node 4 -m hybrid_cvar train RECIPE --devices 4.

    Example: [bold]hybrid-cvar train models/puppet-tiny/recipe.toml[/]
    """
    with one_line_errors():
        from hybrid_cvar.atomic_file import check_writable
        from hybrid_cvar.lava_compat import prepare_training

        hear_ctrl_c()
        prepare_training()
        from hybrid_cvar.reporting.machine import machine_line
        from hybrid_cvar.reporting.training_report import write_curves, write_training
        from hybrid_cvar.reporting.units import counted
        from hybrid_cvar.training import TrainOptions, adjusted_recipe, load_recipe, train
        from hybrid_cvar.training.memory import keep_freed_memory
        from hybrid_cvar.training.new_model import check_start

        recipe = adjusted_recipe(load_recipe(recipe_file), epochs=epochs, seed=seed, variant=variant)
        check_start(recipe.model, recipe.folder)
        target = out or Path("runs") / recipe.name
        first = is_first_process()
        target.mkdir(parents=True, exist_ok=True)
        check_writable(target / "training.json")
        if restart and first:
            _forget_run(target)
        dataset = open_training_videos(recipe, data, draw=first)
        keep_freed_memory()
        options = TrainOptions(target, cache, accelerator.value, devices, precision.value, workers)
        with _TrainDisplay(recipe) as display:
            run = train(recipe, dataset, options, machine_line(), display.observer)
        if first:
            write_training(run, target / "training.json", command=f"hybrid-cvar {shlex.join(sys.argv[1:])}")
            write_curves(run, target / "curves.png")
            best = next(row for row in run.epochs if row.epoch == run.best_epoch)
            top1 = (
                "no validation videos"
                if best.validation_top1 is None
                else f"validation top-1 {best.validation_top1:.1%} of {run.validation_videos} videos (measured)"
            )
            Console().print(
                f"{run.ended}: {counted(len(run.epochs), 'epoch')} in {run.seconds / 60:.1f} min on {run.device}; "
                f"best epoch {run.best_epoch}, {top1}\n"
                f"wrote {escape(str(target))}/checkpoint.pt, training.json, curves.png; next: "
                f"hybrid-cvar compile {escape(str(target))}/checkpoint.pt",
                highlight=False,
                soft_wrap=True,
            )


def _forget_run(folder: Path) -> None:
    from hybrid_cvar.training import RUN_FILES

    for name in RUN_FILES:
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / "tensorboard", ignore_errors=True)


class _TrainDisplay:
    """A bar over the whole run on stderr, and a line for each epoch."""

    def __init__(self, recipe: "Recipe") -> None:
        self._recipe = recipe
        self._progress = progress_bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("starting", total=None, unit="")
        self._epochs = recipe.schedule.epochs

    def __enter__(self) -> "_TrainDisplay":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    @property
    def observer(self) -> "TrainObserver":
        """Callbacks that move the bar and print."""
        from hybrid_cvar.training import TrainObserver

        return TrainObserver(
            on_cache=lambda videos: self._begin("decoding", videos, "videos"),
            on_cached=lambda: self._progress.advance(self._task),
            on_start=self._start,
            on_step=self._step,
            on_interrupt=lambda: stderr.print(
                "ending this step; the state is kept, and the same command goes on. Ctrl-C again leaves at once",
                highlight=False,
                soft_wrap=True,
            ),
            on_validation=lambda: self._progress.update(self._task, description="validating"),
            on_epoch=self._end_epoch,
        )

    def _begin(self, description: str, total: int, unit: str, completed: int = 0) -> None:
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(description, total=total, completed=completed, unit=unit)
        if not stderr.is_terminal:  # where no bar moves, in a log say
            stderr.print(f"{description}: {completed} of {total} {unit} done", highlight=False)

    def _start(self, missing: "tuple[MissingVideo, ...]", done: int, epochs: int, steps: int) -> None:
        if missing:
            stderr.print(f"{len(missing)} videos are missing or broken and left out:", highlight=False)
            for each in missing[:LISTED_MISSING]:
                stderr.print(f"  {escape(each.name)}: {escape(each.reason)}", highlight=False, soft_wrap=True)
            if len(missing) > LISTED_MISSING:
                stderr.print("  ...; all of them: hybrid-cvar data check ROOT --probe --json F", highlight=False)
        if done:
            stderr.print(f"going on after epoch {done}", highlight=False)
        self._steps = steps
        self._begin("training", epochs * steps, "steps", completed=done * steps)

    def _step(self, epoch: int, step: int, loss: float) -> None:
        self._progress.update(
            self._task,
            completed=(epoch - 1) * self._steps + step,
            description=f"epoch {epoch}/{self._epochs}, loss {loss:.3f}",
        )

    def _end_epoch(self, row: "EpochRow", best: bool) -> None:
        validated = "" if row.validation_top1 is None else f", validation {row.validation_top1:.1%}"
        rates = ", ".join(f"{name} {rate:.1%}" for name, rate in row.spike_rates)
        stderr.print(
            f"epoch {row.epoch}/{self._epochs}: loss {row.train_loss:.3f}, training top-1 {row.train_top1:.1%}"
            f"{validated}{' (best)' if best and validated else ''}, spikes {rates or 'none'}, {row.seconds:.0f} s",
            highlight=False,
            soft_wrap=True,
        )
