"""The order of work: stage after stage, or stages side by side; the same batches and so the same bits either way.

    in turn      read 0, spike 0, read 1, spike 1, ..., answer 0..7, read 8, ...
    overlapped   caller's thread   read 0   read 1    read 2    read 3 ...
                 spiking thread             spike 0   spike 1   spike 2 ...
                 ANN thread                                     answer 0..1 ...

Reading stays on the caller's thread: that is where Ctrl-C arrives, and a stream that sends nothing is waited for there.
"""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import TypeVar

from hybrid_cvar.runtime.work import Answers, ClipWork, ReadClip, SpikedClip

__all__ = ["Step", "run_in_turn", "run_overlapped"]

Step = SpikedClip | Answers
"""What a pipeline gives: each clip when the spiking partition is through with it; and what the ANN partition makes of
the clips since the last answers. Both in the order of the clips."""

Result = TypeVar("Result")

CLIPS_AHEAD = 2
"""Clips that are read and wait, besides the one that the spiking partition is at."""
BATCHES_AHEAD = 1
"""Batches that wait, besides the one that the ANN partition is at."""
THREAD_PREFIX = "hybrid-cvar"


def run_in_turn(
    clips: Iterator[ReadClip], work: ClipWork, batch: int, *, first_alone: bool = False
) -> Generator[Step, None, None]:
    """One thing after the other.

    Args:
        clips: read one at a time.
        work: the partitions.
        batch: clips that the ANN partition takes at once; the last batch may be smaller.
        first_alone: the first clip is answered by itself, before the second is read.
    """
    if first_alone:
        yield from _run_batches(islice(clips, 1), work, 1)
    yield from _run_batches(clips, work, batch)


def _run_batches(clips: Iterator[ReadClip], work: ClipWork, batch: int) -> Iterator[Step]:
    waiting: list[SpikedClip] = []
    for clip in clips:
        waiting.append(work.spike(clip))
        yield waiting[-1]
        if len(waiting) == batch:
            yield work.answer(waiting)
            waiting = []
    if waiting:
        yield work.answer(waiting)


def run_overlapped(
    clips: Iterator[ReadClip], work: ClipWork, batch: int, *, first_alone: bool = False
) -> Generator[Step, None, None]:
    """Reading on this thread, the two partitions on one of their own each; memory of a few clips and batches.

    The threads have ended when the generator has: at its end, after an error, or closed. An error on one of them is
    raised here. What has begun is finished first: at most one clip and one batch.

    Args:
        clips, work, batch: as of `run_in_turn`.
        first_alone: the first clip is answered by itself, and before the second is read: nothing takes its cores.
    """
    if first_alone:
        yield from _run_batches(islice(clips, 1), work, 1)
    with ExitStack() as threads:
        # Ended in reverse: first the one that hands over to the other.
        batches = _Batches(work, batch, threads.enter_context(_thread("ann")))
        spiking = threads.enter_context(_thread("spiking"))
        spiked: deque[Future[tuple[SpikedClip, Future[Answers] | None]]] = deque()
        answers: deque[Future[Answers]] = deque()
        # None stands for the end: then everything is waited for.
        for read in chain(clips, [None]):
            if read is not None:
                spiked.append(spiking.submit(_spike, work, read, batches))
            for clip, handed_over in _take(spiked, CLIPS_AHEAD + 1 if read is not None else 0):
                yield clip
                answers.extend([handed_over] if handed_over is not None else [])
                yield from _take(answers, len(answers))
            if read is None:
                answers.extend(batches.rest())
                yield from _take(answers, 0)


def _spike(work: ClipWork, read: ReadClip, batches: "_Batches") -> tuple[SpikedClip, Future[Answers] | None]:
    if batches.given_up:
        raise CancelledError
    try:
        clip = work.spike(read)
    except BaseException:
        # The clips that wait behind this one must not begin before the caller's thread has seen the error.
        batches.given_up = True
        raise
    return clip, batches.add(clip)


class _Batches:
    """Gathers clips, and hands full batches to the ANN partition's thread; used on one thread at a time.

    Attributes:
        given_up: True once a clip has failed, and no other is to follow.
    """

    def __init__(self, work: ClipWork, batch: int, thread: ThreadPoolExecutor) -> None:
        self.given_up = False
        self._work = work
        self._batch = batch
        self._thread = thread
        self._clips: list[SpikedClip] = []
        self._unanswered: deque[Future[Answers]] = deque()

    def add(self, clip: SpikedClip) -> Future[Answers] | None:
        """The batch's answers to come, if it is full now; waits while too many batches do."""
        self._clips.append(clip)
        return self._hand_over() if len(self._clips) == self._batch else None

    def rest(self) -> list[Future[Answers]]:
        """Those of the last clips, if there are any."""
        return [self._hand_over()] if self._clips else []

    def _hand_over(self) -> Future[Answers]:
        while len(self._unanswered) > BATCHES_AHEAD:
            wait([self._unanswered.popleft()])
        clips, self._clips = self._clips, []
        self._unanswered.append(self._thread.submit(self._work.answer, clips))
        return self._unanswered[-1]


def _take(futures: "deque[Future[Result]]", most: int) -> Iterator[Result]:
    """Results from the front: those that are there, and those waited for until no more than `most` are left."""
    while futures and (len(futures) > most or futures[0].done()):
        yield futures.popleft().result()


@contextmanager
def _thread(name: str) -> Iterator[ThreadPoolExecutor]:
    """One thread; at the end what has not begun is dropped, and the thread has ended."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"{THREAD_PREFIX}-{name}")
    try:
        yield executor
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
