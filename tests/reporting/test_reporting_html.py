import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hybrid_cvar.errors import OutputError
from hybrid_cvar.records import Report
from hybrid_cvar.reporting import VideoFailure, render_html, write_html
from hybrid_cvar.reporting.units import count, duration, percent, si

MakeReport = Callable[..., Report]
VOID = {"meta", "br", "link", "img", "input", "hr"}


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


def test_one_video_holds_every_figure(make_report: MakeReport) -> None:
    report = make_report()
    html = render_html([report], [], command="hybrid-cvar run videos/pull_0007.mp4 --report out.html")
    _Page(html)
    trace = report.trace
    for text in (
        report.predictions[0].label,
        percent(report.predictions[0].probability),
        si(report.energy.total_joules, "J"),
        duration(trace.seconds / trace.clips),
        f"{1 / trace.seconds:.3g}",
        count(trace.synaptic_operations),
        count(trace.dense_macs),
        "hybrid-cvar run videos/pull_0007.mp4 --report out.html",
        "transcoded: H.264 with B-frames",
        *report.energy.not_priced,
        *(layer.name for layer in trace.spiking),
        *(stage.stage for stage in trace.stages),
    ):
        assert text in html


def test_it_names_who_ran_what(make_report: MakeReport) -> None:
    html = render_html([make_report(provider="openvino", precision="bf16")])
    assert "<span>engine lava</span>" in html and "<span>ANN on openvino in bf16</span>" in html


def test_the_page_needs_nothing_but_itself(make_report: MakeReport) -> None:
    html = render_html([make_report(), make_report()], [VideoFailure("a", "b")])
    tags = _Page(html).tags
    assert not {tag for tag, _ in tags} & {"script", "link", "img", "iframe", "object"}
    for _, attributes in tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    assert "http" not in html and "url(" not in html and "@import" not in html


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
    assert "<script" not in html and "<img" not in html
    assert "&lt;script&gt;alert(1)&lt;" in html and "&lt;img" in html
    _Page(html)


def test_names_that_are_not_text_can_be_written(tmp_path: Path, make_report: MakeReport) -> None:
    path = tmp_path / "report.html"
    write_html([make_report(path="a\udc80\u202e.mp4")], [], path)
    assert "a\\udc80\\u202e.mp4" in path.read_text(encoding="utf-8")


def test_sections_carry_their_marks(make_report: MakeReport) -> None:
    html = render_html([make_report()])
    headings = re.findall(r"<h3>(.*?)</h3>", html)
    marks = {"Answer": "measured", "Time": "measured", "Energy": "modelled", "Spiking": "emulated", "ANN": "emulated"}
    for start, provenance in marks.items():
        (heading,) = (text for text in headings if text.startswith(start))
        assert f'<span class="badge {provenance}">{provenance}</span>' in heading
    tiles = re.findall(r'<div class="tile">(.*?)</div>', html)
    assert len(tiles) == 4
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
    assert "0 J" in html and "nan" not in html


def test_bars_stay_within_their_track(make_report: MakeReport) -> None:
    widths = [float(w) for w in re.findall(r"width:([0-9.e+-]+)%", render_html([make_report()])) if w]
    assert len(widths) > 15
    assert all(0 <= width <= 100 for width in widths)


def test_a_folder_that_is_missing(tmp_path: Path, make_report: MakeReport) -> None:
    with pytest.raises(OutputError, match="create it first"):
        write_html([make_report()], [], tmp_path / "missing" / "report.html")
