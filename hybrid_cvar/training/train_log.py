"""What a run writes as it goes: a line a step, and TensorBoard's curves."""

import contextlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hybrid_cvar.errors import MissingPartError
from hybrid_cvar.records import EpochRow

__all__ = ["LOG_FILE", "TrainLog"]

LOG_FILE = "log.jsonl"
INSTALL_TENSORBOARD = "pip install tensorboard"


class TrainLog:
    """`log.jsonl` (step, epoch, loss, learning rate) and `tensorboard/` of one run. Use as a context manager.

    Args:
        folder: of the run.
        done: optimiser steps that count; later lines are of a session that was cut off, and go.
        enabled: False writes nothing, on all devices but the first.
    """

    def __init__(self, folder: Path, done: int, *, enabled: bool = True) -> None:
        self._folder = folder
        self._done = done
        self._enabled = enabled
        self._closing = contextlib.ExitStack()
        self._lines: Any = None
        self._board: Any = None

    def __enter__(self) -> Self:
        if not self._enabled:
            return self
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingPartError(
                "tensorboard is not installed",
                "a run's curves are written for it",
                f"install it: {INSTALL_TENSORBOARD}",
            ) from error
        path = self._folder / LOG_FILE
        kept = []
        if path.exists() and self._done:
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if _step_of(line) in range(1, self._done + 1)]
        self._lines = self._closing.enter_context(path.open("w", encoding="utf-8"))
        self._lines.writelines(f"{line}\n" for line in kept)
        self._board = SummaryWriter(str(self._folder / "tensorboard"), purge_step=self._done + 1)
        self._closing.callback(self._board.close)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def step(self, step: int, epoch: int, loss: float, learning_rate: float) -> None:
        """One optimiser step is done."""
        if not self._enabled:
            return
        row = {"step": step, "epoch": epoch, "loss": loss, "learning_rate": learning_rate}
        self._lines.write(json.dumps(row) + "\n")
        self._board.add_scalar("train/loss", loss, step)
        self._board.add_scalar("train/learning_rate", learning_rate, step)

    def flush(self) -> None:
        """All lines so far are in the file."""
        if self._enabled:
            self._lines.flush()

    def epoch(self, row: EpochRow) -> None:
        """One epoch is done."""
        if not self._enabled:
            return
        self._board.add_scalar("epoch/train_loss", row.train_loss, row.steps)
        self._board.add_scalar("epoch/train_top1", row.train_top1, row.steps)
        if row.validation_top1 is not None:
            self._board.add_scalar("epoch/validation_top1", row.validation_top1, row.steps)
        for layer, rate in row.spike_rates:
            self._board.add_scalar(f"spike_rate/{layer}", rate, row.steps)


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # a line that was cut off
        return 0
