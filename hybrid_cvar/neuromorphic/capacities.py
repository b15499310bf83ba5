"""What neuromorphic chips hold: `capacities.toml`, every constant with a value, a unit, conditions and a source.

    [<chip>]
    name = "..."
    not_checked = ["...", ...]          what public sources do not allow to check, in words; at least one entry

    [<chip>.<capacity>]                 one of the capacities of `ChipCapacities`; one without a source is left out
    value = 1024                        whole number, at least 1
    unit = "neurons"                    the unit of that capacity, no other
    conditions = "..."                  what it holds for
    source = "..."                      the publication

Unknown keys are refused, so a misspelt capacity can never go unchecked by accident.
"""

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from hybrid_cvar.errors import ConfigError

__all__ = ["Capacity", "ChipCapacities", "chip_names", "load_capacities", "parse_capacities"]

_UNITS = {
    "cores_a_chip": "cores",
    "neurons_a_core": "neurons",
    "neurons_a_chip": "neurons",
    "synapses_a_chip": "synapses",
    "synapse_memory_a_core": "bytes",
    "memory_a_core": "bytes",
    "state_a_neuron": "bytes",
    "input_axons_a_core": "axons",
    "output_axons_a_core": "axons",
    "weight_bits": "bits",
    "spike_bits": "bits",
    "chips_a_system": "chips",
}


@dataclass(frozen=True)
class Capacity:
    """How much there is of something.

    Attributes:
        value: at least 1, in `unit`.
        unit: what is counted.
        conditions: what it holds for.
        source: the publication it comes from.

    Raises:
        ConfigError: a field is out of its range.
    """

    value: int
    unit: str
    conditions: str
    source: str

    def __post_init__(self) -> None:
        if type(self.value) is not int or self.value < 1:
            raise ConfigError(
                f"value = {self.value!r}", "must be a whole number, at least 1", "give what its source states"
            )
        for name in ("conditions", "source"):
            text = getattr(self, name)
            if not isinstance(text, str) or not text.strip():
                raise ConfigError(
                    f"{name} = {text!r}", "must be a text that is not empty", "leave out what has no public source"
                )


@dataclass(frozen=True)
class ChipCapacities:
    """One chip. A capacity is None where no public source states it.

    Attributes:
        name: the chip's name.
        not_checked: what public sources do not allow to check, in words.
        cores_a_chip: neuron cores.
        neurons_a_core, neurons_a_chip: neurons.
        synapses_a_chip: connections.
        synapse_memory_a_core: bytes for weights alone.
        memory_a_core: bytes for weights and neuron state together.
        state_a_neuron: bytes that one neuron may have.
        input_axons_a_core: different inputs that the neurons of a core listen to.
        output_axons_a_core: pairs of a neuron and a core that it sends to.
        weight_bits: width of a weight.
        spike_bits: payload of a spike; 1 is a spike without a value.
        chips_a_system: chips of the largest system.
    """

    name: str
    not_checked: tuple[str, ...]
    cores_a_chip: Capacity
    neurons_a_core: Capacity | None = None
    neurons_a_chip: Capacity | None = None
    synapses_a_chip: Capacity | None = None
    synapse_memory_a_core: Capacity | None = None
    memory_a_core: Capacity | None = None
    state_a_neuron: Capacity | None = None
    input_axons_a_core: Capacity | None = None
    output_axons_a_core: Capacity | None = None
    weight_bits: Capacity | None = None
    spike_bits: Capacity | None = None
    chips_a_system: Capacity | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the capacities come from; each source once."""
        capacities = (getattr(self, name) for name in _UNITS)
        return tuple(dict.fromkeys(one.source for one in capacities if one is not None))


def chip_names() -> tuple[str, ...]:
    """The chips of the shipped table: `loihi-1`, `loihi-2`."""
    return tuple(_shipped())


def load_capacities(chip: str) -> ChipCapacities:
    """The capacities of one chip.

    Raises:
        ConfigError: it is not in the table.
    """
    chips = _shipped()
    if chip not in chips:
        raise ConfigError(f"unknown chip {chip!r}", f"the known ones are {', '.join(chips)}", "choose one of them")
    return chips[chip]


def parse_capacities(text: str) -> dict[str, ChipCapacities]:
    """Chip to capacities, from the text of a table.

    Raises:
        ConfigError: it is no TOML, a key is unknown or missing, or a value is out of its range.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"capacities: {error}", "must be valid TOML", "mend the file") from error
    return {chip: _chip(chip, values) for chip, values in table.items()}


def _shipped() -> dict[str, ChipCapacities]:
    file = resources.files("hybrid_cvar.neuromorphic").joinpath("capacities.toml")
    return parse_capacities(file.read_text(encoding="utf-8"))


def _chip(chip: str, values: Any) -> ChipCapacities:
    texts = ("name", "not_checked")
    if not isinstance(values, dict):
        raise ConfigError(f"{chip} = {values!r}", "must be a table", f"write it as [{chip}]")
    unknown = [key for key in values if key not in _UNITS and key not in texts]
    if unknown:
        raise ConfigError(
            f"{chip} holds {unknown[0]!r}", f"known: {', '.join((*texts, *_UNITS))}", "correct its spelling"
        )
    missing = [key for key in (*texts, "cores_a_chip") if key not in values]
    if missing:
        raise ConfigError(f"{chip} has no {missing[0]}", "every chip needs it", "add it")
    entries = values["not_checked"]
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, str) for entry in entries):
        raise ConfigError(f"{chip}.not_checked = {entries!r}", "must be a list of texts, at least one", "fill it in")
    capacities = {key: _capacity(f"{chip}.{key}", key, values[key]) for key in _UNITS if key in values}
    return ChipCapacities(name=str(values["name"]), not_checked=tuple(entries), **capacities)


def _capacity(where: str, key: str, value: Any) -> Capacity:
    wanted = {"value", "unit", "conditions", "source"}
    if not isinstance(value, dict) or set(value) != wanted:
        raise ConfigError(
            f"{where} = {value!r}", f"must hold {', '.join(sorted(wanted))}, and no more", "correct the entry"
        )
    if value["unit"] != _UNITS[key]:
        raise ConfigError(f"{where}.unit = {value['unit']!r}", f"must be {_UNITS[key]!r}", "convert the value")
    try:
        return Capacity(**value)
    except ConfigError as error:
        raise ConfigError(f"{where}.{error.found}", error.rule, error.remedy) from error
