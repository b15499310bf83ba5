import base64
import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import escape
from plotly.offline import get_plotlyjs

from hybrid_cvar.energy import load_paper_tables, recompute_energy
from hybrid_cvar.errors import OutputError
from hybrid_cvar.records import Report
from hybrid_cvar.reporting import VideoFailure, render_html, write_html
from hybrid_cvar.reporting.operation_rows import operation_rows
from hybrid_cvar.reporting.paper_section import our_joules
from hybrid_cvar.reporting.units import count, duration, percent, si

MakeReport = Callable[..., Report]
VOID = {"meta", "br", "link", "img", "input", "hr"}
PAPER = load_paper_tables()
AGAIN = [recompute_energy(row) for row in PAPER.table1]


class _Page(HTMLParser):
    """Collects tags and checks that they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def without_scripts(page: str) -> str:
    """What a reader without scripts gets."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def html_of(text: str) -> str:
    return str(escape(text))


def test_one_video_holds_every_figure(make_report: MakeReport) -> None:
    report = make_report()
    html = render_html([report], [], command="hybrid-cvar run videos/pull_0007.mp4 --report out.html")
    _Page(html)
    trace = report.trace
    for text in (
        report.predictions[0].label,
        percent(report.predictions[0].probability),
        si(report.energy.total_joules, "J"),
        duration(trace.wall_seconds / trace.clips),
        f"{1 / trace.wall_seconds:.3g}",
        duration(trace.seconds),
        duration(trace.first_prediction_seconds),
        duration(report.chip_latency.clip_seconds),
        count(trace.synaptic_operations),
        count(trace.dense_macs),
        "hybrid-cvar run videos/pull_0007.mp4 --report out.html",
        "transcoded: H.264 with B-frames",
        *report.energy.not_priced,
        *(layer.name for layer in trace.spiking),
        *(stage.stage for stage in trace.stages),
        *(row.compared for row in report.parity),
        *(chip.chip for chip in report.resources.chips),
        *(constant.conditions for constant in report.energy.constants),
        *(html_of(row.convention) for row in operation_rows(trace)),
    ):
        assert text in html


def test_it_names_who_ran_what(make_report: MakeReport) -> None:
    html = render_html([make_report(provider="openvino", precision="bf16")])
    assert "<span>engine lava</span>" in html and "<span>ANN on openvino in bf16</span>" in html


