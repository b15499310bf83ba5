"""What a training run and an evaluation found (measured)."""

from dataclasses import dataclass

__all__ = ["ClassScore", "EpochRow", "Evaluation", "Scores", "TrainingRun", "VideoAnswer"]


@dataclass(frozen=True)
class EpochRow:
    """One epoch of a training run.

    Attributes:
        epoch: from 1.
        steps: optimiser steps done since the run began.
        train_loss: mean cross-entropy of the epoch's batches, nats.
        train_top1: share of its (augmented) training videos that were right, 0 to 1.
        validation_top1: share of the held-out validation videos that are right, 0 to 1; None where not measured.
        learning_rate: at the epoch's end.
        spike_rates: (layer, spikes a neuron and step) at the epoch's end, on the last batch.
        seconds: wall clock, validation included.
    """

    epoch: int
    steps: int
    train_loss: float
    train_top1: float
    validation_top1: float | None
    learning_rate: float
    spike_rates: tuple[tuple[str, float], ...]
    seconds: float


@dataclass(frozen=True)
class TrainingRun:
    """A finished training run.

    Attributes:
        recipe: its name.
        model: name of the model config.
        parameters: how many are trained.
        dataset: `VideoDataset.name`.
        labels: class names.
        train_videos, validation_videos: how many were used.
        missing_videos: that the lists name and that could not be used.
        seed: of weights, order and augmentation.
        batch: videos a step.
        segments: clips of a video in a step.
        epochs: one row each.
        best_epoch: whose weights were kept.
        ended: `finished` or `stopped early`, with the reason.
        seconds: wall clock over all sessions of the run, decoding into the cache not counted.
        cache_seconds: wall clock of decoding.
        machine: CPU, cores and operating system.
        device: `cpu`, or the GPU's name, and how many.
        precision: of the float arithmetic.
        checkpoint_sha256: of the checkpoint that was kept.
    """

    recipe: str
    model: str
    parameters: int
    dataset: str
    labels: tuple[str, ...]
    train_videos: int
    validation_videos: int
    missing_videos: int
    seed: int
    batch: int
    segments: int
    epochs: tuple[EpochRow, ...]
    best_epoch: int
    ended: str
    seconds: float
    cache_seconds: float
    machine: str
    device: str
    precision: str
    checkpoint_sha256: str


@dataclass(frozen=True)
class ClassScore:
    """One class.

    Attributes:
        label: its name.
        videos: of this class.
        top1: share of them that are right, 0 to 1; None where there are none.
    """

    label: str
    videos: int
    top1: float | None


@dataclass(frozen=True)
class Scores:
    """How well videos were recognised.

    Attributes:
        videos: how many.
        top1, top5: share whose class is the first, or among the first five, 0 to 1.
        classes: one row a class, in the order of the labels.
        confusion: how many videos of class `row` were answered `column`, (C, C).
    """

    videos: int
    top1: float
    top5: float
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class VideoAnswer:
    """What the model said of one video.

    Attributes:
        name: as in `LabelledVideo`.
        label: position of its class.
        answer: position of the class with the largest mean logit.
        top5: positions of the five largest, best first.
        clips: that were averaged.
        energy_joules: modelled; None where it was not priced.
        seconds: wall clock, reading included (measured).
    """

    name: str
    label: int
    answer: int
    top5: tuple[int, ...]
    clips: int
    energy_joules: float | None
    seconds: float


@dataclass(frozen=True)
class Evaluation:
    """A model's answers on the videos of a dataset.

    Attributes:
        model: its name.
        source: `bundle` or `checkpoint`.
        sha256: of the bundle's manifest or of the checkpoint.
        engine: `native`, `lava`, `torch` (quantised forward) or `torch-float`.
        provider, precision: of the ANN partition.
        dataset: kind of dataset.
        subset: `train`, `validation` or `test`.
        split: official split.
        clips: wanted a video.
        labels: class names.
        scores: over all answers.
        answers: one a video, in the dataset's order.
        missing: (name, reason) of videos that the lists name and that gave no answer.
        profile: energy profile; empty where nothing was priced.
        seconds: wall clock over all videos.
        machine: CPU, cores and operating system.
    """

    model: str
    source: str
    sha256: str
    engine: str
    provider: str
    precision: str
    dataset: str
    subset: str
    split: int
    clips: int
    labels: tuple[str, ...]
    scores: Scores
    answers: tuple[VideoAnswer, ...]
    missing: tuple[tuple[str, str], ...]
    profile: str
    seconds: float
    machine: str
