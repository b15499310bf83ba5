"""Counts of operations beside other tools' counts of the same models and inputs: every one must be equal."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.assets import DEFAULT_BUNDLE, SAMPLE_VIDEO
from hybrid_cvar.benchmark.crosscheck import INSTALL_NEUROBENCH, Comparison, find_neurobench
from hybrid_cvar.benchmark.crosscheck_ann import compare_ann
from hybrid_cvar.benchmark.crosscheck_spiking import compare_spiking
from hybrid_cvar.benchmark.results import BenchResult
from hybrid_cvar.compiler.bundle import load_bundle
from hybrid_cvar.model import ModelConfig, find_variant, preset_config, variant_config
from hybrid_cvar.records import Provenance, stream_events
from hybrid_cvar.video import read_clips

__all__ = ["OPERATIONS_ROWS", "OperationsBench", "crosscheck_table"]

VARIED = "tiny"
"""The preset whose variants are counted."""
NOT_COMPARED = f"NeuroBench's counts of both partitions, without which the target is not met: {INSTALL_NEUROBENCH}"


@dataclass(frozen=True)
class OperationsBench:
    """What is counted.

    Attributes:
        bundle: whose spiking partition is.
        video: whose middle clip it runs.
        presets: whose ANN partitions are, at their own size.
        variants: of the smallest preset; those whose attention or temporal part is another.
    """

    bundle: Path = DEFAULT_BUNDLE
    video: Path = SAMPLE_VIDEO
    presets: tuple[str, ...] = ("tiny", "small", "base", "large")
    variants: tuple[str, ...] = ("separate-transformers", "cross-attention", "ls-t-gs", "lstm", "class-token")

    @property
    def configs(self) -> list[ModelConfig]:
        """Of the presets, then of the variants."""
        varied = preset_config(VARIED)
        changed = [(name, variant_config(varied, find_variant(name).changes)) for name in self.variants]
        return [
            *(preset_config(name) for name in self.presets),
            *(dataclasses.replace(config, name=f"{VARIED}, {name}") for name, config in changed),
        ]


def crosscheck_table(bench: OperationsBench) -> tuple[Comparison, ...]:
    """Every count that another tool makes too: the spiking partition's on a real clip, then the ANN partitions'.

    NeuroBench's are left out where it is not installed.
    """
    neurobench = find_neurobench()
    bundle = load_bundle(bench.bundle)
    clips = read_clips(bench.video, bundle.input, 3).clips
    clip = clips[len(clips) // 2]
    events = tuple(stream_events(clip, bundle.input, stream.name) for stream in bundle.stm.streams)
    rows = compare_spiking(bundle.stm, events, neurobench)
    for config in bench.configs:
        rows += compare_ann(config, neurobench)
    return tuple(rows)


def crosscheck_mismatches(bench: OperationsBench) -> BenchResult:
    """Counts that differ from another tool's; the target asks for every tool: it is missed where one is not there."""
    table = crosscheck_table(bench)
    mismatches = sum(not row.equal for row in table)
    neurobench = find_neurobench()
    return BenchResult(
        "operations.crosscheck_mismatches",
        mismatches,
        "counts",
        Provenance.EMULATED,
        {
            "target": "== 0",
            "met": mismatches == 0 and neurobench is not None,
            "compared": len(table),
            "compared_with": dict(Counter(row.against for row in table)),
            "neurobench": neurobench.version if neurobench else f"not installed: {INSTALL_NEUROBENCH}",
            **({} if neurobench else {"not_compared": [NOT_COMPARED]}),
            "video": bench.video.name,
            "comparisons": [{**dataclasses.asdict(row), "equal": row.equal} for row in table],
        },
    )


OPERATIONS_ROWS: Mapping[str, Callable[[OperationsBench], BenchResult]] = {
    "operations.crosscheck_mismatches": crosscheck_mismatches,
}
"""Rows of the operations suite, in order."""
