"""Measuring, the registry of suites, and what is written."""

import json
import math
import os
import sys
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from hybrid_cvar import benchmark
from hybrid_cvar.benchmark import measure, suites
from hybrid_cvar.benchmark.measure import peak_memory, ratio_of_medians
from hybrid_cvar.benchmark.results import BenchFailure, BenchResult, BenchRun, render_bench_json, write_bench_json
from hybrid_cvar.benchmark.suites import BenchObserver, run_bench
from hybrid_cvar.cli import app
from hybrid_cvar.errors import ConfigError, EngineError, MissingPartError
from hybrid_cvar.records import Provenance

BIG = 300_000_000


def test_two_things_are_timed_in_turn(monkeypatch):
    """Seconds come from a clock of the test's, so the medians are known."""
    now = [0.0]
    monkeypatch.setattr(measure.time, "perf_counter", lambda: now[0])
    order = []
    costs = {"fast": iter([1.0, 2.0, 9.0]), "slow": iter([4.0, 6.0, 5.0])}

    def step(name):
        def run():
            order.append(name)
            now[0] += next(costs[name])

        return run

    timings = ratio_of_medians(step("fast"), step("slow"), 3)
    assert order == ["fast", "slow", "slow", "fast", "fast", "slow"]
    assert timings.fast_seconds == (1.0, 2.0, 9.0) and timings.slow_seconds == (4.0, 6.0, 5.0)
    assert (timings.fast_median, timings.slow_median, timings.ratio) == (2.0, 5.0, 2.5)


def test_peak_memory_sees_the_process_itself():
    small, large = peak_memory(exec, "pass"), peak_memory(exec, f"x = b'1' * {BIG}; del x")
    assert small.own_bytes < BIG < large.own_bytes < small.own_bytes + BIG * 1.2
    assert large.bytes == max(large.own_bytes, large.tree_bytes)


def test_peak_memory_sees_children():
    child = f"{sys.executable} -c \"x = b'1' * {BIG}; import time; time.sleep(0.5)\""
    peak = peak_memory(os.system, child)
    assert peak.value == 0 and peak.own_bytes < BIG < peak.tree_bytes == peak.bytes


def test_this_process_does_not_count_in_the_childs_peak():
    """The kernel carries a peak over an exec in what getrusage tells."""
    here = b"1" * BIG
    assert peak_memory(exec, "pass").own_bytes < len(here)


def test_a_child_that_fails_is_told():
    with pytest.raises(EngineError, match="ZeroDivisionError"):
        peak_memory(exec, "1 / 0")


def result(name="video.x", **detail):
    return BenchResult(name, 2.5, "x", detail=detail)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_result_is_finite(value):
    with pytest.raises(EngineError, match=r"video.x = (nan|inf)"):
        BenchResult("video.x", value, "x")


def test_json_round_trip(tmp_path):
    detail = {"target": ">= 2", "met": True}
    run = BenchRun(
        benchmark.describe_machine(),
        (result(**detail), BenchResult("y", 1, "ms", Provenance.MODELLED)),
        (BenchFailure("z", "what; rule; remedy"),),
    )
    write_bench_json(run, tmp_path / "bench.json", command="hybrid-cvar bench")
    text = (tmp_path / "bench.json").read_text(encoding="utf-8")
    read = json.loads(text)
    again = json.loads(render_bench_json(run, command="hybrid-cvar bench"))
    assert read == again | {"created": read["created"]} and text.isascii() and text.endswith("}\n")
    assert (read["schema"], read["schema_version"]) == ("hybrid-cvar/bench", 1)
    assert read["command"] == "hybrid-cvar bench" and read["created"].endswith("+00:00")
    assert read["results"] == [
        {"name": "video.x", "value": 2.5, "unit": "x", "provenance": "measured", "detail": detail},
        {"name": "y", "value": 1.0, "unit": "ms", "provenance": "modelled", "detail": {}},
    ]
    assert read["failures"] == [{"name": "z", "error": "what; rule; remedy"}]
    machine = read["machine"]
    assert machine["cpu_count"] >= machine["cpu_usable"] >= 1 and machine["memory_bytes"] > 2**28
    assert {"av", "numpy", "numba", "onnxruntime"} <= set(machine["packages"]) and "libavcodec" in machine["ffmpeg"]
    assert machine["python"] and machine["platform"]


