import json
import re
from pathlib import Path
from typing import Any

import pytest

from hybrid_cvar.energy import load_paper_tables, recompute_energy
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.reporting.bench_document import is_bench, missed_targets, read_bench
from hybrid_cvar.reporting.bench_page import our_paper_joules, render_bench_html
from hybrid_cvar.reporting.bench_plots import rounds_plot, targets_plot
from hybrid_cvar.reporting.bench_results import read_results, results_markdown

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
PAPER = load_paper_tables()
AGAIN = [recompute_energy(row) for row in PAPER.table1]
MACHINE = {
    "cpu_model": "A CPU",
    "cpu_count": 4,
    "cpu_usable": 2,
    "memory_bytes": 2**33,
    "platform": "Linux",
    "python": "3.12",
    "packages": {"numpy": "2.1"},
}


def row(name: str = "video.speed", value: float = 3.0, unit: str = "x", **detail: Any) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit, "provenance": "measured", "detail": detail}


@pytest.fixture
def content() -> dict[str, Any]:
    return {
        "schema": "hybrid-cvar/bench",
        "schema_version": 1,
        "hybrid_cvar_version": "0.1.0",
        "created": "2026-01-31T12:00:00+00:00",
        "command": "hybrid-cvar bench --suite video",
        "machine": MACHINE,
        "results": [
            row(
                target=">= 2",
                met=True,
                medians=[1.0, 3.0],
                medians_unit="s",
                fast_seconds=[1.0, 1.1],
                slow_seconds=[3.0, 2.9],
            ),
            row("video.memory", 400.0, "MiB", target="< 300", met=False, files={"a.avi": {"seconds": [0.5, 0.25]}}),
            row("video.faults", 0.0, "faults", target="== 0", met=True, note="none", seconds={"torch": [2.0, 2.5]}),
            row("energy.base_paper_joules", 0.74, "J", target="0.734 within 3%", met=True),
        ],
        "failures": [{"name": "video.gone", "error": "no clip; install it"}],
    }  # fmt: skip


def test_a_file_is_read_whole(content: dict[str, Any]) -> None:
    document = read_bench(content, "results/video.json")
    assert document.source == "video.json" and document.failures == (("video.gone", "no clip; install it"),)
    assert document.machine.line == "A CPU, 2 of 4 cores, 8.0 GiB of memory, Linux"
    assert document.machine.software == ("Python 3.12", "numpy 2.1")
    speed, memory, faults, energy = document.rows
    assert (speed.medians, speed.medians_unit, speed.met, speed.better) == ((1.0, 3.0), "s", True, "higher")
    assert speed.rounds == (("faster", (1.0, 1.1)), ("slower", (3.0, 2.9)))
    assert memory.rounds == (("a.avi", (0.5, 0.25)),) and memory.better == "lower"
    assert faults.facts == (("note", "none"),) and faults.rounds == (("torch", (2.0, 2.5)),)
    assert [one.margin for one in document.rows] == [1.5, 0.75, None, pytest.approx(0.03 * 0.734 / 0.006)]
    assert (energy.suite, energy.better, energy.aim) == ("energy", "nearer", 0.734)
    assert speed.aim is None and faults.better == "lower"


@pytest.mark.parametrize(
    ("value", "target", "margin"),
    [
        (0.734 * 1.03, "0.734 within 3%", 1.0),
        (0.367, "0.734 within 3%", 0.06),
        (0.734, "0.734 within 3%", 100.0),
        (1.4 + 1e-9, "1.40 within 3%", 100.0),
        (1.0, "0 within 3%", None),
        (1.0, ">= 1e999", None),
        (1.0, "< 1.2.3", None),
        (5.0, "1e999 within 3%", None),
    ],
)
def test_how_far_a_target_is(content: dict[str, Any], value: float, target: str, margin: float | None) -> None:
    (one,) = read_bench(content | {"results": [row(value=value, target=target, met=True)]}, "a.json").rows
    assert one.margin == (None if margin is None else pytest.approx(margin, rel=1e-6))


