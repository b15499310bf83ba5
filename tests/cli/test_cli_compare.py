"""`compare` and `bench --report` as a user meets them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from hybrid_cvar.__main__ import main; main()"]
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def compare(*arguments, **environment):
    return subprocess.run(
        [*COMMAND, "compare", *map(str, arguments)],
        env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def faster(tmp_path: Path) -> Path:
    """The committed video results, with another speed."""
    content = json.loads((RESULTS / "video.json").read_text())
    content["results"][0]["value"] *= 2
    path = tmp_path / "faster.json"
    path.write_text(json.dumps(content))
    return path


def test_two_benchmarks(faster, tmp_path):
    outputs = {name: tmp_path / f"out.{name}" for name in ("html", "md", "json")}
    done = compare(
        *(RESULTS / "video.json", faster, "--report", outputs["html"]),
        *("--markdown", outputs["md"], "--json", outputs["json"]),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "+100.0 %" in done.stdout and "video.full_over_decode_fps" in done.stdout
    content = json.loads(outputs["json"].read_text())
    assert content["kind"] == "bench" and content["rows"][0]["changes_percent"] == [0.0, 100.0]
    assert content["command"].startswith("hybrid-cvar compare ")
    for name in ("html", "md"):
        assert "+100.0 %" in outputs[name].read_text()


def test_json_on_stdout_is_pure(faster):
    done = compare(RESULTS / "video.json", faster, "--json", "-")
    assert done.returncode == 0 and json.loads(done.stdout)["schema"] == "hybrid-cvar/comparison"


def test_results_of_every_suite(tmp_path):
    page, markdown = tmp_path / "report.html", tmp_path / "REPORT.md"
    done = compare("--results", RESULTS, "--report", page, "--markdown", markdown)
    assert done.returncode == 0, done.stderr
    assert "video.vectors_over_mvextractor_fps" in done.stdout
    for text in (page.read_text(), markdown.read_text()):
        for row in ("ann.share_of_peak", "spiking.parity_mismatches", "video.fuzz_faults"):
            assert row in text


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), ("{", "no JSON"), ('{"schema": "x"}', "schema 'x'"), ("[1]", "a list")],
)
def test_a_bad_file_is_one_clear_line(tmp_path, content, words):
    path = tmp_path / "bad.json"
    if content is not None:
        path.write_text(content)
    done = compare(RESULTS / "video.json", path, "--report", tmp_path / "out.html")
    assert done.returncode == 1 and not (tmp_path / "out.html").exists()
    (line,) = done.stderr.splitlines()
    assert line.startswith("error:") and "bad.json" in line and words in line


@pytest.mark.parametrize(
    "arguments",
    [[], ["a.json"], ["a.json", "b.json", "--results", "."], ["a.json", "b.json", "--report", "a.json"],
     ["--results", ".", "--json", "-"]],
)  # fmt: skip
def test_wrong_usage(arguments):
    done = compare(*arguments)
    assert done.returncode == 2 and "Traceback" not in done.stderr


def test_bench_writes_its_page(monkeypatch, tmp_path):
    """The JSON and the page of one call say the same; nothing is measured here."""
    from contextlib import contextmanager

    from typer.testing import CliRunner

    from hybrid_cvar.benchmark import BenchResult, suites
    from hybrid_cvar.cli import app

    @contextmanager
    def rows(rounds, observer):
        detail = {"target": ">= 2", "met": True, "medians": [1.0, 3.0], "medians_unit": "s", "seconds": [1.0, 1.1]}
        yield {"video.speed": lambda: BenchResult("video.speed", 3.0, "x", detail=detail)}

    monkeypatch.setattr(suites, "_SUITES", {"video": (rows, True)})
    page, results = tmp_path / "bench.html", tmp_path / "bench.json"
    monkeypatch.setattr(sys, "argv", ["hybrid-cvar", "bench", "--suite", "video"])
    done = CliRunner().invoke(app, ["bench", "--suite", "video", "--report", str(page), "--json", str(results)])
    assert done.exit_code == 0, done.output
    text = page.read_text()
    assert "1 of 1 targets met" in text and "hybrid-cvar bench --suite video" in text and "video.speed" in text
    content = json.loads(results.read_text())
    assert (content["schema"], content["results"][0]["value"]) == ("hybrid-cvar/bench", 3.0)
    done = CliRunner().invoke(app, ["bench", "--suite", "video", "--report", str(page), "--json", str(page)])
    assert done.exit_code == 2
