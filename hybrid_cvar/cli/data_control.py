"""`hybrid-cvar data control`: what of a dataset's classes does a still picture tell?"""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from hybrid_cvar.cli.console import hear_ctrl_c, heed_ctrl_c, one_line_errors, progress_bar, stderr
from hybrid_cvar.cli.data_check import Kind
from hybrid_cvar.cli.eval import reversed_pairs
from hybrid_cvar.cli.options import JsonOption, json_target
from hybrid_cvar.cli.training_options import DEFAULT_CACHE, CacheOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from hybrid_cvar.data.gop_cache import CachedVideo, GopCache
    from hybrid_cvar.records import MissingVideo, VideoDataset

__all__ = ["control_command"]


def control_command(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="The dataset's folder, in which its lists lie.")],
    kind: Annotated[Kind, typer.Option("--kind", "-k", help="auto: told by the lists that lie in ROOT.")] = Kind.auto,
    split: Annotated[int, typer.Option("--split", min=1, help="Of the official train/test splits.")] = 1,
    epochs: Annotated[
        int, typer.Option("--epochs", min=1, help="Passes over the training videos, an I-frame each.")
    ] = 40,
    clips: Annotated[int, typer.Option("--clips", "-n", min=1, help="I-frames a test video.")] = 8,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights, order and views.")] = 0,
    cache: CacheOption = DEFAULT_CACHE,
    json_file: JsonOption = None,
) -> None:
    """Train a small network on I-frames alone, and see which classes it tells: a control of the dataset.

    Actions that differ only in the direction of time should look alike in any single I-frame. If this control tells
    them apart on the test list more often than one time in two, pictures give the direction away, and a model that
    does so is no proof of motion. The JSON has the schema of hybrid-cvar eval.

    Example: [bold]hybrid-cvar data control data/puppets --json control.json[/]
    """
    with one_line_errors():
        from hybrid_cvar.atomic_file import check_writable
        from hybrid_cvar.lava_compat import prepare_training

        hear_ctrl_c()
        path = json_target(json_file)
        if path is not None:
            check_writable(path)
        prepare_training()
        from hybrid_cvar.data import open_dataset
        from hybrid_cvar.data.gop_cache import GopCache
        from hybrid_cvar.records import InputSpec
        from hybrid_cvar.reporting.evaluation_report import render_evaluation, write_evaluation
        from hybrid_cvar.reporting.evaluation_summary import print_evaluation
        from hybrid_cvar.reporting.machine import machine_line
        from hybrid_cvar.training.iframe_control import ControlOptions, run_control

        options = ControlOptions(epochs=epochs, clips=clips, seed=seed)
        training, test = (open_dataset(root, subset, kind=kind.value, split=split) for subset in ("train", "test"))
        store = GopCache(cache, InputSpec())
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with progress_bar(*columns) as progress:
            task = progress.add_task("decoding", total=len(training.videos) + len(test.videos))
            (known, _), (asked, broken) = (
                _decode(store, subset, lambda: progress.advance(task)) for subset in (training, test)
            )
            progress.update(task, description="training", total=None, completed=0)

            def show(done: int, steps: int, loss: float) -> None:
                heed_ctrl_c()
                progress.update(task, completed=done, total=steps, description=f"training, loss {loss:.2f}")

            found = run_control(
                store,
                known,
                asked,
                test,
                options,
                missing=tuple((each.name, each.reason) for each in (*test.missing, *broken)),
                machine=machine_line(),
                on_step=show,
            )
        command = f"hybrid-cvar {shlex.join(sys.argv[1:])}"
        print_evaluation(found, stderr if json_file == "-" else Console(), reversed_pairs(found.labels))
        if json_file == "-":
            print(render_evaluation(found, command=command), end="")
        if path is not None:
            write_evaluation(found, path, command=command)
            stderr.print(f"wrote {escape(str(path))}", highlight=False)


def _decode(
    cache: "GopCache", subset: "VideoDataset", on_video: "Callable[[], object]"
) -> "tuple[tuple[CachedVideo, ...], tuple[MissingVideo, ...]]":
    from hybrid_cvar.data.fill_cache import fill_cache
    from hybrid_cvar.video.background import usable_cores

    return fill_cache(cache, subset.videos, usable_cores(), on_video)
