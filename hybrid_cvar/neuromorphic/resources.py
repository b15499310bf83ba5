"""What the spiking partition takes on a neuromorphic chip, from its specification alone (modelled).

Counts are exact. Cores are bounds, under `ASSUMPTIONS`:

    at least    totals of a layer over the capacity of a core, each kernel weight stored once a layer
    tiled       a mapping that is constructed: a core computes one tile of the output map (rows x columns x
                channels) and stores every connection of it, so that all listed limits hold in every core

Axons: a core has one input axon for every different input that its neurons listen to, and one output axon for
every pair of a neuron and a core that listens to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.fixed_point import MEMBRANE_MAX
from hybrid_cvar.neuromorphic.capacities import Capacity, ChipCapacities
from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec, StmSpec, StreamSpec
from hybrid_cvar.records import ChipFit, CoreBounds, Finding, LayerResources, ResourceReport

__all__ = ["ASSUMPTIONS", "count_layer", "fit_chip", "report_resources", "weight_bits"]

ASSUMPTIONS = (
    "a core holds neurons of one layer only",
    "at least: every kernel weight is stored once a layer",
    "tiled: a core computes one tile of the output map and stores every connection of it",
    "an input axon is one input that a core listens to, an output axon one neuron and one core that listens to it",
    "weights and, where a chip has one memory for both, neuron state are all that fill a core's memory",
    "input events come from the host, which also reads the last layers' membranes",
)
GRADED_BITS = 8


def report_resources(stm: StmSpec, chips: Sequence[ChipCapacities]) -> ResourceReport:
    """Counts every layer and fits the partition to every chip.

    Raises:
        ConfigError: no chip is given.
    """
    if not chips:
        raise ConfigError("no chip", "resources are counted for at least one", "name one")
    layers = tuple(
        count_layer(layer, last=layer is stream.layers[-1]) for stream in stm.streams for layer in stream.layers
    )
    return ResourceReport(layers, tuple(fit_chip(stm, chip) for chip in chips), ASSUMPTIONS)


def weight_bits(weight: NDArray[np.int32]) -> int:
    """Smallest two's complement width of the weights, after the power of two that divides them all."""
    common = int(np.bitwise_or.reduce(weight, axis=None))
    shift = (common & -common).bit_length() - 1 if common else 0
    lowest, highest = int(weight.min()) >> shift, int(weight.max()) >> shift
    return max(highest.bit_length(), (~lowest).bit_length() if lowest < 0 else 0) + 1


