"""`hybrid-cvar model`: sizes, switches and checkpoints of the model."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from hybrid_cvar.cli.console import hear_ctrl_c, one_line_errors, stderr

if TYPE_CHECKING:
    from hybrid_cvar.model import ModelConfig

__all__ = ["model_commands"]

MAX_LABELS_BYTES = 2**22
UCF_CLASSES = 101

model_commands = typer.Typer(
    no_args_is_help=True,
    help="Look at the model's sizes, make a checkpoint of one, export its ANN.",
)

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Change a field of the config, as in depth=4, stm.reset=hard or modalities=iframe,motion; repeatable.",
    ),
]
VariantOption = Annotated[
    str | None,
    typer.Option("--variant", metavar="NAME", help="An ablated model of the paper's Tables 3 and 4; see model list."),
]


@model_commands.command("list")
def list_command() -> None:
    """List the presets with their totals, and the ablated variants by the paper's table.

    Example: [bold]hybrid-cvar model list[/]
    """
    with one_line_errors():
        from hybrid_cvar.energy import load_profile
        from hybrid_cvar.lava_compat import prepare_slayer
        from hybrid_cvar.reporting.model_summary import print_models

        prepare_slayer()
        from hybrid_cvar.model import PRESETS, VARIANTS
        from hybrid_cvar.model.describe import describe_model

        console = Console()
        described = [describe_model(config, UCF_CLASSES) for config in PRESETS.values()]
        print_models(described, load_profile("paper-45nm").mac.picojoules, console)
        for variant in VARIANTS:
            changes = ", ".join(f"{field}={_spelled(value)}" for field, value in variant.changes.items())
            console.print(
                f"--variant [bold]{variant.name}[/]  Table {variant.table}, {escape(variant.row)}: {escape(changes)}",
                highlight=False,
                soft_wrap=True,
            )


@model_commands.command("describe")
def describe_command(
    preset: Annotated[str, typer.Argument(help="tiny, small, base, large, or a checkpoint (.pt).")],
    classes: Annotated[int | None, typer.Option("--classes", min=1, max=100_000, help="101 (UCF-101) if none.")] = None,
    variant: VariantOption = None,
    changes: SetOption = None,
) -> None:
    """Print a model's parts: output shape, parameters, multiply-accumulates, and the totals.

    Nothing is run and no weights are made. `dense ACs` are what the spiking partition would accumulate if every
    input were an event in every step.

    Example: [bold]hybrid-cvar model describe base[/]
    """
    with one_line_errors():
        from hybrid_cvar.energy import load_profile
        from hybrid_cvar.lava_compat import prepare_slayer
        from hybrid_cvar.reporting.model_summary import print_model

        prepare_slayer()
        from hybrid_cvar.model import load_checkpoint
        from hybrid_cvar.model.describe import describe_model

        if Path(preset).suffix == ".pt" or Path(preset).is_file():
            if changes or variant or classes:
                raise typer.BadParameter("--set, --variant and --classes are for presets; a checkpoint has its own")
            checkpoint = load_checkpoint(Path(preset))
            described = describe_model(checkpoint.config, len(checkpoint.labels))
        else:
            config, spelled = _changed_preset(preset, variant, changes)
            described = describe_model(config, classes or UCF_CLASSES, spelled)
        print_model(described, load_profile("paper-45nm").mac.picojoules, Console())


@model_commands.command("init")
def init_command(
    preset: Annotated[str, typer.Argument(help="tiny, small, base or large.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The checkpoint; PRESET.pt if not given.")
    ] = None,
    classes: Annotated[int, typer.Option("--classes", min=1, max=100_000, help="Logits.")] = UCF_CLASSES,
    labels: Annotated[
        Path | None, typer.Option("--labels", metavar="FILE", help="Class names, one a line, instead of --classes.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=2**31, help="Of the weights.")] = 0,
    sample: Annotated[
        Path | None,
        typer.Option("--sample", help="Video on whose clips thresholds are set; the shipped one if not given."),
    ] = None,
    variant: VariantOption = None,
    changes: SetOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a checkpoint that is there.")] = False,
) -> None:
    """Make a checkpoint with seeded, untrained weights, to compile, price or train on.

    Thresholds are set on clips of a real video so that every ConvLIF layer spikes on 10 % of its steps: a guessed
    one can leave a layer silent. Such a model recognises nothing; every report on it says so.

    Example: [bold]hybrid-cvar model init base -o base.pt && hybrid-cvar compile base.pt[/]
    """
    with one_line_errors():
        from hybrid_cvar import assets
        from hybrid_cvar.atomic_file import check_writable
        from hybrid_cvar.errors import OutputError
        from hybrid_cvar.lava_compat import prepare_slayer
        from hybrid_cvar.video import read_clips

        target = output or Path(f"{preset}.pt")
        check_writable(target)
        if target.exists() and not overwrite:
            raise OutputError(f"{target} is there already", "it may be a trained one", "give --overwrite or another -o")
        names = _read_labels(labels) if labels else tuple(f"class {index}" for index in range(classes))
        prepare_slayer()
        from hybrid_cvar.model import save_checkpoint
        from hybrid_cvar.model.initial import initial_checkpoint

        config, _ = _changed_preset(preset, variant, changes)
        hear_ctrl_c()
        clips = read_clips(sample or assets.SAMPLE_VIDEO, config.input, 2).clips
        checkpoint = initial_checkpoint(config, names, seed, clips)
        save_checkpoint(checkpoint, target)
        size = target.stat().st_size / 1e6
        stderr.print(f"wrote {escape(str(target))} ({size:.1f} MB): {checkpoint.notice}", highlight=False)


@model_commands.command("export")
def export_command(
    checkpoint: Annotated[Path, typer.Argument(metavar="CKPT", help="A checkpoint (.pt).")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The ONNX file.")],
    sample: Annotated[
        Path | None, typer.Option("--sample", help="Video whose clips are compared; the shipped one if not given.")
    ] = None,
    clips: Annotated[int, typer.Option("--clips", min=1, max=1000, help="Clips to compare on.")] = 2,
) -> None:
    """Export a checkpoint's ANN partition to one ONNX file, without a bundle.

    A variant whose STM does not stand at the input (or has none) is exported whole, with the events as its inputs.
    The file appears only if ONNX Runtime gives torch's logits to 1e-4 on real clips.

    Example: [bold]hybrid-cvar model export ckpt.pt -o ann.onnx[/]
    """
    with one_line_errors():
        from hybrid_cvar import assets
        from hybrid_cvar.lava_compat import prepare_slayer
        from hybrid_cvar.video import read_clips

        if output.resolve() == checkpoint.resolve():
            raise typer.BadParameter(f"{output} is the checkpoint itself; give the ONNX file a name of its own")
        prepare_slayer()
        from hybrid_cvar.compiler.export_checkpoint import export_checkpoint

        hear_ctrl_c()
        row = export_checkpoint(
            checkpoint,
            output,
            lambda loaded: read_clips(sample or assets.SAMPLE_VIDEO, loaded.config.input, clips).clips,
        )
        stderr.print(
            f"wrote {escape(str(output))} ({output.stat().st_size / 1e6:.1f} MB): {row.compared}, {row.values} logits "
            f"of {clips} clip(s), the largest difference {row.largest_error:.2g} of the largest logit",
            highlight=False,
        )


def _changed_preset(
    preset: str, variant: str | None, changes: list[str] | None
) -> "tuple[ModelConfig, tuple[str, ...]]":
    """The preset with --variant and --set applied, and the changes in words."""
    from hybrid_cvar.model import find_variant, preset_config, variant_config

    preset_config(preset)
    wanted: dict[str, Any] = dict(find_variant(variant).changes) if variant else {}
    wanted |= dict(_parse_change(change) for change in changes or ())
    spelled = tuple(f"{field}={_spelled(value)}" for field, value in wanted.items())
    if wanted:
        wanted = {"name": f"{preset}, {variant}" if variant else f"{preset}, changed"} | wanted
    return variant_config(preset_config(preset), wanted), spelled


def _spelled(value: Any) -> str:
    """As `--set` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parse_change(change: str) -> tuple[str, Any]:
    """`depth=4`, `stm.strides=[1, 1]`, `modalities=iframe,motion`: a TOML value, or words."""
    field, equals, text = (part.strip() for part in change.partition("="))
    if not equals or not field or not text:
        raise typer.BadParameter(f"--set {change}: must be FIELD=VALUE, as in depth=4")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):  # no TOML; or thousands of digits or brackets, which no field takes
        value = text.split(",") if "," in text else text
    is_tuple = field in ("modalities", "stm.channels", "stm.strides")
    if isinstance(value, list):
        value = tuple(value)
    elif is_tuple:
        value = (value,)
    return field, value


def _read_labels(path: Path) -> tuple[str, ...]:
    from hybrid_cvar.errors import ConfigError

    try:
        if path.stat().st_size > MAX_LABELS_BYTES or not path.is_file():
            raise ConfigError(
                f"{path}: no plain file of at most {MAX_LABELS_BYTES} bytes", "labels are a file of names, one a line"
            )
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})", "labels are a UTF-8 file, one name a line") from error
    names = tuple(line for line in lines if line)
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"{path}: {len(names)} names, {len(set(names))} different", "labels must be different names")
    return names
