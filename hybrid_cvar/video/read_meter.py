"""What the reading of one video did, for whoever asks: counts, and the time of its accumulation."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock

from hybrid_cvar.records import ReadCounts

__all__ = ["ReadMeter", "accumulating"]


class ReadMeter:
    """Told by the reader of one video what it does; give it to `open_clips` or `open_gops`.

    Frames may be decoded on another thread than the one that takes the GOPs (`background`), so what is counted is
    guarded. `accumulate_seconds` is wall-clock time of the thread that takes the GOPs, on which all accumulation is
    done: of the time that it spends in the reader, the rest is decoding, or waiting for it (and for a stream's sender).
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._frames = 0
        self._vectors = 0
        self._pixels = 0
        self._accumulate_seconds = 0.0

    @property
    def counts(self) -> ReadCounts:
        """So far.

        `frames_decoded` are frames that came out of FFmpeg's decoders, both of them where a video is transcoded: its
        own frames and those of the copy. A decoder of the MPEG family that holds its last frame back gets the GOP's
        I-frame again, to push it out; that counts as one more. Vectors and pixels are those of the GOPs that were
        built; one whose frames are damaged gives none.
        """
        with self._lock:
            return ReadCounts(self._frames, self._vectors, self._pixels)

    @property
    def accumulate_seconds(self) -> float:
        """So far: vectors to arrays, motion and residual from them, arrays turned upright, cut and scaled."""
        with self._lock:
            return self._accumulate_seconds

    def add_frames(self, frames: int) -> None:
        """Frames came out of a decoder."""
        with self._lock:
            self._frames += frames

    def add_gop(self, vectors: int, pixels: int) -> None:
        """A GOP was built of so many motion vectors, and of pixels x P-frames."""
        with self._lock:
            self._vectors += vectors
            self._pixels += pixels

    @contextmanager
    def accumulating(self) -> Iterator[None]:
        """The time inside is accumulation."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - begin
            with self._lock:
                self._accumulate_seconds += seconds


def accumulating(meter: ReadMeter | None) -> AbstractContextManager[None]:
    """The time inside is accumulation, where anybody wants to know."""
    return nullcontext() if meter is None else meter.accumulating()
