"""JSON values as records, every one checked against its field's type."""

import dataclasses
import math
import sys
import types
from typing import Any, Union, get_args, get_origin, get_type_hints

from hybrid_cvar.errors import ConfigError

__all__ = ["read_value"]


def read_value(kind: Any, value: Any, where: str) -> Any:
    """A JSON value as a Python value of a type: str, bool, int, float, None, a tuple of these, or a dataclass.

    Args:
        kind: the type, as a dataclass writes it; whole numbers serve as floats.
        value: from JSON.
        where: file and field, for the error.

    Raises:
        ConfigError: the value is not of that type, a number is not finite, or a dataclass lacks a field.
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, dict):
            raise _wrong(value, "an object", where)
        hints = get_type_hints(kind)
        lacking = [field.name for field in dataclasses.fields(kind) if field.name not in value]
        if lacking:
            raise ConfigError(f"{where}: {lacking[0]} is missing", "every field is needed", "write it again")
        return kind(
            **{
                field.name: read_value(hints[field.name], value[field.name], f"{where}.{field.name}")
                for field in dataclasses.fields(kind)
            }
        )
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        present = [one for one in arguments if one is not type(None)]
        return None if value is None and len(present) < len(arguments) else read_value(present[0], value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(value, "a list", where)
        if arguments[-1] is not Ellipsis and len(value) != len(arguments):
            raise ConfigError(f"{where}: {len(value)} values", f"must be {len(arguments)}", "write it again")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(
            read_value(one, item, f"{where}[{index}]")
            for index, (one, item) in enumerate(zip(kinds, value, strict=True))
        )
    if kind is float and type(value) is int:
        try:
            value = float(value)
        except OverflowError as error:
            raise _wrong(value, "a finite number", where) from error
    if type(value) is not kind:
        raise _wrong(value, kind.__name__, where)
    if kind is float and not math.isfinite(value):
        raise _wrong(value, "a finite number", where)
    return value


def _wrong(value: object, wanted: str, where: str) -> ConfigError:
    try:
        shown = repr(value)
    except ValueError:  # an int of more digits than Python writes
        shown = f"a whole number of over {sys.get_int_max_str_digits()} digits"
    return ConfigError(f"{where} = {shown[:60]}", f"must be {wanted}", "write it again")
