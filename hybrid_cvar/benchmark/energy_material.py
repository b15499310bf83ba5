"""What the energy suite runs: a preset's model on real videos, through the native engine and its exported graph."""

import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.child_process import end_with_parent
from hybrid_cvar.compiler import Bundle
from hybrid_cvar.compiler.onnx_export import export_ann
from hybrid_cvar.compiler.partition import partition_model
from hybrid_cvar.errors import EngineError
from hybrid_cvar.model import ModelConfig
from hybrid_cvar.model.describe import describe_model
from hybrid_cvar.model.initial import initial_checkpoint
from hybrid_cvar.neuromorphic.capacities import load_capacities
from hybrid_cvar.neuromorphic.layer_spec import StmSpec
from hybrid_cvar.neuromorphic.resources import report_resources
from hybrid_cvar.records import ModelDescription, ResourceReport, Trace
from hybrid_cvar.runtime import HybridRuntime
from hybrid_cvar.video import read_clips

__all__ = ["CLIPS", "SEED", "EnergyRun", "run_model", "run_model_apart"]

CLIPS = 8
"""A video (paper Sec. 4.1)."""
SEED = 0
CHIPS = ("loihi-1",)


@dataclass(frozen=True, eq=False)
class EnergyRun:
    """One model on some videos.

    Attributes:
        traces: what the run of each video saw, in the order in which they were given; at least one.
        thresholds_from: names of the videos on whose middle clips the thresholds are set.
        described: the model's parts, counted without running it.
        resources: cores that the spiking partition takes.
        layer_inputs: inputs of each spiking layer, in the trace's order.
        notice: what must be known of the weights.
    """

    traces: tuple[Trace, ...]
    thresholds_from: tuple[str, ...]
    described: ModelDescription
    resources: ResourceReport
    layer_inputs: tuple[int, ...]
    notice: str

    @property
    def trace(self) -> Trace:
        """That of the first video."""
        return self.traces[0]


def run_model(
    config: ModelConfig, classes: int, videos: Sequence[Path], *, run: int | None = None, clips: int = CLIPS
) -> EnergyRun:
    """Makes a model, exports it, and runs it on clips of videos; nothing of it is kept but the counts.

    Weights are seeded and untrained; thresholds are set on the middle clips of all videos, together, for 10 % spikes.

    Args:
        config: of the model.
        classes: logits.
        videos: real ones, at least one.
        run: only so many of them are run, from the first; all if None.
        clips: at most so many of each, uniformly sampled.

    Raises:
        HybridCvarError: a video cannot be read, or the model not be exported or run.
    """
    described = describe_model(config, classes)
    with tempfile.TemporaryDirectory(prefix="hybrid-cvar-bench-") as folder:
        bundle = _make_bundle(config, classes, videos, clips, Path(folder))
        with HybridRuntime(bundle, engine="native") as runtime:
            traces = tuple(runtime.run_video(video, clips=clips) for video in videos[:run])
    return EnergyRun(
        traces=traces,
        thresholds_from=tuple(video.name for video in videos),
        described=described,
        resources=report_resources(bundle.stm, [load_capacities(chip) for chip in CHIPS]),
        layer_inputs=_layer_inputs(bundle.stm),
        notice=bundle.notice,
    )


def run_model_apart(config: ModelConfig, classes: int, videos: Sequence[Path], *, run: int | None = None) -> EnergyRun:
    """`run_model` in a fresh process, which gives all its memory back: an export leaves over a GB behind.

    Raises:
        HybridCvarError: as `run_model`; EngineError also if the process was killed.
    """
    try:
        with ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), initializer=end_with_parent, initargs=(os.getpid(),)
        ) as pool:
            return pool.submit(run_model, config, classes, videos, run=run).result()
    except BrokenProcessPool as error:
        raise EngineError(
            f"the process that ran {config.name} ended early",
            "it must run to its end",
            "see that 4 GB of memory are free, and run the suite again",
        ) from error


def _make_bundle(config: ModelConfig, classes: int, videos: Sequence[Path], clips: int, folder: Path) -> Bundle:
    """A bundle in memory but for its graph; the torch model is let go when this returns."""
    middle = [
        sampled[len(sampled) // 2] for sampled in (read_clips(each, config.input, clips).clips for each in videos)
    ]
    labels = tuple(f"class {index}" for index in range(classes))
    checkpoint = initial_checkpoint(config, labels, SEED, middle)
    partitions = partition_model(checkpoint.build_model())
    notice = checkpoint.notice
    del checkpoint  # a second copy of the weights
    graph = folder / "ann.onnx"
    export_ann(partitions.ann, config.name, labels, graph)
    return Bundle(
        path=folder,
        name=config.name,
        labels=labels,
        trained=False,
        notice=notice,
        input=config.input,
        stm=partitions.stm,
        ann=graph,
        ann_inputs=tuple(each.name for each in config.ann_inputs),
        precision="fp32",
        manifest={},
    )


def _layer_inputs(stm: StmSpec) -> tuple[int, ...]:
    shapes = [layer.input_shape for stream in stm.streams for layer in stream.layers]
    return tuple(height * width * channels for height, width, channels in shapes)
