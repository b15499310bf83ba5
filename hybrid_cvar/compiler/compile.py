"""checkpoint -> bundle: partition, quantise, export, verify, and only then put the bundle in place."""

import contextlib
import dataclasses
import json
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from hybrid_cvar.compiler.alarms import sample_alarms
from hybrid_cvar.compiler.ann_feed import ann_feed
from hybrid_cvar.compiler.bundle import (
    ANN_FILE,
    BUNDLE_FILES,
    BUNDLE_FORMAT,
    BUNDLE_VERSION,
    MANIFEST_FILE,
    SPIKING_FILE,
    file_sha256,
    load_bundle,
    manifest_sha256,
)
from hybrid_cvar.compiler.bundle_folder import check_compile_paths, whole_folder
from hybrid_cvar.compiler.onnx_export import OUTPUT_NAME, export_ann
from hybrid_cvar.compiler.partition import Partitions, partition_model
from hybrid_cvar.compiler.quantise import Feed
from hybrid_cvar.compiler.reduced_precision import reduce_precision, require_agreement
from hybrid_cvar.compiler.spiking_export import write_spiking_file
from hybrid_cvar.compiler.verify import require_parity, verify_partitions
from hybrid_cvar.errors import CompileError, ConfigError, ParityError
from hybrid_cvar.fixed_point import EVENT_MAX, MEMBRANE_SCALE, WEIGHT_SCALE
from hybrid_cvar.model import Checkpoint, ModelConfig, load_checkpoint
from hybrid_cvar.neuromorphic.capacities import chip_names, load_capacities
from hybrid_cvar.neuromorphic.native_stm import NativeStm
from hybrid_cvar.neuromorphic.resources import report_resources
from hybrid_cvar.onnx_session import PRECISIONS, default_provider, require_provider
from hybrid_cvar.records import (
    AgreementRow,
    Clip,
    CompilePlan,
    CompileResult,
    Finding,
    ParityRow,
    Quantisation,
    ResourceReport,
    stream_events,
)
from hybrid_cvar.version import __version__

__all__ = ["compile_checkpoint", "plan_checkpoint"]

TOOLS = ("torch", "lava-nc", "lava-dl", "onnx", "onnxscript", "onnxruntime", "numpy")
CHIPS = chip_names()


def plan_checkpoint(
    checkpoint_path: Path,
    *,
    strict: bool = False,
    chips: Sequence[str] = CHIPS,
    on_plan: Callable[[CompilePlan], None] = lambda plan: None,
) -> CompilePlan:
    """What compile would make of a checkpoint, with nothing run and nothing written.

    Args:
        checkpoint_path: a checkpoint of `save_checkpoint`.
        strict: a broken limit of a chip is an error.
        chips: chips to count resources on (`chip_names`).
        on_plan: given the plan, also when a limit is broken.

    Raises:
        CheckpointError, ConfigError: the checkpoint cannot be used, or a chip is unknown.
        CompileError: it cannot be compiled.
    """
    capacities = [load_capacities(chip) for chip in chips]
    checkpoint = load_checkpoint(checkpoint_path)
    partitions = partition_model(checkpoint.build_model())
    plan = CompilePlan(checkpoint.config.name, partitions.maps, report_resources(partitions.stm, capacities))
    on_plan(plan)
    if strict:
        _refuse_findings(plan.resources.violations, "broken limit")
    return plan


