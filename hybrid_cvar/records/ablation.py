"""The full model and its ablated variants, trained under one budget and measured on one list of videos."""

from dataclasses import dataclass

from hybrid_cvar.errors import ConfigError

__all__ = ["FULL_MODEL", "Ablation", "AblationMeasurement", "AblationResult", "PairDirection"]

FULL_MODEL = "full"
"""The name of the model that the variants of an ablation are compared with."""
STATES = ("measured", "failed", "not run")


@dataclass(frozen=True)
class PairDirection:
    """How well two classes, of which each is the other with time reversed, are told from each other.

    Attributes:
        first, second: class names.
        videos: of both, at least 1.
        direction: share of them whose own class has a larger logit than its reverse, 0 to 1; equal logits count half.
            Chance is 0.5.
    """

    first: str
    second: str
    videos: int
    direction: float


@dataclass(frozen=True)
class AblationMeasurement:
    """One trained model on the test videos (measured; parameters and operations are counts).

    Attributes:
        test_videos: that gave an answer.
        missing_videos: that the list names and that gave none.
        top1, top5: share of the test videos whose class is the first, or among the first five, 0 to 1.
        pairs: time-reversed pairs of classes; empty where the dataset has none.
        parameters: learned and fixed ones.
        macs: multiply-accumulates of the ANN partition a clip.
        dense_accumulates: of the spiking partition a clip, if every input were an event in every step.
        train_videos, validation_videos: that the model was trained on, and that chose the epoch.
        epochs: that were trained.
        best_epoch: whose weights were measured.
        steps: optimiser steps.
        batch: videos a step.
        training_seconds: wall clock over all sessions of the run, decoding not counted.
        test_seconds: wall clock of the measurement.
        machine: CPU, cores and operating system.
        device: `1 x cpu`, or the GPU's name, and how many.
        precision: of the float arithmetic.
        checkpoint_sha256: of the weights.
    """

    test_videos: int
    missing_videos: int
    top1: float
    top5: float
    pairs: tuple[PairDirection, ...]
    parameters: int
    macs: int
    dense_accumulates: int
    train_videos: int
    validation_videos: int
    epochs: int
    best_epoch: int
    steps: int
    batch: int
    training_seconds: float
    test_seconds: float
    machine: str
    device: str
    precision: str
    checkpoint_sha256: str

    @property
    def pair_videos(self) -> int:
        """Of all time-reversed pairs."""
        return sum(pair.videos for pair in self.pairs)

    @property
    def direction(self) -> float | None:
        """Over the videos of all pairs, 0 to 1; None where there are none."""
        right = sum(pair.videos * pair.direction for pair in self.pairs)
        return right / self.pair_videos if self.pairs else None


@dataclass(frozen=True)
class AblationResult:
    """One model with one seed.

    Attributes:
        variant: its name; `FULL_MODEL` for the full model.
        table: the paper's table that has it; empty for the full model, which every table has.
        row: the paper's words for it.
        in_paper: False for a control that the paper has no row for.
        paper_top1, paper_top5: of the paper on UCF-101, per cent as printed; None where there is none to be read.
        seed: of weights, order, augmentation and held-out videos.
        state: `measured`, `failed` or `not run`.
        reason: why it failed; else empty.
        measurement: what was found; None unless measured.
    """

    variant: str
    table: str
    row: str
    in_paper: bool
    paper_top1: float | None
    paper_top5: float | None
    seed: int
    state: str
    reason: str
    measurement: AblationMeasurement | None

    def __post_init__(self) -> None:
        if self.state not in STATES or (self.state == "measured") != (self.measurement is not None):
            raise ConfigError(
                f"state {self.state!r} of {self.variant}, {'no' if self.measurement is None else 'a'} measurement",
                f"must be one of {', '.join(STATES)}, and `measured` alone has a measurement",
            )


@dataclass(frozen=True)
class Ablation:
    """A comparison of models under one budget.

    Attributes:
        recipe: its name.
        preset: of the full model.
        tables: the paper's tables, (number, caption).
        seeds: that every model is trained with.
        epochs: of the recipe; a run may stop earlier.
        batch: videos a step, of the recipe.
        clips: of a test video; fewer where it has fewer GOPs.
        dataset: kind of dataset.
        is_drawn: True if its videos are drawn puppets.
        subset: that the models are measured on.
        split: official split.
        classes: how many.
        train_videos, test_videos: that the lists give.
        results: one a model and seed; the full model's first.
    """

    recipe: str
    preset: str
    tables: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    epochs: int
    batch: int
    clips: int
    dataset: str
    is_drawn: bool
    subset: str
    split: int
    classes: int
    train_videos: int
    test_videos: int
    results: tuple[AblationResult, ...]
