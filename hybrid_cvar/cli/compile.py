"""`hybrid-cvar compile`: a checkpoint to a bundle."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from hybrid_cvar.cli.console import hear_ctrl_c, one_line_errors, stderr

if TYPE_CHECKING:
    from hybrid_cvar.records import Clip, InputSpec

__all__ = ["compile_command"]


class Precision(StrEnum):
    """What the ANN partition computes in."""

    fp32 = "fp32"
    int8 = "int8"
    bf16 = "bf16"


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
    precision: Annotated[
        Precision,
        typer.Option(
            "--precision", "-p", help="Of the ANN partition. int8 is calibrated; bf16 needs the openvino provider."
        ),
    ] = Precision.fp32,
    calibrate: Annotated[
        list[Path] | None,
        typer.Option(
            "--calibrate",
            metavar="VIDEO",
            help="Video that a reduced precision is calibrated and checked on; may be repeated. --sample if none.",
        ),
    ] = None,
    calibration_clips: Annotated[
        int,
        typer.Option("--calibration-clips", min=2, max=10_000, help="Clips of all --calibrate; half of them to check."),
    ] = 64,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a bundle that is there.")] = False,
    chip: Annotated[
        list[str] | None,
        typer.Option("--chip", help="Chip to count resources on: loihi-1 or loihi-2; may be repeated. Both if none."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail on an alarm or a broken limit of a --chip; no bundle is left.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the integer map and the resources; run and write nothing.")
    ] = False,
) -> None:
    """Compile a checkpoint to a bundle: partition, quantise, export, and verify before the bundle appears.

    First the resources that the spiking partition takes on a chip, from its sizes alone (modelled). What breaks
    a chip's limit is a warning.

    Verification runs the same clips through every form (float, SLAYER quantised, native, Lava; torch, ONNX
    Runtime). A mismatch fails the compile and leaves no bundle. A layer that never spikes, spikes in more than
    half of its steps, saturates, or has many weights at the rails raises an alarm.

    --precision int8 quantises the ANN partition on real clips and compares its answers with FP32's on clips that
    it was not calibrated on, on every CPU provider that is installed: less than 99 % the same fails the compile. Of
    untrained weights it only informs.

    Example: [bold]hybrid-cvar compile ckpt.pt -o ckpt.bundle --precision int8 --calibrate video.mp4[/]
    """
    with one_line_errors():
        from hybrid_cvar import assets
        from hybrid_cvar.compiler.bundle_folder import check_compile_paths
        from hybrid_cvar.lava_compat import prepare_slayer
        from hybrid_cvar.neuromorphic.capacities import chip_names, load_capacities
        from hybrid_cvar.reporting import compile_summary
        from hybrid_cvar.video import probe_video, read_clips

        if calibrate and precision is Precision.fp32:
            raise typer.BadParameter("--calibrate is for --precision int8 or bf16; fp32 needs no calibration")
        source = checkpoint or assets.DEFAULT_CHECKPOINT
        target = output or Path(f"{source.stem}.bundle")
        chips = tuple(dict.fromkeys(chip)) if chip else chip_names()
        for name in chips:
            load_capacities(name)
        if not dry_run:
            check_compile_paths(source, target, overwrite)
            for video in (*([sample] if sample else []), *(calibrate or [])):
                probe_video(video)
        prepare_slayer()
        from hybrid_cvar.compiler.compile import compile_checkpoint, plan_checkpoint

        hear_ctrl_c()
        console = Console()
        if dry_run:
            plan_checkpoint(
                source, strict=strict, chips=chips, on_plan=lambda plan: compile_summary.print_plan(plan, console)
            )
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
            task = progress.add_task("compile")
            result = compile_checkpoint(
                source,
                target,
                lambda loaded: read_clips(sample or assets.SAMPLE_VIDEO, loaded.config.input, clips).clips,
                precision=precision.value,
                take_calibration=lambda loaded: _calibration(
                    calibrate or [sample or assets.SAMPLE_VIDEO], loaded.config.input, calibration_clips
                ),
                overwrite=overwrite,
                strict=strict,
                chips=chips,
                on_stage=lambda stage: progress.update(task, description=f"compile {source.name}: {stage}"),
                on_resources=lambda resources: compile_summary.print_resources(resources, console),
                on_parity=lambda rows: compile_summary.print_parity(rows, console),
                on_agreement=lambda rows: compile_summary.print_agreement(rows, console),
                on_alarms=lambda alarms: compile_summary.print_alarms(alarms, console),
            )
        compile_summary.print_compile_result(result, console)


def _calibration(videos: Sequence[Path], spec: "InputSpec", clips: int) -> "list[Clip]":
    """Clips of all videos, as many of each."""
    from hybrid_cvar.video import read_clips

    each = -(-clips // len(videos))
    return [clip for video in videos for clip in read_clips(video, spec, each).clips][:clips]
