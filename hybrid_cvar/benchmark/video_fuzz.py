"""Hostile videos by the thousand: every one must end in frames or in one of our errors.

    python -m hybrid_cvar.benchmark.video_fuzz --files 2000 --seed 1 --json benchmarks/results/video-fuzz.json

Files are read in worker processes that are watched from here: a crash, a hang beyond the time limit and a growth of
memory are faults, named with seed and number, and the worker is started anew. To see one file again:

    python -m hybrid_cvar.benchmark.video_fuzz --seed 1 --only 1234 --keep bad.avi
"""

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from statistics import median
from typing import Any

from hybrid_cvar.atomic_file import check_writable, write_atomically
from hybrid_cvar.benchmark.fuzz_material import HostileFile, Material, gather_material, make_file
from hybrid_cvar.benchmark.fuzz_worker import FAULT, Verdict
from hybrid_cvar.benchmark.machine import describe_machine
from hybrid_cvar.benchmark.results import BenchResult, machine_to_dict
from hybrid_cvar.errors import HybridCvarError

__all__ = ["Finding", "FuzzLimits", "FuzzRun", "Worker", "fuzz_result", "fuzz_to_dict", "run_fuzz"]

WORKER = (sys.executable, "-m", "hybrid_cvar.benchmark.fuzz_worker")
LAST_LINES = 40


@dataclass(frozen=True)
class FuzzLimits:
    """What a file may cost.

    Attributes:
        seconds: until it counts as hanging.
        peak_bytes: resident memory while it is read.
        left_bytes: resident memory that is left after it, above what was left after the worker's first file.
    """

    seconds: float = 20.0
    peak_bytes: int = 1500 * 2**20
    left_bytes: int = 300 * 2**20


@dataclass(frozen=True)
class Finding:
    """One file and what became of it.

    Attributes:
        number, label, damage: of the `HostileFile`.
        verdict: of the worker, or of who watched it.
    """

    number: int
    label: str
    damage: str
    verdict: Verdict


@dataclass(frozen=True)
class FuzzRun:
    """A run.

    Attributes:
        seed: of all files.
        material: what they were made from.
        limits: that held.
        findings: one a file, by number.
        seconds: it took.
    """

    seed: int
    material: tuple[Material, ...]
    limits: FuzzLimits
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def faults(self) -> tuple[Finding, ...]:
        """Those that ended in neither frames nor our error."""
        return tuple(finding for finding in self.findings if finding.verdict.outcome == FAULT)


class Worker:
    """One worker process, started when it is needed and anew after a fault.

    Args:
        folder: for its files.
        limits: of a file.
        command: the process; for tests of this class.
    """

    def __init__(self, folder: Path, limits: FuzzLimits, command: Sequence[str] = WORKER) -> None:
        self._folder = folder
        self._limits = limits
        self._command = tuple(command)
        self._child: subprocess.Popen[bytes] | None = None
        self._log = folder / "stderr.txt"
        self._base = 0

    def examine(self, file: HostileFile) -> Verdict:
        """Have a file read; a worker that dies, hangs or grows gives a fault."""
        path = self._folder / f"{file.number}.{file.suffix}"
        path.write_bytes(file.content)
        try:
            verdict = self._ask(path)
        finally:
            path.unlink()
        return verdict

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child = None

    def _ask(self, path: Path) -> Verdict:
        begin = time.perf_counter()
        child = self._child or self._start()
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(json.dumps(str(path)).encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            return self._died(begin)
        # A worker that has just been started imports and compiles first.
        limit = self._limits.seconds if self._base else self._limits.seconds + 60
        ready, _, _ = select.select([child.stdout], [], [], limit)
        if not ready:
            # faulthandler writes where it hangs.
            child.send_signal(signal.SIGABRT)
            time.sleep(0.5)
            self.close()
            what = f"no end within {limit:g} s\n{self._last_words()}"
            return Verdict(FAULT, what, seconds=time.perf_counter() - begin)
        line = child.stdout.readline()
        if not line:
            return self._died(begin)
        verdict = Verdict(**json.loads(line))
        self._base = self._base or verdict.left_bytes or 1
        over = self._over(verdict)
        if over or verdict.outcome == FAULT:
            self.close()
        return replace(verdict, outcome=FAULT, what=over) if over else verdict

    def _over(self, verdict: Verdict) -> str:
        if verdict.outcome == FAULT:
            return ""
        for name, had, limit in (
            ("peak", verdict.peak_bytes, self._limits.peak_bytes),
            ("growth", verdict.left_bytes - self._base, self._limits.left_bytes),
        ):
            if had > limit:
                return f"memory: {name} of {had >> 20} MiB, {limit >> 20} are allowed (the file gave {verdict.outcome})"
        return ""

    def _start(self) -> "subprocess.Popen[bytes]":
        self._base = 0
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0
            )
        return self._child

    def _died(self, begin: float) -> Verdict:
        assert self._child is not None
        status = self._child.wait()
        self.close()
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        what = f"the worker died: {how}\n{self._last_words()}"
        return Verdict(FAULT, what, seconds=time.perf_counter() - begin)

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        # faulthandler ends with a list of every extension module, on one line.
        return "\n".join([line for line in lines if not line.startswith("Extension modules")][-LAST_LINES:])


