"""An energy profile: the constants of one energy model, each with a value, a unit, conditions and a source.

A profile is one file, and nothing is taken from another. Which of a spiking layer's counters a constant is multiplied
with is part of it: the same work is counted in several ways (accumulates with or without stored zeros, say).
"""

import math
from dataclasses import dataclass
from typing import Any

from hybrid_cvar.energy.counters import COUNTERS, OPERATION_COUNTERS
from hybrid_cvar.errors import ConfigError

__all__ = ["ENERGY_UNITS", "TIME_UNITS", "Chip", "EnergyConstant", "EnergyProfile", "Quantity", "check_unit"]

ENERGY_UNITS = {"fJ": 1e-3, "pJ": 1.0, "nJ": 1e3}
"""In picojoules."""
TIME_UNITS = {"ps": 1e-3, "ns": 1.0, "us": 1e3}
"""In nanoseconds."""
MOST_PICOJOULES = 1e12
"""1 J an operation, far beyond any machine's: what is above it is a slip of the unit or of the exponent."""
MOST_NANOSECONDS = 1e9
"""1 s an operation or a barrier, for the same reason."""


@dataclass(frozen=True)
class Quantity:
    """A value and its unit.

    Attributes:
        value: finite, not negative, at most 1 J or 1 s.
        unit: `fJ`, `pJ` or `nJ`; or `ps`, `ns` or `us`.

    Raises:
        ConfigError: the value is not finite, negative or too large, or the unit is unknown.
    """

    value: float
    unit: str

    def __post_init__(self) -> None:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise ConfigError(f"value = {self.value!r}", "must be a number", "write it without quotes")
        if not _is_finite(self.value) or self.value < 0:
            raise ConfigError(
                f"value = {self.value!r}", "must be finite and not negative", "give the constant its source states"
            )
        check_unit(self.unit, {**ENERGY_UNITS, **TIME_UNITS})
        scale, most, written = (
            (ENERGY_UNITS[self.unit], MOST_PICOJOULES, "1 J")
            if self.unit in ENERGY_UNITS
            else (TIME_UNITS[self.unit], MOST_NANOSECONDS, "1 s")
        )
        if self.value * scale > most:
            raise ConfigError(
                f"value = {self.value!r} {self.unit}",
                f"must be at most {written} an operation",
                "give the constant its source states, and look at its unit and exponent",
            )

    @property
    def picojoules(self) -> float:
        """As energy; ConfigError if it is a time."""
        check_unit(self.unit, ENERGY_UNITS)
        return self.value * ENERGY_UNITS[self.unit]

    @property
    def nanoseconds(self) -> float:
        """As time; ConfigError if it is an energy."""
        check_unit(self.unit, TIME_UNITS)
        return self.value * TIME_UNITS[self.unit]


@dataclass(frozen=True)
class EnergyConstant:
    """What one operation takes.

    Attributes:
        operation: what is priced, in words: `MAC`, `AC`, `synaptic operation`, ...
        counted_from: one of `COUNTERS`; empty for the ANN's multiply-accumulates, which are counted from the graph.
        energy: of one operation.
        time: of one operation; None where no source states it.
        conditions: technology, number format, what is included, why it is counted so.
        source: the publication it comes from.

    Raises:
        ConfigError: a field is out of its range.
    """

    operation: str
    counted_from: str
    energy: Quantity
    conditions: str
    source: str
    time: Quantity | None = None

    def __post_init__(self) -> None:
        for name in ("operation", "conditions", "source"):
            check_text(name, getattr(self, name))
        if not isinstance(self.counted_from, str) or self.counted_from not in {*COUNTERS, ""}:
            raise ConfigError(
                f"counted_from = {self.counted_from!r}",
                f"must be one of {', '.join(COUNTERS)}",
                "choose the counter that the source's operation means",
            )
        for name, quantity, units in (("energy", self.energy, ENERGY_UNITS), ("time", self.time, TIME_UNITS)):
            if quantity is not None:
                try:
                    check_unit(quantity.unit, units)
                except ConfigError as error:
                    raise ConfigError(f"{name}.{error.found}", error.rule, error.remedy) from error

    @property
    def picojoules(self) -> float:
        """Energy an operation, pJ."""
        return self.energy.picojoules

    @property
    def nanoseconds(self) -> float | None:
        """Time an operation, ns; None where no source states it."""
        return None if self.time is None else self.time.nanoseconds


@dataclass(frozen=True)
class Chip:
    """A neuromorphic chip whose steps end with a barrier.

    Attributes:
        name: as `ChipFit.chip` calls it.
        cores_a_tile: neuron cores that share a router.
        barrier: (tiles, time of one barrier over so many), in rising order; at least one.
        conditions: what the times hold for.
        source: the publication.

    Raises:
        ConfigError: a field is out of its range.
    """

    name: str
    cores_a_tile: int
    barrier: tuple[tuple[int, Quantity], ...]
    conditions: str
    source: str

    def __post_init__(self) -> None:
        for name in ("name", "conditions", "source"):
            check_text(name, getattr(self, name))
        tiles = [count for count, _ in self.barrier]
        for name, count in (("cores_a_tile", self.cores_a_tile), *(("tiles", count) for count in tiles)):
            if type(count) is not int or count < 1:
                raise ConfigError(f"{name} = {count!r}", "must be a whole number, at least 1", "give the source's")
        if not tiles or tiles != sorted(set(tiles)):
            raise ConfigError(
                f"barrier is for {tiles} tiles", "must be for one or more numbers of tiles, in rising order", "sort it"
            )
        for _, time in self.barrier:
            check_unit(time.unit, TIME_UNITS)

    def barrier_nanoseconds(self, tiles: int) -> float:
        """Of the smallest sourced number of tiles that is not less; of the largest there is where none is."""
        found = [time for count, time in self.barrier if count >= tiles] or [self.barrier[-1][1]]
        return found[0].nanoseconds

    @property
    def largest_tiles(self) -> int:
        """Tiles up to which barriers have a source."""
        return self.barrier[-1][0]


