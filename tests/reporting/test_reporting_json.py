import importlib.util
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hybrid_cvar.energy import load_paper_tables, recompute_energy
from hybrid_cvar.errors import ConfigError, OutputError
from hybrid_cvar.records import Report, StageSeconds
from hybrid_cvar.reporting import (
    VideoFailure,
    json_report,
    read_run_json,
    render_json,
    report_to_dict,
    run_to_dict,
    write_json,
)
from hybrid_cvar.version import __version__

MakeReport = Callable[..., Report]
PAPER = load_paper_tables()
BESIDE = {"paper": PAPER, "recomputed": [recompute_energy(row) for row in PAPER.table1]}


def test_a_report_survives_the_round_trip(make_report: MakeReport) -> None:
    entry = report_to_dict(make_report(trained=False))
    assert json.loads(json.dumps(entry, allow_nan=False)) == entry


def test_the_file_holds_the_run(tmp_path: Path, make_report: MakeReport) -> None:
    reports = [make_report(), make_report(clips=1, path="b\udc80.mp4", trained=False)]
    failures = [VideoFailure("c.mp4", "c.mp4: 7 frames; a GOP needs 12; give a longer video")]
    path = tmp_path / "run.json"
    write_json(reports, failures, path, command="hybrid-cvar run a b c")
    run = json.loads(path.read_text(encoding="utf-8"))
    assert (run["schema"], run["schema_version"], run["hybrid_cvar_version"]) == ("hybrid-cvar/run", 5, __version__)
    offset = datetime.fromisoformat(run["created"]).utcoffset()
    assert offset is not None and offset.total_seconds() == 0
    assert run["command"] == "hybrid-cvar run a b c"
    assert run["videos"] == [report_to_dict(report) for report in reports]
    assert run["failures"] == [{"video": "c.mp4", "error": failures[0].error}]
    assert run["notices"] == list(reports[1].notices)
    assert run["machine"]["cpu_count"] >= run["machine"]["cpu_usable"] >= 1


def test_nothing_but_failures() -> None:
    run = run_to_dict([], [VideoFailure("a", "b")])
    assert run["videos"] == [] and len(run["failures"]) == 1
    assert json.loads(render_json([])) | {"created": ""} == run_to_dict([]) | {"created": ""}


def _numbers_without_provenance(value: object, where: str = "", marked: bool = False) -> list[str]:
    if isinstance(value, dict):
        marked = marked or value.get("provenance") in ("measured", "emulated", "modelled", "printed")
        return [p for k, item in value.items() for p in _numbers_without_provenance(item, f"{where}.{k}", marked)]
    if isinstance(value, list):
        return [p for i, item in enumerate(value) for p in _numbers_without_provenance(item, f"{where}[{i}]", marked)]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [where] if is_number and not marked else []


def test_every_number_sits_beside_its_provenance(make_report: MakeReport) -> None:
    run = run_to_dict([make_report()], **BESIDE)
    assert _numbers_without_provenance(run) == [".schema_version"]


def test_totals_equal_the_sums_of_their_parts(make_report: MakeReport) -> None:
    entry = report_to_dict(make_report())
    operations, energy, time = entry["operations"], entry["energy"], entry["time"]
    assert operations["synaptic_operations"] == sum(layer["synaptic_operations"] for layer in operations["spiking"])
    assert operations["macs"] == sum(operator["macs"] for operator in operations["dense"])
    assert operations["macs"] == 8 * sum(node["macs_per_clip"] for node in operations["dense_nodes"])
    assert energy["total_joules"] == sum(term["energy_joules"] for term in energy["terms"])
    assert energy["total_joules"] == pytest.approx(energy["spiking_joules"] + energy["dense_joules"], rel=1e-12)
    counts = {"AC": operations["synaptic_operations"], "MAC": operations["macs"]}
    for operation, total in counts.items():
        assert total == sum(term["count"] for term in energy["terms"] if term["operation"] == operation)
    assert time["seconds"] == sum(stage["seconds"] for stage in time["stages"])


def test_logits_are_in_the_order_of_the_labels(make_report: MakeReport) -> None:
    report = make_report()
    entry = report_to_dict(report)
    best = int(np.argmax(entry["predictions"]["logits"]))
    assert entry["model"]["labels"][best] == entry["predictions"]["top"][0]["label"]
    assert [item["logits"] for item in entry["clips"]["items"]] == report.trace.clip_logits.tolist()


def test_numpy_counts_become_plain_numbers(make_report: MakeReport) -> None:
    report = make_report()
    layer = replace(report.trace.spiking[0], events_in=np.int64(5), spikes_out=np.int64(3))  # type: ignore[arg-type]
    stage = StageSeconds("read", (np.float64(0.5),) * 8)
    report = replace(report, trace=replace(report.trace, spiking=(layer,), stages=(stage,)))
    assert report_to_dict(report)["operations"]["spiking"][0]["events_in"] == 5
    json.loads(render_json([report]))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_refused(tmp_path: Path, make_report: MakeReport, value: float) -> None:
    report = make_report(stages=(StageSeconds("read", (value,)),))
    path = tmp_path / "run.json"
    with pytest.raises(OutputError, match=r"pull_0007\.mp4: time\.stages\[0\]\.seconds = "):
        write_json([report], [], path)
    assert not list(tmp_path.iterdir())


def test_the_model_names_who_ran_it(make_report: MakeReport) -> None:
    model = report_to_dict(make_report(provider="openvino", precision="bf16"))["model"]
    assert (model["engine"], model["provider"], model["precision"]) == ("lava", "openvino", "bf16")
    assert model["sha256"] == "5d" * 32


