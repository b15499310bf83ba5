"""A recipe: all that a training run needs, read from a TOML file.

    [model]          preset, variant or changes, and the checkpoint to start from
    [data]           where the videos lie, which split, what is held out
    [data.puppets]   how they are drawn, where they are not there yet
    [augmentation]   scale jitter, flip, segments
    [optimiser]      Adam and its settings
    [schedule]       epochs, batch, learning rate over time, early stop

Every field has a default, and an unknown one is an error.
"""

import dataclasses
import tomllib
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from hybrid_cvar.data.views import TSN_SCALES
from hybrid_cvar.errors import ConfigError

__all__ = [
    "AugmentationRecipe",
    "DataRecipe",
    "ModelRecipe",
    "OptimiserRecipe",
    "PuppetRecipe",
    "Recipe",
    "ScheduleRecipe",
    "adjusted_recipe",
    "load_recipe",
]

OPTIMISERS = ("adam", "adamw", "sgd")
DECAYS = ("cosine", "steps", "constant")
MAX_RECIPE_BYTES = 2**20


@dataclass(frozen=True)
class ModelRecipe:
    """What is trained.

    Attributes:
        preset: of `hybrid-cvar model list`.
        variant: an ablated model of the same list; empty for the full one.
        changes: config fields that differ, `{"stm.channels" = [8, 8]}`.
        weights: checkpoint to start from, relative to the recipe; its classifier is left out where the classes
            differ. Empty for new weights with calibrated thresholds.
        spike_rate: share of steps a neuron spikes that new thresholds are set to, 0 to 1.
    """

    preset: str = "tiny"
    variant: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    spike_rate: float = 0.1

    def __post_init__(self) -> None:
        _between("model.spike_rate", self.spike_rate, 0.001, 0.9)


@dataclass(frozen=True)
class PuppetRecipe:
    """How `hybrid-cvar data puppet` draws the videos.

    Attributes:
        videos, test_videos: how many of each.
        seed: of everything drawn.
    """

    videos: int = 2400
    test_videos: int = 640
    seed: int = 0

    def __post_init__(self) -> None:
        _between("data.puppets.videos", self.videos, 1, 10_000_000)
        _between("data.puppets.test_videos", self.test_videos, 1, 10_000_000)
        _between("data.puppets.seed", self.seed, 0, 2**31)


@dataclass(frozen=True)
class DataRecipe:
    """Where the videos lie and how they are split.

    Attributes:
        root: the dataset's folder, relative to the working folder.
        kind: of dataset, or `auto`; see `hybrid_cvar.data.open_dataset`.
        split: official split, from 1.
        validation_share: of the training videos, held out for choosing the best epoch; whole groups where the
            names tell them (UCF-101's gNN). 0 for none: the last epoch's weights are kept.
        clips: of a validation or test video, uniformly spread (8 in the paper).
        most_gops: kept of a video in the cache.
        puppets: draws the dataset where `root` is not there; None for real ones.
    """

    root: str = "data"
    kind: str = "auto"
    split: int = 1
    validation_share: float = 0.1
    clips: int = 8
    most_gops: int = 32
    puppets: PuppetRecipe | None = None

    def __post_init__(self) -> None:
        if not self.root:
            raise ConfigError("data.root is empty", "must name the dataset's folder")
        _between("data.split", self.split, 1, 99)
        _between("data.validation_share", self.validation_share, 0.0, 0.5)
        _between("data.clips", self.clips, 1, 1000)
        _between("data.most_gops", self.most_gops, 1, 100_000)


@dataclass(frozen=True)
class AugmentationRecipe:
    """How training clips differ from one epoch to the next (paper Sec. 4.1, after TSN).

    Attributes:
        scales: sides of the jittered crop, shares of the frame's shorter side.
        flip: mirror half of the videos; labels that name left or right are swapped with them.
        segments: clips of a video in a step, one from each of as many equal parts; their logits are averaged.
    """

    scales: tuple[float, ...] = TSN_SCALES
    flip: bool = True
    segments: int = 1

    def __post_init__(self) -> None:
        if not self.scales or not all(0.2 <= scale <= 1 for scale in self.scales):
            raise ConfigError(f"augmentation.scales = {list(self.scales)}", "must be numbers from 0.2 to 1")
        _between("augmentation.segments", self.segments, 1, 64)


@dataclass(frozen=True)
class OptimiserRecipe:
    """The optimiser.

    Attributes:
        kind: `adam` (weight decay in the gradient, as the paper's), `adamw` or `sgd` (momentum 0.9).
        learning_rate: the largest.
        eps: of Adam.
        weight_decay: of the ANN partition's weights.
        spiking_weight_decay: of the spiking partition: decay would pull weights into the quantiser's zero.
        clip_norm: gradients' norm, at most; 0 for no clipping.
        label_smoothing: share of the target spread over all classes.
    """

    kind: str = "adam"
    learning_rate: float = 0.02
    eps: float = 1e-3
    weight_decay: float = 1e-4
    spiking_weight_decay: float = 0.0
    clip_norm: float = 1.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _one_of("optimiser.kind", self.kind, OPTIMISERS)
        _between("optimiser.learning_rate", self.learning_rate, 1e-9, 100.0)
        _between("optimiser.eps", self.eps, 1e-12, 1.0)
        _between("optimiser.weight_decay", self.weight_decay, 0.0, 10.0)
        _between("optimiser.spiking_weight_decay", self.spiking_weight_decay, 0.0, 10.0)
        _between("optimiser.clip_norm", self.clip_norm, 0.0, 1e9)
        _between("optimiser.label_smoothing", self.label_smoothing, 0.0, 0.9)


