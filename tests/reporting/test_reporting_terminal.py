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
    titles |= {"Latency on Loihi 1": "modelled", "Parity": "measured", "Cores": "modelled"}
    for title, provenance in titles.items():
        assert any(line.startswith(title) and f"[{provenance}]" in line for line in lines)


def test_every_count_says_whose_convention_it_follows(make_report: MakeReport) -> None:
    lines = [line.strip() for line in _printed(make_report()).splitlines()]
    hints = {
        "events": "ours", "acc.": "NeuroBench", "stored": "dense-stored", "active": "ours", "at rest": "ours",
        "spikes": "ours", "rate": "ours", "MACs": "torch FlopCounterMode",
    }  # fmt: skip
    for heading, whose in hints.items():
        assert any(line.startswith(f"{heading}  ") and whose in line for line in lines), heading
    (layers,) = (line.split("  ") for line in lines if line.startswith("layer"))
    assert {part.strip() for part in layers if part.strip()} - {"layer", "input"} <= set(hints), "no count without one"
    assert any(line.startswith("Reading [measured]:") for line in lines)


def test_spikes_sent_on_are_those_before_the_last_layers(make_report: MakeReport) -> None:
    layers = make_report().trace.spiking
    sent = sum(layer.spikes_out for layer in layers if layer.layer == 0)
    assert f"{count(sent)} spikes were sent on" in _printed(make_report())


def test_parity_and_resources_take_a_line_each(make_report: MakeReport) -> None:
    report = make_report()
    text = _printed(report)
    assert "2 of 2 comparisons hold, 1 for information" in text
    chips = "Loihi 1 at least 196, 256 in tiles, 1 limit broken; Loihi 2 at least 52, no mapping in tiles"
    assert chips in " ".join(text.split())
    broken = replace(report, parity=(replace(report.parity[0], passed=False), *report.parity[1:]))
    assert "1 of 2 comparisons hold, 1 for information; FAILED: SLAYER and native engine" in _printed(broken)
    bare = _printed(replace(report, parity=(), resources=None))
    assert "Parity" not in bare and "Cores that" not in bare


def test_it_says_where_the_rest_stands(make_report: MakeReport) -> None:
    text = _printed(make_report())
    assert "--report FILE" in text and "--json FILE" in text


def test_what_was_shared_out_evenly_is_said(make_report: MakeReport) -> None:
    text = " ".join(_printed(make_report(first_prediction_clips=8)).split())
    assert "first prediction (first batch, 8 clips) after 461 ms" in text
    assert "first prediction (first clip) after" in " ".join(_printed(make_report()).split())
    assert "takes a batch of clips at once: its time, and opening the file, are shared out evenly" in text


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
