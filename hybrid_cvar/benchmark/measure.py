"""Seconds of things taken in turn, and the peak memory of a fresh process."""

import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid_cvar.errors import EngineError, MissingPartError

__all__ = ["PeakMemory", "TwoTimings", "peak_memory", "ratio_of_medians", "seconds_in_turn"]

SAMPLE_SECONDS = 0.01
CHILD = "hybrid_cvar.benchmark.measure"
MEBIBYTE = 2**20


@dataclass(frozen=True)
class TwoTimings:
    """Two things that were timed in turn.

    Attributes:
        fast_seconds, slow_seconds: of every round.
    """

    fast_seconds: tuple[float, ...]
    slow_seconds: tuple[float, ...]

    @property
    def fast_median(self) -> float:
        """Seconds."""
        return statistics.median(self.fast_seconds)

    @property
    def slow_median(self) -> float:
        """Seconds."""
        return statistics.median(self.slow_seconds)

    @property
    def ratio(self) -> float:
        """How many times as long the slow one took."""
        return self.slow_median / self.fast_median


def ratio_of_medians(
    fast: Callable[[], object], slow: Callable[[], object], rounds: int, *, pause_seconds: float = 0.0
) -> TwoTimings:
    """Time two things in turn: fast, slow, slow, fast, fast, slow, ...

    Args:
        fast, slow, rounds, pause_seconds: as of `seconds_in_turn`.

    Returns:
        Seconds of every round; `ratio` is median(slow) / median(fast).
    """
    seconds = seconds_in_turn({"fast": fast, "slow": slow}, rounds, pause_seconds=pause_seconds)
    return TwoTimings(seconds["fast"], seconds["slow"])


def seconds_in_turn(
    things: Mapping[str, Callable[[], object]], rounds: int, *, pause_seconds: float = 0.0
) -> dict[str, tuple[float, ...]]:
    """Time things in turn: a, b, c, c, b, a, a, b, c, ...

    In turn, so that what else the machine does meets all of them; the order turns round each time, so that none
    always finds the caches that the same other one left.

    Args:
        things: each called `rounds` times; what compiles or loads on a first call belongs before this one.
        rounds: at least 1.
        pause_seconds: before each call, not timed: threads of the one before that still look out for work come to
            rest.

    Returns:
        Seconds of every round, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for number in range(rounds):
        for name in things if number % 2 == 0 else reversed(list(things)):
            if pause_seconds:
                time.sleep(pause_seconds)
            begin = time.perf_counter()
            things[name]()
            seconds[name].append(time.perf_counter() - begin)
    return {name: tuple(found) for name, found in seconds.items()}


@dataclass(frozen=True)
class PeakMemory:
    """Memory of a process and all of its children.

    Attributes:
        tree_bytes: most resident memory of all together, seen at one moment; pages that a child shares with its
            parent count twice.
        own_bytes: most that the process itself ever had, by the kernel's account.
        value: what the function returned.
    """

    tree_bytes: int
    own_bytes: int
    value: Any

    @property
    def bytes(self) -> int:
        """The higher of the two: a short peak falls between two looks at the tree."""
        return max(self.tree_bytes, self.own_bytes)


def peak_memory(function: Callable[..., Any], *arguments: Any) -> PeakMemory:
    """Run a function in a fresh Python process and watch the memory of its whole process tree.

    Args:
        function: of a module's top level.
        arguments: JSON values.

    Returns:
        Peaks, imports included; and the function's result, a JSON value.

    Raises:
        MissingPartError: psutil is not installed.
        EngineError: the process failed.
    """
    try:
        import psutil
    except ModuleNotFoundError as error:
        raise MissingPartError(
            "psutil is not installed", "it reads the memory of a process tree", "pip install 'hybrid-cvar[bench]'"
        ) from error
    job = json.dumps([function.__module__, function.__qualname__, list(arguments)])
    with subprocess.Popen(
        [sys.executable, "-m", CHILD, job], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        tree = 0
        process = psutil.Process(child.pid)
        while child.poll() is None:
            tree = max(tree, _tree_bytes(process, psutil.Error))
            time.sleep(SAMPLE_SECONDS)
        output, errors = child.communicate()
    if child.returncode != 0:
        last = errors.strip().splitlines()[-1:] or [f"exit status {child.returncode}"]
        raise EngineError(f"the measured process failed: {last[0]}", "it must run to its end", "run the suite again")
    report = json.loads(output.splitlines()[-1])
    return PeakMemory(tree, report["own_bytes"], report["value"])


def _tree_bytes(process: Any, gone: type[Exception]) -> int:
    total = 0
    try:
        for member in (process, *process.children(recursive=True)):
            try:
                total += member.memory_info().rss
            except gone:
                continue
    except gone:
        pass
    return total


def own_peak_bytes() -> int:
    """Most resident memory that this process ever had.

    getrusage's number is no use for it: across an exec it keeps the peak of the process that started this one.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise EngineError("/proc/self/status has no VmHWM", "Linux says it there", "measure on a plain Linux")


def _main(job: str) -> None:
    module, name, arguments = json.loads(job)
    value = getattr(importlib.import_module(module), name)(*arguments)
    # What the function itself prints must not be taken for the report.
    print()
    print(json.dumps({"own_bytes": own_peak_bytes(), "value": value}), flush=True)
    # Threads that a library left behind must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    _main(sys.argv[1])
