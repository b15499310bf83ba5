"""`hybrid-cvar video`: the compressed-domain reader as commands of its own."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from hybrid_cvar.cli.console import hear_ctrl_c, one_line_errors, print_error, progress_bar, stderr
from hybrid_cvar.cli.options import Domain, DomainOption, JsonOption, TimestepsOption, json_target, refuse_overlap

if TYPE_CHECKING:
    from hybrid_cvar.video.convert import ConvertFailure, ConvertObserver

__all__ = ["video_commands"]

video_commands = typer.Typer(
    no_args_is_help=True,
    help="Look at videos in the compressed domain, and convert them to the paper's format.",
)


@video_commands.command("probe")
def probe_command(
    videos: Annotated[list[str], typer.Argument(metavar="VIDEO...", help="Files, or streams' addresses.")],
    timesteps: TimestepsOption = 11,
    domain: DomainOption = Domain.auto,
    json_file: JsonOption = None,
) -> None:
    """Say what a video is, how its GOPs are built, and whether they can be read as they are, and why.

    Several videos give a line each. One that cannot be read is named, and the exit status is 1.

    Example: [bold]hybrid-cvar video probe video.mp4[/]
    """
    with one_line_errors():
        from hybrid_cvar.atomic_file import check_writable
        from hybrid_cvar.cli.video_reports import print_survey, print_video, survey_json
        from hybrid_cvar.video.survey import survey_videos

        hear_ctrl_c()
        json_path = json_target(json_file)
        if json_path is not None:
            refuse_overlap([Path(video) for video in videos], [json_path])
            check_writable(json_path)
        columns = (TextColumn("probe"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with progress_bar(*columns) as progress:
            task = progress.add_task("", total=len(videos))
            result = survey_videos(
                videos, timesteps=timesteps, domain=domain.value, on_video=lambda: progress.advance(task)
            )
        console = stderr if json_file == "-" else Console()
        if len(videos) == 1 and result.videos:
            print_video(result.videos[0], timesteps, console)
        elif result.videos:
            print_survey(result, console)
        for failure in result.failures:
            print_error(failure.error)
        if len(videos) > 1:
            stderr.print(f"{len(result.videos)} of {len(videos)} videos can be read", highlight=False)
        _put_json(json_file, survey_json(result, _command()))
        if result.interrupted:
            raise KeyboardInterrupt
    if result.failures:
        raise typer.Exit(1)


@video_commands.command("show")
def show_command(
    video: Annotated[str, typer.Argument(help="The video, a file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PNG|MP4", help="A .png shows one GOP, an .mp4 some in motion.")
    ],
    at: Annotated[
        float | None,
        typer.Option("--at", min=0, metavar="SECONDS", help="The GOP there; if not given, one with much motion."),
    ] = None,
    gops: Annotated[
        int | None, typer.Option("--gops", "-g", min=1, help="GOPs of an .mp4; about 10 s if not given.")
    ] = None,
    timesteps: TimestepsOption = 11,
    domain: DomainOption = Domain.auto,
    width: Annotated[
        int | None, typer.Option("--width", "-w", help="Pixels at most; 1600 for a .png, 1280 for an .mp4.")
    ] = None,
    slow: Annotated[float, typer.Option("--slow", help="An .mp4 runs so many times slower than the video.")] = 1.0,
) -> None:
    """Draw what a GOP holds: I-frame, motion as colours, residual, raw beside accumulated (the paper's Fig. 2).

    Without --at, the sheet shows the GOP with the most motion of 16 spread over the video, and the film lies around it.

    Example: [bold]hybrid-cvar video show video.mp4 -o gop.png[/]
    """
    with one_line_errors():
        from hybrid_cvar.video.show import show_video

        hear_ctrl_c()
        refuse_overlap([Path(video)], [output])
        columns = (TextColumn("draw {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with progress_bar(*columns) as progress:
            task = progress.add_task(escape(output.name), total=None)
            figure = show_video(
                video,
                output,
                at_seconds=at,
                gops=gops,
                timesteps=timesteps,
                domain=domain.value,
                width=width,
                slow=slow,
                on_frame=lambda done, of: progress.update(task, completed=done, total=of),
            )
        gops_shown = f"GOP at {figure.pts_seconds:.2f} s"
        if figure.frames > 1:
            gops_shown = f"{figure.gops} GOPs from {figure.pts_seconds:.2f} s on, {figure.frames} frames"
        Console().print(
            f"wrote {escape(str(output))}: {figure.width}x{figure.height}, {gops_shown} "
            f"({figure.info.domain}: {escape(figure.info.reason)})",
            highlight=False,
            soft_wrap=True,
        )


@video_commands.command("convert")
def convert_command(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A video, or a folder with all its subfolders.")],
    target: Annotated[
        Path, typer.Argument(metavar="DST", help="A folder; for one video also a name that ends in .avi.")
    ],
    gop: Annotated[int, typer.Option("--gop", "-g", min=1, max=4096, help="Frames a GOP.")] = 12,
    qscale: Annotated[int, typer.Option("--qscale", "-q", min=1, max=31, help="Quantiser, 1 (best) to 31.")] = 2,
    workers: Annotated[
        int | None, typer.Option("--workers", "-j", min=1, help="Videos at a time; the usable cores if not given.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Convert again what is done.")] = False,
    every_file: Annotated[bool, typer.Option("--all", help="Take files of any extension.")] = False,
    json_file: JsonOption = None,
) -> None:
    """Convert videos to the paper's format, which is then read natively: 340x256 MPEG-4, GOP 12, no B-frames, AVI.

    The tree of folders is kept; sound is not. A target appears when it is whole. Run it again to go on: what is done
    is skipped unless its source is newer or was cut off. Videos that fail, or of which frames are missing, are listed
    at the end, and the exit status is 1. Two sources that would get one target keep their extensions (a.mp4.avi,
    a.mkv.avi). Links to folders and out of SRC are not followed.

    Example: [bold]hybrid-cvar video convert UCF-101 UCF-101-paper[/]
    """
    with one_line_errors():
        from hybrid_cvar.atomic_file import check_writable
        from hybrid_cvar.cli.video_reports import conversion_json, print_conversion
        from hybrid_cvar.video.convert import convert_tree

        hear_ctrl_c()
        json_path = json_target(json_file)
        if json_path is not None:
            refuse_overlap([source, target], [json_path])
            check_writable(json_path)
        with _ConversionBar() as bar:
            result = convert_tree(
                source,
                target,
                gop=gop,
                qscale=qscale,
                workers=workers,
                overwrite=overwrite,
                every_file=every_file,
                observer=bar.observer,
            )
        print_conversion(result, stderr if json_file == "-" else Console())
        _put_json(json_file, conversion_json(result, _command()))
        if result.interrupted:
            raise KeyboardInterrupt
    if result.failures or any(video.is_incomplete for video in result.converted):
        raise typer.Exit(1)


class _ConversionBar:
    """A bar of the sources' bytes, so that long videos count for more, with a count of videos beside it."""

    def __init__(self) -> None:
        self._progress: Progress = progress_bar(
            TextColumn("convert {task.fields[videos]}"),
            BarColumn(),
            TextColumn("{task.percentage:.0f} %"),
            TimeRemainingColumn(),
        )
        self._task: TaskID = self._progress.add_task("", total=None, videos="")
        self._done = self._videos = 0

    def __enter__(self) -> "_ConversionBar":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    @property
    def observer(self) -> "ConvertObserver":
        """Callbacks that move the bar."""
        from hybrid_cvar.video.convert import ConvertObserver

        return ConvertObserver(
            on_plan=self._begin,
            on_bytes=lambda done: self._progress.update(self._task, completed=done),
            on_converted=lambda converted: self._count(),
            on_failure=self._fail,
        )

    def _begin(self, videos: int, size_bytes: int, skipped: int) -> None:
        self._videos = videos
        self._progress.update(self._task, total=max(size_bytes, 1), videos=f"0/{videos}")

    def _count(self) -> None:
        self._done += 1
        self._progress.update(self._task, videos=f"{self._done}/{self._videos}")

    def _fail(self, failure: "ConvertFailure") -> None:
        if self._progress.disable:
            return  # the list at the end says it
        self._progress.console.print(f"[red]failed:[/] {escape(str(failure.source))}", highlight=False)
        self._count()


def _put_json(json_file: str | None, text: str) -> None:
    from hybrid_cvar.atomic_file import write_atomically

    path = json_target(json_file)
    if json_file == "-":
        print(text, end="")
    elif path is not None:
        write_atomically(path, text)
        stderr.print(f"wrote {escape(str(path))}", highlight=False)


def _command() -> str:
    return f"hybrid-cvar {shlex.join(sys.argv[1:])}"
