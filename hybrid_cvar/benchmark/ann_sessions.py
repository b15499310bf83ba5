"""Runs the exported ANN partition in every precision and on every provider, one clip at a time and 8 at once."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hybrid_cvar.benchmark.measure import seconds_in_turn
from hybrid_cvar.onnx_session import SessionSettings, cpu_providers, open_session

__all__ = [
    "FP32",
    "LEAST_SHARE_OF_TOP_1",
    "PAUSE_SECONDS",
    "Agreement",
    "Candidate",
    "Feed",
    "Timed",
    "candidates",
    "compare_logits",
    "each_clip",
    "fp32_candidates",
    "load_and_run",
    "logits_of",
    "open_candidate",
    "time_candidates",
]

BATCH = 8
PAUSE_SECONDS = 0.05
"""For torch's and NumPy's threads, which spin after a run too and cannot all be told not to."""

LEAST_FP32_TOP_1 = 0.9
"""Below it, what is kept of FP32's right answers says little."""
LEAST_SHARE_OF_TOP_1 = 0.99
"""Of FP32's right answers, what a reduced precision must keep to count."""

Feed = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Candidate:
    """A way to run the ANN partition.

    Attributes:
        precision, provider: of `hybrid_cvar.onnx_session`.
    """

    precision: str
    provider: str

    @property
    def name(self) -> str:
        """As a result's detail names it."""
        return f"{self.precision} on {self.provider}"


FP32 = Candidate("fp32", "cpu")


@dataclass(frozen=True)
class Timed:
    """Seconds of every round.

    Attributes:
        one_seconds: a clip, one at a time.
        batch_seconds: a clip, all of a video's at once.
    """

    one_seconds: tuple[float, ...]
    batch_seconds: tuple[float, ...]

    @property
    def one_median(self) -> float:
        """Seconds a clip."""
        return statistics.median(self.one_seconds)

    @property
    def batch_median(self) -> float:
        """Seconds a clip."""
        return statistics.median(self.batch_seconds)


@dataclass(frozen=True)
class Agreement:
    """Logits of a reduced precision beside FP32's, on clips that nothing was calibrated on.

    Attributes:
        clips: compared.
        same_top_1: share of them with the same best class.
        top_1, fp32_top_1: share of right answers, of this precision and of FP32.
        error_over_largest_logit: largest difference over FP32's largest logit, both without sign.
        error_over_spread: RMS of the difference over the RMS of how FP32's logits vary from clip to clip (each
            class's mean over the clips taken off).
        largest_margin_lost: of the clips whose best class is another one, the largest lead that FP32's best class has
            on its second, over FP32's largest logit; 0 if there are none. A lead below the error is a tie.
        smallest_margin: the smallest such lead of all clips.
        fp32_answers: different best classes among FP32's; few make a high `same_top_1` cheap.
    """

    clips: int
    same_top_1: float
    top_1: float
    fp32_top_1: float
    error_over_largest_logit: float
    error_over_spread: float
    largest_margin_lost: float
    smallest_margin: float
    fp32_answers: int

    @property
    def keeps_top_1(self) -> bool:
        """Whether FP32 is right often enough to tell, and this precision keeps 99 % of that."""
        return self.fp32_top_1 >= LEAST_FP32_TOP_1 and self.top_1 >= LEAST_SHARE_OF_TOP_1 * self.fp32_top_1


def fp32_candidates() -> tuple[Candidate, ...]:
    """FP32 on every provider that runs on this CPU, ONNX Runtime's own kernels first."""
    known = (FP32, Candidate("fp32", "openvino"))
    return tuple(each for each in known if each.provider in cpu_providers())


def candidates() -> tuple[Candidate, ...]:
    """The reduced precisions that the providers of this CPU offer."""
    known = (Candidate("int8", "cpu"), Candidate("int8", "openvino"), Candidate("bf16", "openvino"))
    return tuple(each for each in known if each.provider in cpu_providers())


def open_candidate(candidate: Candidate, graph: Path) -> onnxruntime.InferenceSession:
    """A session as the runtime opens it."""
    settings = SessionSettings(provider=candidate.provider)
    return open_session(graph, settings, precision=candidate.precision)


def each_clip(feed: Feed) -> list[Feed]:
    """A batch as feeds of one clip."""
    count = len(next(iter(feed.values())))
    return [{name: values[number : number + 1] for name, values in feed.items()} for number in range(count)]


def logits_of(session: onnxruntime.InferenceSession, feed: Feed) -> NDArray[np.float32]:
    """float32 (clips, classes), at most 8 clips a run."""
    count = len(next(iter(feed.values())))
    batches = [
        {name: values[first : first + BATCH] for name, values in feed.items()} for first in range(0, count, BATCH)
    ]
    return np.concatenate([session.run(["logits"], batch)[0] for batch in batches])


def compare_logits(expected: NDArray[np.float32], reduced: NDArray[np.float32], labels: NDArray[np.int64]) -> Agreement:
    """Both float32 (clips, classes), the first of FP32; labels (clips,). What is not finite agrees with nothing."""
    finite = np.isfinite(reduced).all(axis=1)
    same = (expected.argmax(axis=1) == reduced.argmax(axis=1)) & finite
    # So that the errors are numbers of JSON, too.
    error = np.where(np.isfinite(reduced), reduced, 0).astype(np.float64) - expected
    largest = float(np.abs(expected).max()) or 1.0
    second, first = np.sort(expected, axis=1)[:, -2:].T
    margins = (first - second) / largest
    spread = float(np.sqrt(np.mean(np.square(expected - expected.mean(axis=0), dtype=np.float64))))
    return Agreement(
        len(expected),
        float(same.mean()),
        float(((reduced.argmax(axis=1) == labels) & finite).mean()),
        float((expected.argmax(axis=1) == labels).mean()),
        float(np.abs(error).max() / largest),
        float(np.sqrt(np.mean(error**2)) / (spread or 1.0)),
        float(margins[~same].max(initial=0.0)),
        float(margins.min()),
        len(set(expected.argmax(axis=1).tolist())),
    )


def time_candidates(
    sessions: Mapping[Candidate, onnxruntime.InferenceSession], feed: Feed, rounds: int
) -> dict[Candidate, Timed]:
    """Every session in turn on the clips of `feed`, one at a time and all at once."""
    clips = each_clip(feed)

    def one_by_one(session: onnxruntime.InferenceSession) -> None:
        for clip in clips:
            session.run(None, clip)

    things: dict[str, Callable[[], object]] = {}
    for candidate, session in sessions.items():
        things[f"{candidate.name}, 1"] = lambda session=session: one_by_one(session)  # type: ignore[misc]
        things[f"{candidate.name}, all"] = lambda session=session: session.run(None, feed)  # type: ignore[misc]
    for warm_up in things.values():
        warm_up()
    seconds = seconds_in_turn(things, rounds, pause_seconds=PAUSE_SECONDS)
    return {
        candidate: Timed(
            tuple(one / len(clips) for one in seconds[f"{candidate.name}, 1"]),
            tuple(one / len(clips) for one in seconds[f"{candidate.name}, all"]),
        )
        for candidate in sessions
    }


def load_and_run(graph: str, feed: str, arena: bool) -> int:
    """Loads the FP32 graph and runs the clips of an .npz file as one batch; returns how many. For a fresh process."""
    with np.load(feed) as arrays:
        clips = dict(arrays)
    session = open_session(Path(graph), SessionSettings(arena=arena))
    return len(session.run(["logits"], clips)[0])
