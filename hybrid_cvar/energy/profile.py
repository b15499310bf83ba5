"""Energy profiles: TOML files whose every constant has a value, a unit, conditions and a source.

    name = "..."
    description = "..."
    not_priced = ["...", ...]           what the profile leaves out, in words; at least one entry

    [constants.mac]                     one multiply-accumulate
    value = 4.6                         finite, not negative
    unit = "pJ"                         fJ, pJ or nJ
    conditions = "..."                  technology, number format, what is included
    source = "..."                      the publication

    [constants.ac]                      one accumulate, same keys

Nothing has a default and unknown keys are refused, so a misspelt constant can never be priced by accident.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from hybrid_cvar.errors import ConfigError

__all__ = ["EnergyConstant", "EnergyProfile", "load_profile", "profile_names"]

_PICOJOULES = {"fJ": 1e-3, "pJ": 1.0, "nJ": 1e3}
_PROFILE_KEYS = ("name", "description", "not_priced", "constants")
_CONSTANTS = ("mac", "ac")
_CONSTANT_KEYS = ("value", "unit", "conditions", "source")


@dataclass(frozen=True)
class EnergyConstant:
    """Energy of one operation.

    Attributes:
        value: energy an operation, in `unit`; finite, not negative.
        unit: `fJ`, `pJ` or `nJ`.
        conditions: technology, number format, what is included.
        source: the publication it comes from.

    Raises:
        ConfigError: a field is out of its range.
    """

    value: float
    unit: str
    conditions: str
    source: str

    def __post_init__(self) -> None:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise ConfigError(f"value = {self.value!r}", "must be a number", "write it without quotes")
        if not _is_finite(self.value) or self.value < 0:
            raise ConfigError(
                f"value = {self.value!r}", "must be finite and not negative", "give the constant its source states"
            )
        if not isinstance(self.unit, str) or self.unit not in _PICOJOULES:
            raise ConfigError(f"unit = {self.unit!r}", f"must be one of {', '.join(_PICOJOULES)}", "convert the value")
        for name in ("conditions", "source"):
            _check_text(name, getattr(self, name))

    @property
    def picojoules(self) -> float:
        """Energy an operation, pJ."""
        return self.value * _PICOJOULES[self.unit]


@dataclass(frozen=True)
class EnergyProfile:
    """The constants of one energy model.

    Attributes:
        name: short name, used to ask for it.
        description: the model in one line.
        mac: energy of a multiply-accumulate.
        ac: energy of an accumulate.
        not_priced: what the model leaves out, in words; at least one entry.

    Raises:
        ConfigError: a field is empty or of the wrong kind.
    """

    name: str
    description: str
    mac: EnergyConstant
    ac: EnergyConstant
    not_priced: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_text("name", self.name)
        _check_text("description", self.description)
        if not self.not_priced:
            raise ConfigError("not_priced = []", "must name what the profile leaves out", "add at least one entry")
        for entry in self.not_priced:
            _check_text("an entry of not_priced", entry)

    @property
    def source(self) -> str:
        """Where the constants come from; each source once."""
        return "; ".join(dict.fromkeys((self.mac.source, self.ac.source)))


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that come with the package, sorted."""
    folder = resources.files("hybrid_cvar.energy").joinpath("profiles")
    return tuple(sorted(Path(f.name).stem for f in folder.iterdir() if f.name.endswith(".toml")))


def load_profile(name_or_path: str = "paper-45nm") -> EnergyProfile:
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
        raise ConfigError(
            f"unknown energy profile {name_or_path!r}",
            f"the known ones are {', '.join(known)}",
            "choose one of them, or give the path of a .toml file",
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"energy profile {name_or_path}: {error.strerror}",
            "must be a file that can be read",
            f"check the path, or choose one of {', '.join(known)}",
        ) from error
    return _parse(content, name_or_path)


def _parse(content: bytes, where: str) -> EnergyProfile:
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"energy profile {where}: {error}", "must be valid TOML in UTF-8", "mend the file") from error
    try:
        _check_keys("the profile", table, _PROFILE_KEYS)
        constants = _table("constants", table["constants"])
        _check_keys("constants", constants, _CONSTANTS)
        entries = table["not_priced"]
        if not isinstance(entries, list):
            raise ConfigError(f"not_priced = {entries!r}", "must be a list of texts", 'write ["...", "..."]')
        return EnergyProfile(
            name=table["name"],
            description=table["description"],
            mac=_constant("mac", constants["mac"]),
            ac=_constant("ac", constants["ac"]),
            not_priced=tuple(entries),
        )
    except ConfigError as error:
        raise ConfigError(f"energy profile {where}: {error.found}", error.rule, error.remedy) from error


def _constant(name: str, value: object) -> EnergyConstant:
    table = _table(f"constants.{name}", value)
    _check_keys(f"constants.{name}", table, _CONSTANT_KEYS)
    try:
        return EnergyConstant(**table)  # type: ignore[arg-type]
    except ConfigError as error:
        raise ConfigError(f"constants.{name}.{error.found}", error.rule, error.remedy) from error


def _table(name: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{name} = {value!r}", "must be a table", f"write it as [{name}]")
    return value


def _check_keys(name: str, table: Mapping[str, object], keys: tuple[str, ...]) -> None:
    missing = [key for key in keys if key not in table]
    if missing:
        raise ConfigError(f"{name} has no {', '.join(missing)}", f"must hold {', '.join(keys)}", "add what is missing")
    unknown = [key for key in table if key not in keys]
    if unknown:
        raise ConfigError(
            f"{name} holds {', '.join(map(repr, unknown))}",
            f"may hold only {', '.join(keys)}",
            "remove it or correct its spelling",
        )


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{name} = {value!r}", "must be a text that is not empty", "fill it in")


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        # TOML integers have no upper bound; floats do.
        return False
