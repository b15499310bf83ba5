"""The bundle: a folder with `manifest.json`, `spiking.h5` and `ann.onnx`. Needs neither torch nor Lava to read."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid_cvar.compiler.spiking_file import read_spiking_file
from hybrid_cvar.errors import BundleError, ConfigError
from hybrid_cvar.neuromorphic.layer_spec import StmSpec
from hybrid_cvar.onnx_session import PRECISIONS
from hybrid_cvar.records import (
    AgreementRow,
    ChipFit,
    CoreBounds,
    Finding,
    InputSpec,
    LayerMap,
    LayerResources,
    ParityRow,
    ResourceReport,
)

__all__ = [
    "ANN_FILE",
    "BUNDLE_FILES",
    "BUNDLE_FORMAT",
    "BUNDLE_VERSION",
    "MANIFEST_FILE",
    "SPIKING_FILE",
    "Bundle",
    "file_sha256",
    "load_bundle",
    "manifest_sha256",
]

BUNDLE_FORMAT = "hybrid-cvar/bundle"
BUNDLE_VERSION = 2
MANIFEST_FILE = "manifest.json"
SPIKING_FILE = "spiking.h5"
ANN_FILE = "ann.onnx"
BUNDLE_FILES = (SPIKING_FILE, ANN_FILE)
MAX_MANIFEST_BYTES = 16 * 2**20
RECOMPILE = "compile the checkpoint again"


def _names(kind: type) -> set[str]:
    return {item.name for item in dataclasses.fields(kind)}


KNOWN_FIELDS: dict[str, set[str]] = {
    "": {
        *("format", "format_version", "model", "trained", "notice", "labels", "input", "spiking", "dense"),
        *("resources", "parity", "alarms", "checkpoint_sha256", "tools", "sha256", "manifest_sha256"),
    },
    "spiking": {"layers", "weight_scale", "membrane_scale", "event_max", "event_rounding"},
    "spiking.layers": _names(LayerMap) | {"sample_spike_rate", "sample_saturated_share"},
    "dense": {"inputs", "output", "precision", "quantisation", "agreement"},
    "dense.quantisation": {"quantised", "kept", "calibration_clips"},
    "dense.agreement": _names(AgreementRow),
    "resources": _names(ResourceReport),
    "resources.layers": _names(LayerResources),
    "resources.chips": _names(ChipFit),
    "resources.chips.layers": _names(CoreBounds),
    "resources.chips.violations": _names(Finding),
    "parity": {"clips", "rows"},
    "parity.rows": _names(ParityRow),
    "alarms": _names(Finding),
    "sha256": set(BUNDLE_FILES),
}
"""Every field that compile writes, by the table it lies in; `input` is checked with its values, `tools` is free."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A compiled model whose files were checked.

    Attributes:
        path: the folder.
        name: model name.
        labels: class names, in the order of the logits.
        trained: False if the weights were not trained for recognition.
        notice: what a user must know of the weights; may be empty.
        input: how a GOP becomes a clip.
        stm: the spiking partition.
        ann: path of the ONNX graph.
        ann_inputs: names of its inputs, in order: `iframe` if it takes I-frames, then `<stream>_membrane` of every
            stream of `stm`.
        precision: that the ANN partition was compiled to, one of `PRECISIONS`.
        manifest: the manifest as read.
    """

    path: Path
    name: str
    labels: tuple[str, ...]
    trained: bool
    notice: str
    input: InputSpec
    stm: StmSpec
    ann: Path
    ann_inputs: tuple[str, ...]
    precision: str
    manifest: dict[str, Any]

    @property
    def sha256(self) -> str:
        """Of the manifest, which has those of the files; empty for a bundle that was made in memory."""
        return str(self.manifest.get("manifest_sha256", ""))


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_sha256(manifest: dict[str, Any]) -> str:
    """Hex SHA-256 of a manifest without its own `manifest_sha256` field, in a fixed spelling."""
    rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode("utf-8")).hexdigest()


def load_bundle(path: Path) -> Bundle:
    """Reads a bundle and checks the hash of every file, the manifest's own included.

    Raises:
        BundleError: it is missing, changed, of another version or incomplete.
    """
    manifest = _read_manifest(path)
    if manifest.get("manifest_sha256") != manifest_sha256(manifest):
        raise BundleError(
            f"{path}: {MANIFEST_FILE} has changed", "a bundle's files must be those that compile wrote", RECOMPILE
        )
    _refuse_unknown(path, manifest, "")
    for name in BUNDLE_FILES:
        _check_file(path, name, manifest)
    extra = sorted({file.name for file in path.iterdir()} - {*BUNDLE_FILES, MANIFEST_FILE})
    if extra:
        raise BundleError(
            f"{path}: holds {extra[0]!r} as well", "a bundle holds its own files only", "move it elsewhere"
        )
    spec = _input_spec(path, manifest)
    labels = _field(path, manifest, "labels", list)
    if not labels or not all(isinstance(label, str) and label for label in labels) or len(set(labels)) != len(labels):
        raise BundleError(f"{path}: labels are not a list of different names", "one name a class is needed", RECOMPILE)
    stm = read_spiking_file(path / SPIKING_FILE, spec.timesteps)
    for stream in stm.streams:
        sides = stream.layers[0].input_shape[:2]
        if sides != (spec.size, spec.size):
            raise BundleError(
                f"{path}: the {stream.name} stream takes {sides[0]}x{sides[1]}",
                f"the manifest's input is {spec.size}x{spec.size}",
                RECOMPILE,
            )
    return Bundle(
        path,
        _field(path, manifest, "model", str),
        tuple(labels),
        _field(path, manifest, "trained", bool),
        _field(path, manifest, "notice", str),
        spec,
        stm,
        path / ANN_FILE,
        _ann_inputs(path, manifest, stm),
        _precision(path, manifest),
        manifest,
    )


def _field(path: Path, manifest: dict[str, Any], name: str, kind: type) -> Any:
    value = manifest.get(name)
    if not isinstance(value, kind):
        raise BundleError(
            f"{path}: manifest field {name!r} is {type(value).__name__}", f"it must be {kind.__name__}", RECOMPILE
        )
    return value


def _input_spec(path: Path, manifest: dict[str, Any]) -> InputSpec:
    fields = _field(path, manifest, "input", dict)
    known = _names(InputSpec)
    if set(fields) != known:
        odd = min(set(fields) ^ known)
        raise BundleError(f"{path}: input field {odd!r} is unknown or missing", "nothing is ignored", RECOMPILE)
    try:
        return InputSpec(**fields)
    except ConfigError as error:
        raise BundleError(f"{path}: {error.found}", error.rule, RECOMPILE) from error


def _ann_inputs(path: Path, manifest: dict[str, Any], stm: StmSpec) -> tuple[str, ...]:
    given = _field(path, manifest, "dense", dict).get("inputs")
    membranes = [f"{stream.name}_membrane" for stream in stm.streams]
    if given not in (membranes, ["iframe", *membranes]):
        raise BundleError(
            f"{path}: manifest field 'dense.inputs' is {given!r}",
            f"it must be iframe, or nothing, and {', '.join(membranes)}, as {SPIKING_FILE} has these streams",
            RECOMPILE,
        )
    return tuple(given)


def _precision(path: Path, manifest: dict[str, Any]) -> str:
    given = _field(path, manifest, "dense", dict).get("precision")
    if given not in PRECISIONS:
        raise BundleError(
            f"{path}: manifest field 'dense.precision' is {given!r}", f"known: {', '.join(PRECISIONS)}", RECOMPILE
        )
    return str(given)


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise BundleError(
            f"{path}: no such bundle", "run needs a compiled bundle", "make one: hybrid-cvar compile CKPT"
        )
    if not path.is_dir():
        raise BundleError(
            f"{path}: is a file", "a bundle is the folder that compile writes", "make one: hybrid-cvar compile CKPT"
        )
    file = path / MANIFEST_FILE
    if not file.is_file():
        raise BundleError(f"{path}: holds no {MANIFEST_FILE}", "a bundle has one", RECOMPILE)
    try:
        if file.stat().st_size > MAX_MANIFEST_BYTES:
            raise BundleError(
                f"{path}: {MANIFEST_FILE} is over {MAX_MANIFEST_BYTES} bytes", "it is too large", RECOMPILE
            )
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: {MANIFEST_FILE} cannot be read: {error}", "it must be JSON", RECOMPILE) from error
    if not isinstance(manifest, dict) or manifest.get("format") != BUNDLE_FORMAT:
        raise BundleError(f"{path}: is not a bundle", f"its manifest must say {BUNDLE_FORMAT!r}", RECOMPILE)
    if manifest.get("format_version") != BUNDLE_VERSION:
        raise BundleError(
            f"{path}: bundle version {manifest.get('format_version')!r}",
            f"this release reads version {BUNDLE_VERSION}",
            RECOMPILE,
        )
    return manifest


def _refuse_unknown(path: Path, table: dict[str, Any], where: str) -> None:
    """Nothing in a manifest is ignored: a field that this release does not know may change what the rest means."""
    for name, value in table.items():
        full = f"{where}.{name}".removeprefix(".")
        if name not in KNOWN_FIELDS[where]:
            raise BundleError(f"{path}: manifest field {full!r} is unknown", "nothing is ignored", RECOMPILE)
        if full in KNOWN_FIELDS:
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, dict):
                    _refuse_unknown(path, inner, full)


def _check_file(path: Path, name: str, manifest: dict[str, Any]) -> None:
    hashes = manifest.get("sha256")
    expected = hashes.get(name) if isinstance(hashes, dict) else None
    file = path / name
    if not isinstance(expected, str):
        raise BundleError(f"{path}: manifest has no hash of {name}", "every file is checked", RECOMPILE)
    if not file.is_file():
        raise BundleError(f"{path}: {name} is missing", "a bundle has it", RECOMPILE)
    actual = file_sha256(file)
    if actual != expected:
        raise BundleError(
            f"{path}: {name} has changed (sha256 {actual[:12]}..., manifest {expected[:12]}...)",
            "a bundle's files must be those that compile wrote",
            RECOMPILE,
        )
