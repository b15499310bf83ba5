"""Energy profiles as TOML files: those that come with the package, and users' own.

    format_version = 2
    name = "..."
    description = "..."                 the model in one line
    notice = "..."                      what differs between the partitions' constants; a must if their sources do
    not_priced = ["...", ...]           what the profile leaves out, in words; at least one entry. What no profile can
                                        price is added to every estimate (`pricing.NO_PROFILE_PRICES`)
    not_priced_unless_strict = [...]    what it leaves out besides without `strict`; may be left out

    [[spiking]]                         one operation of a spiking layer; one table each, at least one
    operation = "AC"                    its name in reports
    counted_from = "..."                a counter of the layer: events_in, synaptic_operations (zero weights left out),
                                        stored_operations (with stored zeros), neuron_updates, active_updates,
                                        inactive_updates, spikes_out, spikes_sent (those another layer listens to)
    energy = { value = 0.9, unit = "pJ" }   finite, not negative, at most 1 J; fJ, pJ or nJ
    time = { value = 3.5, unit = "ns" }     likewise, at most 1 s; ps, ns or us; may be left out
    conditions = "..."                  technology, number format, what is included, why it is counted so
    source = "..."                      the publication

    [mac]                               one multiply-accumulate of the ANN partition: energy, conditions, source

    [graded_mac]                        what replaces, with `strict`, the constants counted from synaptic or stored
                                        operations where input events carry a value: counted_from, energy, conditions,
                                        source; may be left out, and `strict` is refused

    [chip]                              may be left out, and no time on a chip is given
    name = "Loihi 1"                    as the resource counts of a bundle call it
    cores_a_tile = 4
    barrier = [{ tiles = 1, value = 113, unit = "ns" }, ...]    ends every step; rising numbers of tiles
    conditions, source

Unknown keys are refused, so a misspelt constant can never be priced by accident.
"""

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from hybrid_cvar.energy.profile import (
    ENERGY_UNITS,
    TIME_UNITS,
    Chip,
    EnergyConstant,
    EnergyProfile,
    Quantity,
    check_unit,
)
from hybrid_cvar.errors import ConfigError

__all__ = ["DEFAULT_PROFILE", "NO_LOIHI_2", "load_profile", "profile_names"]

