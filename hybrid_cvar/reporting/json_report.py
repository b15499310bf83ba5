"""The JSON report, for programs.

    {
      "schema": "hybrid-cvar/run",
      "schema_version": 2,
      "hybrid_cvar_version": "0.1.0",
      "created": "2026-01-31T12:00:00+00:00",               ISO 8601, UTC
      "command": "hybrid-cvar run ..." or null,
      "machine": {"provenance": "measured", "platform", "python", "cpu_model", "cpu_count", "cpu_usable",
                  "packages": {name: version}},
      "notices": ["...", ...],                               of all videos, each once
      "videos": [{
        "video": {"provenance": "measured", "path", "codec", "width", "height", "frames_per_second",
                  "duration_seconds", "transcoded", "reason"},
        "model": {"name", "trained", "engine", "provider", "precision", "labels": [...]},
        "notices": ["...", ...],
        "predictions": {"provenance": "measured", "top": [{"label", "probability"}, ...],
                        "logits": [...]},                    mean over clips, in the order of "labels"
        "clips": {"provenance": "measured", "count",
                  "items": [{"pts_seconds", "logits": [...]}, ...]},
        "operations": {"provenance": "emulated",
                       "spiking": [{"layer", "stream", "input": "graded" or "binary", "neurons", "timesteps",
                                    "events_in", "synaptic_operations", "neuron_updates", "spikes_out",
                                    "spike_rate", "saturated_states"}, ...],
                       "dense": [{"op_type", "nodes", "macs_per_clip", "macs"}, ...],
                       "dense_nodes": [{"name", "op_type", "macs_per_clip"}, ...],
                       "synaptic_operations", "spike_rate", "macs"},
        "energy": {"provenance": "modelled", "count_provenance": "emulated", "profile", "source",
                   "terms": [{"part", "partition": "spiking" or "dense", "operation": "AC" or "MAC", "count",
                              "picojoules_per_operation", "energy_joules"}, ...],
                   "spiking_joules", "dense_joules", "total_joules", "joules_per_clip", "not_priced": [...]},
        "time": {"provenance": "measured", "note", "stages": [{"stage", "seconds", "seconds_per_clip"}, ...],
                 "seconds", "seconds_per_clip", "videos_per_second": number or null}
      }, ...],
      "failures": [{"video", "error"}, ...]
    }

Counts, energy and seconds are for the video, over all its clips, unless the name says otherwise. A block's
"provenance" holds for every number in it, but for the "count" of an energy term, which has its own. Frame rate
and duration are 0 where the container does not say. "engine" ran the spiking partition, "provider" (of ONNX Runtime)
the ANN partition, in "precision".

"schema_version" rises with every change of the names or of what they mean. 2: "provider" and "precision" are new.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.errors import OutputError
from hybrid_cvar.records import EnergyEstimate, Provenance, Report, Trace
from hybrid_cvar.reporting.failures import VideoFailure
from hybrid_cvar.reporting.figures import TIME_NOTE, dense_operators, pace, partition_joules, spike_rate
from hybrid_cvar.reporting.machine import this_machine
from hybrid_cvar.version import __version__

__all__ = ["SCHEMA", "SCHEMA_VERSION", "render_json", "report_to_dict", "run_to_dict", "write_json"]

SCHEMA = "hybrid-cvar/run"
SCHEMA_VERSION = 2


def write_json(
    reports: Sequence[Report], failures: Sequence[VideoFailure], path: Path, *, command: str | None = None
) -> None:
    """Writes `render_json` to a file, whole or not at all.

    Raises:
        OutputError: the file cannot be written, or a number is not finite.
    """
    write_atomically(path, render_json(reports, failures, command=command))


def render_json(reports: Sequence[Report], failures: Sequence[VideoFailure] = (), *, command: str | None = None) -> str:
    """The run as JSON text, ASCII, ending in a newline.

    Raises:
        OutputError: a number is not finite.
    """
    return json.dumps(run_to_dict(reports, failures, command=command), indent=2, allow_nan=False) + "\n"


def run_to_dict(
    reports: Sequence[Report], failures: Sequence[VideoFailure] = (), *, command: str | None = None
) -> dict[str, Any]:
    """The run as plain JSON values, in the schema above.

    Args:
        reports: the videos that ran.
        failures: those that did not.
        command: the command line that made them.

    Raises:
        OutputError: a number is not finite.
    """
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
        "videos": [report_to_dict(report) for report in reports],
        "failures": [asdict(failure) for failure in failures],
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
    }
    _check_finite(entry, trace.video.path)
    return entry


def _operations(trace: Trace) -> dict[str, Any]:
    return {
        "provenance": Provenance.EMULATED.value,
        "spiking": [
            {
                "layer": layer.name,
                "stream": layer.stream,
                "input": "graded" if layer.graded_input else "binary",
                "neurons": int(layer.neurons),
                "timesteps": int(layer.timesteps),
                "events_in": int(layer.events_in),
                "synaptic_operations": int(layer.synaptic_operations),
                "neuron_updates": int(layer.neuron_updates),
                "spikes_out": int(layer.spikes_out),
                "spike_rate": float(layer.spike_rate),
                "saturated_states": int(layer.saturated_states),
            }
            for layer in trace.spiking
        ],
        "dense": [asdict(operator) for operator in dense_operators(trace)],
        "dense_nodes": [
            {"name": node.name, "op_type": node.op_type, "macs_per_clip": int(node.macs)} for node in trace.dense
        ],
        "synaptic_operations": int(trace.synaptic_operations),
        "spike_rate": float(spike_rate(trace)),
        "macs": int(trace.dense_macs),
    }


def _energy(energy: EnergyEstimate, clips: int) -> dict[str, Any]:
    return {
        "provenance": Provenance.MODELLED.value,
        "count_provenance": Provenance.EMULATED.value,
        "profile": energy.profile,
        "source": energy.source,
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
        "spiking_joules": partition_joules(energy, "spiking"),
        "dense_joules": partition_joules(energy, "dense"),
        "total_joules": float(energy.total_joules),
        "joules_per_clip": float(energy.total_joules) / clips,
        "not_priced": list(energy.not_priced),
    }


def _time(trace: Trace) -> dict[str, Any]:
    return {
        "provenance": Provenance.MEASURED.value,
        "note": TIME_NOTE,
        "stages": [
            {
                "stage": stage.stage,
                "seconds": float(stage.seconds),
                "seconds_per_clip": float(stage.seconds) / trace.clips,
            }
            for stage in trace.stages
        ],
        **asdict(pace(trace)),
    }


def _check_finite(value: object, video: str, where: str = "") -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise OutputError(
            f"{video}: {where} = {value}", "a report holds only finite numbers", "run it again; if it stays, report it"
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_finite(item, video, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_finite(item, video, f"{where}[{index}]")
