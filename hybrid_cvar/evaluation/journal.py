"""Answers kept while a long evaluation runs, one JSON line a video, so that it can be stopped and goes on.

    {"format": "hybrid-cvar/evaluation-journal", "version": 1, "identity": "<sha256>"}
    {"name": "wave/0001.avi", "size": 123456, "modified_ns": 1769860800000000000,
     "logits": [0.5, ...], "clips": 8, "energy_joules": 0.012, "seconds": 0.21}

The identity is a hash of the model, the engine and its settings, the dataset and the number of clips. A line counts
for a video of the same name, size and time of change. What follows a damaged line, as a killed run leaves one, is
dropped.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from hybrid_cvar.errors import OutputError
from hybrid_cvar.evaluation.recognised import Recognised
from hybrid_cvar.records import LabelledVideo

__all__ = ["Journal", "journal_path"]

FORMAT = "hybrid-cvar/evaluation-journal"
VERSION = 1


def journal_path(result: Path) -> Path:
    """Where the journal of an evaluation lies whose JSON goes to `result`."""
    return result.with_name(f"{result.name}.partial.jsonl")


class Journal:
    """Reads what an earlier run left and adds to it. Use as a context manager; without a path it does nothing.

    Args:
        path: the file, or None.
        identity: of the evaluation; a file of another one is begun anew.
        classes: logits of an answer.

    Raises:
        OutputError: the file cannot be read or written.
    """

    def __init__(self, path: Path | None, identity: str, classes: int) -> None:
        self._path = path
        self._identity = identity
        self._classes = classes
        self._file: BinaryIO | None = None
        self._known: dict[tuple[str, int, int], Recognised] = {}

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._go_on(self._path)
            except OSError as error:
                raise self._error(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def find(self, video: LabelledVideo) -> Recognised | None:
        """What an earlier run found of a video; None if it did not get there, or the file has changed."""
        key = _file_key(video) if self._known else None
        return self._known.get(key) if key else None

    def add(self, video: LabelledVideo, found: Recognised) -> None:
        """Writes one answer, at once.

        Raises:
            OutputError: it cannot be written.
        """
        key = _file_key(video)
        if self._path is None or key is None:
            return
        row = {
            "name": key[0],
            "size": key[1],
            "modified_ns": key[2],
            "logits": [float(value) for value in found.logits],
            "clips": found.clips,
            "energy_joules": found.energy_joules,
            "seconds": found.seconds,
        }
        try:
            if self._file is None:
                self._file = self._path.open("wb")
                self._file.write(_line({"format": FORMAT, "version": VERSION, "identity": self._identity}))
            self._file.write(_line(row))
            self._file.flush()
        except OSError as error:
            raise self._error(error) from error

    def _go_on(self, path: Path) -> None:
        """Opens the file of an earlier run behind its last whole line; a new one is made by the first answer."""
        end = self._read(path.read_bytes()) if path.exists() else 0
        if end:
            self._file = path.open("r+b")
            self._file.seek(end)
            self._file.truncate()

    def _read(self, content: bytes) -> int:
        """Takes over the whole lines of this evaluation; the position behind the last, 0 if there is none."""
        end = 0
        for number, line in enumerate(content.splitlines(keepends=True)):
            try:
                row = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                row = None
            if not isinstance(row, dict):
                break
            if number == 0:
                if (row.get("format"), row.get("version"), row.get("identity")) != (FORMAT, VERSION, self._identity):
                    return 0
            elif not self._take(row):
                break
            end += len(line)
        return end

    def _take(self, row: Mapping[str, object]) -> bool:
        name, size, modified = row.get("name"), row.get("size"), row.get("modified_ns")
        logits, clips, energy = row.get("logits"), row.get("clips"), row.get("energy_joules")
        seconds, joules = _number(row.get("seconds")), _number(energy)
        if (
            not isinstance(name, str)
            or type(size) is not int
            or type(modified) is not int
            or not isinstance(logits, list)
            or len(logits) != self._classes
            or any(_number(value) is None for value in logits)
            or type(clips) is not int
            or seconds is None
            or (joules is None) != (energy is None)
        ):
            return False
        self._known[name, size, modified] = Recognised(np.array(logits, np.float32), clips, joules, seconds)
        return True

    def _error(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self._path}: {error.strerror or error}",
            "answers are kept there while the evaluation runs",
            "choose another place for --json, or free some room",
        )


def _line(row: Mapping[str, object]) -> bytes:
    return json.dumps(row, allow_nan=False).encode("ascii") + b"\n"


def _number(value: object) -> float | None:
    """A finite number; None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _file_key(video: LabelledVideo) -> tuple[str, int, int] | None:
    try:
        status = os.stat(video.path)
    except OSError:
        return None
    return video.name, status.st_size, status.st_mtime_ns
