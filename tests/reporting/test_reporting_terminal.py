import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from hybrid_cvar.records import Report
from hybrid_cvar.reporting import print_report
from hybrid_cvar.reporting.units import count, duration, si

MakeReport = Callable[..., Report]


def _printed(report: Report, width: int = 80) -> str:
    file = io.StringIO()
    print_report(report, Console(file=file, width=width))
    return file.getvalue()


def test_fits_80_columns_and_holds_the_totals(make_report: MakeReport) -> None:
    report = make_report(path="long/" * 30 + "clip.mp4", notices=("A notice that is a good deal longer. " * 4,))
    text = _printed(report)
    assert max(cell_len(line) for line in text.splitlines()) <= 80
    assert "\x1b" not in text
    for total in (
        si(report.energy.total_joules, "J"),
        count(report.trace.synaptic_operations),
        count(report.trace.dense_macs),
        duration(report.trace.seconds),
        duration(report.trace.wall_seconds),
        duration(report.trace.first_prediction_seconds),
        duration(report.chip_latency.clip_seconds),
        count(sum(layer.stored_operations for layer in report.trace.spiking)),
        count(sum(layer.inactive_updates for layer in report.trace.spiking)),
    ):
        assert total in text
    for layer in report.trace.spiking:
        assert layer.name in text


@pytest.mark.parametrize("width", [40, 60, 100, 200])
def test_fits_other_widths(make_report: MakeReport, width: int) -> None:
    assert max(cell_len(line) for line in _printed(make_report(), width).splitlines()) <= width


def test_every_section_is_marked(make_report: MakeReport) -> None:
    lines = _printed(make_report()).splitlines()
    titles = {"Answer": "measured", "Operations": "emulated", "Energy": "modelled", "Time": "measured"}
    titles["Latency on Loihi 1"] = "modelled"
    for title, provenance in titles.items():
        assert any(line.startswith(title) and f"[{provenance}]" in line for line in lines)


def test_header_names_how_the_video_was_read(make_report: MakeReport) -> None:
    text = _printed(make_report())
    assert "transcoded: H.264 with B-frames" in text
    for fact in ("h264", "1280x720", "lava", "hybrid-small", "paper-45nm", "Not priced", "DRAM"):
        assert fact in text


def test_header_names_who_ran_what(make_report: MakeReport) -> None:
    assert "lava; ANN on openvino in bf16" in _printed(make_report(provider="openvino", precision="bf16"))


def test_untrained_weights_are_said_before_the_answer(make_report: MakeReport) -> None:
    text = _printed(make_report(trained=False))
    assert "NOT TRAINED" in text
    assert text.index("not trained for recognition") < text.index("Answer")


def test_markup_and_control_characters_are_shown_not_obeyed(make_report: MakeReport) -> None:
    report = make_report(path="[red]a[/red]\x1b[2J:smile:.mp4", labels=("[bold]x", *"abcdefg"))
    text = _printed(report)
    assert "[red]a[/red]\\x1b[2J:smile:.mp4" in text
    assert "\x1b" not in text


def test_no_events_no_time_one_clip(make_report: MakeReport) -> None:
    layers = tuple(
        replace(layer, events_in=0, synaptic_operations=0, spikes_out=0) for layer in make_report(1).trace.spiking
    )
    text = _printed(make_report(1, spiking=layers, dense=(), stages=()))
    assert "0 J" in text and "0 s" in text


def test_an_ascii_terminal(make_report: MakeReport) -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii")
    print_report(make_report(path="é.mp4", trained=False), Console(file=file, width=80))
    file.flush()
    text = raw.getvalue().decode("ascii")
    assert "\\xe9.mp4" in text and "uJ" in text and "####" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_ten_thousand_clips_are_not_listed(make_report: MakeReport) -> None:
    text = _printed(make_report(10_000))
    assert "10000, from 0.5 to 1.5e+04 s" in text
    assert len(text.splitlines()) < 120


def test_a_profile_without_times_has_no_chip(make_report: MakeReport) -> None:
    assert "Latency on" not in _printed(replace(make_report(), chip_latency=None))
