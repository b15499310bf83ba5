"""What the ANN suite runs: a model of a preset, its two partitions, its graphs, and real clips."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hybrid_cvar.benchmark.ann_sessions import Candidate, Feed, each_clip
from hybrid_cvar.benchmark.video_classifier import fit_classifier
from hybrid_cvar.compiler.ann_feed import ann_feed
from hybrid_cvar.compiler.onnx_export import export_ann
from hybrid_cvar.compiler.partition import Partitions, partition_model
from hybrid_cvar.compiler.quantise import quantise_ann
from hybrid_cvar.fixed_point import MEMBRANE_SCALE
from hybrid_cvar.model import Checkpoint, HybridCvarModel, ModelConfig, save_checkpoint
from hybrid_cvar.model.initial import initial_checkpoint
from hybrid_cvar.neuromorphic import NativeStm
from hybrid_cvar.records import Clip, Quantisation, stream_events
from hybrid_cvar.video import read_clips

__all__ = ["CLIPS", "AnnMaterial"]

CLIPS = 8
"""A video (paper Sec. 4.1)."""
SEED = 0
STREAMS = ("motion", "residual")


@dataclass(frozen=True, eq=False)
class AnnMaterial:
    """Made when first asked for; files go to `folder`.

    Weights are seeded and untrained, but for a classifier that tells `videos` apart (`fit_classifier`).

    Attributes:
        videos: real videos, one a class; the first is what runs.
        folder: for the checkpoint and the graphs, some GB at the base size.
        config: of the model.
        check_clips: of each of `videos`, at most: half of them fit the classifier and calibrate, half check.
    """

    videos: tuple[Path, ...]
    folder: Path
    config: ModelConfig
    check_clips: int

    @cached_property
    def clips(self) -> tuple[Clip, ...]:
        """The 8 clips that a run takes of the video."""
        return read_clips(self.videos[0], self.config.input, CLIPS).clips

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """Seeded weights, thresholds set on the middle clip, and a fitted classifier."""
        middle = self.clips[len(self.clips) // 2]
        checkpoint = initial_checkpoint(self.config, tuple(video.stem for video in self.videos), SEED, [middle])
        model = checkpoint.build_model()
        feeds = self._feed(self.clips_to_fit, partition_model(model))
        fit_classifier(model, self.eager_ann_inputs(feeds), self._labels_to_fit)
        notice = f"{checkpoint.notice} Its classifier is fitted to tell {len(self.videos)} videos apart."
        return dataclasses.replace(checkpoint, state_dict=model.state_dict(), notice=notice)

    @cached_property
    def _of_videos(self) -> tuple[list[tuple[Clip, int]], list[tuple[Clip, int]]]:
        """(clip, which video): the first half of each video to fit on, the second to check on."""
        to_fit, to_check = [], []
        for index, video in enumerate(self.videos):
            clips = [(clip, index) for clip in read_clips(video, self.config.input, self.check_clips).clips]
            to_fit += clips[: len(clips) // 2]
            to_check += clips[len(clips) // 2 :]
        return to_fit, to_check

    @property
    def clips_to_fit(self) -> list[Clip]:
        """That the classifier is fitted on and INT8 calibrated."""
        return [clip for clip, _ in self._of_videos[0]]

    @property
    def _labels_to_fit(self) -> NDArray[np.int64]:
        return np.array([label for _, label in self._of_videos[0]])

    @property
    def labels_to_check(self) -> NDArray[np.int64]:
        """Which video each of `feeds_to_check` is from, int64 (N,)."""
        return np.array([label for _, label in self._of_videos[1]])

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
        """Of clips that nothing was fitted or calibrated on."""
        return self._feed([clip for clip, _ in self._of_videos[1]])

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
        path = self.folder / "int8.onnx"
        return path, quantise_ann(self.fp32_graph, path, each_clip(self._feed(self.clips_to_fit)))

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

    def _feed(self, clips: Sequence[Clip], partitions: Partitions | None = None) -> Feed:
        spiking = (partitions or self.partitions).stm
        names = [stream.name for stream in spiking.streams]
        with NativeStm(spiking) as stm:
            results = [
                stm.run_clip(*(stream_events(clip, self.config.input, name) for name in names)) for clip in clips
            ]
        return ann_feed(self.config, clips, results)