@dataclass(frozen=True)
class EnergyProfile:
    """The constants of one energy model.

    Attributes:
        name: short name, used to ask for it.
        description: the model in one line.
        spiking: constants of a spiking layer; at least one, of different operations.
        mac: of a multiply-accumulate of the ANN partition.
        not_priced: what the model leaves out, in words; at least one entry.
        graded_mac: with `strict`, takes the place of the constants that count synaptic operations in layers whose
            input events carry a value; None where there is no such constant, and `strict` is refused.
        not_priced_unless_strict: what it leaves out besides, unless `strict`, in words.
        notice: what differs between the two partitions' constants, in words; must be there if their sources differ.
        chip: gives the time on a chip; None where there is none.

    Raises:
        ConfigError: a field is empty or of the wrong kind, or parts do not fit together.
    """

    name: str
    description: str
    spiking: tuple[EnergyConstant, ...]
    mac: EnergyConstant
    not_priced: tuple[str, ...]
    graded_mac: EnergyConstant | None = None
    not_priced_unless_strict: tuple[str, ...] = ()
    notice: str = ""
    chip: Chip | None = None

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_text("description", self.description)
        if not self.spiking:
            raise ConfigError("spiking = []", "must price at least one operation", "add a [[spiking]] table")
        operations = [constant.operation for constant in self.spiking]
        twice = next((name for name in operations if operations.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"operation {twice!r} is priced twice", "every operation has one constant", "rename one")
        for constant in (*self.spiking, *([self.graded_mac] if self.graded_mac else [])):
            if not constant.counted_from:
                raise ConfigError(
                    f"counted_from of {constant.operation!r} = ''",
                    f"must be one of {', '.join(COUNTERS)}",
                    "fill it in",
                )
        if not self.not_priced:
            raise ConfigError("not_priced = []", "must name what the profile leaves out", "add at least one entry")
        for name in ("not_priced", "not_priced_unless_strict"):
            for entry in getattr(self, name):
                check_text(f"an entry of {name}", entry)
        if self.not_priced_unless_strict and self.graded_mac is None:
            raise ConfigError(
                "not_priced_unless_strict without graded_mac", "strict needs that constant", "add [graded_mac]"
            )
        if self.notice != "" or {constant.source for constant in self.spiking} != {self.mac.source}:
            check_text("notice (the constants of both partitions have different sources)", self.notice)
        if self.chip is not None and all(constant.time is None for constant in self.spiking):
            raise ConfigError(
                "[chip] without a time in [[spiking]]", "a step's time is made of operations' times", "add them"
            )

    @property
    def constants(self) -> tuple[EnergyConstant, ...]:
        """All of them: spiking, graded, dense."""
        return (*self.spiking, *([self.graded_mac] if self.graded_mac else []), self.mac)

    @property
    def source(self) -> str:
        """Where the constants come from; each source once."""
        return "; ".join(dict.fromkeys(constant.source for constant in self.constants))

    def check_strict(self) -> None:
        """Raises ConfigError if graded events cannot be priced as multiply-accumulates."""
        if self.graded_mac is None:
            raise ConfigError(
                f"strict with the energy profile {self.name}",
                "it has no constant for the multiply-accumulate of a graded input event (no [graded_mac]: its source "
                "states none, or its chip's spikes carry no value)",
                "leave strict out, or choose a profile that has one, as paper-45nm",
            )

    def constants_for(self, *, graded_input: bool, strict: bool) -> tuple[EnergyConstant, ...]:
        """The constants of one spiking layer.

        Args:
            graded_input: whether its input events carry a value.
            strict: price those as multiply-accumulates.

        Raises:
            ConfigError: as of `check_strict`.
        """
        if not (graded_input and strict):
            return self.spiking
        self.check_strict()
        rest = (constant for constant in self.spiking if constant.counted_from not in OPERATION_COUNTERS)
        return (*([self.graded_mac] if self.graded_mac else []), *rest)


def check_text(name: str, value: object) -> None:
    """Raises ConfigError unless it is a text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{name} = {value!r}", "must be a text that is not empty", "fill it in")


def check_unit(unit: Any, units: dict[str, float]) -> None:
    """Raises ConfigError unless it is one of the units."""
    if not isinstance(unit, str) or unit not in units:
        raise ConfigError(
            f"unit = {unit!r}", f"must be one of {', '.join(units)}", "write one of them, and the value in it"
        )


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        # TOML integers have no upper bound; floats do.
        return False
