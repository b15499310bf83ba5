"""What a compile did: the float-to-integer map, the hardware it would take, parity and alarms."""

from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.records.trace import SpikingLayerCounts

__all__ = [
    "AgreementRow",
    "ChipFit",
    "CompilePlan",
    "CompileResult",
    "CoreBounds",
    "Finding",
    "LayerMap",
    "LayerResources",
    "ParityRow",
    "Quantisation",
    "ResourceReport",
]


@dataclass(frozen=True)
class LayerMap:
    """How one ConvLIF layer went from float to integers.

    Threshold and leak hold one value for the layer, or one an output channel.

    Attributes:
        name: `<stream>.<layer>`.
        reset: `soft` or `hard`.
        weight_scale: integer steps of one float unit.
        weight_rounding_rms: root mean square of rounded minus float weight, float units.
        weight_rounding_largest: the largest of them, float units; clipped weights included.
        weights_at_rails: share of weights at -256 or 254 (0 to 1).
        weights_clipped: share of weights whose rounded value lay beyond a rail (0 to 1).
        threshold_float: v_th before.
        threshold_integer: theta after.
        threshold_represented: the v_th that theta stands for.
        leak_float: lambda before.
        decay_integer: d after.
        leak_represented: the lambda that d stands for, (4096 - d) / 4096.
    """

    name: str
    reset: str
    weight_scale: int
    weight_rounding_rms: float
    weight_rounding_largest: float
    weights_at_rails: float
    weights_clipped: float
    threshold_float: tuple[float, ...]
    threshold_integer: tuple[int, ...]
    threshold_represented: tuple[float, ...]
    leak_float: tuple[float, ...]
    decay_integer: tuple[int, ...]
    leak_represented: tuple[float, ...]


@dataclass(frozen=True)
class Finding:
    """Something that a user should know and can mend: an alarm, or a limit that a chip sets.

    Attributes:
        subject: the layer or the chip it is about.
        found: what was found, with the value.
        rule: the rule it breaks.
        remedy: what to do about it.
    """

    subject: str
    found: str
    rule: str
    remedy: str


@dataclass(frozen=True)
class LayerResources:
    """What one ConvLIF layer consists of, counted from its specification.

    Attributes:
        name: `<stream>.<layer>`.
        graded_input: True where the input events carry 8-bit values, False for spikes.
        neurons: output neurons.
        synapses: connections as unrolled, padding excluded, zero weights included.
        unique_weights: weights of the kernels, as convolution shares them.
        weight_bits: smallest two's complement width of the weights over their common power of two.
        unrolled_weight_bytes: synapses x weight_bits.
        shared_weight_bytes: unique_weights x weight_bits.
        state_bytes: neurons x the state of one, in whole bytes.
        fan_in: most inputs that one neuron has.
        input_axons: inputs that at least one neuron listens to.
        output_axons: neurons that send spikes on; 0 for the last layer, whose membrane is read instead.
    """

    name: str
    graded_input: bool
    neurons: int
    synapses: int
    unique_weights: int
    weight_bits: int
    unrolled_weight_bytes: int
    shared_weight_bytes: int
    state_bytes: int
    fan_in: int
    input_axons: int
    output_axons: int


@dataclass(frozen=True)
class CoreBounds:
    """How many cores of one chip one layer takes (modelled).

    Attributes:
        name: `<stream>.<layer>`.
        at_least: no mapping takes fewer: totals over the capacity of a core, weights shared.
        at_least_for: the limit that decides it.
        tiled: cores of a mapping in tiles that keeps every listed limit, weights unrolled; None if there is none.
        tile: (h, w, C) of its output tile; None if there is none.
        tiled_for: the limit that the tile fills most; empty if there is none.
    """

    name: str
    at_least: int
    at_least_for: str
    tiled: int | None
    tile: tuple[int, int, int] | None
    tiled_for: str


@dataclass(frozen=True)
class ChipFit:
    """How the spiking partition fits one chip (modelled).

    Attributes:
        chip: the chip's name.
        layers: cores a layer.
        cores_at_least, chips_at_least: no mapping takes fewer.
        cores_tiled, chips_tiled: those of the mapping in tiles; None if a layer has none.
        violations: every limit that is broken.
        not_checked: what the public sources do not allow to check, in words.
        sources: where the chip's capacities come from.
    """

    chip: str
    layers: tuple[CoreBounds, ...]
    cores_at_least: int
    chips_at_least: int
    cores_tiled: int | None
    chips_tiled: int | None
    violations: tuple[Finding, ...]
    not_checked: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class ResourceReport:
    """What the spiking partition takes, before anything runs.

    Attributes:
        layers: counts a layer, stream by stream.
        chips: the fit on every chip that was asked for.
        assumptions: what the bounds rest on, in words.
    """

    layers: tuple[LayerResources, ...]
    chips: tuple[ChipFit, ...]
    assumptions: tuple[str, ...]

    @property
    def violations(self) -> tuple[Finding, ...]:
        """Those of every chip."""
        return tuple(finding for chip in self.chips for finding in chip.violations)


@dataclass(frozen=True)
class CompilePlan:
    """What is known of a compile before anything runs.

    Attributes:
        name: model name.
        maps: float-to-integer map a layer.
        resources: what the spiking partition takes.
    """

    name: str
    maps: tuple[LayerMap, ...]
    resources: ResourceReport


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
class Quantisation:
    """What of the ANN partition computes in INT8.

    Attributes:
        quantised: names of the nodes that do.
        kept: (node, why) of those that could and do not.
        calibration_clips: clips that ranges were taken from.
    """

    quantised: tuple[str, ...]
    kept: tuple[tuple[str, str], ...]
    calibration_clips: int


@dataclass(frozen=True)
class AgreementRow:
    """How far the ANN partition in a reduced precision answers as it does in FP32, on clips not calibrated on.

    Attributes:
        provider: execution provider that ran it.
        clips: that were compared.
        same_answer: share of them whose best class is the same, 0 to 1.
        least: what `same_answer` must be.
        logit_error: RMS of the difference over the RMS of the logits' spread over classes.
        passed: whether it is.
        required: whether it must be: untrained weights give near ties, whose best class hangs on rounding.
    """

    provider: str
    clips: int
    same_answer: float
    least: float
    logit_error: float
    passed: bool
    required: bool


@dataclass(frozen=True)
class CompileResult:
    """What compile did.

    Attributes:
        bundle: the folder.
        name: model name.
        labels: class names.
        trained: see `Checkpoint.trained`. notice: see `Checkpoint.notice`.
        maps: float-to-integer map a layer.
        resources: what the spiking partition takes on chips.
        counts: what each layer did on the sample clips (native engine).
        parity: the comparisons; all passed.
        alarms: layers that did something odd on the sample clips.
        clips: sample clips compared.
        precision: of the ANN partition: `fp32`, `int8` or `bf16`.
        quantisation: what computes in INT8; None for other precisions.
        agreement: with FP32, a provider; empty for `fp32`.
    """

    bundle: Path
    name: str
    labels: tuple[str, ...]
    trained: bool
    notice: str
    maps: tuple[LayerMap, ...]
    resources: ResourceReport
    counts: tuple[SpikingLayerCounts, ...]
    parity: tuple[ParityRow, ...]
    alarms: tuple[Finding, ...]
    clips: int
    precision: str
    quantisation: Quantisation | None
    agreement: tuple[AgreementRow, ...]
