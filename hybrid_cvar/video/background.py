"""Work ahead on another thread: FFmpeg leaves Python's lock while it decodes, so two cores are of use."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from threading import Condition, Thread
from typing import Generic, TypeVar

__all__ = ["Ahead", "in_background", "usable_cores"]

Item = TypeVar("Item")


def _one(_: object) -> int:
    return 1


class Ahead(Generic[Item]):
    """Items that one thread makes (`work`) while another takes them (iteration), until this stops (`stop`).

    Args:
        items: used, and closed, on the thread that works alone.
        most: weight of the items that may wait; one item may always.
        weigh: the weight of an item; 1 if not given.
    """

    def __init__(self, items: Generator[Item, None, None], most: int, weigh: Callable[[Item], int] = _one) -> None:
        self._items = items
        self._most = most
        self._weigh = weigh
        self._waiting: deque[tuple[Item, int]] = deque()
        self._weight = 0
        self._error: BaseException | None = None
        self._ended = False
        self._unwanted = False
        self._change = Condition()

    def work(self) -> None:
        """Make the items, as far ahead as there is room; an error of `items` is raised where they are taken."""
        error: BaseException | None = None
        try:
            with closing(self._items):
                for item in self._items:
                    if not self._hand_over(item, self._weigh(item)):
                        break
        except BaseException as raised:
            error = raised
        with self._change:
            self._error, self._ended = error, True
            self._change.notify_all()

    def _hand_over(self, item: Item, weight: int) -> bool:
        """False if nobody wants it any more."""
        with self._change:
            while self._waiting and self._weight + weight > self._most and not self._unwanted:
                self._change.wait()
            if self._unwanted:
                return False
            self._waiting.append((item, weight))
            self._weight += weight
            self._change.notify_all()
        return True

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._change:
                while not self._waiting and not self._ended:
                    self._change.wait()
                if not self._waiting:
                    if self._error is not None:
                        raise self._error
                    return
                item, weight = self._waiting.popleft()
                self._weight -= weight
                self._change.notify_all()
            yield item

    def stop(self) -> None:
        """No more items are wanted; the thread ends after the one that it is making."""
        with self._change:
            self._unwanted = True
            self._waiting.clear()
            self._weight = 0
            self._change.notify_all()


def in_background(items: Generator[Item, None, None], depth: int) -> Generator[Item, None, None]:
    """The same items, made on a thread of their own, up to `depth` ahead.

    The thread starts with the first item asked for and has ended when the generator has: at its end, after an error,
    or closed. An error of `items` is raised in its place.

    Args:
        items: used, and closed, on the thread alone.
        depth: items that may wait.
    """
    ahead = Ahead(items, depth)
    thread = Thread(target=ahead.work, name="video-ahead", daemon=True)
    thread.start()
    try:
        yield from ahead
    finally:
        ahead.stop()
        thread.join()


def usable_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
