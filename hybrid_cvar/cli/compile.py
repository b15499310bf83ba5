"""`hybrid-cvar compile`: a checkpoint to a bundle."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from hybrid_cvar.cli.console import hear_ctrl_c, one_line_errors, stderr

__all__ = ["compile_command"]


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
    with one_line_errors():
        from hybrid_cvar import assets
        from hybrid_cvar.compiler.bundle_folder import check_compile_paths
        from hybrid_cvar.lava_compat import prepare_slayer
        from hybrid_cvar.reporting import print_compile_result, print_parity
        from hybrid_cvar.video import read_clips

        source = checkpoint or assets.DEFAULT_CHECKPOINT
        target = output or Path(f"{source.stem}.bundle")
        check_compile_paths(source, target, overwrite)
        prepare_slayer()
        from hybrid_cvar.compiler.compile import compile_checkpoint

        hear_ctrl_c()
        console = Console()
        columns = (SpinnerColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
            task = progress.add_task("compile")
            result = compile_checkpoint(
                source,
                target,
                lambda loaded: read_clips(sample or assets.SAMPLE_VIDEO, loaded.config.input, clips).clips,
                overwrite=overwrite,
                on_stage=lambda stage: progress.update(task, description=f"compile {source.name}: {stage}"),
                on_parity=lambda rows: print_parity(rows, console),
            )
        print_compile_result(result, console)
