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

__all__ = ["check_finite", "field_of", "load_report", "read_value"]

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
    try:
        if path.stat().st_size > MAX_REPORT_BYTES:
            raise ConfigError(f"{path}: over {MAX_REPORT_BYTES} bytes", "no report is that large", remedy)
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}", f"a {schema} file is read there", remedy) from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120]
        raise ConfigError(f"{path}: no JSON ({reason})", f"a {schema} file is read there", remedy) from error
    if not isinstance(content, dict) or content.get("schema") != schema:
        found = content.get("schema") if isinstance(content, dict) else type(content).__name__
        raise ConfigError(f"{path}: schema {found!r}", f"must be {schema!r}", remedy)
    if content.get("schema_version") != version:
        raise ConfigError(
            f"{path}: {schema} version {content.get('schema_version')!r}",
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


def check_finite(value: object, where: str) -> None:
    """Raises OutputError if a number in JSON values is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        raise OutputError(f"{where} = {value}", "a report holds only finite numbers", "run it again")
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_finite(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check_finite(item, f"{where}[{index}]")
