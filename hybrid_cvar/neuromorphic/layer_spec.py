"""ConvLIF layers as integers: what a bundle stores and every engine runs (spec.md)."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.fixed_point import DECAY_UNITY, RESETS, SYNAPSE_MAX, THRESHOLD_MAX, WEIGHT_MAX, WEIGHT_MIN
from hybrid_cvar.records import STREAM_CHANNELS

__all__ = ["MAX_CHANNELS", "ConvLifSpec", "StmSpec", "StreamSpec"]

MAX_SIDE = 4096
MAX_CHANNELS = 1024
MAX_REACH = 64
"""Of a kernel's sides, strides and paddings."""
STREAM_SETS = (("motion", "residual"), ("motion",), ("residual",), ("common",))
"""The streams that a partition can have."""


def _of_channels(values: int | NDArray[np.integer], channels: int) -> NDArray[np.int32]:
    return np.array(np.broadcast_to(np.asarray(values, dtype=np.int32), channels))


def _span(values: NDArray[np.integer]) -> str:
    return str(values) if values.ndim == 0 else f"from {values.min()} to {values.max()}"


def _refuse(layer: str, found: str, rule: str, remedy: str = "") -> ConfigError:
    return ConfigError(f"ConvLIF layer {layer}: {found}", rule, remedy)


@dataclass(frozen=True, eq=False)
class ConvLifSpec:
    """One ConvLIF layer in integers (spec.md; paper Eq. 3 and 4).

    Attributes:
        name: `<stream>.<layer>`.
        input_shape: (H, W, C_in).
        weight: int32 (C_out, C_in, kh, kw), even, -256 to 254; cross-correlation, as torch.
        stride, padding: pixels, (vertical, horizontal).
        threshold: theta, 0 to 2**17 - 1, one number or one a channel (C_out,); compared after a shift left by 6.
        decay: d, 0 to 4095, one number or one a channel (C_out,); the membrane keeps (4096 - d) / 4096 of itself a
            step.
        reset: `soft` subtracts the threshold a step later (Eq. 3), `hard` clears at once (stock Lava).
        graded_input: True if the input events are signed 8-bit values, False if they are spikes.

    Raises:
        ConfigError: a value breaks its rule.
    """

    name: str
    input_shape: tuple[int, int, int]
    weight: NDArray[np.int32] = field(repr=False)
    stride: tuple[int, int]
    padding: tuple[int, int]
    threshold: int | NDArray[np.integer]
    decay: int | NDArray[np.integer]
    reset: str = "soft"
    graded_input: bool = False

    def __post_init__(self) -> None:
        height, width, channels = self.input_shape
        if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE and 1 <= channels <= MAX_CHANNELS):
            raise _refuse(
                self.name,
                f"input shape {self.input_shape}",
                f"sides must be 1 to {MAX_SIDE}, channels 1 to {MAX_CHANNELS}",
            )
        if self.weight.ndim != 4 or self.weight.dtype != np.int32:
            raise _refuse(
                self.name, f"weight {self.weight.dtype} {self.weight.shape}", "must be int32 (C_out, C_in, kh, kw)"
            )
        if self.weight.shape[1] != channels:
            raise _refuse(self.name, f"weight has {self.weight.shape[1]} input channels", f"the input has {channels}")
        if self.weight.size and (
            self.weight.min() < WEIGHT_MIN or self.weight.max() > WEIGHT_MAX or np.any(self.weight & 1)
        ):
            raise _refuse(
                self.name,
                f"weights from {self.weight.min()} to {self.weight.max()}",
                f"must be even and from {WEIGHT_MIN} to {WEIGHT_MAX}",
            )
        kernel = self.weight.shape[2:]
        if not (min(kernel) >= 1 and max(kernel) <= MAX_REACH and 1 <= len(self.weight) <= MAX_CHANNELS):
            raise _refuse(
                self.name,
                f"weight of shape {self.weight.shape}",
                f"the kernel's sides must be 1 to {MAX_REACH}, output channels 1 to {MAX_CHANNELS}",
            )
        if not (min(self.stride) >= 1 and max(self.stride) <= MAX_REACH):
            raise _refuse(self.name, f"stride {self.stride}", f"must be at least 1 and at most {MAX_REACH}")
        if not (min(self.padding) >= 0 and max(self.padding) <= MAX_REACH):
            raise _refuse(self.name, f"padding {self.padding}", f"must be at least 0 and at most {MAX_REACH}")
        for name, values, largest, bits in (
            ("threshold", self.threshold, THRESHOLD_MAX, 17),
            ("decay", self.decay, DECAY_UNITY - 1, 12),
        ):
            array = np.asarray(values)
            if array.dtype.kind != "i" or array.shape not in ((), self.weight.shape[:1]):
                raise _refuse(
                    self.name,
                    f"{name} {array.dtype} {array.shape}",
                    f"must be a whole number or {self.weight.shape[0]} whole numbers, one a channel",
                )
            if not 0 <= array.min() <= array.max() <= largest:
                raise _refuse(self.name, f"{name} {_span(array)}", f"must be 0 to {largest} ({bits} bit)")
        if self.reset not in RESETS:
            raise _refuse(self.name, f"reset {self.reset!r}", f"must be one of {', '.join(RESETS)}")
        if min(self.output_shape) < 1:
            raise _refuse(
                self.name,
                f"kernel {self.weight.shape[2:]} on input {self.input_shape}",
                "leaves no output",
                "use more padding or a smaller kernel",
            )
        largest_sum = int(np.abs(self.weight.astype(np.int64)).sum(axis=(1, 2, 3)).max()) * (
            128 if self.graded_input else 1
        )
        if largest_sum > SYNAPSE_MAX:
            raise _refuse(
                self.name,
                f"a synaptic sum can reach {largest_sum}",
                f"must stay within {SYNAPSE_MAX} (24 bit)",
                "use fewer input channels, a smaller kernel or smaller weights",
            )

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """(h, w, C_out)."""
        kernel = self.weight.shape[2:]
        height, width = (
            (self.input_shape[axis] + 2 * self.padding[axis] - kernel[axis]) // self.stride[axis] + 1 for axis in (0, 1)
        )
        return int(height), int(width), int(self.weight.shape[0])

    @property
    def thresholds(self) -> NDArray[np.int32]:
        """theta of every output channel, int32 (C_out,)."""
        return _of_channels(self.threshold, len(self.weight))

    @property
    def decays(self) -> NDArray[np.int32]:
        """d of every output channel, int32 (C_out,)."""
        return _of_channels(self.decay, len(self.weight))

    @property
    def neurons(self) -> int:
        """Output neurons."""
        return int(np.prod(self.output_shape))


