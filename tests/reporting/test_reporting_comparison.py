import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Report
from hybrid_cvar.reporting import VideoFailure, render_json
from hybrid_cvar.reporting.comparison import Comparison, compare_files
from hybrid_cvar.reporting.comparison_output import (
    change_text,
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


def test_files_that_price_graded_events_otherwise_are_told_apart(
    write: Callable[..., Path], make_report: MakeReport
) -> None:
    run = json.loads(render_json([make_report()]))
    strict = json.loads(json.dumps(run))
    strict["videos"][0]["energy"]["strict"] = True
    comparison = compare_files([write("x.json", run), write("y.json", strict)])
    assert "The files differ in --strict: False, True." in comparison.notices


def test_numbers_are_means_over_the_videos(write: Callable[..., Path], make_report: MakeReport) -> None:
    reports = [make_report(path="a.mp4", wall_seconds=1.0), make_report(path="b.mp4", wall_seconds=3.0)]
    both = render_json(reports, [VideoFailure("c.mp4", "c.mp4: no video")])
    comparison = compare_files([write("x.json", both), write("y.json", render_json([make_report(path="a.mp4")]))])
    rows = {row.name: row for row in comparison.rows}
    assert rows["wall clock a video"].values[0] == 2.0 and rows["videos"].values == (2.0, 1.0)
    assert rows["videos without an answer"].values == (1.0, 0.0)
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
    (row,) = comparison.rows
    assert row.changes == (0.0, None, 0.0)
    assert [row.verdict(index) for index in range(3)] == ["", "worse", ""], "milliseconds, from 0"
    assert [change_text(row, index) for index in (1, 2)] == ["from 0", "same"]
    page = render_comparison_html(comparison)
    assert '<td class="bad">from 0</td>' in page and '<b class="bad">1</b><span class="label">worse' in page
    assert "| from 0 |" in comparison_markdown(comparison)
    assert changes_plot(comparison) is None, "nothing can be drawn as a ratio"
    json.loads(render_comparison_json(comparison))


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("{", "no JSON"),
        ("[]", "a list; must be one of"),
        ('{"schema": "hybrid-cvar/ablation"}', "schema 'hybrid-cvar/ablation'; must be one of"),
        ('{"schema": "hybrid-cvar/run", "schema_version": 2}', "version 2"),
        ('{"schema": "hybrid-cvar/run", "schema_version": 5, "videos": []}', "no video ran"),
        (
            '{"schema": "hybrid-cvar/run", "schema_version": 5, "videos": [{}], "failures": []}',
            "energy.total_joules is missing",
        ),
        ('{"machine": {}, "results": []}', "of the kind bench, .* of the kind run; only files of one kind"),
        ('{"schema": ["x"]}', "schema .'x'.*must be one of"),
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


@pytest.mark.parametrize(
    ("values", "verdict"),
    [((0.74, 0.37), "worse"), ((0.37, 0.74), "better"), ((0.5, 0.5), ""), ((0.70, 0.735), "better")],
)
def test_of_an_aim_nearer_is_better(write: Callable[..., Path], values: tuple[float, float], verdict: str) -> None:
    """Half the energy that the paper prints misses the target, however little it is."""

    def bench(value: float) -> dict[str, object]:
        detail = {"target": "0.734 within 3%", "met": True}
        rows = [{"name": "energy.base", "value": value, "unit": "J", "provenance": "modelled", "detail": detail}]
        return {"machine": {}, "results": rows}

    comparison = compare_files([write(f"{index}.json", bench(value)) for index, value in enumerate(values)])
    (row,) = comparison.rows
    assert (row.better, row.aim) == ("nearer", 0.734)
    assert row.verdict(1) == verdict
    (entry,) = json.loads(render_comparison_json(comparison))["rows"]
    assert (entry["better"], entry["aim"]) == ("nearer", 0.734)


HUGE = 10**400


@pytest.mark.parametrize(
    ("way", "value", "words"),
    [
        (("operations", "spiking", 0, "spike_rate"), float("nan"), r"spiking\[0\]: spike_rate = nan; .* finite number"),
        (("operations", "spiking", 0, "spike_rate"), True, r"spike_rate = True"),
        (("operations", "spiking", 0, "spike_rate"), 1e308, r"spike rate of motion.0 = inf"),
        (("operations", "spiking", 0, "layer"), {}, r"spiking\[0\]: layer = {}; must be str"),
        (("operations", "spiking", 1), 7, r"operations.spiking\[1\] = 7; must be dict"),
        (("time", "stages", 0, "seconds_per_clip"), float("inf"), r"stages\[0\]: seconds_per_clip = inf"),
        (("time", "stages", 0, "seconds_per_clip"), HUGE, r"stages\[0\]: seconds_per_clip = 1000"),
        (("time", "stages", 0, "stage"), ["x"], r"stages\[0\]: stage = \['x'\]; must be str"),
        (("time", "stages"), None, r"time.stages = None; must be list"),
        (("time", "clip"), [1], r"time.clip = \[1\]; must be dict"),
        (("time", "clip", "p95"), "fast", r"time.clip: p95 = 'fast'"),
        (("time", "wall_seconds"), 5e-324, r"videos a second = inf"),
        (("time", "seconds_per_clip"), HUGE, r"time.seconds_per_clip = 1000.*; must be a finite number"),
        (("energy", "total_joules"), HUGE, r"videos\[0\]: energy.total_joules = 1000.*; must be a finite number"),
        (("energy", "total_joules"), -HUGE, r"energy.total_joules = -1000"),
        (("chip_latency", "clip_seconds"), float("nan"), r"chip_latency: clip_seconds = nan"),
        (("predictions", "top", 0, "label"), [], r"top\[0\]: label = \[\]"),
        (("video", "path"), None, r"video.path = None"),
    ],
    ids=lambda one: ".".join(map(str, one)) if isinstance(one, tuple) else "",
)
def test_a_damaged_run_is_one_clear_line(
    write: Callable[..., Path], make_report: MakeReport, way: tuple[str | int, ...], value: object, words: str
) -> None:
    run = json.loads(render_json([make_report()]))
    place = run["videos"][0]
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = value
    with pytest.raises(ConfigError, match=words) as caught:
        compare_files([write("a.json", render_json([make_report()])), write("b.json", run)])
    assert "b.json" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_videos_of_one_name_in_two_folders_are_two(write: Callable[..., Path], make_report: MakeReport) -> None:
    """Each of them has its own answer, in every file the same."""
    other = ("other", "wave", *"abcdef")
    runs = [make_report(path="a/v.mp4"), make_report(path="b/v.mp4", labels=other)]
    text, turned = render_json(runs), render_json(runs[::-1])
    comparison = compare_files([write("x.json", text), write("y.json", turned)])
    (shared,) = (row for row in comparison.rows if row.name.startswith("answers"))
    assert shared.values == (100.0, 100.0)
    assert not [notice for notice in comparison.notices if "video" in notice]


def test_videos_that_moved_meet_by_their_names(write: Callable[..., Path], make_report: MakeReport) -> None:
    first = render_json([make_report(path="/data/a.mp4"), make_report(path="/data/b.mp4")])
    second = render_json([make_report(path="videos/b.mp4"), make_report(path="videos/a.mp4")])
    comparison = compare_files([write("x.json", first), write("y.json", second)])
    (shared,) = (row for row in comparison.rows if row.name.startswith("answers"))
    assert shared.values == (100.0, 100.0)
    assert any("in different folders" in notice for notice in comparison.notices)


def test_a_video_given_twice_is_said(write: Callable[..., Path], make_report: MakeReport) -> None:
    twice = [make_report(path="v.mp4"), make_report(path="v.mp4", labels=("other", "wave", *"abcdef"))]
    comparison = compare_files([write("x.json", render_json(twice)), write("y.json", render_json(twice))])
    (shared,) = (row for row in comparison.rows if row.name.startswith("answers"))
    assert shared.values == (100.0, 100.0)
    assert any("x has a video more than once" in notice and "v.mp4" in notice for notice in comparison.notices)


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
