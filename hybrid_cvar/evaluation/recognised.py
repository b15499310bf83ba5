"""What an engine found of one video."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Recognised", "Recogniser"]


@dataclass(frozen=True, eq=False)
class Recognised:
    """One video's answer before it is compared with the truth.

    Attributes:
        logits: float32 (C,), the mean over its clips (paper Sec. 4.1).
        clips: that were averaged.
        energy_joules: modelled; None where it was not priced.
        seconds: wall clock, reading included (measured).
    """

    logits: NDArray[np.float32]
    clips: int
    energy_joules: float | None
    seconds: float


class Recogniser(Protocol):
    """Runs one video at a time, between `__enter__` and `__exit__`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None: ...

    def recognise(self, path: Path, on_clip: Callable[[], None]) -> Recognised:
        """The answer of one video.

        Args:
            path: the file.
            on_clip: called after every clip or batch of clips.

        Raises:
            HybridCvarError: the video cannot be read, or the engine failed; the next video may still run.
        """
        ...
