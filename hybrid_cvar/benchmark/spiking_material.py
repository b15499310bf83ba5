"""What the spiking suite runs: the spiking partition at the base size, with thresholds that real clips keep busy."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import MissingPartError
from hybrid_cvar.lava_compat import INSTALL_COMPILE
from hybrid_cvar.neuromorphic import ConvLifSpec, NativeStm, StmSpec, StreamSpec
from hybrid_cvar.neuromorphic.conv_lif_core import ConvLifCore
from hybrid_cvar.records import InputSpec, SpikingResult, stream_events
from hybrid_cvar.video import read_clips

__all__ = [
    "BASE_SIZE",
    "SPIKE_RATE",
    "ClipEvents",
    "SpikingBench",
    "base_partition",
    "clip_events",
    "no_torch",
    "random_layer",
]

BASE_SIZE = 224
STOCK_SIZE = 112
"""Of the row that times stock Lava Processes, and of the parity of hard reset and of one neuron a channel."""
CLIPS = 3
CHANNELS = (20, 16)
"""Of preset `base`, which needs torch to be imported."""
SPIKE_RATE = 0.1
"""Share of neurons that fire a step, which thresholds are set to: trained models end below it."""
LEAK_DECAY = 410
"""4096 * (1 - 0.9), rounded: the leak that training starts from."""
LARGEST_WEIGHT = 16
"""Steps of 2; weights are uniform up to it, as the model's initial ones are (0.5 in float units)."""
HALVINGS = 17

ClipEvents = tuple[NDArray[np.int8], NDArray[np.int8]]
"""int8 (T, H, W, 2) and (T, H, W, 3): graded events of motion and residual."""


def clip_events(path: Path, size: int, count: int) -> list[ClipEvents]:
    """Events of clips sampled uniformly from a video."""
    spec = InputSpec(size=size)
    return [
        (stream_events(clip, spec, "motion"), stream_events(clip, spec, "residual"))
        for clip in read_clips(path, spec, count).clips
    ]


def random_layer(name: str, input_shape: tuple[int, int, int], outputs: int, *, graded: bool, seed: int) -> ConvLifSpec:
    """A 3x3 layer of stride 1 with seeded weights and the highest threshold."""
    rng = np.random.default_rng(seed)
    weight = 2 * rng.integers(-LARGEST_WEIGHT, LARGEST_WEIGHT + 1, (outputs, input_shape[2], 3, 3), dtype=np.int32)
    return ConvLifSpec(name, input_shape, weight, (1, 1), (1, 1), 2**17 - 1, LEAK_DECAY, "soft", graded)


def base_partition(events: ClipEvents, channels: tuple[int, ...] = CHANNELS) -> StmSpec:
    """Both streams at the size of `events`; every layer's threshold makes it fire at `SPIKE_RATE` on them.

    Args:
        events: of one clip.
        channels: outputs a layer.
    """
    streams = []
    for number, (name, passing) in enumerate(zip(("motion", "residual"), events, strict=True)):
        layers = []
        for index, outputs in enumerate(channels):
            seed = 10 * number + index
            layer = random_layer(f"{name}.{index}", passing.shape[1:], outputs, graded=index == 0, seed=seed)
            layer = _calibrate(layer, passing)
            layers.append(layer)
            passing = ConvLifCore(layer).run(passing)
        streams.append(StreamSpec(name, tuple(layers)))
    return StmSpec(tuple(streams), len(events[0]))


def _calibrate(layer: ConvLifSpec, events: NDArray[np.int8]) -> ConvLifSpec:
    """The lowest threshold at which no more than `SPIKE_RATE` of the neurons fire a step, by halving the range."""
    low, high = 1, int(layer.thresholds[0])
    for _ in range(HALVINGS):
        middle = (low + high) // 2
        if ConvLifCore(dataclasses.replace(layer, threshold=middle)).run(events).mean() > SPIKE_RATE:
            low = middle + 1
        else:
            high = middle
    return dataclasses.replace(layer, threshold=high)


@dataclass(frozen=True)
class SpikingBench:
    """What the rows are measured on.

    Attributes:
        video: dancer.avi.
        rounds: of every ratio.
        size: side of the input.
        stock_size: the same, where stock Lava Processes are timed.
    """

    video: Path
    rounds: int = 5
    size: int = BASE_SIZE
    stock_size: int = STOCK_SIZE

    @cached_property
    def events(self) -> list[ClipEvents]:
        """Of clips sampled from dancer.avi."""
        return clip_events(self.video, self.size, CLIPS)

    @cached_property
    def partition(self) -> StmSpec:
        """Calibrated on the first clip."""
        return base_partition(self.events[0])

    @cached_property
    def small_events(self) -> list[ClipEvents]:
        """As `events`, at `stock_size`."""
        return clip_events(self.video, self.stock_size, CLIPS)

    @cached_property
    def small_partition(self) -> StmSpec:
        """As `partition`, at `stock_size`."""
        return base_partition(self.small_events[0])

    @cached_property
    def result(self) -> SpikingResult:
        """The native engine's of the second clip: counts that tell the activity."""
        with NativeStm(self.partition) as native:
            return native.run_clip(*self.events[1])


def no_torch(error: ImportError) -> MissingPartError:
    """What a row that compares with torch says without it."""
    return MissingPartError(f"torch or lava-dl cannot be imported ({error})", "it is compared with", INSTALL_COMPILE)
