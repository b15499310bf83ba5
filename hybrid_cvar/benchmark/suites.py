"""The suites by name, and one call that runs them row by row."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hybrid_cvar.benchmark.machine import describe_machine
from hybrid_cvar.benchmark.results import BenchFailure, BenchResult, BenchRun
from hybrid_cvar.errors import ConfigError, HybridCvarError, MissingPartError
from hybrid_cvar.lava_compat import INSTALL_COMPILE

__all__ = ["ALL", "BenchObserver", "Row", "run_bench", "suite_names"]

ALL = "all"
ROUNDS = 5
FUZZ_FILES = 2000
FUZZ_SEED = 1

Row = Callable[[], BenchResult]


@dataclass(frozen=True)
class BenchObserver:
    """Told of progress.

    Attributes:
        on_row: (row, number from 1, rows in all) it begins.
        on_result: it is measured.
        on_failure: it could not be.
        on_step: (done, of all) inside a long row.
    """

    on_row: Callable[[str, int, int], None] = lambda row, number, rows: None
    on_result: Callable[[BenchResult], None] = lambda result: None
    on_failure: Callable[[BenchFailure], None] = lambda failure: None
    on_step: Callable[[int, int], None] = lambda done, total: None


@contextmanager
def _video_rows(rounds: int, observer: BenchObserver) -> Iterator[dict[str, Row]]:
    from hybrid_cvar.benchmark.real_clips import find_real_clips
    from hybrid_cvar.benchmark.video_suite import VIDEO_ROWS, VideoBench

    with tempfile.TemporaryDirectory(prefix="hybrid-cvar-bench-") as folder:
        bench = VideoBench(find_real_clips(), Path(folder), rounds)
        yield {name: partial(row, bench) for name, row in VIDEO_ROWS.items()}


@contextmanager
def _spiking_rows(rounds: int, observer: BenchObserver) -> Iterator[dict[str, Row]]:
    from hybrid_cvar.benchmark.real_clips import find_dancer
    from hybrid_cvar.benchmark.spiking_suite import SPIKING_ROWS, SpikingBench

    bench = SpikingBench(find_dancer(), rounds)
    yield {name: partial(row, bench) for name, row in SPIKING_ROWS.items()}


@contextmanager
def _ann_rows(rounds: int, observer: BenchObserver) -> Iterator[dict[str, Row]]:
    from hybrid_cvar.benchmark.real_clips import find_real_videos

    try:
        from hybrid_cvar.benchmark.ann_bench import AnnBench
        from hybrid_cvar.benchmark.ann_suite import ANN_ROWS
    except ImportError as error:
        raise MissingPartError(
            f"torch, lava-dl or onnx cannot be imported ({error})", "the model is made with them", INSTALL_COMPILE
        ) from error
    with tempfile.TemporaryDirectory(prefix="hybrid-cvar-bench-") as folder:
        bench = AnnBench(find_real_videos(), Path(folder), rounds)
        yield {name: partial(row, bench) for name, row in ANN_ROWS.items()}


@contextmanager
def _energy_rows(rounds: int, observer: BenchObserver) -> Iterator[dict[str, Row]]:
    from hybrid_cvar.benchmark.energy_suite import EnergyBench, energy_rows
    from hybrid_cvar.benchmark.real_clips import find_real_videos

    bench = EnergyBench(find_real_videos)
    yield {name: partial(row, bench) for name, row in energy_rows().items()}


@contextmanager
def _latency_rows(rounds: int, observer: BenchObserver) -> Iterator[dict[str, Row]]:
    from hybrid_cvar.benchmark.latency_suite import LATENCY_ROWS, LatencyBench
    from hybrid_cvar.benchmark.real_clips import find_dancer

    with LatencyBench(find_dancer(), rounds) as bench:
        yield {name: partial(row, bench) for name, row in LATENCY_ROWS.items()}


@contextmanager
def _operations_rows(rounds: int, observer: BenchObserver) -> Iterator[dict[str, Row]]:
    try:
        from hybrid_cvar.benchmark.operations_suite import OPERATIONS_ROWS, OperationsBench
    except ImportError as error:
        raise MissingPartError(
            f"torch, lava-dl or onnx cannot be imported ({error})", "the models are made with them", INSTALL_COMPILE
        ) from error
    bench = OperationsBench()
    yield {name: partial(row, bench) for name, row in OPERATIONS_ROWS.items()}


@contextmanager
def _fuzz_rows(rounds: int, observer: BenchObserver) -> Iterator[dict[str, Row]]:
    from hybrid_cvar.benchmark.video_fuzz import fuzz_result, run_fuzz

    yield {"video.fuzz_faults": lambda: fuzz_result(run_fuzz(FUZZ_FILES, FUZZ_SEED, on_file=observer.on_step))}


# A new suite is a line here; the second says whether `all` runs it.
_SUITES: Mapping[str, tuple[Callable[[int, BenchObserver], AbstractContextManager[dict[str, Row]]], bool]] = {
    "video": (_video_rows, True),
    "spiking": (_spiking_rows, True),
    "ann": (_ann_rows, True),
    "energy": (_energy_rows, True),
    "latency": (_latency_rows, True),
    "operations": (_operations_rows, True),
    "fuzz": (_fuzz_rows, False),
}


def suite_names() -> tuple[str, ...]:
    """What can be asked for, `all` included."""
    return (*_SUITES, ALL)


def run_bench(suites: Sequence[str], *, rounds: int = ROUNDS, observer: BenchObserver | None = None) -> BenchRun:
    """Run suites, row by row; a row that cannot be measured does not stop the others.

    Args:
        suites: names from `suite_names`.
        rounds: of every timing.
        observer: told of progress.

    Returns:
        Results, and what could not be measured and why.

    Raises:
        ConfigError: a suite is unknown, or `rounds` is not a positive whole number.
    """
    if not isinstance(rounds, int) or isinstance(rounds, bool) or rounds < 1:
        raise ConfigError(f"rounds = {rounds!r}", "must be a positive whole number")
    for name in suites:
        if name not in suite_names():
            raise ConfigError(f"suite {name!r}", f"must be one of {', '.join(suite_names())}")
    of_all = [name for name, (_, in_all) in _SUITES.items() if in_all]
    wanted = dict.fromkeys(each for name in suites for each in (of_all if name == ALL else [name]))
    watch = observer or BenchObserver()
    results: list[BenchResult] = []
    failures: list[BenchFailure] = []

    def fail(name: str, error: HybridCvarError) -> None:
        failures.append(BenchFailure(name, str(error)))
        watch.on_failure(failures[-1])

    for name in wanted:
        try:
            with _SUITES[name][0](rounds, watch) as rows:
                for number, (row, measure) in enumerate(rows.items(), 1):
                    watch.on_row(row, number, len(rows))
                    try:
                        results.append(measure())
                    except HybridCvarError as error:
                        fail(row, error)
                    else:
                        watch.on_result(results[-1])
        except HybridCvarError as error:
            fail(name, error)
    return BenchRun(describe_machine(), tuple(results), tuple(failures))
