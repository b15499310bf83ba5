"""Options and helpers that the training commands share."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hybrid_cvar.records import VideoDataset
    from hybrid_cvar.training import Recipe

__all__ = [
    "DEFAULT_CACHE",
    "Accelerator",
    "AcceleratorOption",
    "CacheOption",
    "DataOption",
    "DevicesOption",
    "Precision",
    "PrecisionOption",
    "WorkersOption",
    "is_first_process",
    "open_training_videos",
]

DEFAULT_CACHE = Path("runs/gops")


class Accelerator(StrEnum):
    """Where the model is trained."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(StrEnum):
    """Float arithmetic of the ANN partition; the spiking one is always exact."""

    full = "32-true"
    bf16 = "bf16-mixed"
    fp16 = "16-mixed"


DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="The dataset's folder, instead of the recipe's.")
]
CacheOption = Annotated[
    Path,
    typer.Option("--cache", metavar="DIR", help="Decoded GOPs, for all runs; 0.4 MB each at 112x112, 0.9 at 224x224."),
]
AcceleratorOption = Annotated[Accelerator, typer.Option("--accelerator", help="auto takes a GPU where torch sees one.")]
DevicesOption = Annotated[
    int, typer.Option("--devices", min=1, max=1024, help="GPUs (or CPU processes) that share each batch.")
]
PrecisionOption = Annotated[
    Precision,
    typer.Option("--precision", help="32-true, bf16-mixed or 16-mixed; the spiking partition stays exact."),
]
WorkersOption = Annotated[
    int, typer.Option("--workers", "-w", min=0, max=256, help="Processes that read clips ahead, a device.")
]


def open_training_videos(recipe: "Recipe", data: Path | None, *, draw: bool) -> "VideoDataset":
    """The recipe's training videos; those of a puppet recipe are drawn first if their folder is not there.

    Args:
        recipe: says where they lie and, for puppets, how many there are.
        data: a folder that is taken as it is, whatever the recipe says of puppets; drawn like the recipe's if empty.
        draw: whether this process draws.

    Raises:
        ConfigError: the puppets that lie there are not those of the recipe, or several processes would have to wait for
            one that draws.
        DatasetError: the dataset cannot be read.
    """
    from hybrid_cvar.data import open_dataset
    from hybrid_cvar.errors import ConfigError

    root = data or Path(recipe.data.root)
    wanted = recipe.data.puppets
    if wanted is not None and _is_undrawn(root):
        if "TORCHELASTIC_RUN_ID" in os.environ:
            raise ConfigError(
                f"{root}: no puppets are there",
                "torchrun starts all processes at once, so none can draw before the others read",
                f"draw them first: hybrid-cvar data puppet --out {root} --videos {wanted.videos} "
                f"--test-videos {wanted.test_videos} --seed {wanted.seed}",
            )
        if draw:
            from hybrid_cvar.cli.data_puppet import draw_puppets_with_bar

            draw_puppets_with_bar(root, wanted.videos, wanted.test_videos, wanted.seed)
    elif wanted is not None and data is None:
        from hybrid_cvar.puppets.video_set import check_set

        check_set(root, videos=wanted.videos, test_videos=wanted.test_videos, seed=wanted.seed)
    return open_dataset(root, "train", kind=recipe.data.kind, split=recipe.data.split)


def _is_undrawn(root: Path) -> bool:
    """Nothing is there, or a set whose drawing was cut off: its lists come last."""
    from hybrid_cvar.puppets.video_set import LISTS, SETTINGS

    return not root.exists() or ((root / SETTINGS).exists() and len(list((root / LISTS).glob("*.txt"))) < 3)


def is_first_process() -> bool:
    """False in the processes that torchrun or Fabric starts for further devices."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0