@pytest.mark.parametrize("name", ["ann", "spiking", "video", "video-fuzz"])
def test_committed_results_are_read_without_a_schema(name: str) -> None:
    content = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    assert is_bench(content)
    document = read_bench(content, f"{name}.json")
    assert document.rows and document.machine.line
    results = content.get("results") or [{"name": "video.fuzz_faults", "value": len(content["faults"])}]
    assert [(one.name, one.value) for one in document.rows] == [(one["name"], one["value"]) for one in results]


@pytest.mark.parametrize(
    "other", [[], "text", {}, {"schema": "hybrid-cvar/run"}, {"machine": {}}, {"machine": "x", "results": []}]
)
def test_what_is_no_benchmark(other: object) -> None:
    assert not is_bench(other)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "version 2; this release reads version 1"),
        ({"machine": []}, "machine = \\[\\]"),
        ({"results": [7]}, "results\\[0\\] is int"),
        ({"results": [row(value="fast")]}, "value = 'fast'"),
        ({"results": [row() | {"provenance": "guessed"}]}, "provenance 'guessed'"),
        ({"results": [row() | {"detail": []}]}, "detail is list"),
        ({"results": [row(value=float("nan"))]}, "value = nan"),
        ({"results": [row(value=10**400)]}, "value = 1000.* must be a finite number"),
        ({"failures": 7}, "failures = 7"),
    ],
)
def test_a_damaged_file_is_one_clear_line(content: dict[str, Any], change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_bench(content | change, "video.json")


def test_numbers_that_no_float_holds_are_left_out_of_the_detail(content: dict[str, Any]) -> None:
    huge = 10**400
    content["machine"] = MACHINE | {"memory_bytes": huge}
    content["results"] = [row(medians=[huge, 1.0], seconds=[1.0, huge]), row(medians=[float("inf"), 1.0])]
    document = read_bench(content, "a.json")
    assert [(one.medians, one.rounds) for one in document.rows] == [(None, ()), (None, ())]
    assert "memory" not in document.machine.line
    render_bench_html([document])


def test_the_page_shows_every_row_target_and_failure(content: dict[str, Any]) -> None:
    html = render_bench_html(
        [read_bench(content, "video.json")], command="hybrid-cvar bench", paper=PAPER, recomputed=AGAIN
    )
    for text in ("3 of 4 targets met", "video.memory", "&lt; 300", "no clip; install it", "A CPU, 2 of 4 cores",
                 "hybrid-cvar bench --suite video", "1 / 3 s", "ours, base", "CoViAR", "needs 0.1588 T"):  # fmt: skip
        assert text in html
    assert html.count('class="badge measured"') == 4 + 1, "a row each, and the legend"
    assert "circle areas are proportional to the number of parameters, but for MM-ViT, of which none is printed" in html
    assert "CoViAR" not in render_bench_html([read_bench(content | {"results": [row()]}, "v")], paper=PAPER)


def test_what_a_file_says_is_escaped(content: dict[str, Any]) -> None:
    attack = "</script><script>alert(1)</script>"
    content["results"] = [row(attack, target=">= 1", met=False, seconds={attack: [1.0, 2.0]}, note=attack)]
    content |= {"command": attack, "failures": [{"name": attack, "error": attack}]}
    html = render_bench_html([read_bench(content, attack)])
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html
    markdown = results_markdown([read_bench(content, "a.json")], command="c")
    assert "<script>" not in re.sub(r"`[^`]*`", "", markdown)


def test_plots_mark_what_was_missed(content: dict[str, Any]) -> None:
    rows = read_bench(content, "video.json").rows
    plot = targets_plot(rows)
    assert plot is not None
    assert [(trace["name"], list(trace["x"])) for trace in plot.data] == [
        ("met", [1.5, rows[3].margin]), ("missed", [0.75])
    ]  # fmt: skip
    rounds = rounds_plot(rows[0])
    assert rounds is not None and [trace["x"] for trace in rounds.data] == [[1.0, 1.1], [3.0, 2.9]]
    assert rounds_plot(rows[3]) is None and targets_plot(rows[2:3]) is None


def test_the_markdown_of_all_results_is_the_committed_report() -> None:
    """REPORT.md is drawn, not written: it says what the files say, and how it was made."""
    documents = read_results(RESULTS)
    committed = (RESULTS.parent / "REPORT.md").read_text(encoding="utf-8")
    command = re.search(r"^    (hybrid-cvar compare .*)$", committed, re.MULTILINE)
    assert command is not None
    assert results_markdown(documents, command=command[1], paper=PAPER, recomputed=AGAIN) == committed
    for one in (one for document in documents for one in document.rows):
        assert f"`{one.name}` | {one.value:.4g}" in committed


def test_what_was_made_to_meet_a_target_is_marked(content: dict[str, Any]) -> None:
    rows = [row for row in content["results"] if row["detail"].get("met")]
    rows[0]["detail"] |= {"what_was_fitted": "its width was", "clips": 8}
    document = read_bench(content, "energy.json")
    markdown = results_markdown([document], command="c", paper=PAPER, recomputed=AGAIN)
    assert f"{len(rows)} of {len(rows) + 1} targets are met, 1 of them by things that were made to" in markdown
    assert markdown.count("| yes, fitted |") == 1 and markdown.count("| yes |") == len(rows) - 1
    assert f"- `{rows[0]['name']}` was fitted: its width was." in markdown
    assert render_bench_html([document]).count("met, fitted") == 1


def test_a_missed_row_of_two_files_is_named_with_its_file(content: dict[str, Any]) -> None:
    once = [read_bench(content, "results/video.json")]
    assert [name for name, _ in missed_targets(once)] == ["video.memory"]
    twice = [*once, read_bench(content, "results/video-amd.json")]
    assert [name for name, _ in missed_targets(twice)] == [
        "video.memory of video.json",
        "video.memory of video-amd.json",
    ]
    markdown = results_markdown(twice, command="c")
    assert "Missed: video.memory of video.json, 400 MiB" in markdown
    assert "video.memory of video-amd.json" in render_bench_html(twice)


@pytest.mark.parametrize(
    ("limit", "said"),
    [(350.25, "; cores that did nothing else reached 350.2)"), ("much", ")"), ("nan", ")"), (None, ")")],
)
def test_a_missed_row_says_what_the_machine_reached(content: dict[str, Any], limit: Any, said: str) -> None:
    (memory,) = (row for row in content["results"] if row["name"] == "video.memory")
    memory["detail"]["machine_limit"] = limit
    documents = [read_bench(content, "video.json")]
    assert f"Missed: video.memory, 400 MiB (target `< 300`{said}" in results_markdown(documents, command="c")
    assert f"(target &lt; 300{said}" in render_bench_html(documents)


def test_our_energies_name_their_clips(content: dict[str, Any]) -> None:
    (row,) = (row for row in content["results"] if row["name"] == "energy.base_paper_joules")
    for clips, name in ((8, "ours, base, 8 clips"), (1, "ours, base, 1 clip")):
        row["detail"]["clips"] = clips
        assert our_paper_joules([read_bench(content, "energy.json")]) == ((name, row["value"]),)


def test_the_papers_tables_stand_beside_our_energies(content: dict[str, Any]) -> None:
    markdown = results_markdown([read_bench(content, "energy.json")], command="c", paper=PAPER, recomputed=AGAIN)
    assert "| E printed, J | E of its FLOPs, J | off | E here, J |" in markdown
    assert "| **ours, base** | CD | | | | | | | | **0.74** |" in markdown, "not among what the paper prints"
    assert "| paper's own | CD | 8 x 1 | 95.6 | 74.6 | 83.41 | 0.734 | 0.694 | 5.5 % |  |" in markdown
    assert "| paper's own-L | CD | 64.2 | 75.9 | 81.1 | 1.40 | |" in markdown
    assert "| **ours, base** | CD | | | | | **0.74** |" in markdown
    assert r"| CoViAR \[6\] | CD | 8 x 10 |" in markdown and r"| ViViT-L FE \[37\] | RD |" in markdown
    tables = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)
    for table in tables:
        assert len({line.count("|") - line.count("\\|") for line in table.splitlines()}) == 1, table


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (None, "no such folder"),
        ({}, "no .json file"),
        ({"a.json": "{"}, "a.json: no JSON"),
        ({"a.json": "{}"}, "a.json: not a benchmark's file"),
    ],
)
def test_a_folder_without_results(tmp_path: Path, files: dict[str, str] | None, words: str) -> None:
    folder = tmp_path / "results"
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        read_results(folder)