DEFAULT_PROFILE = "paper-45nm"
NO_LOIHI_2 = "Loihi 2: no sourced energy or time of an operation is public, so there is no number for it"
FORMAT_VERSION = 2
_REQUIRED = ("format_version", "name", "description", "not_priced", "spiking", "mac")
_OPTIONAL = ("notice", "not_priced_unless_strict", "graded_mac", "chip")
_MAX_BYTES = 2**20


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that come with the package: the default, then the others sorted."""
    folder = resources.files("hybrid_cvar.energy").joinpath("profiles")
    names = {Path(file.name).stem for file in folder.iterdir() if file.name.endswith(".toml")}
    return (DEFAULT_PROFILE, *sorted(names - {DEFAULT_PROFILE}))


def load_profile(name_or_path: str = DEFAULT_PROFILE) -> EnergyProfile:
    """Reads a profile.

    Args:
        name_or_path: one of `profile_names()`, or the path of a TOML file.

    Raises:
        ConfigError: the profile is unknown, cannot be read, or a constant of it is missing or out of its range.
    """
    known = profile_names()
    if name_or_path in known:
        file = resources.files("hybrid_cvar.energy").joinpath("profiles", f"{name_or_path}.toml")
        return _parse(file.read_bytes(), name_or_path)
    path = Path(name_or_path)
    if path.suffix != ".toml" and not path.is_file():
        raise _unknown(name_or_path, known)
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"energy profile {name_or_path}: {error.strerror}",
            "must be a file that can be read",
            f"check the path, or choose one of {', '.join(known)}",
        ) from error
    if len(content) > _MAX_BYTES:
        raise ConfigError(
            f"energy profile {name_or_path}: more than {_MAX_BYTES} bytes",
            "a profile is a short text",
            "check the path",
        )
    return _parse(content, name_or_path)


def _unknown(name: str, known: tuple[str, ...]) -> ConfigError:
    remedy = "choose one of them, or give the path of a .toml file"
    if "".join(filter(str.isalnum, name.lower())).startswith("loihi2"):
        return ConfigError(
            f"energy profile {name!r}",
            NO_LOIHI_2,
            f"the known ones are {', '.join(known)}; or give a .toml file",
        )
    return ConfigError(f"unknown energy profile {name!r}", f"the known ones are {', '.join(known)}", remedy)


def _parse(content: bytes, where: str) -> EnergyProfile:
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"energy profile {where}: {error}", "must be valid TOML in UTF-8", "mend the file") from error
    try:
        _check_version(table)
        _check_keys("the profile", table, _REQUIRED, _OPTIONAL)
        return EnergyProfile(
            name=table["name"],
            description=table["description"],
            spiking=tuple(
                _constant(f"spiking[{number}]", each, ("operation", "counted_from"), ("time",))
                for number, each in enumerate(_list("spiking", table["spiking"], "tables [[spiking]]"), 1)
            ),
            mac=_constant("mac", table["mac"], (), (), operation="MAC"),
            not_priced=_list("not_priced", table["not_priced"], 'texts ["...", "..."]'),
            graded_mac=_constant("graded_mac", table["graded_mac"], ("counted_from",), (), operation="MAC")
            if "graded_mac" in table
            else None,
            not_priced_unless_strict=_list(
                "not_priced_unless_strict", table.get("not_priced_unless_strict", []), 'texts ["...", "..."]'
            ),
            notice=table.get("notice", ""),
            chip=_chip(table["chip"]) if "chip" in table else None,
        )
    except ConfigError as error:
        raise _inside(f"energy profile {where}: ", error) from error


def _check_version(table: Mapping[str, Any]) -> None:
    version = table.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise ConfigError(
            "no format_version" if version is None else f"format_version = {version!r}",
            f"must be {FORMAT_VERSION}, the layout that this release reads",
            "write the profile as hybrid_cvar/energy/profile_file.py says",
        )


def _constant(
    name: str,
    value: object,
    keys: tuple[str, ...],
    optional: tuple[str, ...],
    *,
    operation: str = "",
    counted_from: str = "",
) -> EnergyConstant:
    """A constant from its table, which holds energy, conditions, source and `keys`, and may hold `optional`."""
    table = _table(name, value)
    _check_keys(name, table, ("energy", "conditions", "source", *keys), optional)
    energy = _quantity(f"{name}.energy", table["energy"], ENERGY_UNITS)
    time = _quantity(f"{name}.time", table["time"], TIME_UNITS) if "time" in table else None
    try:
        return EnergyConstant(
            operation=table.get("operation", operation),
            counted_from=table.get("counted_from", counted_from),
            energy=energy,
            conditions=table["conditions"],
            source=table["source"],
            time=time,
        )
    except ConfigError as error:
        raise _inside(f"{name}.", error) from error


def _quantity(name: str, value: object, units: dict[str, float]) -> Quantity:
    table = _table(name, value, inline=True)
    _check_keys(name, table, ("value", "unit"), ())
    try:
        check_unit(table["unit"], units)
        return Quantity(**table)
    except ConfigError as error:
        raise _inside(f"{name}.", error) from error


def _chip(value: object) -> Chip:
    table = _table("chip", value)
    _check_keys("chip", table, ("name", "cores_a_tile", "barrier", "conditions", "source"), ())
    barrier = []
    for number, each in enumerate(_list("chip.barrier", table["barrier"], "tables { tiles, value, unit }"), 1):
        row = _table(f"chip.barrier[{number}]", each, inline=True)
        _check_keys(f"chip.barrier[{number}]", row, ("tiles", "value", "unit"), ())
        rest = {key: row[key] for key in ("value", "unit")}
        barrier.append((row["tiles"], _quantity(f"chip.barrier[{number}]", rest, TIME_UNITS)))
    try:
        return Chip(table["name"], table["cores_a_tile"], tuple(barrier), table["conditions"], table["source"])
    except ConfigError as error:
        raise _inside("chip.", error) from error


def _inside(place: str, error: ConfigError) -> ConfigError:
    return ConfigError(f"{place}{error.found}", error.rule, error.remedy)


def _table(name: str, value: object, *, inline: bool = False) -> dict[str, Any]:
    if not isinstance(value, dict):
        written = f"{name.rsplit('.', 1)[-1]} = {{ value = ..., unit = ... }}" if inline else f"[{name}]"
        raise ConfigError(f"{name} = {value!r}", "must be a table", f"write it as {written}")
    return value


def _list(name: str, value: object, what: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ConfigError(f"{name} = {value!r}", f"must be a list of {what}", "write it so")
    return tuple(value)


def _check_keys(name: str, table: Mapping[str, Any], required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    missing = [key for key in required if key not in table]
    if missing:
        raise ConfigError(
            f"{name} has no {', '.join(missing)}", f"must hold {', '.join(required)}", "add what is missing"
        )
    unknown = [key for key in table if key not in (*required, *optional)]
    if unknown:
        raise ConfigError(
            f"{name} holds {', '.join(map(repr, unknown))}",
            f"may hold only {', '.join((*required, *optional))}",
            "remove it or correct its spelling",
        )
