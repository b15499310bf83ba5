"""What a compile did."""

from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.records.trace import SpikingLayerCounts

__all__ = ["CompileResult", "LayerMap", "ParityRow"]


@dataclass(frozen=True)
class LayerMap:
    """How one ConvLIF layer went from float to integers.

    Attributes:
        name: `<stream>.<layer>`.
        weight_scale: integer steps of one float unit.
        weight_rounding_rms: root mean square of rounded minus float weight, float units.
        weights_at_rails: share of weights at -256 or 254 (0 to 1).
        threshold_float, threshold_integer: v_th before and after.
        leak_float: lambda before. decay_integer: d after, lambda is (4096 - d) / 4096.
    """

    name: str
    weight_scale: int
    weight_rounding_rms: float
    weights_at_rails: float
    threshold_float: float
    threshold_integer: int
    leak_float: float
    decay_integer: int


@dataclass(frozen=True)
class ParityRow:
    """One comparison.

    Attributes:
        compared: the two forms.
        quantity: what was compared.
        values: how many values.
        mismatches: how many differ at all (bit for bit), or by more than the tolerance.
        largest_error: largest difference, in the quantity's own unit or as a share.
        rule: what must hold; empty if the row only informs.
        passed: whether it does.
    """

    compared: str
    quantity: str
    values: int
    mismatches: int
    largest_error: float
    rule: str
    passed: bool


@dataclass(frozen=True)
class CompileResult:
    """What compile did.

    Attributes:
        bundle: the folder.
        name: model name.
        labels: class names.
        trained: see `Checkpoint.trained`. notice: see `Checkpoint.notice`.
        maps: float-to-integer map a layer.
        counts: what each layer did on the sample clips (native engine).
        parity: the comparisons; all passed.
        clips: sample clips compared.
    """

    bundle: Path
    name: str
    labels: tuple[str, ...]
    trained: bool
    notice: str
    maps: tuple[LayerMap, ...]
    counts: tuple[SpikingLayerCounts, ...]
    parity: tuple[ParityRow, ...]
    clips: int
