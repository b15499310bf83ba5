"""Benchmarks of the stages: what is measured, against what, and the file the numbers go to.

    suites (name -> rows) -> measure (times in turn, peak memory in a fresh process) -> BenchResult -> JSON, terminal

A speed is a ratio of two medians that were measured in turn in one run; both medians are in the result's detail.
"""

from hybrid_cvar.benchmark.machine import BenchMachine, describe_machine
from hybrid_cvar.benchmark.plots import check_plots, write_plots
from hybrid_cvar.benchmark.results import BenchFailure, BenchResult, BenchRun, render_bench_json, write_bench_json
from hybrid_cvar.benchmark.suites import BenchObserver, run_bench, suite_names

__all__ = [
    "BenchFailure",
    "BenchMachine",
    "BenchObserver",
    "BenchResult",
    "BenchRun",
    "check_plots",
    "describe_machine",
    "render_bench_json",
    "run_bench",
    "suite_names",
    "write_bench_json",
    "write_plots",
]
