"""`hybrid-cvar data puppet`: a training set of drawn figures, for those who have no dataset at hand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from hybrid_cvar.cli.console import hear_ctrl_c, one_line_errors, progress_bar

if TYPE_CHECKING:
    from hybrid_cvar.puppets import PuppetOptions, PuppetSummary

__all__ = ["draw_puppets_with_bar", "puppet_command"]


def puppet_command(
    output: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The set's folder.")],
    videos: Annotated[
        int, typer.Option("--videos", "-n", min=16, help="For training, all 16 actions together.")
    ] = 1600,
    test_videos: Annotated[
        int | None, typer.Option("--test-videos", min=0, help="For testing; a quarter of --videos if not given.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", "-s", min=0, help="Fixes every video.")] = 0,
    frames: Annotated[int, typer.Option("--frames", min=12, max=1200, help="Of a video, 25 a second, GOP 12.")] = 96,
    workers: Annotated[
        int | None, typer.Option("--workers", "-j", min=1, help="Videos at a time; the usable cores if not given.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make all of it again, and replace a set with other settings.")
    ] = False,
) -> None:
    """Draw a set of videos in which figures do 16 actions, and lay it out as UCF-101 is.

    Four pairs of actions are each other's reverse (sit down and stand up, ...), so that only motion tells them apart.
    The videos are 340x256, MPEG-4 Part 2 in AVI, GOP 12, no B-frames. Training and test sets share no person and no
    background. The same seed gives the same bytes. Run it again to go on, or with more --videos to add some.

    Example: [bold]hybrid-cvar data puppet --out puppets --videos 1600[/]
    """
    with one_line_errors():
        from hybrid_cvar.puppets import PuppetOptions

        hear_ctrl_c()
        options = PuppetOptions(output, videos, test_videos, seed, frames, workers, overwrite)
        summary = _make_with_bar(options)
        Console().print(
            f"{escape(str(summary.folder))}: {summary.train_videos} videos for training, {summary.test_videos} for "
            f"testing, {summary.size_bytes / 1e6:.1f} MB ({summary.made} made, {summary.kept} kept)",
            highlight=False,
            soft_wrap=True,
        )


def draw_puppets_with_bar(folder: Path, videos: int, test_videos: int | None, seed: int) -> "PuppetSummary":
    """A set with the usual settings, with a bar on stderr; what is there already is kept.

    Raises:
        HybridCvarError: as `make_puppets`.
    """
    from hybrid_cvar.puppets import PuppetOptions

    return _make_with_bar(PuppetOptions(folder, videos, test_videos, seed))


def _make_with_bar(options: "PuppetOptions") -> "PuppetSummary":
    from hybrid_cvar.puppets import make_puppets

    columns = (TextColumn("draw"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress_bar(*columns) as progress:
        task = progress.add_task("", total=None)
        return make_puppets(options, lambda done, of: progress.update(task, completed=done, total=of))
