"""`hybrid-cvar eval`: how many of a dataset's videos a model recognises."""

import shlex
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hybrid_cvar.cli.console import hear_ctrl_c, heed_ctrl_c, one_line_errors, print_error, progress_bar, stderr
from hybrid_cvar.cli.options import JsonOption, ProfileOption, json_target, refuse_overlap
from hybrid_cvar.cli.run import Provider

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hybrid_cvar.evaluation import EvaluationObserver
    from hybrid_cvar.records import Evaluation, VideoAnswer, VideoDataset

__all__ = ["eval_command", "reversed_pairs"]

DEFAULT = "default"


class EvalEngine(StrEnum):
    """Who computes the logits."""

    native = "native"
    lava = "lava"
    torch = "torch"
    torch_float = "torch-float"


class Subset(StrEnum):
    """Which part of a dataset."""

    train = "train"
    validation = "validation"
    test = "test"


TORCH_ENGINES = (EvalEngine.torch, EvalEngine.torch_float)


def eval_command(
    model: Annotated[
        str,
        typer.Argument(
            metavar="BUNDLE",
            help="A bundle's folder; a checkpoint (.pt) for the torch engines; the word default is the shipped one.",
        ),
    ],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A dataset's folder, with its lists.")],
    engine: Annotated[
        EvalEngine | None,
        typer.Option(
            "--engine",
            "-e",
            help="native, lava: a bundle, with the same bits. torch: a checkpoint, quantised as it is deployed; "
            "torch-float: in plain float. Default: native for a bundle, torch for a checkpoint.",
            show_default=False,
        ),
    ] = None,
    subset: Annotated[Subset, typer.Option("--subset", "-s", help="Which part of the dataset.")] = Subset.test,
    split: Annotated[int, typer.Option("--split", min=1, help="Official train/test split.")] = 1,
    kind: Annotated[
        str, typer.Option("--kind", help="ucf101, hmdb51, kinetics or something-something-v2; auto: by its lists.")
    ] = "auto",
    clips: Annotated[
        int, typer.Option("--clips", "-n", min=1, max=1000, help="Clips a video, spread evenly; logits are averaged.")
    ] = 8,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            min=1,
            help="At most so many videos, the same share of every class: a quick look.",
            show_default=False,
        ),
    ] = None,
    provider: Annotated[
        Provider | None,
        typer.Option(
            "--provider",
            "-p",
            help="Who runs a bundle's ANN partition, as in hybrid-cvar run. Default: openvino for bf16, else cpu.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", min=0, max=1024, help="CPU threads of the ANN partition; 0: every core.")
    ] = 0,
    profile: ProfileOption = "paper-45nm",
    json_file: JsonOption = None,
    confusion: Annotated[
        Path | None, typer.Option("--confusion", metavar="FILE", help="Draw the confusion matrix as a PNG picture.")
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="JSON", help="Compare the answers with an earlier evaluation's --json."),
    ] = None,
) -> None:
    """Run a model on a labelled dataset: top-1 and top-5, classes, confusions, energy and time.

    The protocol is the paper's: 8 clips spread evenly over a video, centre crop, logits averaged. The dataset must
    have the model's classes; case, spaces and underscores in their names do not matter.

    The chain from training to deployment is measured with four engines on the same clips: torch-float (plain float),
    torch (quantised as on the chip), native (the bundle) and lava (the bundle on the Lava simulator, slow: give
    --limit). --against an earlier --json names every video that they answer differently.

    With --json FILE, finished videos are kept in FILE.partial.jsonl while it runs. The same command goes on where it
    was stopped.

    A video that cannot be used is named and skipped; the others run, and the exit status is 1. Ctrl-C ends the run;
    what was done by then is still written, and the exit status is 130.

    Example: [bold]hybrid-cvar eval ckpt.bundle UCF-101 --split 1 --json native.json --confusion confusion.png[/]

    Example: [bold]hybrid-cvar eval ckpt.pt UCF-101 --engine torch-float --limit 100 --against native.json[/]

    Example: [bold]hybrid-cvar eval ckpt.bundle UCF-101 --engine lava --limit 50 --against native.json[/]
    """
    with one_line_errors():
        from hybrid_cvar.atomic_file import check_writable
        from hybrid_cvar.data import open_dataset
        from hybrid_cvar.evaluation import journal_path, was_interrupted
        from hybrid_cvar.reporting.confusion_picture import write_confusion
        from hybrid_cvar.reporting.evaluation_figures import agreement
        from hybrid_cvar.reporting.evaluation_report import load_evaluation, render_evaluation, write_evaluation
        from hybrid_cvar.reporting.evaluation_summary import print_comparison, print_evaluation
        from hybrid_cvar.reporting.pictures import check_picture

        hear_ctrl_c()
        path, chosen = _find_model(model, engine)
        if chosen in TORCH_ENGINES and (provider or threads):
            raise typer.BadParameter(f"--provider and --threads are for a bundle's ANN partition, not for {chosen}")
        json_path = json_target(json_file)
        outputs = [output for output in (json_path, confusion) if output is not None]
        refuse_overlap([path, *([against] if against else [])], outputs)
        for output in outputs:
            check_writable(output)
        if confusion is not None:
            check_picture(confusion)
        earlier = load_evaluation(against) if against is not None else None
        dataset = open_dataset(data, subset.value, kind=kind, split=split)
        journal = journal_path(json_path) if json_path is not None else None
        console = stderr if json_file == "-" else Console()
        with _EvalDisplay(journal) as display:
            run = _runner(path, chosen, dataset, provider, threads, profile)
            result = run(clips, limit, journal, display.observer)
        interrupted = was_interrupted(result)
        print_evaluation(result, console, reversed_pairs(result.labels))
        if earlier is not None:
            print_comparison(agreement(earlier, result), console, f"{against} ({earlier.engine})")
        command = f"hybrid-cvar {shlex.join(sys.argv[1:])}"
        if json_file == "-":
            print(render_evaluation(result, command=command, interrupted=interrupted), end="")
        if json_path is not None:
            write_evaluation(result, json_path, command=command, interrupted=interrupted)
        if confusion is not None:
            write_confusion(result, confusion)
        if outputs:
            stderr.print(f"wrote {escape(', '.join(map(str, outputs)))}", highlight=False)
        if interrupted:
            raise KeyboardInterrupt
        if journal is not None:
            journal.unlink(missing_ok=True)
    if display.failures:
        raise typer.Exit(1)