def run_fuzz(
    files: int,
    seed: int,
    *,
    limits: FuzzLimits | None = None,
    workers: int = 0,
    numbers: Sequence[int] | None = None,
    on_file: Callable[[int, int], None] = lambda done, total: None,
    on_fault: Callable[[Finding], None] = lambda finding: None,
) -> FuzzRun:
    """Make damaged files and have each read by a watched process.

    Args:
        files: how many. seed: of all of them; the same seed makes the same files from the same material.
        limits: of a file.
        workers: processes at a time; as many as there are usable cores if 0.
        numbers: these files of the run alone.
        on_file: (done, of all) told after each file. on_fault: told of each fault.

    Returns:
        What became of each file.
    """
    begin = time.perf_counter()
    limits = limits or FuzzLimits()
    material = gather_material()
    wanted = list(range(files)) if numbers is None else list(numbers)
    findings: list[Finding] = []
    count = workers or len(os.sched_getaffinity(0))
    with _worker_pool(count, limits) as idle:

        def judge(number: int) -> Finding:
            file = make_file(material, seed, number)
            worker = idle.get()
            try:
                return Finding(number, file.label, file.damage, worker.examine(file))
            finally:
                idle.put(worker)

        with ThreadPoolExecutor(count) as pool:
            try:
                for finding in pool.map(judge, wanted):
                    findings.append(finding)
                    on_file(len(findings), len(wanted))
                    if finding.verdict.outcome == FAULT:
                        on_fault(finding)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    return FuzzRun(seed, material, limits, tuple(findings), time.perf_counter() - begin)


@contextmanager
def _worker_pool(count: int, limits: FuzzLimits) -> "Iterator[SimpleQueue[Worker]]":
    with tempfile.TemporaryDirectory(prefix="hybrid-cvar-fuzz-") as folder:
        workers = []
        idle: SimpleQueue[Worker] = SimpleQueue()
        for number in range(count):
            own = Path(folder) / str(number)
            own.mkdir()
            workers.append(Worker(own, limits))
            idle.put(workers[-1])
        try:
            yield idle
        finally:
            for worker in workers:
                worker.close()


def _totals(findings: Sequence[Finding], key: Callable[[Finding], str]) -> dict[str, dict[str, int]]:
    """{key: {outcome: files}}, sorted."""
    table: dict[str, Counter[str]] = {}
    for finding in findings:
        table.setdefault(key(finding), Counter())[finding.verdict.outcome] += 1
    return {name: dict(sorted(table[name].items())) for name in sorted(table)}