def state_bytes() -> int:
    """Whole bytes of one neuron: the 24-bit membrane, which tells by itself whether it spiked (spec.md)."""
    return -(-(MEMBRANE_MAX.bit_length() + 1) // 8)


def count_layer(layer: ConvLifSpec, *, last: bool) -> LayerResources:
    """What one layer consists of.

    Args:
        layer: the layer.
        last: True for a stream's last layer, whose spikes go nowhere.
    """
    rows, columns = _axes(layer)
    channels_in, channels_out = layer.input_shape[2], layer.output_shape[2]
    synapses = int(rows.taps.sum() * columns.taps.sum()) * channels_in * channels_out
    bits = weight_bits(layer.weight)
    return LayerResources(
        name=layer.name,
        graded_input=layer.graded_input,
        neurons=layer.neurons,
        synapses=synapses,
        unique_weights=int(layer.weight.size),
        weight_bits=bits,
        unrolled_weight_bytes=-(-synapses * bits // 8),
        shared_weight_bytes=-(-int(layer.weight.size) * bits // 8),
        state_bytes=layer.neurons * state_bytes(),
        fan_in=int(rows.taps.max() * columns.taps.max()) * channels_in,
        input_axons=int(rows.used(rows.outputs) * columns.used(columns.outputs)) * channels_in,
        output_axons=0 if last else layer.neurons,
    )


def fit_chip(stm: StmSpec, chip: ChipCapacities) -> ChipFit:
    """Cores, chips and every broken limit on one chip."""
    counts: list[LayerResources] = []
    bounds: list[CoreBounds] = []
    violations: list[Finding] = []
    for stream in stm.streams:
        tiles = _tile_stream(stream, chip)
        for layer, tile in zip(stream.layers, tiles, strict=True):
            resources = count_layer(layer, last=layer is stream.layers[-1])
            counts.append(resources)
            bounds.append(_core_bounds(resources, tile, chip))
            violations += _broken_limits(layer, resources, tile, chip)
    neurons = sum(layer.neurons for layer in counts)
    cores_at_least = sum(layer.at_least for layer in bounds)
    chips_at_least = _chips(chip, cores_at_least, neurons, sum(layer.unique_weights for layer in counts))
    if chip.chips_a_system is not None and chips_at_least > chip.chips_a_system.value:
        violations.append(
            Finding(
                chip.name,
                f"at least {chips_at_least} chips",
                f"the largest system has {chip.chips_a_system.value}",
                "use a smaller input, larger strides or fewer channels",
            )
        )
    tiled = [layer.tiled for layer in bounds if layer.tiled is not None]
    cores_tiled = sum(tiled) if len(tiled) == len(bounds) else None
    return ChipFit(
        chip=chip.name,
        layers=tuple(bounds),
        cores_at_least=cores_at_least,
        chips_at_least=chips_at_least,
        cores_tiled=cores_tiled,
        chips_tiled=None
        if cores_tiled is None
        else _chips(chip, cores_tiled, neurons, sum(layer.synapses for layer in counts)),
        violations=tuple(violations),
        not_checked=chip.not_checked,
        sources=chip.sources,
    )


@dataclass(frozen=True, eq=False)
class _Axis:
    """One side of a convolution: output o reads the inputs first[o] to last[o] - 1, padding left out."""

    inputs: int
    outputs: int
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    @property
    def taps(self) -> NDArray[np.int64]:
        """Inputs that each output reads."""
        return self.last - self.first

    def used(self, tile: int) -> int:
        """Most different inputs that `tile` neighbouring outputs read."""
        new = self.last - np.maximum(self.first, np.concatenate(([0], self.last[:-1])))
        starts = np.arange(0, self.outputs, tile)
        return int((np.add.reduceat(new, starts) - new[starts] + self.taps[starts]).max())

    def listeners(self, tile: int) -> NDArray[np.int64]:
        """How many tiles of outputs read each input."""
        count = np.zeros(self.inputs, dtype=np.int64)
        for start in range(0, self.outputs, tile):
            read = np.zeros(self.inputs, dtype=bool)
            for output in range(start, min(start + tile, self.outputs)):
                read[self.first[output] : self.last[output]] = True
            count += read
        return count


@dataclass(frozen=True, eq=False)
class _Tile:
    """How one layer is cut: (h, w, C) of a core's share, its cores, and the limit that a core fills most."""

    shape: tuple[int, int, int]
    cores: int
    fullest: str


@dataclass(frozen=True, eq=False)
class _FanOut:
    """Cores that listen to an output: by row x by column x by channel."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    channels: int


def _axes(layer: ConvLifSpec) -> tuple[_Axis, _Axis]:
    axes = []
    for axis in (0, 1):
        inputs, outputs = layer.input_shape[axis], layer.output_shape[axis]
        start = np.arange(outputs, dtype=np.int64) * layer.stride[axis] - layer.padding[axis]
        first = np.clip(start, 0, inputs)
        axes.append(_Axis(inputs, outputs, first, np.clip(start + layer.weight.shape[2 + axis], first, inputs)))
    return axes[0], axes[1]


def _tile_stream(stream: StreamSpec, chip: ChipCapacities) -> list[_Tile | None]:
    """From the last layer to the first: who listens to a layer depends on how the next one is cut.

    Above a layer that has no tile, output axons are left out of the count.
    """
    tiles: list[_Tile | None] = []
    following: tuple[ConvLifSpec, _Tile] | None = None
    for layer in reversed(stream.layers):
        tile = _tile(layer, chip, _fan_out(layer, following))
        tiles.insert(0, tile)
        following = (layer, tile) if tile else None
    return tiles


def _fan_out(layer: ConvLifSpec, following: tuple[ConvLifSpec, _Tile] | None) -> _FanOut:
    height, width, _ = layer.output_shape
    if following is None:
        return _FanOut(np.zeros(height, dtype=np.int64), np.zeros(width, dtype=np.int64), 0)
    next_layer, tile = following
    rows, columns = _axes(next_layer)
    splits = -(-next_layer.output_shape[2] // tile.shape[2])
    return _FanOut(rows.listeners(tile.shape[0]), columns.listeners(tile.shape[1]), splits)


def _sizes(length: int) -> list[int]:
    """For every number of tiles, the smallest tile that gives it."""
    return sorted({-(-length // count) for count in range(1, length + 1)})


def _of_tiles(values: NDArray[np.int64], sizes: Sequence[int]) -> NDArray[np.int64]:
    """The largest sum over a tile, for every size."""
    return np.array([np.add.reduceat(values, np.arange(0, len(values), size)).max() for size in sizes])


def _limits(chip: ChipCapacities) -> tuple[Capacity | None, ...]:
    """Capacities of one core, in the order of `_LIMIT_WORDS`."""
    return (
        chip.neurons_a_core,
        chip.synapse_memory_a_core,
        chip.memory_a_core,
        chip.input_axons_a_core,
        chip.output_axons_a_core,
    )


_LIMIT_WORDS = ("neurons", "synapse memory", "memory", "input axons", "output axons")


def _tile(layer: ConvLifSpec, chip: ChipCapacities, fan_out: _FanOut) -> _Tile | None:
    """The tiling with the fewest cores that keeps every limit, then with the fewest inputs a core."""
    rows, columns = _axes(layer)
    height, width, channels = layer.output_shape
    channels_in = layer.input_shape[2]
    heights, widths = _sizes(height), _sizes(width)
    tall, wide = np.array(heights)[:, None], np.array(widths)[None, :]
    taps = _of_tiles(rows.taps, heights)[:, None] * _of_tiles(columns.taps, widths)[None, :]
    inputs = np.array([rows.used(size) for size in heights])[:, None] * np.array(
        [columns.used(size) for size in widths]
    )
    sent = _of_tiles(fan_out.rows, heights)[:, None] * _of_tiles(fan_out.columns, widths)[None, :]
    map_tiles = -(-height // tall) * -(-width // wide)
    bits = weight_bits(layer.weight)
    best: tuple[int, int] | None = None
    found = None
    for tile_channels in _sizes(channels):
        neurons = tall * wide * tile_channels
        weight_bytes = -(-taps * channels_in * tile_channels * bits // 8)
        uses = (
            neurons,
            weight_bytes,
            weight_bytes + neurons * state_bytes(),
            inputs * channels_in,
            sent * tile_channels * fan_out.channels,
        )
        shares = np.stack(
            [
                np.broadcast_to(use / limit.value if limit else np.zeros(()), map_tiles.shape)
                for use, limit in zip(uses, _limits(chip), strict=True)
            ]
        )
        fits = (shares <= 1).all(axis=0)
        if not fits.any():
            continue
        cores = np.where(fits, map_tiles * -(-channels // tile_channels), np.iinfo(np.int64).max)
        row, column = np.unravel_index(np.lexsort((inputs.ravel(), cores.ravel()))[0], cores.shape)
        key = int(cores[row, column]), int(inputs[row, column])
        if best is None or key < best:
            best = key
            fullest = _LIMIT_WORDS[int(shares[:, row, column].argmax())]
            found = _Tile((heights[row], widths[column], tile_channels), key[0], fullest)
    return found


def _core_bounds(counts: LayerResources, tile: _Tile | None, chip: ChipCapacities) -> CoreBounds:
    uses = (
        counts.neurons,
        counts.shared_weight_bytes,
        counts.shared_weight_bytes + counts.state_bytes,
        counts.input_axons,
        counts.output_axons,
    )
    needed = [
        (-(-use // limit.value), word)
        for use, limit, word in zip(uses, _limits(chip), _LIMIT_WORDS, strict=True)
        if limit is not None
    ]
    at_least, at_least_for = max(needed, key=lambda one: one[0], default=(1, "one layer a core"))
    if tile is None:
        return CoreBounds(counts.name, at_least, at_least_for, None, None, "")
    return CoreBounds(counts.name, at_least, at_least_for, tile.cores, tile.shape, tile.fullest)


def _chips(chip: ChipCapacities, cores: int, neurons: int, synapses: int) -> int:
    needed = [-(-cores // chip.cores_a_chip.value)]
    if chip.neurons_a_chip is not None:
        needed.append(-(-neurons // chip.neurons_a_chip.value))
    if chip.synapses_a_chip is not None:
        needed.append(-(-synapses // chip.synapses_a_chip.value))
    return max(needed)


def _broken_limits(
    layer: ConvLifSpec, counts: LayerResources, tile: _Tile | None, chip: ChipCapacities
) -> list[Finding]:
    """Limits that one neuron breaks by itself, so that no mapping helps; else, whether there is no tile."""
    memory = chip.synapse_memory_a_core or chip.memory_a_core
    own_bytes = -(-counts.fan_in * counts.weight_bits // 8)
    if memory is chip.memory_a_core:
        own_bytes += state_bytes()
    smaller = "use fewer input channels or a smaller kernel"
    of_a_value = (
        (
            chip.spike_bits,
            GRADED_BITS if layer.graded_input else 1,
            "input events carry {} bits",
            "a spike carries at most {}",
            "code the input as spikes, or run this layer on the host",
        ),
        (chip.weight_bits, counts.weight_bits, "weights have {} bits", "at most {}", "train with fewer levels"),
        (
            chip.state_a_neuron,
            state_bytes(),
            "a neuron has {} bytes of state",
            "at most {}",
            "choose a neuron with less state",
        ),
    )
    of_a_core = (
        (chip.input_axons_a_core, counts.fan_in, "one neuron has {} inputs", "a core has {} input axons", smaller),
        (memory, own_bytes, "one neuron's weights and state take {} bytes", "a core has {} for them", smaller),
    )
    subject = f"{chip.name}: {layer.name}"

    def broken(checks: Sequence[tuple[Capacity | None, int, str, str, str]]) -> list[Finding]:
        return [
            Finding(subject, found.format(value), rule.format(limit.value), remedy)
            for limit, value, found, rule, remedy in checks
            if limit is not None and value > limit.value
        ]

    impossible = broken(of_a_core)
    if tile is None and not impossible:
        impossible = [
            Finding(
                subject,
                "no tile keeps every limit of a core",
                f"{', '.join(_LIMIT_WORDS)} must all fit",
                "use a smaller kernel in the layer that follows",
            )
        ]
    return broken(of_a_value) + impossible
