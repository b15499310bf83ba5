"""What the rows of the ANN suite are measured on, and the table that several of them need."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from hybrid_cvar.benchmark.ann_material import AnnMaterial
from hybrid_cvar.benchmark.ann_sessions import (
    FP32,
    LEAST_SHARE_OF_TOP_1,
    Agreement,
    Candidate,
    Timed,
    candidates,
    compare_logits,
    fp32_candidates,
    logits_of,
    open_candidate,
    time_candidates,
)
from hybrid_cvar.benchmark.matrix_peak import SIZES
from hybrid_cvar.errors import EngineError, HybridCvarError
from hybrid_cvar.model import ModelConfig, preset_config
from hybrid_cvar.model.describe import describe_model
from hybrid_cvar.onnx_session import SessionSettings

__all__ = ["AnnBench", "Chosen", "ReducedTable", "eager", "rounds_of"]

BASE = preset_config("base")
CHECK_CLIPS = 48


@dataclass(frozen=True, eq=False)
class ReducedTable:
    """FP32 and the reduced precisions, timed in turn on the clips of a video.

    Attributes:
        plain: FP32, on every provider.
        timed, agreements: of every candidate that ran.
        failed: why the others did not, in one line, by name.
    """

    plain: Mapping[Candidate, Timed]
    timed: Mapping[Candidate, Timed]
    agreements: Mapping[Candidate, Agreement]
    failed: Mapping[str, str]

    @property
    def fp32_name(self) -> str:
        """Where FP32 is fastest, 8 clips at once: what reduced precisions are measured against."""
        return min(self.plain, key=lambda each: self.plain[each].batch_median).name

    @property
    def fp32(self) -> Timed:
        """FP32 there."""
        return min(self.plain.values(), key=lambda timed: timed.batch_median)

    def best(self) -> Candidate:
        """The fastest of 8 clips at once among those that keep FP32's top-1.

        Raises:
            EngineError: none does.
        """
        allowed = [each for each in self.timed if self.agreements[each].keeps_top_1]
        if not allowed:
            found = [f"{each.name}: {self.agreements[each].top_1:.3g}" for each in self.timed]
            found += [f"{name}: {why}" for name, why in self.failed.items()]
            raise EngineError(
                f"no reduced precision keeps FP32's top-1 ({', '.join(found) or 'none ran'})",
                f"at least {LEAST_SHARE_OF_TOP_1:.0%} of it must be kept on held-out clips",
                "see what quantise_ann leaves in FP32",
            )
        return min(allowed, key=lambda each: self.timed[each].batch_median)

    def detail(self) -> dict[str, Any]:
        """Every candidate's numbers."""
        return {
            each.name: {
                "ms_a_clip_batch_1": 1e3 * timed.one_median,
                "ms_a_clip_batch_8": 1e3 * timed.batch_median,
                "speedup_batch_1": self.fp32.one_median / timed.one_median,
                "speedup_batch_8": self.fp32.batch_median / timed.batch_median,
                "counts": self.agreements[each].keeps_top_1,
                **dataclasses.asdict(self.agreements[each]),
                **rounds_of(timed),
            }
            for each, timed in self.timed.items()
        }


@dataclass(frozen=True)
class Chosen:
    """What the rows over the whole model run the ANN partition on.

    Attributes:
        candidate: precision and provider.
        graph: its file.
    """

    candidate: Candidate
    graph: Path


@dataclass(frozen=True, eq=False)
class AnnBench:
    """What the rows are measured on.

    Attributes:
        videos: that a classifier tells apart; the first, dancer.avi, is what runs.
        folder: for checkpoint, graphs and bundle.
        rounds: of every ratio.
        config: of the model.
        check_clips: of each video, at most: the first half fits and calibrates, the second checks.
        product_sizes: sides of the matrix products that the machine's peak is measured with.
    """

    videos: tuple[Path, ...]
    folder: Path
    rounds: int = 5
    config: ModelConfig = BASE
    check_clips: int = CHECK_CLIPS
    product_sizes: tuple[int, ...] = SIZES

    @property
    def video(self) -> Path:
        """What runs."""
        return self.videos[0]

    @cached_property
    def material(self) -> AnnMaterial:
        """Model, partitions, graphs, clips."""
        return AnnMaterial(self.videos, self.folder, self.config, self.check_clips)

    @cached_property
    def reduced(self) -> ReducedTable:
        """One table for all rows that need one of it; its sessions are closed when it is there."""
        material = self.material
        plain = fp32_candidates()
        sessions = {each: open_candidate(each, material.fp32_graph) for each in plain}
        expected = logits_of(sessions[FP32], material.feeds_to_check)
        agreements: dict[Candidate, Agreement] = {}
        failed: dict[str, str] = {}
        for candidate in candidates():
            try:
                session = open_candidate(candidate, material.graph(candidate))
                logits = logits_of(session, material.feeds_to_check)
            except HybridCvarError as error:
                failed[candidate.name] = str(error)
            else:
                sessions[candidate] = session
                agreements[candidate] = compare_logits(expected, logits, material.labels_to_check)
        timed = time_candidates(sessions, material.feed, self.rounds)
        return ReducedTable({each: timed.pop(each) for each in plain}, timed, agreements, failed)

    @cached_property
    def chosen(self) -> Chosen:
        """The best reduced precision; errors as `ReducedTable.best`."""
        best = self.reduced.best()
        return Chosen(best, self.material.graph(best))

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of the ANN partition a clip."""
        return describe_model(self.config, len(self.material.checkpoint.labels)).macs

    @property
    def setting(self) -> dict[str, Any]:
        """For every row's detail."""
        return {
            "preset": self.config.name,
            "classes": len(self.videos),
            "clips": len(self.material.clips),
            "threads": usable_threads(),
        }


def usable_threads() -> int:
    """Cores that this process may use: threads of torch and of ONNX Runtime."""
    return SessionSettings().usable_threads


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Torch with as many threads as ONNX Runtime, without gradients; puts both back."""
    before = torch.get_num_threads()
    torch.set_num_threads(usable_threads())
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before)


def rounds_of(timed: Timed) -> dict[str, list[float]]:
    """Every round's seconds a clip, for a detail."""
    return {"batch_1_seconds": list(timed.one_seconds), "batch_8_seconds": list(timed.batch_seconds)}
