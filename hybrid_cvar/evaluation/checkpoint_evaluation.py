"""A checkpoint's answers on a dataset, in torch: quantised as it is deployed, or in plain float."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np

from hybrid_cvar.compiler.bundle import file_sha256
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.evaluation.evaluator import EvaluationObserver, Subject, evaluate_videos
from hybrid_cvar.evaluation.recognised import Recognised
from hybrid_cvar.lava_compat import prepare_slayer
from hybrid_cvar.records import Evaluation, VideoDataset, stream_events
from hybrid_cvar.video import read_clips

prepare_slayer()

import torch  # noqa: E402

from hybrid_cvar.model import Checkpoint, load_checkpoint  # noqa: E402

__all__ = ["evaluate_checkpoint"]

BATCH = 8
"""Clips in a forward pass: the paper's 8 a video."""


def evaluate_checkpoint(
    checkpoint: Path,
    dataset: VideoDataset,
    *,
    fixed_point: bool,
    clips: int = 8,
    batch: int = BATCH,
    limit: int | None = None,
    journal: Path | None = None,
    machine: str = "",
    observer: EvaluationObserver | None = None,
) -> Evaluation:
    """Runs a dataset's videos through the torch model, in evaluation mode, on the CPU.

    The clips are those that the bundle's engines see. Energy is not priced: torch counts no operations.

    Args:
        checkpoint: the file.
        dataset: the videos; its labels are the model's, see `match_labels`.
        fixed_point: True for the quantised forward pass (engine `torch`), False for plain float (`torch-float`).
        clips: of a video, uniformly spread, centre crop; fewer where it has fewer GOPs.
        batch: clips in a forward pass.
        limit, journal, machine, observer: as in `evaluate_bundle`.

    Returns:
        As `evaluate_bundle`.

    Raises:
        CheckpointError: the checkpoint cannot be read.
        ConfigError, MissingPartError, OutputError, EngineError, KeyboardInterrupt: as in `evaluate_bundle`.
    """
    if batch < 1:
        raise ConfigError(f"batch = {batch}", "must be at least 1")
    loaded = load_checkpoint(checkpoint)
    subject = Subject(
        model=loaded.config.name,
        source="checkpoint",
        sha256=file_sha256(checkpoint),
        engine="torch" if fixed_point else "torch-float",
        provider="torch",
        precision="fp32",
        labels=loaded.labels,
    )
    return evaluate_videos(
        subject,
        lambda: _TorchRecogniser(loaded, fixed_point, clips, batch),
        dataset,
        clips=clips,
        limit=limit,
        journal=journal,
        machine=machine,
        observer=observer or EvaluationObserver(),
    )


class _TorchRecogniser:
    """Holds the model."""

    def __init__(self, checkpoint: Checkpoint, fixed_point: bool, clips: int, batch: int) -> None:
        self._spec = checkpoint.config.input
        self._model = checkpoint.build_model()
        self._model.set_fixed_point(fixed_point)
        self._clips = clips
        self._batch = batch

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        pass

    @torch.inference_mode()
    def recognise(self, path: Path, on_clip: Callable[[], None]) -> Recognised:
        begin = time.perf_counter()
        clips = read_clips(path, self._spec, self._clips).clips
        logits = []
        for first in range(0, len(clips), self._batch):
            part = clips[first : first + self._batch]
            iframes = torch.from_numpy(np.stack([clip.iframe for clip in part]))
            motion, residual = (
                torch.from_numpy(np.stack([stream_events(clip, self._spec, name) for clip in part]))
                for name in ("motion", "residual")
            )
            logits.append(self._model(iframes, motion, residual).numpy())
            on_clip()
        mean = np.concatenate(logits).mean(axis=0, dtype=np.float64).astype(np.float32)
        return Recognised(mean, len(clips), None, time.perf_counter() - begin)
