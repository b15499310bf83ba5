"""Reads a report's JSON back into records, with every value checked against its field's type.

Every error names the file, the field and what was found there.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from hybrid_cvar.errors import ConfigError, OutputError
from hybrid_cvar.record_values import read_value

__all__ = ["check_finite", "check_schema", "field_of", "load_report", "read_json", "read_value"]

MAX_REPORT_BYTES = 2**30

Kind = TypeVar("Kind")


def load_report(path: Path, schema: str, version: int, remedy: str) -> dict[str, Any]:
    """The JSON object of a file, its schema and version checked.

    Args:
        path: the file.
        schema, version: that it must say.
        remedy: what makes a new one.

    Raises:
        ConfigError: it is missing, too large, no JSON, or of another schema or version.
    """
    return check_schema(read_json(path, remedy, what=f"a {schema} file"), str(path), schema, version, remedy)


def read_json(path: Path, remedy: str, what: str = "a JSON file") -> Any:
    """The JSON values of a file.

    Args:
        path: the file.
        remedy: what makes one that can be read.
        what: is read there, for the error.

    Raises:
        ConfigError: it is missing, too large, or no JSON.
    """
    try:
        if path.stat().st_size > MAX_REPORT_BYTES:
            raise ConfigError(f"{path}: over {MAX_REPORT_BYTES} bytes", "no report is that large", remedy)
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", f"{what} is read there", remedy) from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ConfigError(f"{path}: no JSON ({reason})", f"{what} is read there", remedy) from error


def check_schema(content: object, where: str, schema: str, version: int, remedy: str) -> dict[str, Any]:
    """JSON values as the object of a report of one schema and version.

    Args:
        content: from `read_json`.
        where: the file, for the error.
        schema, version: that it must say.
        remedy: what makes a new one.

    Raises:
        ConfigError: it is no object, or of another schema or version.
    """
    if not isinstance(content, dict) or content.get("schema") != schema:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise ConfigError(f"{where}: schema {found!r}", f"must be {schema!r}", remedy)
    if content.get("schema_version") != version:
        raise ConfigError(
            f"{where}: {schema} version {content.get('schema_version')!r}",
            f"this release reads version {version}",
            f"{remedy}, or install the release that wrote it",
        )
    return content


def field_of(table: Mapping[str, Any], name: str, kind: type[Kind], where: str) -> Kind:
    """A field of a JSON object, as `read_value`; `name` may lead inwards, as in `model.labels`."""
    value: Any = table
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            raise ConfigError(f"{where}: {name} is missing", "the report needs it", "write it again")
        value = value[part]
    return read_value(kind, value, f"{where}: {name}")


def check_finite(value: object, what: str, field: str = "") -> None:
    """Raises OutputError if a number in JSON values is not finite.

    Args:
        value: JSON values.
        what: they are of: a video, say.
        field: the way to them; empty for all of them.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise OutputError(
            f"{what}: {field} = {value}" if field else f"{what} = {value}",
            "a report holds only finite numbers",
            "run it again; if it stays, report it",
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_finite(item, what, f"{field}.{key}" if field else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check_finite(item, what, f"{field}[{index}]")
