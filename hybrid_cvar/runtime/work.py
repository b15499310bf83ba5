"""What is done for a clip, stage by stage, and the wall-clock time of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.records import Clip, ClipView, SpikingLayerCounts

__all__ = ["Answers", "ClipSeconds", "ClipWork", "ReadClip", "SpikedClip"]


@dataclass(frozen=True, eq=False)
class ReadClip:
    """A clip as the reader gave it.

    Attributes:
        index: position among the run's clips, from 0.
        clip: the clip.
        read_seconds: in the reader, without the next.
        accumulate_seconds: of motion and residual, and of the cut to the model's input.
    """

    index: int
    clip: Clip
    read_seconds: float
    accumulate_seconds: float


@dataclass(frozen=True)
class ClipSeconds:
    """Wall-clock seconds of one clip before the ANN partition; each as of `STAGES`."""

    read: float
    accumulate: float
    encode: float
    spiking: float
    transport: float


@dataclass(frozen=True, eq=False)
class SpikedClip:
    """A clip that has gone through the spiking partition; of its motion and residual the last P-frame's are kept.

    Attributes:
        view: the I-frame and the read-outs, which the ANN partition takes, and what else is drawn of a clip.
        pts_seconds: its start.
        counts: a layer each.
        seconds: of its stages so far.
    """

    view: ClipView
    pts_seconds: float
    counts: tuple[SpikingLayerCounts, ...]
    seconds: ClipSeconds


@dataclass(frozen=True, eq=False)
class Answers:
    """What the ANN partition makes of a batch of clips.

    Attributes:
        logits: float32 (N, classes).
        seconds: of the batch.
        done: when it was done, on the clock of `time.perf_counter`.
    """

    logits: NDArray[np.float32]
    seconds: float
    done: float


class ClipWork(Protocol):
    """The two partitions. Each is used by one thread at a time, but both may be at work at once."""

    def spike(self, read: ReadClip) -> SpikedClip:
        """Events of the clip, and the spiking partition."""
        ...

    def answer(self, clips: Sequence[SpikedClip]) -> Answers:
        """The ANN partition."""
        ...
