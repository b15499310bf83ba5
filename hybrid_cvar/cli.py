"""The command line: parses, calls one function, prints."""

import errno
import shlex
import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

import hybrid_cvar
from hybrid_cvar.errors import HybridCvarError, LavaError
from hybrid_cvar.version import __version__

if TYPE_CHECKING:
    from hybrid_cvar.batch import BatchObserver
    from hybrid_cvar.records import Report
    from hybrid_cvar.reporting import VideoFailure

FLOW = "\n\n".join(line.strip() for line in (hybrid_cvar.__doc__ or "").splitlines() if "->" in line)
EPILOG = f"""{FLOW}

Exit status: 0 all done, 1 something failed (each named, the rest is done), 2 wrong usage, 130 interrupted."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    epilog=EPILOG,
    help="Deploy a hybrid spiking + ANN video action recogniser: ConvLIF on the Lava simulator, "
    "the transformer on ONNX Runtime, one report of operations, energy and time.",
)
_err = Console(stderr=True)


class Engine(StrEnum):
    """Who runs the spiking partition."""

    lava = "lava"
    native = "native"


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"hybrid-cvar {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command("compile")
def compile_command(
    checkpoint: Annotated[
        Path | None, typer.Argument(metavar="[CKPT]", help="Checkpoint (.pt); the shipped one if none is given.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The bundle's folder; CKPT's name with .bundle, here, if not given."),
    ] = None,
    sample: Annotated[
        Path | None,
        typer.Option("--sample", help="Video whose clips parity is checked on; the shipped one if not given."),
    ] = None,
    clips: Annotated[int, typer.Option("--clips", min=1, max=1000, help="Clips to check parity on.")] = 2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
) -> None:
    """Compile a checkpoint to a bundle: partition, quantise, export, and verify before the bundle appears.

    Verification runs the same clips through every form (float, SLAYER quantised, native, Lava; torch, ONNX
    Runtime). A mismatch fails the compile and leaves no bundle.

    Example: [bold]hybrid-cvar compile ckpt.pt -o ckpt.bundle[/]
    """
    with _one_line_errors():
        from hybrid_cvar import assets
        from hybrid_cvar.compiler.bundle_folder import check_compile_paths
        from hybrid_cvar.lava_compat import prepare_slayer
        from hybrid_cvar.reporting import print_compile_result, print_parity
        from hybrid_cvar.video import sample_clips

        source = checkpoint or assets.DEFAULT_CHECKPOINT
        target = output or Path(f"{source.stem}.bundle")
        check_compile_paths(source, target, overwrite)
        prepare_slayer()
        from hybrid_cvar.compiler.compile import compile_checkpoint

        _hear_ctrl_c()
        console = Console()
        columns = (SpinnerColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=_err, transient=True, disable=not _err.is_terminal) as progress:
            task = progress.add_task("compile")
            result = compile_checkpoint(
                source,
                target,
                lambda loaded: sample_clips(sample or assets.SAMPLE_VIDEO, loaded.config.input, clips).clips,
                overwrite=overwrite,
                on_stage=lambda stage: progress.update(task, description=f"compile {source.name}: {stage}"),
                on_parity=lambda rows: print_parity(rows, console),
            )
        print_compile_result(result, console)


@app.command("run")
def run_command(
    videos: Annotated[
        list[Path] | None, typer.Argument(metavar="[VIDEO]...", help="Videos; the shipped sample if none is given.")
    ] = None,
    bundle: Annotated[
        Path | None, typer.Option("--bundle", "-b", help="A compiled bundle; the shipped one if not given.")
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option("--engine", "-e", help="Spiking partition on the Lava simulator or natively; same bits."),
    ] = Engine.lava,
    clips: Annotated[int, typer.Option("--clips", "-n", min=1, help="Clips a video, sampled uniformly.")] = 8,
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="Classes to name.")] = 5,
    profile: Annotated[str, typer.Option("--profile", help="Energy profile: a name or a TOML file.")] = "paper-45nm",
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
    with _one_line_errors():
        from hybrid_cvar import assets
        from hybrid_cvar.atomic_file import check_writable
        from hybrid_cvar.batch import run_batch
        from hybrid_cvar.compiler import load_bundle
        from hybrid_cvar.energy import load_profile
        from hybrid_cvar.reporting import render_json, write_html, write_json

        _hear_ctrl_c()
        paths = videos or [assets.SAMPLE_VIDEO]
        json_path = None if json_file in (None, "-") else Path(str(json_file))
        outputs = [path for path in (json_path, report) if path is not None]
        if report == Path("-"):
            raise typer.BadParameter("--report writes a page to a file, not to stdout; give a file name")
        _refuse_overlap(paths, outputs)
        for path in outputs:
            check_writable(path)
        with _RunDisplay(_err if json_file == "-" else Console(), short=len(paths) > 1) as display:
            result = run_batch(
                paths,
                load_bundle(bundle or assets.DEFAULT_BUNDLE),
                load_profile(profile),
                engine=engine.value,
                clips=clips,
                top=top,
                observer=display.observer,
            )
        if len(paths) > 1:
            _err.print(
                f"{len(result.reports)} of {len(paths)} videos done, {len(result.failures)} not; "
                "one video alone, --json or --report show everything",
                highlight=False,
            )
        command = f"hybrid-cvar {shlex.join(sys.argv[1:])}"
        if result.reports or result.failures:
            if json_file == "-":
                print(render_json(result.reports, result.failures, command=command))
            if json_path is not None:
                write_json(result.reports, result.failures, json_path, command=command)
            if report is not None:
                write_html(result.reports, result.failures, report, command=command)
            if outputs:
                _err.print(f"wrote {escape(', '.join(str(path) for path in outputs))}", highlight=False)
        if result.interrupted:
            raise KeyboardInterrupt
    if result.failures:
        raise typer.Exit(1)


@app.command("doctor")
def doctor_command() -> None:
    """Say what is installed, what works, and the command that mends what does not."""
    from hybrid_cvar.doctor import examine
    from hybrid_cvar.lava_compat import INSTALL_COMPILE, INSTALL_LAVA

    findings = examine()
    table = Table(title=f"hybrid-cvar {__version__}", title_justify="left", title_style="bold")
    for heading in ("part", "needed for", "state", "remedy"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        colour = "green" if finding.works else ("red" if finding.required else "yellow")
        table.add_row(finding.part, finding.needed_for, f"[{colour}]{escape(finding.state)}[/]", escape(finding.remedy))
    console = Console()
    console.print(table)
    if not all(finding.works for finding in findings):
        for title, commands in (("Lava", INSTALL_LAVA), ("Lava, SLAYER and torch", INSTALL_COMPILE)):
            console.print(f"{title}:\n  " + escape(commands), soft_wrap=True, highlight=False)
    if any(finding.required and not finding.works for finding in findings):
        raise typer.Exit(1)


def _refuse_overlap(videos: Sequence[Path], outputs: Sequence[Path]) -> None:
    """An output must not replace a video that is read, nor another output."""
    taken = {video.resolve() for video in videos}
    for output in outputs:
        if output.resolve() in taken:
            raise typer.BadParameter(f"{output} is used twice; give every output a file of its own")
        taken.add(output.resolve())


class _RunDisplay:
    """A bar of clips on stderr while videos run; each video's summary or error as soon as it is there."""

    def __init__(self, console: Console, *, short: bool) -> None:
        self._console = console
        self._short = short
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("clips"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(
            *columns,
            console=_err,
            transient=True,
            disable=not _err.is_terminal,
            redirect_stdout=False,
            redirect_stderr=False,
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
            on_clip=lambda: self._progress.advance(self._task),
            on_report=self._show_report,
            on_failure=self._show_failure,
        )

    def _start_video(self, path: Path) -> None:
        self._progress.remove_task(self._task)
        self._task = self._progress.add_task(escape(path.name), total=None)

    def _show_report(self, report: "Report") -> None:
        from hybrid_cvar.reporting import print_report, print_report_line

        self._progress.stop()
        (print_report_line if self._short else print_report)(report, self._console)
        self._progress.start()

    def _show_failure(self, failure: "VideoFailure", traceback: str) -> None:
        self._progress.stop()
        if traceback:
            _err.print(traceback, markup=False, highlight=False)
        _print_error(failure.error)
        self._progress.start()


class _one_line_errors:
    """Our own errors become one line on stderr and exit status 1; Ctrl-C exit status 130."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LavaError) and error.process_traceback:
            _err.print(error.process_traceback, markup=False, highlight=False)
        if isinstance(error, HybridCvarError):
            _print_error(str(error))
            raise typer.Exit(1) from None
        if isinstance(error, KeyboardInterrupt):
            _print_error("interrupted")
            raise typer.Exit(130) from None
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EPIPE, errno.EIO):
            _print_error(
                f"cannot write to the output: {error.strerror}; it must take what is printed; free space there"
            )
            raise typer.Exit(1) from None


def _hear_ctrl_c() -> None:
    """From here on Ctrl-C is an exception, so that what runs is ended and what is done is kept."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _print_error(message: str) -> None:
    _err.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