@dataclass(frozen=True, eq=False)
class StreamSpec:
    """The ConvLIF layers of one stream, in order; each feeds the next.

    Raises:
        ConfigError: no layer, or shapes that do not chain.
    """

    name: str
    layers: tuple[ConvLifSpec, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise ConfigError(f"stream {self.name}: no layers", "at least one is needed")
        if not self.layers[0].graded_input:
            raise ConfigError(
                f"stream {self.name}: {self.layers[0].name} takes spikes", "a first layer takes graded events"
            )
        for before, after in zip(self.layers, self.layers[1:], strict=False):
            if before.output_shape != after.input_shape:
                raise ConfigError(
                    f"stream {self.name}: {before.name} gives {before.output_shape}",
                    f"{after.name} takes {after.input_shape}",
                )

    @property
    def membrane_shape(self) -> tuple[int, int, int]:
        """(h, w, C) of the analog read-out."""
        return self.layers[-1].output_shape


@dataclass(frozen=True, eq=False)
class StmSpec:
    """The spiking partition.

    Attributes:
        streams: one or two, of different names, in the order of `STREAM_CHANNELS`; `common` stands alone.
        timesteps: steps of a clip (T).

    Raises:
        ConfigError: the streams are not such, one takes other channels than `STREAM_CHANNELS` says, or the number of
            timesteps is not 1 to 4096.
    """

    streams: tuple[StreamSpec, ...]
    timesteps: int

    def __post_init__(self) -> None:
        names = tuple(stream.name for stream in self.streams)
        for name in names:
            if name not in STREAM_CHANNELS:
                raise ConfigError(f"stream {name!r}", f"must be one of {', '.join(STREAM_CHANNELS)}", "rename it")
        if names not in STREAM_SETS:
            raise ConfigError(
                f"streams {', '.join(names) or 'none'}",
                f"must be {'; or '.join(', '.join(each) for each in STREAM_SETS)}",
                "give one of these, in this order",
            )
        for stream in self.streams:
            channels, expected = stream.layers[0].input_shape[2], STREAM_CHANNELS[stream.name]
            if channels != expected:
                raise ConfigError(
                    f"stream {stream.name}: {stream.layers[0].name} takes {channels} channels",
                    f"its events have {expected}",
                    "give the first layer as many input channels",
                )
        if not 1 <= self.timesteps <= 4096:
            raise ConfigError(f"timesteps = {self.timesteps}", "must be 1 to 4096")
