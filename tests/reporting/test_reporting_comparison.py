import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Report
from hybrid_cvar.reporting import render_json
from hybrid_cvar.reporting.comparison import Comparison, compare_files
from hybrid_cvar.reporting.comparison_output import (
    changes_plot,
    comparison_markdown,
    print_comparison,
    render_comparison_html,
    render_comparison_json,
)

MakeReport = Callable[..., Report]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def writing(name: str, content: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return writing


@pytest.fixture
def two_runs(write: Callable[..., Path], make_report: MakeReport) -> Comparison:
    first = render_json([make_report(wall_seconds=2.0)])
    second = render_json([make_report(wall_seconds=1.0, engine="native", labels=("other", "wave", *"abcdef"))])
    return compare_files([write("before.json", first), write("after.json", second)])


def test_changes_are_per_cent_of_the_first_file(two_runs: Comparison) -> None:
    rows = {row.name: row for row in two_runs.rows}
    assert two_runs.kind == "run" and [file.label for file in two_runs.files] == ["before", "after"]
    wall = rows["wall clock a video"]
    assert wall.values == (2.0, 1.0) and wall.changes == (0.0, -50.0) and wall.verdict(1) == "better"
    rate = rows["videos a second"]
    assert rate.values == (0.5, 1.0) and rate.changes[1] == 100.0 and rate.verdict(1) == "better"
    assert rows["energy a video"].changes == (0.0, 0.0) and rows["energy a video"].verdict(1) == ""
    assert rows["answers as in the first file"].values == (100.0, 0.0)
    assert rows["spike rate of motion.0"].values[0] == pytest.approx(5.1, rel=1e-3)
    assert any("engine: lava, native" in notice for notice in two_runs.notices)


def test_numbers_are_means_over_the_videos(write: Callable[..., Path], make_report: MakeReport) -> None:
    both = render_json([make_report(path="a.mp4", wall_seconds=1.0), make_report(path="b.mp4", wall_seconds=3.0)])
    comparison = compare_files([write("x.json", both), write("y.json", render_json([make_report(path="a.mp4")]))])
    rows = {row.name: row for row in comparison.rows}
    assert rows["wall clock a video"].values[0] == 2.0 and rows["videos"].values == (2.0, 1.0)
    assert "The files are not of the same videos." in comparison.notices


def test_a_number_that_only_one_file_has(write: Callable[..., Path], make_report: MakeReport) -> None:
    run = json.loads(render_json([make_report()]))
    run["videos"][0]["chip_latency"] = None
    comparison = compare_files([write("x.json", run), write("y.json", render_json([make_report()]))])
    (chip,) = (row for row in comparison.rows if "chip" in row.name)
    assert chip.values == (None, pytest.approx(0.00231)) and chip.changes == (None, None)


def test_nothing_from_zero_is_no_number(write: Callable[..., Path]) -> None:
    def bench(value: float) -> dict[str, object]:
        rows = [{"name": "a.b", "value": value, "unit": "ms", "provenance": "measured", "detail": {}}]
        return {"machine": {}, "results": rows}

    comparison = compare_files([write("a.json", bench(0.0)), write("b.json", bench(1.0)), write("c.json", bench(0.0))])
    assert comparison.rows[0].changes == (0.0, None, 0.0)
    assert changes_plot(comparison) is None, "nothing can be drawn as a ratio"
    json.loads(render_comparison_json(comparison))
    render_comparison_html(comparison)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("{", "no JSON"),
        ("[]", "a list; must be one of"),
        ('{"schema": "hybrid-cvar/ablation"}', "schema 'hybrid-cvar/ablation'; must be one of"),
        ('{"schema": "hybrid-cvar/run", "schema_version": 2}', "version 2"),
        ('{"schema": "hybrid-cvar/run", "schema_version": 3, "videos": []}', "no video ran"),
        ('{"schema": "hybrid-cvar/run", "schema_version": 3, "videos": [{}]}', "energy.total_joules is missing"),
        ('{"machine": {}, "results": []}', "of the kind bench, .* of the kind run; only files of one kind"),
        (None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_compared(
    write: Callable[..., Path], make_report: MakeReport, tmp_path: Path, second: str | None, words: str
) -> None:
    first = write("a.json", render_json([make_report()]))
    other = tmp_path / "b.json" if second is None else write("b.json", second)
    with pytest.raises(ConfigError, match=words) as caught:
        compare_files([first, other])
    assert "\n" not in str(caught.value)


def test_one_file_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="two or more"):
        compare_files([tmp_path / "a.json"])


def test_labels_are_as_short_as_they_can_be(write: Callable[..., Path], make_report: MakeReport) -> None:
    text = render_json([make_report()])
    paths = [write("old/run.json", text), write("new/run.json", text)]
    assert [file.label for file in compare_files(paths).files] == ["old/run", "new/run"]
    assert len({file.label for file in compare_files([paths[0], paths[0]]).files}) == 2


def test_every_rendering_shows_the_same_numbers(two_runs: Comparison) -> None:
    file = io.StringIO()
    print_comparison(two_runs, Console(file=file, width=100))
    html, markdown = render_comparison_html(two_runs, command="c"), comparison_markdown(two_runs, command="c")
    for text in (file.getvalue(), html, markdown):
        for part in ("wall clock a video", "2.00 s", "1.00 s", "-50.0 %", "before", "after", "engine: lava, native"):
            assert part in text
    content = json.loads(render_comparison_json(two_runs, command="c"))
    assert (content["schema"], content["schema_version"], content["kind"]) == ("hybrid-cvar/comparison", 1, "run")
    (wall,) = (row for row in content["rows"] if row["name"] == "wall clock a video")
    assert wall["changes_percent"] == [0.0, -50.0] and wall["better"] == "lower"
    tables = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in tables}) == 1


def test_a_label_is_escaped(write: Callable[..., Path], make_report: MakeReport) -> None:
    text = render_json([make_report()])
    other = render_json([make_report(wall_seconds=9.0)])
    comparison = compare_files([write("<script>alert(1).json", text), write("b|`c.json", other)])
    assert "<script>alert" not in render_comparison_html(comparison)
    markdown = comparison_markdown(comparison)
    assert "<script>" not in markdown and "b\\|\\`c" in markdown


def test_the_json_holds_what_its_docstring_says(two_runs: Comparison) -> None:
    import importlib.util

    from hybrid_cvar.reporting import comparison_output

    spec = importlib.util.spec_from_file_location("documented_schema", Path(__file__).with_name("documented_schema.py"))
    assert spec and spec.loader
    schema = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(schema)
    described = schema.documented(comparison_output.__doc__)
    assert schema.differences(described, json.loads(render_comparison_json(two_runs))) == []
