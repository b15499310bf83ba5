"""`hybrid-cvar picture`: what a compressed video shows, and what a model looks at."""

import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from hybrid_cvar.cli.console import hear_ctrl_c, one_line_errors, stderr
from hybrid_cvar.cli.options import JsonOption, json_target, refuse_overlap

if TYPE_CHECKING:
    from hybrid_cvar.pictures import FramePoints, Trajectories, VideoSaliency

__all__ = ["picture_commands"]

USUAL_ACTION = "JumpingJack"
PUPPET_SEEDS = (0, 1)
PUPPET_FRAMES = 96

picture_commands = typer.Typer(
    no_args_is_help=True,
    help="Draw the paper's Fig. 1 and Fig. 5: videos in t-SNE space, and where a model looks.",
)


@picture_commands.command("tsne")
def tsne_command(
    videos: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[VIDEO...]", help="Two or more of the same action; two drawn puppets if none.", show_default=False
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The PNG picture.")] = Path("tsne.png"),
    json_file: JsonOption = None,
    perplexity: Annotated[
        float | None,
        typer.Option("--perplexity", help="Of t-SNE; 30, or less for few frames, if not given.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of t-SNE.")] = 0,
    frames: Annotated[int, typer.Option("--frames", min=24, max=3000, help="At most so many of each video.")] = 300,
    puppets: Annotated[
        str | None,
        typer.Option(
            "--puppets",
            metavar="ACTION",
            help=f"With no VIDEO: what two puppets are drawn doing; {USUAL_ACTION} if not given.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Draw videos as curves in t-SNE space: of decoded frames, of accumulated motion, of accumulated residual.

    Every frame is a point, and a curve joins a video's frames in time. Below each panel stand the numbers: how many of
    a frame's 10 nearest neighbours are of another video, and how many frames meet the same video on its way back.

    Overlap alone does not show a shared action: accumulated motion and residual begin near 0 in every GOP, whatever
    moves. Draw videos of different actions too, and compare.

    Example: [bold]hybrid-cvar picture tsne -o tsne.png[/]

    Example: [bold]hybrid-cvar picture tsne jack1.avi jack2.avi -o tsne.png --json tsne.json[/]
    """
    with one_line_errors():
        from hybrid_cvar.atomic_file import check_writable, write_atomically
        from hybrid_cvar.pictures import (
            draw_trajectories,
            embed_trajectories,
            read_frame_points,
            render_trajectories,
        )
        from hybrid_cvar.reporting.pictures import check_picture
        from hybrid_cvar.reporting.units import shown

        hear_ctrl_c()
        if videos and puppets:
            raise typer.BadParameter(f"--puppets {puppets} is for when no VIDEO is given; leave one of them out")
        if videos and len(videos) == 1:
            raise typer.BadParameter(f"{videos[0]} alone; give two or more videos of the same action, or none")
        json_path = json_target(json_file)
        refuse_overlap(videos or [], [output, *([json_path] if json_path else [])])
        check_picture(output)
        if json_path is not None:
            check_writable(json_path)
        if videos:
            points = [read_frame_points(video, name=shown(video.name), most_frames=frames) for video in videos]
        else:
            points = _puppet_points(puppets or USUAL_ACTION, frames)
        result = embed_trajectories(points, perplexity=perplexity, seed=seed)
        _save(draw_trajectories, result, output)
        _print_trajectories(result, stderr if json_file == "-" else Console())
        text = render_trajectories(result, command=_command())
        if json_file == "-":
            print(text, end="")
        if json_path is not None:
            write_atomically(json_path, text)
        _print_written(output, json_path)


@picture_commands.command("saliency")
def saliency_command(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="The video.")],
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            "-c",
            metavar="CKPT",
            help="A checkpoint (.pt); the shipped one if not given.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The PNG picture.")] = Path(
        "saliency.png"
    ),
    json_file: JsonOption = None,
    label: Annotated[
        str | None,
        typer.Option("--label", "-l", metavar="NAME", help="The class; the answer if not given.", show_default=False),
    ] = None,
    clips: Annotated[int, typer.Option("--clips", "-n", min=1, max=3, help="Clips, spread evenly.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Of SmoothGrad's noise.")] = 0,
) -> None:
    """Draw which pixels of I-frame, motion and residual the logit of a class depends on.

    Each map is |gradient x input|, through the surrogate gradients of the spiking partition, over the I-frame in grey.
    Below it stands its share on moving pixels, beside the input's own share and that of the area.

    Example: [bold]hybrid-cvar picture saliency video.mp4 -c ckpt.pt --clips 2 -o saliency.png[/]
    """
    with one_line_errors():
        from hybrid_cvar import assets
        from hybrid_cvar.atomic_file import check_writable, write_atomically
        from hybrid_cvar.lava_compat import prepare_slayer
        from hybrid_cvar.pictures import draw_saliency, find_saliency, render_saliency
        from hybrid_cvar.reporting.pictures import check_picture
        from hybrid_cvar.reporting.units import shown

        path = checkpoint or assets.DEFAULT_CHECKPOINT
        json_path = json_target(json_file)
        refuse_overlap([video, path], [output, *([json_path] if json_path else [])])
        check_picture(output)
        if json_path is not None:
            check_writable(json_path)
        prepare_slayer()
        from hybrid_cvar.model import load_checkpoint

        hear_ctrl_c()
        result = find_saliency(
            load_checkpoint(path), video, label=label, clips=clips, name=shown(video.name), seed=seed
        )
        _save(draw_saliency, result, output)
        _print_saliency(result, stderr if json_file == "-" else Console())
        text = render_saliency(result, command=_command())
        if json_file == "-":
            print(text, end="")
        if json_path is not None:
            write_atomically(json_path, text)
        _print_written(output, json_path)


def _puppet_points(action: str, most_frames: int) -> "list[FramePoints]":
    """Two puppets, drawn, encoded as MPEG-4 and read again."""
    from hybrid_cvar.pictures import read_frame_points
    from hybrid_cvar.puppets import draw_puppet
    from hybrid_cvar.video.encoding import encode_video

    points = []
    with tempfile.TemporaryDirectory(prefix="hybrid-cvar-") as folder:
        for seed in PUPPET_SEEDS:
            video = Path(folder) / f"{seed}.avi"
            encode_video(draw_puppet(action, seed, PUPPET_FRAMES), video)
            points.append(read_frame_points(video, name=f"{action}, puppet {seed}", most_frames=most_frames))
    return points


def _save(draw: Any, result: "Trajectories | VideoSaliency", output: Path) -> None:
    from hybrid_cvar.reporting.pictures import new_figure, save_figure

    figure = new_figure(1, 1)
    draw(result, figure)
    save_figure(figure, output)


def _print_trajectories(result: "Trajectories", console: Console) -> None:
    for space in result.spaces:
        ways = "nothing moves" if space.retrace is None else f"opposite ways {100 * space.retrace:.1f} %"
        console.print(
            f"{space.representation:9} overlap {100 * space.overlap_features:.1f} %, as drawn "
            f"{100 * space.overlap_embedding:.1f} %, by chance {100 * space.chance:.1f} %; {ways}",
            highlight=False,
            soft_wrap=True,
        )


def _print_saliency(result: "VideoSaliency", console: Console) -> None:
    from hybrid_cvar.reporting.units import shown

    console.print(
        f"{escape(shown(result.label))}: probability {100 * result.probability:.1f} %; "
        f"the answer is {escape(shown(result.answer))}",
        highlight=False,
        soft_wrap=True,
    )
    for number, clip in enumerate(result.clips, 1):
        for found in clip.maps:
            if found.moving_share is None or found.input_share is None:
                share = "no gradient reaches it, or it is empty"
            else:
                share = (
                    f"{100 * found.moving_share:.1f} % on moving pixels (of the input {100 * found.input_share:.1f} %, "
                    f"of the area {100 * clip.moving_area:.1f} %)"
                )
            console.print(f"clip {number} {found.modality:8} {share}", highlight=False, soft_wrap=True)


def _command() -> str:
    return f"hybrid-cvar {shlex.join(sys.argv[1:])}"


def _print_written(output: Path, json_path: Path | None) -> None:
    written = [output, *([json_path] if json_path else [])]
    stderr.print(f"wrote {escape(', '.join(map(str, written)))}", highlight=False, soft_wrap=True)