def test_no_time_recorded(make_report: MakeReport) -> None:
    assert report_to_dict(make_report(stages=(), wall_seconds=0.0))["time"]["videos_per_second"] is None


@pytest.fixture
def schema() -> ModuleType:
    """`documented_schema.py` beside this file, which importlib's import mode does not find by name."""
    spec = importlib.util.spec_from_file_location("documented_schema", Path(__file__).with_name("documented_schema.py"))
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_key_is_documented_and_there(make_report: MakeReport, schema: ModuleType) -> None:
    described = schema.documented(json_report.__doc__)
    reports = [make_report(), replace(make_report(1), chip_latency=None, resources=None, parity=())]
    run = json.loads(render_json(reports, [VideoFailure("a", "b")], command="c", **BESIDE))
    assert schema.differences(described, run) == []
    # The walk reaches the deepest keys, and sees both kinds of difference.
    del run["paper"]["table1"][3]["at_least"]
    del run["videos"][0]["resources"]["chips"][0]["violations"][0]["rule"]
    run["videos"][0]["time"]["stages"][0]["clip"]["p90"] = 1.0
    assert sorted(schema.differences(described, run)) == [
        "document.paper.table1[3].at_least is missing",
        "document.videos[0].resources.chips[0].violations[0].rule is missing",
        "document.videos[0].time.stages[0].clip.p90 is not documented",
    ]


def test_a_file_is_read_back(tmp_path: Path, make_report: MakeReport) -> None:
    path = tmp_path / "run.json"
    write_json([make_report()], [], path)
    assert read_run_json(path) == json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "no JSON"),
        ("[]", "schema 'list'"),
        ('{"schema": "hybrid-cvar/evaluation"}', "must be 'hybrid-cvar/run'"),
        ('{"schema": "hybrid-cvar/run", "schema_version": 4}', "version 4; this release reads version 5"),
        ('{"schema": "hybrid-cvar/run", "schema_version": 5, "videos": [1]}', "videos are no list of objects"),
        (None, "No such file"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        read_run_json(path)


def test_the_new_totals_equal_the_sums_of_their_parts(make_report: MakeReport) -> None:
    entry = report_to_dict(make_report())
    operations, time = entry["operations"], entry["time"]
    for name in ("stored_operations", "active_updates", "inactive_updates", "spikes_out"):
        assert operations[name] == sum(layer[name] for layer in operations["spiking"])
    for layer in operations["spiking"]:
        assert layer["neuron_updates"] == layer["active_updates"] + layer["inactive_updates"]
        for total, steps in (("events_in", "events"), ("stored_operations", "operations"), ("spikes_out", "spikes")):
            assert layer[total] == sum(layer[f"step_{steps}"])
    assert time["clip"]["mean"] * 8 == pytest.approx(time["seconds"])
    assert time["seconds_per_clip"] * 8 == pytest.approx(time["wall_seconds"])
    assert all(stage["clip"]["p50"] <= stage["clip"]["p95"] <= stage["clip"]["p99"] for stage in time["stages"])


def test_reading_was_observed_and_the_rest_emulated(make_report: MakeReport) -> None:
    operations = report_to_dict(make_report())["operations"]
    assert (operations["provenance"], operations["reading"]["provenance"]) == ("emulated", "measured")


def test_spikes_sent_leave_out_the_last_layer_of_a_stream(make_report: MakeReport) -> None:
    operations = report_to_dict(make_report())["operations"]
    by_name = {layer["layer"]: layer["spikes_out"] for layer in operations["spiking"]}
    assert operations["spikes_sent"] == by_name["motion.0"] + by_name["residual.0"]
    assert operations["spikes_out"] == sum(by_name.values())


def test_the_note_says_what_was_shared_out_evenly(make_report: MakeReport) -> None:
    time = report_to_dict(make_report(first_prediction_clips=8))["time"]
    assert "takes a batch of clips at once" in time["note"] and "shared out evenly" in time["note"]
    assert time["first_prediction_clips"] == 8


def test_spread_is_over_the_videos(make_report: MakeReport) -> None:
    run = run_to_dict([make_report(wall_seconds=1.0), make_report(wall_seconds=3.0)])
    assert run["spread"]["seconds"] == {
        "provenance": "measured", "p50": 2.0, "p95": 2.9, "p99": 2.98, "mean": 2.0, "count": 2
    }  # fmt: skip
    assert run_to_dict([])["spread"] == {}


def test_the_papers_tables_stand_beside_the_runs_energy(make_report: MakeReport) -> None:
    report = make_report()
    paper = run_to_dict([report], **BESIDE)["paper"]
    assert [row["method"] for row in paper["table1"]] == [row.method for row in PAPER.table1]
    own, bounded = paper["table1"][-1], next(row for row in paper["table1"] if row["method"].startswith("Liu"))
    assert own["own"] and (own["energy_joules"], own["gflops_spike"], own["at_least"]) == (0.734, 3.99, [])
    assert bounded["gflops_spike"] is None
    assert bounded["at_least"] == ["params_millions", "tflops_ann", "energy_joules"]
    assert [row["closes"] for row in paper["table1_recomputed"]] == [not row["own"] for row in paper["table1"]]
    assert [row["energy_joules"] for row in paper["this_run"]] == [report.energy.total_joules]
    assert paper["not_comparable"] is None
    other = replace(report, energy=replace(report.energy, profile="loihi1-sanafe"))
    refused = run_to_dict([other], **BESIDE)["paper"]
    assert refused["this_run"] == [] and "--profile paper-45nm" in refused["not_comparable"]
    assert run_to_dict([report])["paper"] is None
