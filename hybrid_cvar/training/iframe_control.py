"""A control that sees I-frames alone: what of a dataset's classes does a still picture tell?

A plain convolutional network, which learns still pictures from few videos better than a transformer does, is trained on
single I-frames and asked the test videos. Where two classes differ in the direction of time only, it should get one
half of their videos right: anything more is told by the pictures, and no proof that a model sees motion.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hybrid_cvar.data import mirrored_labels
from hybrid_cvar.data.gop_cache import CachedVideo, GopCache
from hybrid_cvar.data.metrics import score_answers
from hybrid_cvar.errors import ConfigError, TrainingError
from hybrid_cvar.records import Evaluation, InputSpec, VideoAnswer, VideoDataset
from hybrid_cvar.video.sampling import segment_centres

__all__ = ["CONTROL_NAME", "ControlOptions", "IframeNet", "run_control"]

CONTROL_NAME = "iframe-control"
WIDTHS = (24, 48, 96, 128, 128)
"""Channels of the convolutions; all but the last have stride 2."""
POOLED = 3
"""Side of the grid that is classified: where something stands in the picture is not thrown away."""
MEAN, SPREAD = 110.0, 60.0
WARM_UP = 0.1
"""Share of the steps in which the learning rate rises."""
TOP = 5


@dataclass(frozen=True)
class ControlOptions:
    """How the control is trained.

    Attributes:
        epochs: passes over the training videos, one random I-frame of each.
        batch: I-frames a step.
        learning_rate: the highest of the one-cycle schedule, AdamW.
        clips: I-frames a test video, uniformly spread; their logits are averaged.
        seed: of weights, order and views.

    Raises:
        ConfigError: a number is out of its range.
    """

    epochs: int = 40
    batch: int = 64
    learning_rate: float = 2e-3
    clips: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch", 2), ("clips", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} = {getattr(self, name)}", f"must be at least {least}")
        if not 0 < self.learning_rate < 1:
            raise ConfigError(f"learning_rate = {self.learning_rate}", "must be above 0 and below 1")


class IframeNet(nn.Module):
    """Five 3x3 convolutions, a 3x3 grid of means, a linear classifier."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(zip((3, *WIDTHS), WIDTHS, strict=False)):
            stride = 1 if index == len(WIDTHS) - 1 else 2
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(POOLED), nn.Flatten(), nn.Dropout(0.3))
        self.classifier = nn.Linear(WIDTHS[-1] * POOLED**2, classes)

    def forward(self, iframes: torch.Tensor) -> torch.Tensor:
        """uint8 (N, S, S, 3), RGB, to float32 (N, classes)."""
        pictures = (iframes.permute(0, 3, 1, 2).to(torch.float32) - MEAN) / SPREAD
        logits: torch.Tensor = self.classifier(self.features(pictures))
        return logits


def run_control(
    cache: GopCache,
    training: tuple[CachedVideo, ...],
    test: tuple[CachedVideo, ...],
    dataset: VideoDataset,
    options: ControlOptions,
    *,
    missing: tuple[tuple[str, str], ...] = (),
    machine: str = "",
    on_step: Callable[[int, int, float], None] = lambda done, steps, loss: None,
) -> Evaluation:
    """Trains the control and asks it the test videos.

    Args:
        cache: holds the videos.
        training, test: videos of the cache.
        dataset: the test subset, for its names.
        options: of the training.
        missing: (name, reason) of test videos that gave no I-frame.
        machine: its description, for the record.
        on_step: (steps done, of all, loss) after each.

    Returns:
        Its answers, as of any model. The same seed gives the same weights on the same machine and number of threads.

    Raises:
        TrainingError: there are not two training videos, or no test video.
        MissingPartError: scikit-learn is not installed.
    """
    started = time.perf_counter()
    if len(training) < 2 or not test:
        raise TrainingError(
            f"{len(training)} usable training videos, {len(test)} test videos", "two and one are needed at least"
        )
    model = _train(cache, training, dataset.labels, options, on_step)
    answers, logits = [], []
    for cached in test:
        begin = time.perf_counter()
        mean, clips = _ask(model, cache, cached, options.clips)
        best = np.argsort(-mean, kind="stable")
        top = tuple(int(place) for place in best[:TOP])
        seconds = time.perf_counter() - begin
        answers.append(VideoAnswer(cached.video.name, cached.video.label, top[0], top, clips, None, seconds))
        logits.append(mean)
    truth = [each.video.label for each in test]
    return Evaluation(
        model=CONTROL_NAME,
        source="checkpoint",
        sha256=_weights_sha256(model),
        engine="torch-float",
        provider="torch",
        precision="fp32",
        dataset=dataset.kind,
        subset=dataset.subset,
        split=dataset.split,
        clips=options.clips,
        labels=dataset.labels,
        scores=score_answers(np.stack(logits), truth, dataset.labels),
        answers=tuple(answers),
        missing=missing,
        profile="",
        seconds=time.perf_counter() - started,
        machine=machine,
    )


