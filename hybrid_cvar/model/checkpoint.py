"""Checkpoints: plain tensors, numbers and strings, never unpickled as objects."""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.errors import CheckpointError, ConfigError
from hybrid_cvar.model.config import ModelConfig, config_from_dict, config_to_dict
from hybrid_cvar.model.hybrid_cvar_model import HybridCvarModel

__all__ = ["CHECKPOINT_VERSION", "Checkpoint", "load_checkpoint", "save_checkpoint"]

CHECKPOINT_FORMAT = "hybrid-cvar/checkpoint"
CHECKPOINT_VERSION = 1
MAX_CHECKPOINT_BYTES = 4 * 2**30


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A model and what is known of it.

    Attributes:
        config: sizes.
        labels: class names, in the order of the logits.
        state_dict: the model's tensors.
        trained: False if the weights were not trained for recognition.
        notice: what a user must know of the weights, one sentence; may be empty.
    """

    config: ModelConfig
    labels: tuple[str, ...]
    state_dict: dict[str, torch.Tensor]
    trained: bool
    notice: str = ""

    def build_model(self) -> HybridCvarModel:
        """The model with these weights, in evaluation mode.

        Raises:
            CheckpointError: the tensors do not fit the config or the labels.
        """
        with torch.device("meta"):  # shapes only: a config that does not fit its tensors takes no memory
            wanted = HybridCvarModel(self.config, len(self.labels)).state_dict()
        for name in sorted(wanted.keys() | self.state_dict.keys()):
            left, right = wanted.get(name), self.state_dict.get(name)
            if left is None or right is None or left.shape != right.shape or left.dtype != right.dtype:
                raise CheckpointError(
                    f"checkpoint tensors do not fit: {name} is {_described(right)}, the model's {_described(left)}",
                    f"they must match the config {self.config.name!r} with {len(self.labels)} labels",
                    "save config, labels and weights of the same model",
                )
        model = HybridCvarModel(self.config, len(self.labels))
        model.load_state_dict(self.state_dict)
        return model.eval()


def _described(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes a checkpoint; it appears whole or not at all.

    Raises:
        OutputError: the folder cannot be written.
    """
    content = {
        "format": CHECKPOINT_FORMAT,
        "version": CHECKPOINT_VERSION,
        "config": config_to_dict(checkpoint.config),
        "labels": list(checkpoint.labels),
        "state_dict": {name: tensor.detach().cpu() for name, tensor in checkpoint.state_dict.items()},
        "trained": checkpoint.trained,
        "notice": checkpoint.notice,
    }
    file = io.BytesIO()
    torch.save(content, file)
    write_atomically(path, file.getvalue())


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint; nothing in it is executed.

    Raises:
        CheckpointError: it is missing, no checkpoint, unsafe, of another version or incomplete.
        ConfigError: its config is not allowed.
    """
    content = _load_content(path)
    if content.get("format") != CHECKPOINT_FORMAT:
        raise CheckpointError(
            f"{path}: format {content.get('format')!r}",
            f"a checkpoint says {CHECKPOINT_FORMAT!r}",
            "save it with hybrid_cvar.model.save_checkpoint",
        )
    if content.get("version") != CHECKPOINT_VERSION:
        raise CheckpointError(
            f"{path}: checkpoint version {content.get('version')!r}",
            f"this release reads version {CHECKPOINT_VERSION}",
            "save it again with this release, or install the release that wrote it",
        )
    missing = [key for key in ("config", "labels", "state_dict", "trained") if key not in content]
    if missing:
        raise CheckpointError(f"{path}: {missing[0]} is missing", "a checkpoint needs it", "save it again")
    known = ("format", "version", "config", "labels", "state_dict", "trained", "notice")
    unknown = sorted(str(key) for key in content if key not in known)
    if unknown:
        raise CheckpointError(
            f"{path}: field {unknown[0]!r} is unknown",
            "nothing is ignored",
            "save it with hybrid_cvar.model.save_checkpoint",
        )
    labels = content["labels"]
    if not isinstance(labels, list) or not labels or not all(isinstance(label, str) and label for label in labels):
        raise CheckpointError(f"{path}: labels are not a list of names", "one name a class is needed", "save it again")
    if len(set(labels)) != len(labels):
        raise CheckpointError(f"{path}: a label occurs twice", "labels must differ", "rename one")
    state_dict = content["state_dict"]
    if not isinstance(state_dict, dict) or not all(
        isinstance(name, str)
        and isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not value.is_meta
        for name, value in state_dict.items()
    ):
        raise CheckpointError(
            f"{path}: state_dict holds more than named dense tensors", "only tensors are read", "save it again"
        )
    classes = state_dict.get("ann.classifier.bias", torch.empty(0)).numel()
    if classes != len(labels):
        raise CheckpointError(
            f"{path}: {len(labels)} labels for {classes} classes",
            "there must be one label a class",
            "correct the labels and save it again",
        )
    for name, tensor in state_dict.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(
                f"{path}: {name} is not finite", "weights must be numbers", "take an earlier checkpoint"
            )
    try:
        config = config_from_dict(content["config"])
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error.found}", error.rule, error.remedy) from error
    return Checkpoint(config, tuple(labels), state_dict, bool(content["trained"]), str(content.get("notice", "")))


def _load_content(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise CheckpointError(f"{path}: no such file", "a checkpoint is needed", "check the path")
    if path.is_dir():
        raise CheckpointError(f"{path}: is a directory", "a checkpoint is a file", "name the .pt file in it")
    try:
        size = path.stat().st_size
        if not size:
            raise CheckpointError(
                f"{path}: empty file", "a checkpoint is a file that torch.save wrote", "save it again"
            )
        if size > MAX_CHECKPOINT_BYTES:
            raise CheckpointError(f"{path}: {size} bytes", f"at most {MAX_CHECKPOINT_BYTES} are read")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds more than plain tensors, numbers and strings, or is no checkpoint",
            "it could execute code when read, so it was not",
            "save it with hybrid_cvar.model.save_checkpoint",
        ) from error
    except CheckpointError:
        raise
    except Exception as error:  # torch's reader answers damaged files with errors of any kind
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint ({' '.join(str(error).split())[:120]})",
            "it must be a file that torch.save wrote",
            "check that it is complete",
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}", "a checkpoint is a table", "save it again")
    return content
