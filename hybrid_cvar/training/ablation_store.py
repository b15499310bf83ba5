"""`result.json` in the folder of each run of an ablation: whose it is, and what was found.

    {"version": 1, "identity": SHA-256 of recipe and videos, "state": "started", "measured" or "failed",
     "reason": why it failed, "measurement": fields of `AblationMeasurement` or null}

It is written before a run starts, so that a rerun with another budget does not mix with it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.records import AblationMeasurement, PairDirection, VideoDataset
from hybrid_cvar.training.recipe import Recipe
from hybrid_cvar.training.train_state import run_identity

__all__ = ["RESULT_FILE", "StoredResult", "ablation_identity", "load_result", "save_result"]

RESULT_FILE = "result.json"
RESULT_VERSION = 1
STATES = ("started", "measured", "failed")


@dataclass(frozen=True)
class StoredResult:
    """A run's file.

    Attributes:
        identity: of `ablation_identity`.
        state: `started`, `measured` or `failed`.
        reason: why it failed; else empty.
        measurement: None unless measured.
    """

    identity: str
    state: str
    reason: str = ""
    measurement: AblationMeasurement | None = None


def ablation_identity(
    recipe: Recipe, training: VideoDataset, test: VideoDataset, pairs: Sequence[tuple[str, str]]
) -> str:
    """Differs where the run's recipe, its training or test videos, or the time-reversed pairs differ."""
    tested = [test.kind, test.subset, test.split, [(video.name, video.label) for video in test.videos]]
    content = [RESULT_VERSION, run_identity(recipe, training.videos), tested, [list(pair) for pair in pairs]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def save_result(folder: Path, result: StoredResult) -> None:
    """Writes the file, whole or not at all; the folder is made if it is not there.

    Raises:
        OutputError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"version": RESULT_VERSION, **asdict(result)}, indent=1) + "\n"
    write_atomically(folder / RESULT_FILE, content)


def load_result(folder: Path) -> StoredResult | None:
    """What `save_result` wrote; None if nothing is there, or it is damaged or of another version."""
    try:
        content = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
        if content.pop("version") != RESULT_VERSION:
            return None
        measurement = content.pop("measurement")
        result = StoredResult(**content, measurement=None if measurement is None else _measurement(measurement))
        fits = result.state in STATES and (result.state == "measured") == (result.measurement is not None)
        return result if fits else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _measurement(content: dict[str, Any]) -> AblationMeasurement:
    pairs = tuple(PairDirection(**pair) for pair in content.pop("pairs"))
    return AblationMeasurement(**content, pairs=pairs)