def compile_checkpoint(
    checkpoint_path: Path,
    output: Path,
    take_clips: Callable[[Checkpoint], Sequence[Clip]],
    *,
    precision: str = "fp32",
    take_calibration: Callable[[Checkpoint], Sequence[Clip]] | None = None,
    overwrite: bool = False,
    strict: bool = False,
    chips: Sequence[str] = CHIPS,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_resources: Callable[[ResourceReport], None] = lambda resources: None,
    on_parity: Callable[[Sequence[ParityRow]], None] = lambda rows: None,
    on_alarms: Callable[[Sequence[Finding]], None] = lambda alarms: None,
    on_agreement: Callable[[Sequence[AgreementRow]], None] = lambda rows: None,
) -> CompileResult:
    """Compiles a checkpoint; the bundle appears whole or not at all.

    Args:
        checkpoint_path: a checkpoint of `save_checkpoint`.
        output: the bundle's folder.
        take_clips: gives the clips to verify on, for the checkpoint's input spec.
        precision: of the ANN partition: `fp32`, `int8` or `bf16`.
        take_calibration: gives the clips that a reduced precision is calibrated and checked on, half and half;
            None for those of `take_clips`.
        overwrite: replace a bundle that is there.
        strict: a broken limit of a chip, or an alarm, fails the compile.
        chips: chips to count resources on (`chip_names`).
        on_stage: told each stage's name as it begins.
        on_resources: given what the spiking partition takes, before anything runs.
        on_parity: given the comparisons, also when one fails.
        on_alarms: given the layers that did something odd on the sample clips; may be none.
        on_agreement: given how far a reduced precision agrees with FP32, also when it does not. Only trained weights
            must agree: untrained ones give near ties, whose best class hangs on rounding.

    Raises:
        CheckpointError, ConfigError: the checkpoint cannot be used, or a chip is unknown.
        CompileError: it cannot be compiled; ParityError: two forms disagree, or a reduced precision answers otherwise.
        MissingPartError: no provider for `bf16` is installed.
        OutputError: the bundle cannot be written.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision {precision!r}", f"must be one of {', '.join(PRECISIONS)}")
    require_provider(default_provider(precision), precision)
    check_compile_paths(checkpoint_path, output, overwrite)
    capacities = [load_capacities(chip) for chip in chips]
    on_stage("read checkpoint")
    checkpoint = load_checkpoint(checkpoint_path)
    with whole_folder(output) as folder:
        model = checkpoint.build_model()
        on_stage("partition and quantise")
        partitions = partition_model(model)
        resources = report_resources(partitions.stm, capacities)
        on_resources(resources)
        if strict:
            _refuse_findings(resources.violations, "broken limit")
        on_stage("sample clips")
        clips = take_clips(checkpoint)
        if not clips:
            raise CompileError("no sample clips", "parity is checked on at least one", "give a longer video")
        on_stage("export to ONNX")
        write_spiking_file(model, partitions.stm, folder / SPIKING_FILE)
        export_ann(partitions.ann, checkpoint.config.name, checkpoint.labels, folder / ANN_FILE)
        on_stage("verify parity")
        verified = verify_partitions(model, partitions, folder / ANN_FILE, clips)
        on_parity(verified.rows)
        require_parity(verified.rows)
        alarms = sample_alarms(partitions.maps, verified.counts)
        on_alarms(alarms)
        if strict:
            _refuse_findings(alarms, "alarm")
        quantisation: Quantisation | None = None
        agreement: tuple[AgreementRow, ...] = ()
        if precision != "fp32":
            on_stage(f"calibrate and check {precision}")
            calibration = clips if take_calibration is None else take_calibration(checkpoint)
            feeds = _feeds(checkpoint.config, partitions, calibration)
            quantisation, agreement = reduce_precision(folder / ANN_FILE, precision, feeds, required=checkpoint.trained)
            on_agreement(agreement)
            require_agreement(precision, agreement)
        result = CompileResult(
            output,
            checkpoint.config.name,
            checkpoint.labels,
            checkpoint.trained,
            checkpoint.notice,
            partitions.maps,
            resources,
            verified.counts,
            verified.rows,
            alarms,
            len(clips),
            precision,
            quantisation,
            agreement,
        )
        manifest = _manifest(checkpoint, file_sha256(checkpoint_path), result)
        manifest["sha256"] = {name: file_sha256(folder / name) for name in BUNDLE_FILES}
        manifest["manifest_sha256"] = manifest_sha256(manifest)
        (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        on_stage("read back")
        _check_read_back(folder, partitions.stm)
    return result


def _feeds(config: ModelConfig, partitions: Partitions, clips: Sequence[Clip]) -> list[Feed]:
    """Inputs of the ANN partition, a clip each."""
    names = config.spiking_streams
    with NativeStm(partitions.stm) as stm:
        return [
            ann_feed(config, [clip], [stm.run_clip(*(stream_events(clip, config.input, name) for name in names))])
            for clip in clips
        ]


def _refuse_findings(findings: Sequence[Finding], kind: str) -> None:
    if findings:
        first = findings[0]
        raise CompileError(
            f"{len(findings)} {kind}(s), the first of {first.subject}: {first.found}",
            f"{first.rule}; --strict allows none",
            f"{first.remedy}; or name the chips that count with --chip; no bundle was written"
            if kind == "broken limit"
            else f"{first.remedy}; no bundle was written",
        )


def _manifest(checkpoint: Checkpoint, checkpoint_sha256: str, result: CompileResult) -> dict[str, Any]:
    layers = [
        {
            **dataclasses.asdict(layer),
            "sample_spike_rate": seen.spike_rate,
            "sample_saturated_share": seen.saturated_share,
        }
        for layer, seen in zip(result.maps, result.counts, strict=True)
    ]
    return {
        "format": BUNDLE_FORMAT,
        "format_version": BUNDLE_VERSION,
        "model": checkpoint.config.name,
        "trained": checkpoint.trained,
        "notice": checkpoint.notice,
        "labels": list(checkpoint.labels),
        "input": dataclasses.asdict(checkpoint.config.input),
        "spiking": {
            "layers": layers,
            "weight_scale": WEIGHT_SCALE,
            "membrane_scale": MEMBRANE_SCALE,
            "event_max": EVENT_MAX,
            "event_rounding": "toward zero",
        },
        "dense": {
            "inputs": [each.name for each in checkpoint.config.ann_inputs],
            "output": OUTPUT_NAME,
            "precision": result.precision,
            "quantisation": dataclasses.asdict(result.quantisation) if result.quantisation else None,
            "agreement": [dataclasses.asdict(row) for row in result.agreement],
        },
        "resources": dataclasses.asdict(result.resources),
        "parity": {"clips": result.clips, "rows": [dataclasses.asdict(row) for row in result.parity]},
        "alarms": [dataclasses.asdict(alarm) for alarm in result.alarms],
        "checkpoint_sha256": checkpoint_sha256,
        "tools": {"hybrid-cvar": __version__, "python": platform.python_version(), **_tool_versions()},
    }


def _tool_versions() -> dict[str, str]:
    found = {}
    for tool in TOOLS:
        with contextlib.suppress(PackageNotFoundError):
            found[tool] = version(tool)
    return found


def _check_read_back(folder: Path, stm: Any) -> None:
    """The file on disk must hold the layers that were verified."""
    read = load_bundle(folder).stm
    for written, back in zip(stm.streams, read.streams, strict=True):
        for before, after in zip(written.layers, back.layers, strict=True):
            same = all(
                np.array_equal(getattr(before, name), getattr(after, name))
                for name in ("input_shape", "stride", "padding", "thresholds", "decays", "reset", "graded_input")
            )
            if not same or (before.weight != after.weight).any():
                raise ParityError(
                    f"{SPIKING_FILE}: layer {before.name} reads back differently",
                    "every value must survive the file",
                    "report it with the checkpoint",
                )
