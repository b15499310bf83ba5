"""Work ahead on another thread: FFmpeg leaves Python's lock while it decodes, so two cores are of use."""

import os
from collections.abc import Generator
from contextlib import closing
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

__all__ = ["in_background", "usable_cores"]

Item = TypeVar("Item")

PATIENCE_SECONDS = 0.1
"""How long the thread waits for room until it looks whether it is still wanted."""


class _Ahead(Generic[Item]):
    """What the thread hands over: an item, an error, or the end (neither)."""

    def __init__(self, items: tuple[Item, ...], error: BaseException | None = None) -> None:
        self.items = items
        self.error = error


def in_background(items: Generator[Item, None, None], depth: int) -> Generator[Item, None, None]:
    """The same items, made on a thread of their own, up to `depth` ahead.

    The thread starts with the first item asked for and has ended when the generator has: at its end, after an error,
    or closed. An error of `items` is raised in its place.

    Args:
        items: used, and closed, on the thread alone.
        depth: items that may wait.
    """
    queue: Queue[_Ahead[Item]] = Queue(depth)
    unwanted = Event()

    def hand_over(ahead: _Ahead[Item]) -> bool:
        while not unwanted.is_set():
            try:
                queue.put(ahead, timeout=PATIENCE_SECONDS)
            except Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            with closing(items):
                for item in items:
                    if not hand_over(_Ahead((item,))):
                        return
        except BaseException as error:
            hand_over(_Ahead((), error))
        else:
            hand_over(_Ahead(()))

    thread = Thread(target=work, name="video-ahead", daemon=True)
    thread.start()
    try:
        while True:
            ahead = queue.get()
            if ahead.error is not None:
                raise ahead.error
            if not ahead.items:
                return
            yield ahead.items[0]
    finally:
        unwanted.set()
        while not queue.empty():
            try:
                queue.get_nowait()
            except Empty:
                break
        thread.join()


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
