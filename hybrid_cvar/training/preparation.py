"""Before the first epoch: devices, decoded videos, and which of them are held out."""

import time
from dataclasses import dataclass
from datetime import timedelta

from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException

from hybrid_cvar.data.fill_cache import fill_cache
from hybrid_cvar.data.gop_cache import CachedVideo, GopCache
from hybrid_cvar.data.hold_out import hold_out
from hybrid_cvar.errors import ConfigError, TrainingError
from hybrid_cvar.records import MissingVideo, VideoDataset
from hybrid_cvar.training.new_model import model_config
from hybrid_cvar.training.options import HALF, TrainObserver, TrainOptions
from hybrid_cvar.training.recipe import Recipe
from hybrid_cvar.video.background import usable_cores

__all__ = ["Material", "gather_material", "start_devices"]


def start_devices(options: TrainOptions) -> Fabric:
    """The devices that a run has, started.

    Raises:
        ConfigError: the machine does not have them, or they do not compute in the precision.
    """
    # While the first device decodes a dataset the others wait, for days if need be.
    strategy = DDPStrategy(timeout=timedelta(days=30)) if options.devices > 1 else "auto"
    try:
        fabric = Fabric(
            accelerator=options.accelerator,
            devices=options.devices,
            strategy=strategy,
            precision=options.precision,  # type: ignore[arg-type]
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"accelerator = {options.accelerator}, devices = {options.devices}: {' '.join(str(error).split())}",
            "the machine must have them",
            "give --accelerator cpu or fewer --devices",
        ) from error
    if options.precision == HALF and fabric.device.type == "cpu":
        raise ConfigError("precision = 16-mixed on a CPU", "float16 is for GPUs", "give --precision bf16-mixed")
    fabric.launch()
    return fabric


@dataclass(frozen=True)
class Material:
    """A run's videos.

    Attributes:
        cache: holds them.
        training, validation: those that can be read.
        missing: those that cannot, or are not there.
        seconds: wall clock of decoding.
    """

    cache: GopCache
    training: tuple[CachedVideo, ...]
    validation: tuple[CachedVideo, ...]
    missing: tuple[MissingVideo, ...]
    seconds: float


def gather_material(
    fabric: Fabric, recipe: Recipe, dataset: VideoDataset, options: TrainOptions, watch: TrainObserver
) -> Material:
    """Decodes what is not in the cache yet, and holds validation videos out.

    Raises:
        TrainingError: no usable video is left to train on, or a process that decodes died.
        OutputError: the cache cannot be written.
    """
    started = time.perf_counter()
    spec = model_config(recipe.model).input
    cache = GopCache(options.cache, spec, recipe.data.most_gops)
    watch.on_cache(len(dataset.videos))
    if fabric.is_global_zero:
        fill_cache(cache, dataset.videos, usable_cores(), watch.on_cached)
    fabric.barrier()
    usable, broken = fill_cache(cache, dataset.videos, 1)
    held = {video.name for video in hold_out(dataset, recipe.data.validation_share, recipe.seed)[1].videos}
    training = tuple(each for each in usable if each.video.name not in held)
    if not training:
        raise TrainingError(
            f"{len(usable)} usable training videos, {len(broken) + len(dataset.missing)} missing or broken",
            "at least one that is not held out is needed",
            "check the dataset: hybrid-cvar data check ROOT --probe",
        )
    validation = tuple(each for each in usable if each.video.name in held)
    return Material(cache, training, validation, (*dataset.missing, *broken), time.perf_counter() - started)