def _train(
    cache: GopCache,
    videos: tuple[CachedVideo, ...],
    labels: tuple[str, ...],
    options: ControlOptions,
    on_step: Callable[[int, int, float], None],
) -> IframeNet:
    mirrored = mirrored_labels(labels)
    size = min(options.batch, len(videos))
    a_pass = len(videos) // size
    steps = options.epochs * a_pass
    state = torch.get_rng_state()
    torch.manual_seed(options.seed)
    try:
        model = IframeNet(len(labels)).train()
        optimiser = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, options.learning_rate, total_steps=max(steps, 2), pct_start=WARM_UP
        )
        loss_of = nn.CrossEntropyLoss()
        for step in range(steps):
            epoch, place = divmod(step, a_pass)
            order = np.random.default_rng([options.seed, epoch]).permutation(len(videos))
            drawn = [
                _random_iframe(cache, videos[at], np.random.default_rng([options.seed, epoch, int(at)]))
                for at in order[place * size : (place + 1) * size]
            ]
            truth = [mirrored[label] if flip else label for _, label, flip in drawn]
            loss = loss_of(model(torch.from_numpy(np.stack([picture for picture, _, _ in drawn]))), torch.tensor(truth))
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            on_step(step + 1, steps, float(loss.detach()))
    finally:
        torch.set_rng_state(state)
    return model.eval()


def _random_iframe(
    cache: GopCache, cached: CachedVideo, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], int, bool]:
    """An I-frame of the video, cut at a random place, mirrored half of the times; its class; whether it is mirrored."""
    iframe = cache.read_iframe(cached, int(rng.integers(cached.gops)))
    room = np.array(iframe.shape[:2]) - cache.spec.size
    top, left = (int(rng.integers(rest + 1)) for rest in room)
    flip = bool(rng.random() < 0.5)
    picture = _cut(iframe, cache.spec, top, left)
    return np.ascontiguousarray(picture[:, ::-1] if flip else picture), cached.video.label, flip


@torch.inference_mode()
def _ask(model: IframeNet, cache: GopCache, cached: CachedVideo, clips: int) -> tuple[NDArray[np.float64], int]:
    """Mean logits of a video's I-frames, centre crop, and how many they are."""
    places = segment_centres(cached.gops, clips)
    iframes = [cache.read_iframe(cached, place) for place in places]
    top, left = ((side - cache.spec.size) // 2 for side in iframes[0].shape[:2])
    pictures = np.stack([_cut(iframe, cache.spec, top, left) for iframe in iframes])
    return model(torch.from_numpy(pictures)).numpy().mean(axis=0, dtype=np.float64), len(places)


def _cut(iframe: NDArray[np.uint8], spec: InputSpec, top: int, left: int) -> NDArray[np.uint8]:
    return iframe[top : top + spec.size, left : left + spec.size]


def _weights_sha256(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, values in model.state_dict().items():
        digest.update(name.encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()
