"""Gathers what a run did, clip by clip; of the clips themselves it keeps one view."""

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.records import STAGES, ClipView, SpikingLayerCounts, StageSeconds, add_counts
from hybrid_cvar.runtime.work import Answers, SpikedClip

__all__ = ["TraceBuilder"]


class TraceBuilder:
    """Takes a run's steps in order.

    Args:
        expected: clips that should come. The one in their middle is kept to be drawn; if fewer come, the last of them
            that lies before it.

    Attributes:
        starts: of each clip, seconds.
        counts: a layer, over all clips.
        view: the clip to draw.
        first_done: when the first clip's logits were there, on the clock of `time.perf_counter`; None before that.
        first_clips: clips whose logits came then.
    """

    def __init__(self, expected: int) -> None:
        self._middle = (expected - 1) // 2
        self._seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
        self._logits: list[NDArray[np.float32]] = []
        self.starts: list[float] = []
        self.counts: tuple[SpikingLayerCounts, ...] = ()
        self.view: ClipView | None = None
        self.first_done: float | None = None
        self.first_clips = 1

    def add_clip(self, clip: SpikedClip) -> None:
        """The spiking partition is through with the next clip."""
        for stage in ("read", "accumulate", "encode", "spiking", "transport"):
            self._seconds[stage].append(getattr(clip.seconds, stage))
        self.starts.append(clip.pts_seconds)
        self.counts = add_counts(self.counts, clip.counts)
        if clip.view.clip <= self._middle:
            self.view = clip.view

    def add_answers(self, answers: Answers) -> None:
        """The ANN partition is through with the next batch, whose clips share its time evenly."""
        count = len(answers.logits)
        self._seconds["dense"] += [answers.seconds / count] * count
        self._logits.append(answers.logits)
        if self.first_done is None:
            self.first_done = answers.done
            self.first_clips = count

    def logits(self) -> NDArray[np.float32]:
        """float32 (N, classes)."""
        return np.concatenate(self._logits)

    def stages(self, shared_read_seconds: float) -> tuple[StageSeconds, ...]:
        """Every stage's seconds, a clip each.

        Args:
            shared_read_seconds: reading that served no clip more than another, shared out evenly.
        """
        share = shared_read_seconds / max(len(self.starts), 1)
        read = tuple(seconds + share for seconds in self._seconds["read"])
        return tuple(
            StageSeconds(stage, read if stage == "read" else tuple(seconds)) for stage, seconds in self._seconds.items()
        )
