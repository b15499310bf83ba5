"""The loop over a dataset's videos that every engine shares: answers, failures, interruption, scores."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.data.metrics import score_answers
from hybrid_cvar.errors import ConfigError, EngineError, HybridCvarError
from hybrid_cvar.evaluation.journal import Journal
from hybrid_cvar.evaluation.labels import match_labels
from hybrid_cvar.evaluation.recognised import Recognised, Recogniser
from hybrid_cvar.evaluation.selection import select_videos
from hybrid_cvar.records import Evaluation, LabelledVideo, VideoAnswer, VideoDataset
from hybrid_cvar.version import __version__

__all__ = ["EvaluationObserver", "Subject", "evaluate_videos", "was_interrupted"]

NOT_RUN = "not run: interrupted; run it again"
NAMED = 5
"""Classes in `VideoAnswer.top5`."""


@dataclass(frozen=True)
class Subject:
    """What is evaluated, and how it runs.

    Attributes:
        model, source, sha256, engine, provider, precision, labels, profile: as in `Evaluation`.
        constants: picojoules of the energy profile's operations, the multiply-accumulate last; none where nothing is
            priced.
    """

    model: str
    source: str
    sha256: str
    engine: str
    provider: str
    precision: str
    labels: tuple[str, ...]
    profile: str = ""
    constants: tuple[float, ...] = ()


@dataclass(frozen=True)
class EvaluationObserver:
    """Told of progress.

    Attributes:
        on_start: (videos, of these answered by an earlier run) before the first.
        on_video: (its name) a video begins.
        on_clip: a clip, or a batch of clips, is done.
        on_answer: (answer, mean logits) a video is done, now or by an earlier run.
        on_failure: (its name, error, a ProcessModel's own traceback or nothing) it failed.
    """

    on_start: Callable[[int, int], None] = lambda videos, resumed: None
    on_video: Callable[[str], None] = lambda name: None
    on_clip: Callable[[], None] = lambda: None
    on_answer: Callable[[VideoAnswer, NDArray[np.float32]], None] = lambda answer, logits: None
    on_failure: Callable[[str, str, str], None] = lambda name, error, traceback: None


@dataclass
class _Found:
    """What is known so far, by the video's name."""

    answers: dict[str, VideoAnswer] = field(default_factory=dict)
    logits: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False


def was_interrupted(evaluation: Evaluation) -> bool:
    """True if Ctrl-C ended it; the videos that did not run are among `missing`."""
    return any(reason == NOT_RUN for _, reason in evaluation.missing)


def evaluate_videos(
    subject: Subject,
    open_recogniser: Callable[[], Recogniser],
    dataset: VideoDataset,
    *,
    clips: int,
    limit: int | None,
    journal: Path | None,
    machine: str,
    observer: EvaluationObserver,
) -> Evaluation:
    """Runs every video; one that fails does not stop the others, and Ctrl-C keeps those that are done.

    Args:
        subject: what is evaluated.
        open_recogniser: starts the engine; not called where an earlier run answered every video.
        dataset: its labels are the subject's, in any order and in the spellings that `match_labels` takes.
        clips: wanted a video.
        limit: see `select_videos`.
        journal: file that answers are kept in while it runs; it is left there. None for none.
        machine: CPU, cores and operating system, for the record.
        observer: told of progress.

    Raises:
        ConfigError: labels that do not fit, or a number out of range.
        MissingPartError: scikit-learn, or what the engine needs, is not installed.
        HybridCvarError: the engine cannot start, the journal cannot be written, or no video gave an answer.
        KeyboardInterrupt: Ctrl-C before the first answer.
    """
    if type(clips) is not int or clips < 1:
        raise ConfigError(f"clips = {clips!r}", "must be a whole number from 1", "the paper takes 8")
    places = match_labels(subject.labels, dataset.labels)
    videos = select_videos(dataset, limit)
    if not videos:
        raise ConfigError(
            f"{dataset.kind} {dataset.subset}: no video on the disk",
            "an evaluation needs at least one",
            dataset.missing[0].reason if dataset.missing else "",
        )
    # What counts the scores must be there before hours of work, not after.
    score_answers(np.zeros((1, len(subject.labels))), [0], subject.labels)
    found = _Found()
    with Journal(journal, _identity(subject, dataset, clips), len(subject.labels)) as kept:
        _run_all(videos, places, open_recogniser, kept, observer, found)
    return _evaluation(subject, dataset, videos, clips, found, machine)


def _run_all(
    videos: Sequence[LabelledVideo],
    places: Sequence[int],
    open_recogniser: Callable[[], Recogniser],
    kept: Journal,
    observer: EvaluationObserver,
    found: _Found,
) -> None:
    def answer(video: LabelledVideo, result: Recognised) -> None:
        found.answers[video.name] = _answer(video, places[video.label], result)
        found.logits[video.name] = result.logits
        observer.on_answer(found.answers[video.name], result.logits)

    try:
        earlier = [(video, result) for video in videos if (result := kept.find(video)) is not None]
        observer.on_start(len(videos), len(earlier))
        for video, result in earlier:
            answer(video, result)
        rest = [video for video in videos if video.name not in found.answers]
        if not rest:
            return
        with open_recogniser() as engine:
            for video in rest:
                observer.on_video(video.name)
                try:
                    result = engine.recognise(video.path, observer.on_clip)
                    _check_logits(video, result)
                except HybridCvarError as error:
                    found.failures[video.name] = str(error)
                    observer.on_failure(video.name, str(error), getattr(error, "process_traceback", ""))
                else:
                    kept.add(video, result)
                    answer(video, result)
    except KeyboardInterrupt:
        found.interrupted = True


def _check_logits(video: LabelledVideo, result: Recognised) -> None:
    if not np.isfinite(result.logits).all():
        raise EngineError(
            f"{video.path}: logits that are not finite",
            "the ANN partition must return numbers",
            "check the checkpoint, then compile it again",
        )


def _answer(video: LabelledVideo, label: int, result: Recognised) -> VideoAnswer:
    best = np.argsort(-result.logits.astype(np.float64), kind="stable")[:NAMED]
    return VideoAnswer(
        name=video.name,
        label=label,
        answer=int(best[0]),
        top5=tuple(int(index) for index in best),
        clips=result.clips,
        energy_joules=result.energy_joules,
        seconds=result.seconds,
    )


def _evaluation(
    subject: Subject,
    dataset: VideoDataset,
    videos: Sequence[LabelledVideo],
    clips: int,
    found: _Found,
    machine: str,
) -> Evaluation:
    answers = tuple(found.answers[video.name] for video in videos if video.name in found.answers)
    if not answers and found.interrupted:
        raise KeyboardInterrupt
    if not answers:
        raise EngineError(
            f"none of {len(videos)} videos gave an answer",
            "scores need at least one",
            f"the first: {next(iter(found.failures.values()))}",
        )
    missing = [(one.name, one.reason) for one in dataset.missing]
    missing += [
        (video.name, found.failures.get(video.name, NOT_RUN)) for video in videos if video.name not in found.answers
    ]
    return Evaluation(
        model=subject.model,
        source=subject.source,
        sha256=subject.sha256,
        engine=subject.engine,
        provider=subject.provider,
        precision=subject.precision,
        dataset=dataset.name,
        subset=dataset.subset,
        split=dataset.split,
        clips=clips,
        labels=subject.labels,
        scores=score_answers(
            np.stack([found.logits[answer.name] for answer in answers]),
            [answer.label for answer in answers],
            subject.labels,
        ),
        answers=answers,
        missing=tuple(missing),
        profile=subject.profile,
        seconds=sum(answer.seconds for answer in answers),
        machine=machine,
    )


def _identity(subject: Subject, dataset: VideoDataset, clips: int) -> str:
    """Differs where an earlier run's answers would not be this run's."""
    content = [__version__, asdict(subject), dataset.kind, dataset.subset, dataset.split, clips]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