@dataclass(frozen=True)
class ScheduleRecipe:
    """How long, and the learning rate over time.

    Attributes:
        epochs: passes over the training videos.
        batch: videos a step, over all devices.
        warm_up_steps: of a learning rate that rises in a straight line.
        decay: `cosine` to zero, `steps` (by `factor` at each milestone) or `constant`.
        milestones: epochs of `steps`.
        factor: of `steps`.
        validate_every: epochs between two validations; the last epoch always is.
        patience: validations without a better one that end the run; 0 for never.
    """

    epochs: int = 300
    batch: int = 16
    warm_up_steps: int = 0
    decay: str = "cosine"
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    validate_every: int = 1
    patience: int = 0

    def __post_init__(self) -> None:
        _between("schedule.epochs", self.epochs, 1, 100_000)
        _between("schedule.batch", self.batch, 1, 65_536)
        _between("schedule.warm_up_steps", self.warm_up_steps, 0, 10_000_000)
        _one_of("schedule.decay", self.decay, DECAYS)
        _between("schedule.factor", self.factor, 1e-6, 1.0)
        _between("schedule.validate_every", self.validate_every, 1, 100_000)
        _between("schedule.patience", self.patience, 0, 100_000)
        if (self.decay == "steps") != bool(self.milestones):
            raise ConfigError(
                f"schedule.decay = {self.decay!r}, schedule.milestones = {list(self.milestones)}",
                "decay by steps needs milestones, and nothing else has them",
            )


@dataclass(frozen=True)
class Recipe:
    """A training run, all of it.

    Attributes:
        name: of the run and of its folder.
        seed: of weights, order and augmentation.
        model, data, augmentation, optimiser, schedule: its parts.
        folder: of the recipe's file; paths in it start there.
    """

    name: str
    seed: int = 0
    model: ModelRecipe = field(default_factory=ModelRecipe)
    data: DataRecipe = field(default_factory=DataRecipe)
    augmentation: AugmentationRecipe = field(default_factory=AugmentationRecipe)
    optimiser: OptimiserRecipe = field(default_factory=OptimiserRecipe)
    schedule: ScheduleRecipe = field(default_factory=ScheduleRecipe)
    folder: Path = Path()

    def __post_init__(self) -> None:
        _between("seed", self.seed, 0, 2**31)


def load_recipe(path: Path) -> Recipe:
    """Reads a recipe; its folder's name is the default of `name`.

    Raises:
        ConfigError: it cannot be read, a field is unknown, or a value is not allowed.
    """
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise ConfigError(f"{path}: {path.stat().st_size} bytes", f"a recipe has at most {MAX_RECIPE_BYTES}")
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path}: {' '.join(str(error).split())}", "a recipe is a TOML file", "see models/*/recipe.toml"
        ) from error
    if "folder" in content:
        raise ConfigError(f"{path}: folder is unknown", "it is where the recipe lies")
    content.setdefault("name", path.resolve().parent.name)
    try:
        recipe: Recipe = _build(Recipe, content, "")
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.found}", error.rule, error.remedy) from error
    return dataclasses.replace(recipe, folder=path.resolve().parent)


def adjusted_recipe(
    recipe: Recipe, *, epochs: int | None = None, seed: int | None = None, variant: str | None = None
) -> Recipe:
    """The recipe with what is given in the place of its own; a variant goes into its name.

    Raises:
        ConfigError: a value is not allowed.
    """
    if epochs is not None:
        recipe = dataclasses.replace(recipe, schedule=dataclasses.replace(recipe.schedule, epochs=epochs))
    if seed is not None:
        recipe = dataclasses.replace(recipe, seed=seed)
    if variant is None:
        return recipe
    model = dataclasses.replace(recipe.model, variant=variant)
    return dataclasses.replace(recipe, name=f"{recipe.name}-{variant}", model=model)


def _build(kind: Any, table: Any, where: str) -> Any:
    """A dataclass from a TOML table, every value of its field's type."""
    if not isinstance(table, dict):
        raise ConfigError(f"{where} = {table!r}", "must be a table")
    hints = get_type_hints(kind)
    unknown = sorted(set(table) - set(hints))
    if unknown:
        path = f"{where}.{unknown[0]}" if where else unknown[0]
        raise ConfigError(f"field {path} is unknown", f"known here: {', '.join(sorted(set(hints) - {'folder'}))}")
    return kind(
        **{name: _convert(hints[name], value, f"{where}.{name}" if where else name) for name, value in table.items()}
    )


def _convert(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(each for each in get_args(hint) if each is not type(None))
    if dataclasses.is_dataclass(hint):
        return _build(hint, value, where)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where} = {value!r}", "must be a list")
        return tuple(_convert(get_args(hint)[0], each, where) for each in value)
    if get_origin(hint) is Mapping:
        if not isinstance(value, dict):
            raise ConfigError(f"{where} = {value!r}", "must be a table")
        return {name: tuple(each) if isinstance(each, list) else each for name, each in value.items()}
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        raise ConfigError(f"{where} = {value!r}", f"must be of type {hint.__name__}")
    return value


def _between(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ConfigError(f"{name} = {value:g}", f"must be from {least:g} to {most:g}")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{name} = {value!r}", f"must be one of {', '.join(known)}")
