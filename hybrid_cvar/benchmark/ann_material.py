"""What the ANN suite runs: an untrained model of a preset, its two partitions, its graphs, and real clips."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hybrid_cvar.benchmark.ann_sessions import Candidate, Feed, each_clip
from hybrid_cvar.compiler.ann_feed import ann_feed
from hybrid_cvar.compiler.onnx_export import export_ann
from hybrid_cvar.compiler.partition import Partitions, partition_model
from hybrid_cvar.compiler.quantise import quantise_ann
from hybrid_cvar.compiler.reduced_precision import held_out
from hybrid_cvar.fixed_point import MEMBRANE_SCALE
from hybrid_cvar.model import Checkpoint, HybridCvarModel, ModelConfig, save_checkpoint
from hybrid_cvar.model.initial import initial_checkpoint
from hybrid_cvar.neuromorphic import NativeStm
from hybrid_cvar.records import Clip, Quantisation, stream_events
from hybrid_cvar.video import read_clips

__all__ = ["CLIPS", "AnnMaterial"]

CLIPS = 8
"""A video (paper Sec. 4.1)."""
CLASSES = 101
"""As UCF-101."""
SEED = 0
STREAMS = ("motion", "residual")


@dataclass(frozen=True, eq=False)
class AnnMaterial:
    """Made when first asked for; files go to `folder`.

    Attributes:
        video: dancer.avi.
        folder: for the checkpoint and the graphs, some GB at the base size.
        config: of the model.
        check_clips: that reduced precisions are calibrated and checked on, half and half.
    """

    video: Path
    folder: Path
    config: ModelConfig
    check_clips: int

    @cached_property
    def clips(self) -> tuple[Clip, ...]:
        """The 8 clips that a run takes of the video."""
        return read_clips(self.video, self.config.input, CLIPS).clips

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Seeded weights, thresholds set on the middle clip."""
        middle = self.clips[len(self.clips) // 2]
        return initial_checkpoint(self.config, tuple(f"class {index}" for index in range(CLASSES)), SEED, [middle])

    @cached_property
    def checkpoint_file(self) -> Path:
        """The checkpoint, saved."""
        path = self.folder / "model.pt"
        save_checkpoint(self.checkpoint, path)
        return path

    @cached_property
    def model(self) -> HybridCvarModel:
        """In evaluation mode."""
        return self.checkpoint.build_model()

    @cached_property
    def partitions(self) -> Partitions:
        """Integers and the ANN partition as it is exported."""
        return partition_model(self.model)

    @cached_property
    def feed(self) -> Feed:
        """The ANN partition's inputs of `clips`, (8, ...)."""
        return self._feed(self.clips)

    @cached_property
    def feeds_to_check(self) -> Feed:
        """Of clips that were kept from calibration."""
        _, to_check = self._halves
        return {name: np.concatenate([feed[name] for feed in to_check]) for name in to_check[0]}

    @cached_property
    def fp32_graph(self) -> Path:
        """As compile exports it."""
        path = self.folder / "fp32.onnx"
        export_ann(self.partitions.ann, self.config.name, self.checkpoint.labels, path)
        return path

    @cached_property
    def int8_graph(self) -> Path:
        """As compile quantises it."""
        return self._int8[0]

    @property
    def quantisation(self) -> Quantisation:
        """What was quantised."""
        return self._int8[1]

    @cached_property
    def _int8(self) -> tuple[Path, Quantisation]:
        to_calibrate, _ = self._halves
        path = self.folder / "int8.onnx"
        return path, quantise_ann(self.fp32_graph, path, to_calibrate)

    @cached_property
    def _halves(self) -> tuple[list[Feed], list[Feed]]:
        """(to calibrate on, to check on), a clip each."""
        clips = read_clips(self.video, self.config.input, self.check_clips).clips
        to_calibrate, to_check = held_out(each_clip(self._feed(clips)))
        return to_calibrate, to_check

    def graph(self, candidate: Candidate) -> Path:
        """The file that a candidate runs: BF16 rounds the FP32 one as it runs."""
        return self.int8_graph if candidate.precision == "int8" else self.fp32_graph

    def events(self, clip: Clip) -> tuple[NDArray[np.int8], ...]:
        """What the spiking engines take, a stream each."""
        return tuple(stream_events(clip, self.config.input, stream.name) for stream in self.partitions.stm.streams)

    def eager_inputs(self, clips: Sequence[Clip]) -> tuple[torch.Tensor, ...]:
        """What `HybridCvarModel.forward` takes."""
        spec = self.config.input
        return (
            torch.from_numpy(np.stack([clip.iframe for clip in clips])),
            *(torch.from_numpy(np.stack([stream_events(clip, spec, name) for clip in clips])) for name in STREAMS),
        )

    def eager_ann_inputs(self, feed: Feed) -> tuple[torch.Tensor, ...]:
        """What `AnnPartition.forward` takes, from what the graph takes: membranes in float units, channels first."""
        tensors = []
        for each in self.config.ann_inputs:
            values: Any = torch.from_numpy(np.ascontiguousarray(feed[each.name]))
            if each.kind == "membrane":
                values = (values.permute(0, 3, 1, 2).to(torch.float32) / MEMBRANE_SCALE).contiguous()
            tensors.append(values)
        return tuple(tensors)

    def _feed(self, clips: Sequence[Clip]) -> Feed:
        with NativeStm(self.partitions.stm) as stm:
            return ann_feed(self.config, clips, [stm.run_clip(*self.events(clip)) for clip in clips])