def test_the_page_needs_nothing_but_itself(make_report: MakeReport) -> None:
    html = render_html([make_report(), make_report()], [VideoFailure("a", "b")])
    tags = _Page(html).tags
    assert not {tag for tag, _ in tags} & {"iframe", "object", "embed", "base", "form"}
    for tag, attributes in tags:
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
        assert (attributes.get("href") or "#").startswith(("#", "data:,"))
        assert tag != "script" or "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    assert "http" not in html and "url(" not in html and "@import" not in html


def test_plotly_is_held_once_and_whole(make_report: MakeReport) -> None:
    html = render_html([make_report(), make_report()])
    (packed,) = re.findall(r'<script type="application/octet-stream" class="plotly">(.*?)</script>', html)
    assert gzip.decompress(base64.b64decode(packed)).decode() == get_plotlyjs()
    assert len(html) < 3_000_000


def test_a_page_without_a_plot_holds_no_plotly(make_report: MakeReport) -> None:
    assert 'class="plotly"' not in render_html([])
    assert len(render_html([], [VideoFailure("a.mp4", "gone")])) < 20_000


def test_a_table_stands_beside_every_plot(make_report: MakeReport) -> None:
    """Without scripts a plot takes no room and its numbers are there."""
    html = without_scripts(render_html([make_report()], paper=PAPER, recomputed=AGAIN))
    for part in re.split(r'<(?:div|section) class="card', html)[1:]:
        assert 'class="plot"' not in part or "<table" in part
    assert html.count('class="plot"') == 6
    assert all(label for label in re.findall(r'class="plot" role="img" aria-label="([^"]*)"', html))


def test_no_accuracy_is_claimed_for_the_run(make_report: MakeReport) -> None:
    html = render_html([make_report()], paper=PAPER, recomputed=AGAIN)
    figures = [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', html)]
    (lines,) = ([t for t in f["data"] if t["mode"] == "lines"] for f in figures if "markers+text" in str(f))
    assert [line["x"] for line in lines] == [[make_report().energy.total_joules] * 2]
    assert "was not measured on UCF-101" in html and "CoViAR" in html
    assert "8 &times; 10" in html and "but for MM-ViT, of which none is printed" in html
    assert html.count("&gt;3.422") == 1 and "needs 0.1588 T" in html, (
        "as printed, and why the paper's own does not close"
    )
    assert "UCF-101" not in render_html([make_report()])


def cells_of(html: str, label: str) -> list[list[str]]:
    """The cells of the table in a labelled region, row by row, without tags."""
    _, found, rest = html.partition(f'aria-label="{label}"')
    assert found
    rows = re.findall(r"<tr.*?</tr>", rest.partition("</table>")[0], re.DOTALL)
    return [
        [" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.DOTALL)]
        for row in rows
    ]


@pytest.mark.parametrize("table", ["The paper's Table 1", "The paper's Table 2"])
def test_our_energy_has_a_column_of_its_own(make_report: MakeReport, table: str) -> None:
    report = make_report()
    html = without_scripts(render_html([report], paper=PAPER, recomputed=AGAIN))
    head, *rows = cells_of(html, table)
    assert len({len(cells) for cells in (head, *rows)}) == 1, "every row has every column"
    assert "E printed, J" in head and head[-1] == "E here, J"
    (ours,) = (cells for cells in rows if cells[-1])
    assert ours[0] == "this run, hybrid-small, 8 clips (the paper: 8)"
    assert ours[-1] == f"{report.energy.total_joules:.4g}" and not any(ours[1:-1])


def test_what_our_energy_is_called(make_report: MakeReport) -> None:
    few, strict = make_report(2), make_report()
    strict = replace(strict, energy=replace(strict.energy, strict=True))
    assert [name for name, _ in our_joules([few], PAPER)] == ["this run, hybrid-small, 2 clips (the paper: 8)"]
    assert [name for name, _ in our_joules([few, strict], PAPER)] == [
        f"2 videos, {what}, hybrid-small, 2 to 8 clips (the paper: 8), --strict" for what in ("mean", "median")
    ]


def test_another_profile_is_not_set_beside_the_papers(make_report: MakeReport) -> None:
    """Profiles are never mixed: the paper's circles stand alone, and the page says why and how."""
    report = make_report()
    other = replace(report, energy=replace(report.energy, profile="loihi1-davies2018"))
    for reports in ([other], [report, other]):
        html = render_html(reports, paper=PAPER, recomputed=AGAIN)
        assert "was priced with loihi1-davies2018" in html and "run again with --profile paper-45nm" in html
        assert "E here, J" not in html and "this run, " not in html and "its energy is a line" not in html
        figures = [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', html)]
        (drawn,) = (figure["data"] for figure in figures if "markers+text" in str(figure))
        assert {trace["mode"] for trace in drawn} == {"markers+text"}
    assert "was priced with" not in render_html([report], paper=PAPER, recomputed=AGAIN)


def test_every_operation_says_its_count_and_where_it_comes_from(make_report: MakeReport) -> None:
    _, *rows = cells_of(render_html([make_report(1)]), "Operations")
    assert [(cells[1], cells[-1]) for cells in rows[:3]] == [
        ("frames decoded", "measured"), ("motion vectors", "measured"), ("pixels", "measured")
    ]  # fmt: skip
    assert {cells[-1] for cells in rows[3:]} == {"emulated"}


def test_the_operation_stands_under_its_part(make_report: MakeReport) -> None:
    """The first column is all that a phone shows beside the energy."""
    _, *rows = cells_of(render_html([make_report()]), "Energy")
    names = [cells[0] for cells in rows]
    assert {"motion.0 AC", "residual.1 AC", "Conv MAC", "Gemm MAC"} <= set(names)
    assert len(set(names)) == len(names)


def test_what_was_shared_out_evenly_is_said(make_report: MakeReport) -> None:
    html = render_html([make_report(first_prediction_clips=8)])
    assert "The ANN partition takes a batch of clips at once: its time, and opening the file, are shared" in html
    assert html.count("(first batch, 8 clips)") == 2, "the tile and the line"
    assert render_html([make_report()]).count("(first clip)") == 2


def test_what_a_user_gives_is_escaped(make_report: MakeReport) -> None:
    attack = "<script>alert(1)</script>.mp4"
    report = make_report(
        path=f"a/{attack}",
        labels=("<img src=x onerror=y>", *"abcdefg"),
        model='"><script>',
        trained=False,
        notices=("<script>notice",),
        top=100,
    )
    html = render_html([report, report], [VideoFailure(attack, attack)], command=f"hybrid-cvar run '{attack}'")
    assert "<script>alert" not in html and "<img src=x" not in html and '"><script>' not in html.replace("\n", "")
    assert "&lt;script&gt;alert(1)&lt;" in html and "&lt;img" in html
    scripts = [attributes for tag, attributes in _Page(html).tags if tag == "script"]
    assert len([a for a in scripts if "type" not in a]) == 1, "our own, and no other"


def test_names_that_are_not_text_can_be_written(tmp_path: Path, make_report: MakeReport) -> None:
    path = tmp_path / "report.html"
    write_html([make_report(path="a\udc80\u202e.mp4")], [], path)
    assert "a\\udc80\\u202e.mp4" in path.read_text(encoding="utf-8")


def test_sections_carry_their_marks(make_report: MakeReport) -> None:
    html = render_html([make_report()], paper=PAPER)
    headings = re.findall(r"<h3>(.*?)</h3>", html)
    marks = {
        "Answer": "measured",
        "Energy,": "modelled",
        "Operations": "emulated measured",
        "Time": "measured",
        "Latency on Loihi 1": "modelled",
        "Spiking": "emulated",
        "ANN": "emulated",
        "Clip 1": "measured emulated",
        "Accuracy": "modelled",
        "Parity": "measured",
        "What the spiking partition takes": "modelled",
    }
    for start, provenances in marks.items():
        (heading,) = (text for text in headings if text.startswith(start))
        badges = re.findall(r'<span class="badge (\w+)">(\w+)</span>', heading)
        assert badges == [(mark, mark) for mark in provenances.split()], start
    unmarked = [text for text in headings if not text.startswith(tuple(marks))]
    assert unmarked == ["Constants of paper-45nm", "How to reproduce", "What the marks mean"]
    tiles = re.findall(r'<div class="tile">(.*?)</div>', html)
    assert len(tiles) == 6
    assert all('class="badge ' in tile for tile in tiles)


def test_verdict_comes_before_notices(make_report: MakeReport) -> None:
    html = render_html([make_report(trained=False)])
    assert html.index('class="answer"') < html.index("not trained for recognition") < html.index("<h3>Time")


def test_several_videos_have_an_index(make_report: MakeReport) -> None:
    html = render_html([make_report(path="one.mp4"), make_report(path="two.mp4")], [VideoFailure("c.mp4", "too short")])
    page = _Page(html)
    targets = [a["href"] for tag, a in page.tags if tag == "a"]
    ids = [f"#{a['id']}" for _, a in page.tags if "id" in a]
    assert targets == ids == ["#video-1", "#video-2"]
    assert "1 video failed" in html and "too short" in html
    assert "<nav" not in render_html([make_report()])


@pytest.mark.parametrize("failures", [[], [VideoFailure("a.mp4", "gone")]])
def test_no_video(failures: list[VideoFailure]) -> None:
    html = render_html([], failures)
    _Page(html)
    assert ("No videos." in html) == (not failures)


def test_no_events_no_time_one_clip(make_report: MakeReport) -> None:
    layers = tuple(
        replace(layer, events_in=0, synaptic_operations=0, spikes_out=0, neuron_updates=0)
        for layer in make_report(1).trace.spiking
    )
    html = render_html([make_report(1, spiking=layers, dense=(), stages=())])
    _Page(html)
    assert "0 J" in html and "nan" not in without_scripts(html)


def test_bars_stay_within_their_track(make_report: MakeReport) -> None:
    widths = [float(w) for w in re.findall(r"width:([0-9.e+-]+)%", render_html([make_report()])) if w]
    assert len(widths) > 15
    assert all(0 <= width <= 100 for width in widths)


def test_a_folder_that_is_missing(tmp_path: Path, make_report: MakeReport) -> None:
    with pytest.raises(OutputError, match="create it first"):
        write_html([make_report()], [], tmp_path / "missing" / "report.html")
