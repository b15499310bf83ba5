"""`hybrid-cvar run`: videos through a bundle."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from hybrid_cvar.cli.console import hear_ctrl_c, heed_ctrl_c, one_line_errors, print_error, progress_bar, stderr
from hybrid_cvar.cli.options import Domain, DomainOption, ProfileOption, json_target, refuse_overlap

if TYPE_CHECKING:
    from hybrid_cvar.batch import BatchObserver
    from hybrid_cvar.records import Report
    from hybrid_cvar.reporting import VideoFailure

__all__ = ["run_command"]


class Engine(StrEnum):
    """Who runs the spiking partition."""

    lava = "lava"
    native = "native"


class Provider(StrEnum):
    """Who runs the ANN partition; `onnx_session.PROVIDERS`, which is slow to import."""

    cpu = "cpu"
    openvino = "openvino"
    cuda = "cuda"
    tensorrt = "tensorrt"


def run_command(
    videos: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[VIDEO]...",
            help="Files; or streams (- for stdin, rtsp://..., /dev/video0); the shipped sample if none is given.",
        ),
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", "-b", help="A compiled bundle; the shipped one if not given.")
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option("--engine", "-e", help="Spiking partition on the Lava simulator or natively; same bits."),
    ] = Engine.lava,
    provider: Annotated[
        Provider | None,
        typer.Option(
            "--provider",
            "-p",
            help="Who runs the ANN partition for ONNX Runtime. cpu: its own kernels (fp32, int8); openvino: Intel's, "
            "on the CPU (fp32, int8, bf16); cuda: NVIDIA GPUs (fp32, int8); tensorrt: NVIDIA GPUs (fp32, int8, bf16). "
            "All but cpu must be installed: hybrid-cvar doctor. Default: openvino for a bf16 bundle, else cpu.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int, typer.Option("--threads", min=0, max=1024, help="CPU threads of the ANN partition; 0: every core.")
    ] = 0,
    arena: Annotated[
        bool,
        typer.Option(
            "--arena/--no-arena",
            help="Keep ONNX Runtime's CPU memory from one run of the ANN partition to the next: faster, but larger.",
        ),
    ] = True,
    clips: Annotated[
        int, typer.Option("--clips", "-n", min=1, help="Clips a video, sampled uniformly; of a stream, the first.")
    ] = 8,
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="Classes to name.")] = 5,
    domain: DomainOption = Domain.auto,
    overlap: Annotated[
        bool,
        typer.Option(
            "--overlap/--no-overlap",
            help="Reading, the spiking and the ANN partition work side by side: more videos a second, the same answers "
            "to the bit; but a stage's time then holds what it lost to the others.",
        ),
    ] = False,
    profile: ProfileOption = "paper-45nm",
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Price graded input events of first spiking layers as multiply-accumulates, not as accumulates as the "
            "paper does.",
        ),
    ] = False,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE|-", help="Write all numbers as JSON; - is stdout.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write a self-contained HTML page.")
    ] = None,
) -> None:
    """Run videos through a bundle and report the answer, operations, energy and time.

    A video that cannot be used is named and skipped; the others run, and the exit status is 1. Ctrl-C ends
    the run; what was done by then is still written, and the exit status is 130.

    Example: [bold]hybrid-cvar run video.mp4 --bundle ckpt.bundle --report report.html[/]
    """
    with one_line_errors():
        from hybrid_cvar import assets
        from hybrid_cvar.atomic_file import check_writable
        from hybrid_cvar.batch import run_batch
        from hybrid_cvar.compiler import load_bundle
        from hybrid_cvar.energy import load_paper_tables, load_profile, recompute_energy
        from hybrid_cvar.onnx_session import SessionSettings, default_provider
        from hybrid_cvar.reporting import render_json, write_html, write_json

        hear_ctrl_c()
        paths = videos or [str(assets.SAMPLE_VIDEO)]
        json_path = json_target(json_file)
        outputs = [path for path in (json_path, report) if path is not None]
        if report == Path("-"):
            raise typer.BadParameter("--report writes a page to a file, not to stdout; give a file name")
        refuse_overlap([Path(path) for path in paths], outputs)
        for path in outputs:
            check_writable(path)
        prices = load_profile(profile)
        compiled = load_bundle(bundle or assets.DEFAULT_BUNDLE)
        dense = SessionSettings(
            provider=provider.value if provider else default_provider(compiled.precision), threads=threads, arena=arena
        )
        with _RunDisplay(stderr if json_file == "-" else Console(), short=len(paths) > 1) as display:
            result = run_batch(
                paths,
                compiled,
                prices,
                engine=engine.value,
                dense=dense,
                clips=clips,
                top=top,
                domain=domain.value,
                overlap=overlap,
                strict=strict,
                observer=display.observer,
            )
        if len(paths) > 1:
            stderr.print(
                f"{len(result.reports)} of {len(paths)} videos done, {len(result.failures)} not; "
                "one video alone, --json or --report show everything",
                highlight=False,
            )
            for notice in dict.fromkeys(notice for each in result.reports for notice in each.notices):
                stderr.print(escape(notice), highlight=False, soft_wrap=True)
        command = f"hybrid-cvar {shlex.join(sys.argv[1:])}"
        if result.reports or result.failures:
            paper = load_paper_tables()
            again = [recompute_energy(row) for row in paper.table1]
            if json_file == "-":
                print(render_json(result.reports, result.failures, command=command, paper=paper, recomputed=again))
            if json_path is not None:
                write_json(result.reports, result.failures, json_path, command=command, paper=paper, recomputed=again)
            if report is not None:
                write_html(result.reports, result.failures, report, command=command, paper=paper, recomputed=again)
            if outputs:
                stderr.print(f"wrote {escape(', '.join(str(path) for path in outputs))}", highlight=False)
        if result.interrupted:
            raise KeyboardInterrupt
    if result.failures:
        raise typer.Exit(1)


class _RunDisplay:
    """A bar of clips on stderr while videos run; each video's summary or error as soon as it is there."""

    def __init__(self, console: Console, *, short: bool) -> None:
        self._console = console
        self._short = short
        self._progress = progress_bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("clips"),
            TimeRemainingColumn(),
        )
        self._task = self._progress.add_task("starting", total=None)

    def __enter__(self) -> "_RunDisplay":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    @property
    def observer(self) -> "BatchObserver":
        """Callbacks that move the bar and print."""
        from hybrid_cvar.batch import BatchObserver

        return BatchObserver(
            on_start=self._start_video,
            on_video=lambda info, clips: self._progress.update(self._task, total=clips),
            on_clip=self._count_clip,
            on_first_prediction=self._show_first_prediction,
            on_report=self._show_report,
            on_failure=self._show_failure,
        )

    def _count_clip(self) -> None:
        heed_ctrl_c()
        self._progress.advance(self._task)

    def _start_video(self, name: str) -> None:
        heed_ctrl_c()
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(escape(Path(name).name), total=None)

    def _show_first_prediction(self, label: str, probability: float, seconds: float) -> None:
        self._progress.stop()
        stderr.print(
            f"first prediction after {seconds:.2f} s: {escape(label)} ({probability:.1%}), of the first clip alone",
            highlight=False,
        )
        self._progress.start()

    def _show_report(self, report: "Report") -> None:
        from hybrid_cvar.reporting import print_report, print_report_line

        self._progress.stop()
        (print_report_line if self._short else print_report)(report, self._console)
        self._progress.start()

    def _show_failure(self, failure: "VideoFailure", traceback: str) -> None:
        self._progress.stop()
        if traceback:
            stderr.print(traceback, markup=False, highlight=False)
        print_error(failure.error)
        self._progress.start()
