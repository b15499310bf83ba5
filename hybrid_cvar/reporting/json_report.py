"""The JSON report of a run, for programs, and its way back.

    {
      "schema": "hybrid-cvar/run",
      "schema_version": 5,
      "hybrid_cvar_version": "0.1.0",
      "created": "2026-01-31T12:00:00+00:00",               ISO 8601, UTC
      "command": "hybrid-cvar run ..." or null,
      "machine": {"provenance": "measured", "platform", "python", "cpu_model", "cpu_count", "cpu_usable",
                  "packages": {name: version}},
      "notices": ["...", ...],                               of all videos, each once
      "conventions": {count: "..."},                         whose convention each count of "operations" follows
      "spread": {"energy_joules" | "seconds" | "seconds_per_clip" | "first_prediction_seconds":
                 {"provenance", "p50", "p95", "p99", "mean", "count"}},     over the videos; empty if none ran
      "videos": [{
        "video": {"provenance": "measured", "path", "codec", "width", "height", "frames_per_second",
                  "duration_seconds", "transcoded", "reason", "container", "profile", "pixel_format",
                  "sample_aspect_ratio", "rotation_degrees", "interlaced", "frames", "frames_missing",
                  "structure": {"gops", "shortest", "longest", "median", "i_frames", "p_frames", "b_frames",
                                "reference_frames", "native_clips"} or null},
        "model": {"name", "sha256", "trained", "engine", "provider", "precision", "labels": [...]},
        "notices": ["...", ...],
        "predictions": {"provenance": "measured", "top": [{"label", "probability"}, ...],
                        "logits": [...]},                    mean over clips, in the order of "labels"
        "clips": {"provenance": "measured", "count",
                  "items": [{"pts_seconds", "logits": [...]}, ...]},
        "operations": {"provenance": "emulated",
                       "reading": {"provenance": "measured", "frames_decoded", "motion_vectors", "accumulated_pixels"},
                       "spiking": [{"layer", "stream", "input": "graded" or "binary", "neurons", "timesteps",
                                    "events_in", "synaptic_operations", "stored_operations", "neuron_updates",
                                    "active_updates", "inactive_updates", "spikes_out", "spike_rate",
                                    "saturated_states", "step_events": [...], "step_operations": [...],
                                    "step_spikes": [...]}, ...],             a value a step, over all clips
                       "dense": [{"op_type", "nodes", "macs_per_clip", "macs"}, ...],
                       "dense_nodes": [{"name", "op_type", "macs_per_clip"}, ...],
                       "synaptic_operations", "stored_operations", "active_updates", "inactive_updates",
                       "spikes_out", "spikes_sent", "spike_rate", "macs"},
        "energy": {"provenance": "modelled", "count_provenance": "emulated", "profile", "description", "source",
                   "strict",                                 true: graded input events are priced as MACs
                   "terms": [{"part", "partition": "spiking" or "dense", "operation", "count",
                              "picojoules_per_operation", "energy_joules"}, ...],
                   "constants": [{"operation", "partition", "picojoules", "nanoseconds": number or null,
                                  "conditions", "source"}, ...],
                   "spiking_joules", "dense_joules", "total_joules", "joules_per_clip", "not_priced": [...]},
        "time": {"provenance": "measured", "note",
                 "stages": [{"stage", "seconds", "seconds_per_clip", "clip": {"p50", "p95", "p99", "mean", "count"}
                             or null}, ...],
                 "clip": {"p50", "p95", "p99", "mean", "count"} or null,     stages of a clip one after the other
                 "seconds",                                  of work: the sum of the stages
                 "wall_seconds", "overlapped", "seconds_per_clip",           wall clock; a clip: its share of it
                 "videos_per_second": number or null,
                 "first_prediction_seconds", "first_prediction_clips"},      clips that were answered then
        "chip_latency": {"provenance": "modelled", "profile", "chip", "steps", "cores", "barrier_seconds",
                         "clip_seconds", "layers": [{"name", "cores", "neurons_a_core", "operations_a_core",
                                                     "seconds"}, ...],
                         "assumptions": [...], "sources": [...]} or null,
        "parity": {"provenance": "measured",
                   "rows": [{"compared", "quantity", "values", "mismatches", "largest_error", "rule", "passed"}, ...]},
        "resources": {"provenance": "modelled",
                      "layers": [{"name", "graded_input", "neurons", "synapses", "unique_weights", "weight_bits",
                                  "unrolled_weight_bytes", "shared_weight_bytes", "state_bytes", "fan_in",
                                  "input_axons", "output_axons"}, ...],
                      "chips": [{"chip", "layers": [{"name", "at_least", "at_least_for", "tiled", "tile",
                                                     "tiled_for"}, ...],
                                 "cores_at_least", "chips_at_least", "cores_tiled", "chips_tiled",
                                 "violations": [{"subject", "found", "rule", "remedy"}, ...],
                                 "not_checked": [...], "sources": [...]}, ...],
                      "assumptions": [...]} or null
      }, ...],
      "failures": [{"video", "error"}, ...],
      "paper": {"source",
                "table1": [{"provenance": "printed", "method", "reference", "own", "modality", "temporal_views",
                            "spatial_crops", "ucf101_percent", "hmdb51_percent", "params_millions", "tflops_ann",
                            "gflops_spike", "energy_joules", "videos_per_second",   null where it prints a dash
                            "at_least": [...]}, ...],                        names of the numbers marked with >
                "table1_recomputed": [{"provenance": "modelled", "method", "own", "recomputed_joules",
                                       "relative_error", "explained", "needed_tflops", "remark", "closes"},
                                      ...],                                  from the rows' own operations
                "table2": [{"provenance": "printed", "method", "reference", "own", "modality", "ssv2_percent",
                            "k400_percent", "k600_percent", "energy_joules", "at_least": [...]}, ...],
                "this_run": [{"provenance": "modelled", "what", "energy_joules"}, ...],
                "not_comparable"} or null                    where videos ran: why "this_run" is empty
    }

Counts, energy and seconds are for the video, over all its clips, unless the name says otherwise. A block's "provenance"
holds for every number in it, but for "reading" and the "count" of an energy term, which have their own. "spikes_sent"
leaves out the last layer of a stream, whose membrane is read instead. "dense" takes a batch of clips at once: its time,
and opening the file, are shared out evenly among them, as the "note" of "time" says. Frame rate and duration are 0
where the container does not say. "engine" ran the spiking partition, "provider" (of ONNX Runtime) the ANN partition, in
"precision"; "sha256" is the manifest's "manifest_sha256", empty for one made in memory. "parity" and "resources" are
what the bundle says of its compile; "rows" are empty and "resources" null where it says nothing. "paper" holds the
tables that the run's energy stands beside, whatever its model's size; "printed" numbers are the paper's own.
"modality": RD, CD and OF are raw domain, compressed domain and optical flow. "reference" is the number in the paper's
bibliography, 0 for its own models. "explained" is the largest "relative_error" that the rounding of what is printed can
make, "closes" whether that is enough, "needed_tflops" what the printed energy would need. Pictures are in the HTML
report alone.

"schema_version" rises with every change of the names or of what they mean. 2: "provider" and "precision" are new. 3:
"seconds_per_clip" and "videos_per_second" of "time" are of the wall clock, no longer of the stages' sum;
"conventions", "spread", "reading", "chip_latency", "parity", "resources", the counts with stored zeros, at rest and by
step, "spikes_sent", the percentiles, "wall_seconds", "overlapped", "first_prediction_seconds" and its clips,
"constants", "description" and "strict" are new. 4: "paper" is new. 5: the model's "sha256" is new. Files
of another version are refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import (
    CONVENTIONS,
    EnergyEstimate,
    PaperTables,
    Provenance,
    RecomputedEnergy,
    Report,
    SpikingLayerCounts,
    Trace,
)
from hybrid_cvar.reporting.failures import VideoFailure
from hybrid_cvar.reporting.figures import (
    TIME_NOTE,
    clip_latency,
    dense_operators,
    pace,
    partition_joules,
    spike_rate,
    stage_latencies,
    video_spreads,
)
from hybrid_cvar.reporting.machine import this_machine
from hybrid_cvar.reporting.paper_section import paper_to_dict
from hybrid_cvar.reporting.record_json import check_finite, check_schema, read_json
from hybrid_cvar.version import __version__

__all__ = [
    "SCHEMA",
    "SCHEMA_VERSION",
    "read_run_json",
    "render_json",
    "report_to_dict",
    "run_from_json",
    "run_to_dict",
    "write_json",
]

SCHEMA = "hybrid-cvar/run"
SCHEMA_VERSION = 5
REMEDY = "make it with hybrid-cvar run VIDEO --json FILE"


def read_run_json(path: Path) -> dict[str, Any]:
    """The JSON values of a run's file, its schema and version checked.

    Raises:
        ConfigError: it is missing, no JSON, or of another schema or version; or "videos" is no list of objects.
    """
    return run_from_json(read_json(path, REMEDY, what=f"a {SCHEMA} file"), str(path))


def run_from_json(content: object, where: str) -> dict[str, Any]:
    """As `read_run_json`, of values that were read already; `where` names the file."""
    run = check_schema(content, where, SCHEMA, SCHEMA_VERSION, REMEDY)
    videos = run.get("videos")
    if not isinstance(videos, list) or not all(isinstance(video, dict) for video in videos):
        raise ConfigError(f"{where}: videos are no list of objects", "a run lists its videos", REMEDY)
    return run


def write_json(
    reports: Sequence[Report],
    failures: Sequence[VideoFailure],
    path: Path,
    *,
    command: str | None = None,
    paper: PaperTables | None = None,
    recomputed: Sequence[RecomputedEnergy] = (),
) -> None:
    """Writes `render_json` to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written, or a number is not finite.
    """
    write_atomically(path, render_json(reports, failures, command=command, paper=paper, recomputed=recomputed))


def render_json(
    reports: Sequence[Report],
    failures: Sequence[VideoFailure] = (),
    *,
    command: str | None = None,
    paper: PaperTables | None = None,
    recomputed: Sequence[RecomputedEnergy] = (),
) -> str:
    """The run as JSON text, ASCII, ending in a newline.

    Raises:
        OutputError: a number is not finite.
    """
    run = run_to_dict(reports, failures, command=command, paper=paper, recomputed=recomputed)
    return json.dumps(run, indent=2, allow_nan=False) + "\n"


def run_to_dict(
    reports: Sequence[Report],
    failures: Sequence[VideoFailure] = (),
    *,
    command: str | None = None,
    paper: PaperTables | None = None,
    recomputed: Sequence[RecomputedEnergy] = (),
) -> dict[str, Any]:
    """The run as plain JSON values, in the schema above.

    Args:
        reports: the videos that ran.
        failures: those that did not.
        command: the command line that made them.
        paper: its tables; null in the JSON if not given.
        recomputed: E_Total of Table 1's rows.

    Raises:
        OutputError: a number is not finite.
    """
    videos = [report_to_dict(report) for report in reports]
    machine = asdict(this_machine())
    machine["packages"] = dict(machine["packages"])
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "hybrid_cvar_version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "machine": {"provenance": Provenance.MEASURED.value, **machine},
        "notices": list(dict.fromkeys(notice for report in reports for notice in report.notices)),
        "conventions": dict(CONVENTIONS),
        "spread": _spread(reports),
        "videos": videos,
        "failures": [asdict(failure) for failure in failures],
        "paper": paper_to_dict(reports, paper, recomputed) if paper else None,
    }


def report_to_dict(report: Report) -> dict[str, Any]:
    """One video as plain JSON values, an entry of "videos" in the schema above.

    Raises:
        OutputError: a number is not finite.
    """
    trace = report.trace
    logits = trace.clip_logits.tolist()
    entry = {
        "video": {"provenance": Provenance.MEASURED.value, **asdict(trace.video)},
        "model": {
            "name": trace.model,
            "sha256": trace.bundle_sha256,
            "trained": bool(trace.trained),
            "engine": trace.engine,
            "provider": trace.provider,
            "precision": trace.precision,
            "labels": list(trace.labels),
        },
        "notices": list(report.notices),
        "predictions": {
            "provenance": Provenance.MEASURED.value,
            "top": [{"label": p.label, "probability": float(p.probability)} for p in report.predictions],
            "logits": trace.logits.tolist(),
        },
        "clips": {
            "provenance": Provenance.MEASURED.value,
            "count": trace.clips,
            "items": [
                {"pts_seconds": float(pts), "logits": row}
                for pts, row in zip(trace.clip_pts_seconds, logits, strict=True)
            ],
        },
        "operations": _operations(trace),
        "energy": _energy(report.energy, trace.clips),
        "time": _time(trace),
        "chip_latency": _record(report.chip_latency, Provenance.MODELLED),
        "parity": {
            "provenance": Provenance.MEASURED.value,
            "rows": [_plain(asdict(row)) for row in report.parity],
        },
        "resources": _record(report.resources, Provenance.MODELLED),
    }
    check_finite(entry, trace.video.path)
    return entry


def _spread(reports: Sequence[Report]) -> dict[str, Any]:
    if not reports:
        return {}
    return {
        spread.key: {"provenance": spread.provenance.value, **asdict(spread.videos)}
        for spread in video_spreads(reports)
    }


def _operations(trace: Trace) -> dict[str, Any]:
    return {
        "provenance": Provenance.EMULATED.value,
        "reading": {"provenance": Provenance.MEASURED.value, **_plain(asdict(trace.reading))},
        "spiking": [_layer(layer) for layer in trace.spiking],
        "dense": [asdict(operator) for operator in dense_operators(trace)],
        "dense_nodes": [
            {"name": node.name, "op_type": node.op_type, "macs_per_clip": int(node.macs)} for node in trace.dense
        ],
        "synaptic_operations": int(trace.synaptic_operations),
        "stored_operations": sum(int(layer.stored_operations) for layer in trace.spiking),
        "active_updates": sum(int(layer.active_updates) for layer in trace.spiking),
        "inactive_updates": sum(int(layer.inactive_updates) for layer in trace.spiking),
        "spikes_out": sum(int(layer.spikes_out) for layer in trace.spiking),
        "spikes_sent": int(trace.spikes_sent),
        "spike_rate": float(spike_rate(trace)),
        "macs": int(trace.dense_macs),
    }


def _layer(layer: SpikingLayerCounts) -> dict[str, Any]:
    return {
        "layer": layer.name,
        "stream": layer.stream,
        "input": "graded" if layer.graded_input else "binary",
        "neurons": int(layer.neurons),
        "timesteps": int(layer.timesteps),
        "events_in": int(layer.events_in),
        "synaptic_operations": int(layer.synaptic_operations),
        "stored_operations": int(layer.stored_operations),
        "neuron_updates": int(layer.neuron_updates),
        "active_updates": int(layer.active_updates),
        "inactive_updates": int(layer.inactive_updates),
        "spikes_out": int(layer.spikes_out),
        "spike_rate": float(layer.spike_rate),
        "saturated_states": int(layer.saturated_states),
        "step_events": [int(value) for value in layer.step_events],
        "step_operations": [int(value) for value in layer.step_operations],
        "step_spikes": [int(value) for value in layer.step_spikes],
    }


def _energy(energy: EnergyEstimate, clips: int) -> dict[str, Any]:
    return {
        "provenance": Provenance.MODELLED.value,
        "count_provenance": Provenance.EMULATED.value,
        "profile": energy.profile,
        "description": energy.description,
        "source": energy.source,
        "strict": bool(energy.strict),
        "terms": [
            {
                "part": term.part,
                "partition": term.partition,
                "operation": term.operation,
                "count": int(term.count),
                "picojoules_per_operation": float(term.picojoules_per_operation),
                "energy_joules": float(term.energy_joules),
            }
            for term in energy.terms
        ],
        "constants": [_plain(asdict(constant)) for constant in energy.constants],
        "spiking_joules": partition_joules(energy, "spiking"),
        "dense_joules": partition_joules(energy, "dense"),
        "total_joules": float(energy.total_joules),
        "joules_per_clip": float(energy.total_joules) / clips,
        "not_priced": list(energy.not_priced),
    }


def _time(trace: Trace) -> dict[str, Any]:
    clip = clip_latency(trace)
    return {
        "provenance": Provenance.MEASURED.value,
        "note": TIME_NOTE,
        "stages": [
            {
                "stage": stage.stage,
                "seconds": stage.seconds,
                "seconds_per_clip": stage.seconds / trace.clips,
                "clip": asdict(stage.clip) if stage.clip else None,
            }
            for stage in stage_latencies(trace)
        ],
        "clip": asdict(clip) if clip else None,
        **asdict(pace(trace)),
    }


def _record(record: Any, provenance: Provenance) -> dict[str, Any] | None:
    return None if record is None else {"provenance": provenance.value, **_plain(asdict(record))}


def _plain(value: Any) -> Any:
    """A record's values as JSON has them: lists for tuples, Python's numbers for NumPy's."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value