def fuzz_to_dict(run: FuzzRun) -> dict[str, Any]:
    """The run as plain JSON values: totals by outcome, material and damage, and every fault in full."""
    verdicts = [finding.verdict for finding in run.findings]
    slowest = max(run.findings, key=lambda finding: finding.verdict.seconds, default=None)
    return {
        "machine": machine_to_dict(describe_machine()),
        "seed": run.seed,
        "files": len(run.findings),
        "seconds": run.seconds,
        "limits": {
            "seconds": run.limits.seconds,
            "peak_mb": run.limits.peak_bytes / 2**20,
            "left_mb": run.limits.left_bytes / 2**20,
        },
        "material": [
            {"label": piece.label, "suffix": piece.suffix, "bytes": len(piece.content), "sha256": piece.sha256}
            for piece in run.material
        ],
        "outcomes": dict(sorted(Counter(verdict.outcome for verdict in verdicts).items())),
        "by_material": _totals(run.findings, lambda finding: finding.label),
        "by_damage": _totals(run.findings, lambda finding: finding.damage.split("+")[0]),
        "gops_read": sum(verdict.gops for verdict in verdicts),
        "slowest": {"number": slowest.number, "seconds": slowest.verdict.seconds} if slowest else None,
        "peak_mb": max((verdict.peak_bytes for verdict in verdicts), default=0) / 2**20,
        "left_mb": max((verdict.left_bytes for verdict in verdicts), default=0) / 2**20,
        "left_mb_by_tenth": _medians_by_tenth([verdict.left_bytes / 2**20 for verdict in verdicts]),
        "faults": [
            {
                "seed": run.seed,
                "number": finding.number,
                "material": finding.label,
                "damage": finding.damage,
                "seconds": finding.verdict.seconds,
                "what": finding.verdict.what,
            }
            for finding in run.faults
        ],
    }


def _medians_by_tenth(values: Sequence[float]) -> list[float]:
    """Medians of ten equal parts, in order; a trend shows in them. Empty if there are too few values."""
    size = len(values) // 10
    return [median(values[size * part : size * (part + 1)]) for part in range(10)] if size else []


def fuzz_result(run: FuzzRun) -> BenchResult:
    """The run as a benchmark's row: faults, of which there must be none."""
    detail = fuzz_to_dict(run)
    del detail["machine"]
    faults = len(run.faults)
    return BenchResult("video.fuzz_faults", faults, "files", detail={"target": "0", "met": not faults, **detail})


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 0 no fault, 1 faults or no result, 130 interrupted."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    parser = argparse.ArgumentParser(
        prog="python -m hybrid_cvar.benchmark.video_fuzz", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes at a time; the usable cores if 0")
    parser.add_argument("--json", type=Path, help="write totals and faults here")
    parser.add_argument("--only", type=int, nargs="+", metavar="NUMBER", help="these files of the run alone")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the one file named by --only here too")
    options = parser.parse_args(arguments)
    if options.keep and len(options.only or ()) != 1:
        parser.error("--keep needs --only with one number")
    console = Console(stderr=True)
    columns = (TextColumn("fuzz"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        if options.json:
            check_writable(options.json)
        if options.keep:
            material: Sequence[Material] = gather_material()
            write_atomically(options.keep, make_file(material, options.seed, options.only[0]).content)
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("fuzz", total=None)
            run = run_fuzz(
                options.files,
                options.seed,
                workers=options.workers,
                numbers=options.only,
                on_file=lambda done, total: progress.update(task, completed=done, total=total),
                on_fault=lambda finding: _print_fault(options.seed, finding),
            )
        if options.json:
            write_atomically(options.json, json.dumps(fuzz_to_dict(run), indent=2) + "\n")
    except HybridCvarError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    summary = fuzz_to_dict(run)
    for name in ("files", "outcomes", "gops_read", "slowest", "peak_mb", "left_mb", "seconds"):
        print(f"{name}: {summary[name]}")
    return 1 if run.faults else 0


def _print_fault(seed: int, finding: Finding) -> None:
    print(
        f"FAULT seed {seed} number {finding.number} ({finding.label}, {finding.damage}):\n{finding.verdict.what}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    sys.exit(main())