@pytest.fixture
def suite(monkeypatch):
    """A suite `video` of three rows, the second of which cannot be measured; `fuzz` cannot even begin."""

    def fail():
        raise MissingPartError("no part", "it is needed", "pip install part")

    @contextmanager
    def rows(rounds, observer):
        observer.on_step(1, 3)
        yield {
            "video.a": lambda: result("video.a", rounds=rounds),
            "video.b": fail,
            "video.c": lambda: result("video.c"),
        }

    @contextmanager
    def broken(rounds, observer):
        fail()
        yield {}

    monkeypatch.setattr(suites, "_SUITES", {"video": (rows, True), "fuzz": (broken, False)})


def test_a_row_that_fails_does_not_stop_the_others(suite):
    seen = []
    observer = BenchObserver(
        on_row=lambda *row: seen.append(row),
        on_result=lambda found: seen.append(found.name),
        on_failure=lambda failure: seen.append(failure),
        on_step=lambda *step: seen.append(step),
    )
    run = run_bench(["all", "video"], rounds=3, observer=observer)
    assert [found.name for found in run.results] == ["video.a", "video.c"]
    assert run.results[0].detail["rounds"] == 3
    failure = BenchFailure("video.b", "no part; it is needed; pip install part")
    assert run.failures == (failure,)
    assert seen == [
        (1, 3), ("video.a", 1, 3), "video.a", ("video.b", 2, 3), failure, ("video.c", 3, 3), "video.c"
    ]  # fmt: skip


def test_a_suite_that_cannot_begin_is_named(suite):
    run = run_bench(["fuzz", "video"])
    assert [failure.name for failure in run.failures] == ["fuzz", "video.b"] and len(run.results) == 2


def test_all_leaves_the_long_run_out():
    assert suites.suite_names() == ("video", "spiking", "ann", "energy", "latency", "operations", "fuzz", "all")
    in_all = [name for name, (_, in_all) in suites._SUITES.items() if in_all]
    assert in_all == ["video", "spiking", "ann", "energy", "latency", "operations"]


@pytest.mark.parametrize(
    "bad", [{"suites": ["speed"]}, {"suites": ["video"], "rounds": 0}, {"suites": [], "rounds": True}]
)
def test_wrong_usage_is_refused(bad):
    with pytest.raises(ConfigError, match=r"suite 'speed'|rounds = "):
        run_bench(**bad)


def test_the_command_prints_a_table_and_writes_json(suite, tmp_path):
    file = tmp_path / "bench.json"
    done = CliRunner().invoke(app, ["bench", "--suite", "video", "--json", str(file), "--rounds", "2"])
    assert done.exit_code == 1 and "video.a" in done.stdout and "video.c" in done.stdout
    assert "video.b: no part; it is needed; pip install part" in " ".join(done.stderr.split())
    assert [found["name"] for found in json.loads(file.read_text())["results"]] == ["video.a", "video.c"]


def test_json_on_stdout_is_alone_there(suite):
    done = CliRunner().invoke(app, ["bench", "--json", "-"])
    assert [found["name"] for found in json.loads(done.stdout)["results"]] == ["video.a", "video.c"]
    assert done.exit_code == 1 and "video.a" in done.stderr


def test_a_run_with_no_failure_exits_with_0(monkeypatch):
    row = result("video.a", target=">= 2", met=True, medians=[5.0, 2.0], medians_unit="frames/s")
    monkeypatch.setattr(benchmark, "run_bench", lambda names, **_: BenchRun(benchmark.describe_machine(), (row,), ()))
    for columns, medians in (("80", False), ("120", True)):
        done = CliRunner().invoke(app, ["bench", "-s", "video"], env={"COLUMNS": columns})
        assert done.exit_code == 0
        for cell in ("video.a", "2.5", ">= 2", "yes"):
            assert cell in done.stdout
        assert ("5 / 2 frames/s" in done.stdout) is medians
        assert max(len(line) for line in done.stdout.splitlines()) <= int(columns)


def test_an_output_that_cannot_be_written_fails_before_the_work(suite, tmp_path):
    done = CliRunner().invoke(app, ["bench", "--json", str(tmp_path / "no" / "x.json")])
    assert done.exit_code == 1 and "no folder" in done.stderr and "video.a" not in done.stdout
