"""What a bundle's manifest says of its compile, as the records it was written from."""

from typing import Any

from hybrid_cvar.compiler.bundle import RECOMPILE, Bundle
from hybrid_cvar.errors import BundleError, ConfigError
from hybrid_cvar.record_values import read_value
from hybrid_cvar.records import ParityRow, ResourceReport

__all__ = ["read_parity", "read_resources"]


def read_resources(bundle: Bundle) -> ResourceReport | None:
    """What the spiking partition takes on chips.

    Returns:
        The report as compile made it; None if the manifest has none.

    Raises:
        BundleError: it lacks a field, as an older release may have written it, or a value is of another type.
    """
    if "resources" not in bundle.manifest:
        return None
    report: ResourceReport = _read(bundle, ResourceReport, bundle.manifest["resources"], "resources")
    return report


def read_parity(bundle: Bundle) -> tuple[ParityRow, ...]:
    """What compile compared; empty if the manifest does not say.

    Raises:
        BundleError: as of `read_resources`.
    """
    if "parity" not in bundle.manifest:
        return ()
    table = bundle.manifest["parity"]
    if not isinstance(table, dict) or "rows" not in table:
        raise BundleError(f"{bundle.path}: manifest field 'parity' has no rows", "it is a table with rows", RECOMPILE)
    rows: tuple[ParityRow, ...] = _read(bundle, tuple[ParityRow, ...], table["rows"], "parity.rows")
    return rows


def _read(bundle: Bundle, kind: Any, value: Any, name: str) -> Any:
    try:
        return read_value(kind, value, f"{bundle.path}: manifest field {name}")
    except ConfigError as error:
        raise BundleError(error.found, error.rule, RECOMPILE) from error
