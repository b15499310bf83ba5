"""Every page in a real browser: silent, offline, no wider than its window, and every plot drawn."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hybrid_cvar.energy import load_paper_tables, recompute_energy
from hybrid_cvar.records import Report
from hybrid_cvar.reporting import VideoFailure, render_html, render_json
from hybrid_cvar.reporting.bench_page import render_bench_html
from hybrid_cvar.reporting.bench_results import read_results
from hybrid_cvar.reporting.comparison import compare_files
from hybrid_cvar.reporting.comparison_output import render_comparison_html

# Headless Chromium at times stops drawing, about once in 200 long pages: only for that a test is run again.
pytestmark = [
    pytest.mark.needs_chromium,
    pytest.mark.flaky(reruns=2, only_rerun=["^FramesStopped:"]),
]

MakeReport = Callable[..., Report]
RESULTS = Path(__file__).parents[3] / "benchmarks" / "results"
PAPER = load_paper_tables()
AGAIN = [recompute_energy(row) for row in PAPER.table1]
ATTACK = "</script><script>window.attacked=1;alert(1)</script><img src=x onerror=alert(2)>.mp4"


def empty_report(make_report: MakeReport) -> Report:
    """One clip, no event, a layer that no event ever reached, no picture, no chip, no time."""
    layers = tuple(
        replace(
            layer, events_in=0, synaptic_operations=0, stored_operations=0, active_updates=0, spikes_out=0,
            neuron_updates=0 if layer.layer else layer.neuron_updates, step_events=(0,) * 11,
            step_operations=(0,) * 11, step_spikes=(0,) * 11,
        )
        for layer in make_report(1).trace.spiking
    )  # fmt: skip
    report = make_report(1, spiking=layers, dense=(), stages=(), wall_seconds=0.0, view=None, trained=False)
    return replace(report, chip_latency=None, resources=None, parity=())


@pytest.fixture
def make_page(make_report: MakeReport, tmp_path: Path) -> Callable[[str], str]:
    def make(kind: str) -> str:
        if kind == "run":
            return render_html([make_report()], [], command="hybrid-cvar run a.mp4", paper=PAPER, recomputed=AGAIN)
        if kind == "batch":
            reports = [make_report(path=f"{name * 30}.mp4", trained=False) for name in ("a", "b", "c")]
            return render_html(reports, [VideoFailure("bad.mp4", "bad.mp4: 7 frames; a GOP needs 12")], paper=PAPER)
        if kind == "empty":
            return render_html([empty_report(make_report)])
        if kind == "nothing":
            return render_html([], [])
        if kind == "bench":
            return render_bench_html(read_results(RESULTS), command="c", paper=PAPER, recomputed=AGAIN)
        files = []
        for number in (1, 2, 3):
            report = make_report(wall_seconds=2.0 * number, path=f"{'v' * 60}.mp4")
            files.append(tmp_path / f"a-rather-long-name-of-a-file-{number}.json")
            files[-1].write_text(render_json([report]), encoding="utf-8")
        return render_comparison_html(compare_files(files))

    return make


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("kind", "least"), [("run", 6), ("batch", 17), ("empty", 1), ("nothing", 0), ("bench", 3), ("comparison", 1)]
)
def test_a_page_is_silent_offline_and_fits(open_page, make_page, kind: str, least: int, scheme: str) -> None:
    opened = open_page(make_page(kind), 1280, scheme)
    for width in (1280, 768, 360):
        opened.page.set_viewport_size({"width": width, "height": 800})
        opened.scroll()
        assert opened.overflow() <= 0, width
        plots = opened.plots()
        assert len(plots) >= least
        for plot in plots:
            assert plot["drawn"] == pytest.approx([plot["width"], plot["height"]], abs=1), (width, plot)
            assert plot["marks"] and plot["texts"] and not plot["outside"], (width, plot)
    assert opened.complaints == []


def test_a_browser_that_stops_drawing_is_told_from_a_page_that_is_wrong(open_page, make_page) -> None:
    opened = open_page(make_page("nothing"))
    opened.scroll()
    opened.page.evaluate("window.requestAnimationFrame = () => 0")
    with pytest.raises(Exception, match="no frame in 10 seconds") as raised:
        opened.scroll()
    assert raised.type.__name__ == "FramesStopped"
    with pytest.raises(Exception, match="no frame in 10 seconds"), opened.waiting():
        opened.page.wait_for_selector(".never", timeout=100)
    opened = open_page(make_page("nothing"))
    with pytest.raises(Exception, match=r"Timeout 100ms exceeded"), opened.waiting():
        opened.page.wait_for_selector(".never", timeout=100)


def test_what_a_user_gives_runs_nowhere(open_page, make_report: MakeReport) -> None:
    report = make_report(path=ATTACK, labels=(ATTACK, *"abcdefg"), model=ATTACK, notices=(ATTACK,), top=8)
    layer = replace(report.trace.spiking[0], stream="</script><b onclick=alert(3)>")
    report = replace(report, trace=replace(report.trace, spiking=(layer, *report.trace.spiking[1:])))
    opened = open_page(render_html([report, report], [VideoFailure(ATTACK, ATTACK)], command=ATTACK))
    opened.scroll()
    assert opened.page.evaluate("window.attacked") is None
    assert opened.page.evaluate("document.querySelectorAll('img[onerror], b[onclick]').length") == 0
    shown = opened.page.eval_on_selector_all(".plot text", "all => all.map((one) => one.textContent)")
    assert any("</script><b onclick" in text for text in shown), "plots show the name as it is"
    assert opened.complaints == []


def test_plots_follow_light_and_dark(open_page, make_page) -> None:
    """The page's own button and the system's setting recolour what was drawn."""
    opened = open_page(make_page("run"), scheme="light")
    opened.scroll()
    ink = "document.querySelector('.plot .ytick text').style.fill"
    page = opened.page
    light = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    with opened.waiting():
        page.wait_for_function(f"{ink} !== {json.dumps(light)}")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    with opened.waiting():
        page.click("button.theme")
    assert page.evaluate(ink) == light
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(247, 247, 245)"
    assert opened.complaints == []


def test_printing_fits_the_paper_in_light_colours(open_page, make_page) -> None:
    opened = open_page(make_page("run"), scheme="dark")
    page = opened.page
    seen = page.evaluate(
        """() => {
            dispatchEvent(new Event("beforeprint"));
            const plots = [...document.querySelectorAll(".plot")].filter((one) => one.checkVisibility());
            const found = plots.map((one) => [one.querySelector("svg.main-svg")?.getBoundingClientRect().width,
                                              one.querySelector("text.xtitle, .ytick text")?.style.fill]);
            dispatchEvent(new Event("afterprint"));
            return found;
        }"""
    )
    assert len(seen) == 6 and all(width == 660 for width, _ in seen)
    assert {fill for _, fill in seen} <= {"rgb(29, 33, 38)", "rgb(91, 99, 109)"}, "of the light theme"
    document = page.pdf(format="A4")
    assert document.startswith(b"%PDF-")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", document)) <= 20
    opened.scroll()
    assert all(plot["drawn"][0] == pytest.approx(plot["width"], abs=1) for plot in opened.plots())
    assert opened.complaints == []


def test_without_scripts_the_tables_are_there(open_page, make_page) -> None:
    opened = open_page(make_page("run"), 360, scripts=False)
    page = opened.page
    assert page.locator(".plot:visible").count() == 0
    assert page.locator("table:visible").count() >= 8
    assert "5.62 mJ" in page.inner_text("main")


def test_three_hundred_videos_stay_usable(open_page, make_report: MakeReport) -> None:
    """Sections are closed, and their plots drawn when they are opened."""
    reports = [make_report(1, path=f"video-{number}.mp4") for number in range(300)]
    opened = open_page(render_html(reports))
    page = opened.page
    with opened.waiting():
        page.wait_for_selector(".plot[data-drawn]")
    drawn = "document.querySelectorAll('.plot[data-drawn]').length"
    assert page.evaluate(drawn) == 1, "that of the batch"
    assert page.locator("details.video[open]").count() == 0
    with opened.waiting():
        page.click("text=video-249.mp4 >> nth=0")
        page.wait_for_selector("#video-250[open] .plot[data-drawn]")
    assert page.evaluate(drawn) <= 6
    assert opened.overflow() <= 0 and opened.complaints == []


def test_a_figure_holds_only_what_plotly_knows(make_page) -> None:
    """The page draws them without a check; here Plotly checks every key and value."""
    from plotly.graph_objects import Figure

    for kind in ("run", "batch", "empty", "bench", "comparison"):
        texts = re.findall(r'<script type="application/json">(.*?)</script>', make_page(kind))
        assert texts
        for text in texts:
            Figure(json.loads(text))