def reversed_pairs(labels: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The time-reversed pairs of a model of the drawn puppets; none for other classes."""
    from hybrid_cvar.puppets import ACTIONS, REVERSED_PAIRS

    return REVERSED_PAIRS if labels and set(labels) <= set(ACTIONS) else ()


def _find_model(model: str, engine: EvalEngine | None) -> tuple[Path, EvalEngine]:
    """The bundle or checkpoint, and the engine that runs it."""
    from hybrid_cvar import assets

    if model == DEFAULT:
        return assets.DEFAULT_CHECKPOINT if engine in TORCH_ENGINES else assets.DEFAULT_BUNDLE, (
            engine or EvalEngine.native
        )
    path = Path(model)
    is_checkpoint = path.suffix == ".pt" or path.is_file()
    chosen = engine or (EvalEngine.torch if is_checkpoint else EvalEngine.native)
    if is_checkpoint and chosen not in TORCH_ENGINES:
        raise typer.BadParameter(
            f"--engine {chosen} runs a bundle, and {path} is a checkpoint; make a bundle of it: "
            f"hybrid-cvar compile {shlex.quote(str(path))}, or give --engine torch"
        )
    if not is_checkpoint and chosen in TORCH_ENGINES:
        raise typer.BadParameter(
            f"--engine {chosen} runs a checkpoint (.pt), and {path} is none; give the checkpoint that the bundle was "
            "compiled from, or --engine native"
        )
    return path, chosen


def _runner(
    path: Path,
    engine: EvalEngine,
    dataset: "VideoDataset",
    provider: Provider | None,
    threads: int,
    profile: str,
) -> "Callable[[int, int | None, Path | None, EvaluationObserver], Evaluation]":
    """Loads the model; (clips, limit, journal, observer) then evaluates it."""
    from hybrid_cvar.reporting.machine import machine_line

    machine = machine_line()
    if engine in TORCH_ENGINES:
        from hybrid_cvar.lava_compat import prepare_slayer

        prepare_slayer()
        from hybrid_cvar.evaluation.checkpoint_evaluation import evaluate_checkpoint

        return lambda clips, limit, journal, observer: evaluate_checkpoint(
            path,
            dataset,
            fixed_point=engine is EvalEngine.torch,
            clips=clips,
            limit=limit,
            journal=journal,
            machine=machine,
            observer=observer,
        )
    from hybrid_cvar.compiler import load_bundle
    from hybrid_cvar.energy import load_profile
    from hybrid_cvar.evaluation import evaluate_bundle
    from hybrid_cvar.onnx_session import SessionSettings, default_provider

    bundle, prices = load_bundle(path), load_profile(profile)
    if bundle.notice:
        stderr.print(f"[yellow]{escape(bundle.notice)}[/]", highlight=False)
    dense = SessionSettings(
        provider=provider.value if provider else default_provider(bundle.precision), threads=threads
    )
    return lambda clips, limit, journal, observer: evaluate_bundle(
        bundle,
        dataset,
        prices,
        engine=engine.value,
        dense=dense,
        clips=clips,
        limit=limit,
        journal=journal,
        machine=machine,
        observer=observer,
    )


class _EvalDisplay:
    """A bar of videos on stderr with the running top-1 and the time left; each failure as soon as it is known."""

    def __init__(self, journal: Path | None) -> None:
        self.failures = 0
        self._journal = journal
        self._resumed = self._seen = self._right = 0
        self._progress = progress_bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("videos, {task.fields[top1]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("starting", total=None, top1="top-1 -")

    def __enter__(self) -> "_EvalDisplay":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    @property
    def observer(self) -> "EvaluationObserver":
        """Callbacks that move the bar and print."""
        from hybrid_cvar.evaluation import EvaluationObserver

        return EvaluationObserver(
            on_start=self._start,
            on_video=lambda name: heed_ctrl_c(),
            on_clip=heed_ctrl_c,
            on_answer=self._count,
            on_failure=self._show_failure,
        )

    def _start(self, videos: int, resumed: int) -> None:
        self._resumed = resumed
        self._progress.remove_task(self._task)
        # Those of an earlier run are no part of the speed that the time left is reckoned from.
        self._task = self._progress.add_task("evaluating", total=videos, completed=resumed, top1="top-1 -")
        if resumed:
            stderr.print(f"going on: {resumed} of {videos} videos are in {escape(str(self._journal))}", highlight=False)

    def _count(self, answer: "VideoAnswer", logits: "NDArray[np.float32]") -> None:
        self._seen += 1
        self._right += answer.answer == answer.label
        self._progress.update(
            self._task,
            advance=0 if self._seen <= self._resumed else 1,
            top1=f"top-1 {100 * self._right / self._seen:.1f} %",
        )
        heed_ctrl_c()

    def _show_failure(self, name: str, error: str, traceback: str) -> None:
        self.failures += 1
        self._progress.stop()
        if traceback:
            stderr.print(traceback, markup=False, highlight=False)
        print_error(error if name in error else f"{name}: {error}")
        self._progress.start()
        self._progress.advance(self._task)
