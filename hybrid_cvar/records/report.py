"""What a run would cost, and what is said of it."""

from dataclasses import dataclass
from enum import StrEnum

from hybrid_cvar.records.compile_result import ParityRow, ResourceReport
from hybrid_cvar.records.trace import Trace

__all__ = [
    "ChipLatency",
    "EnergyEstimate",
    "EnergyTerm",
    "LayerLatency",
    "Prediction",
    "PricedConstant",
    "Provenance",
    "Report",
]


class Provenance(StrEnum):
    """Where a number comes from."""

    MEASURED = "measured"
    """Timed or observed on this host."""
    EMULATED = "emulated"
    """Counted while the model ran here (in the simulator, or from a graph and the shapes that ran)."""
    MODELLED = "modelled"
    """A count times a sourced constant."""


@dataclass(frozen=True)
class EnergyTerm:
    """One line of an energy estimate: a count times a constant (modelled).

    Attributes:
        part: layer or node group that did the work.
        partition: `spiking` or `dense`.
        operation: what is priced, in the profile's words: `AC`, `MAC`, `synaptic operation`, `neuron update, active`,
            `spike within a tile`, ...
        count: operations.
        picojoules_per_operation: the profile's constant, pJ.
    """

    part: str
    partition: str
    operation: str
    count: int
    picojoules_per_operation: float

    @property
    def energy_joules(self) -> float:
        """count x constant, joules."""
        return self.count * self.picojoules_per_operation * 1e-12


@dataclass(frozen=True)
class PricedConstant:
    """A constant of a profile, as it was used.

    Attributes:
        operation: as of `EnergyTerm`.
        partition: `spiking` or `dense`.
        picojoules: pJ an operation.
        nanoseconds: ns an operation; None where the profile has no time.
        conditions: technology, number format, what is included.
        source: the publication.
    """

    operation: str
    partition: str
    picojoules: float
    nanoseconds: float | None
    conditions: str
    source: str


@dataclass(frozen=True)
class EnergyEstimate:
    """A trace priced by one profile (modelled).

    Attributes:
        profile: profile name.
        description: the profile in one line.
        source: where its constants come from.
        strict: True where graded input events are priced as MACs, False where as ACs (the paper's way).
        terms: those of the spiking layers, then one a dense operator type.
        constants: what the terms were priced with.
        not_priced: what the profile leaves out, in words.
    """

    profile: str
    description: str
    source: str
    strict: bool
    terms: tuple[EnergyTerm, ...]
    constants: tuple[PricedConstant, ...]
    not_priced: tuple[str, ...]

    @property
    def total_joules(self) -> float:
        """Sum of the terms, joules."""
        return sum(term.energy_joules for term in self.terms)


@dataclass(frozen=True)
class LayerLatency:
    """Time that one spiking layer would take on a chip, over a clip (modelled).

    Attributes:
        name: `motion.0`, `residual.1`, ...
        cores: cores it is spread over.
        neurons_a_core: on the fullest of them.
        operations_a_core: synaptic operations a clip on one core, were the layer's spread evenly.
        seconds: a clip, without barriers: synaptic operations and neuron updates of one core.
    """

    name: str
    cores: int
    neurons_a_core: int
    operations_a_core: float
    seconds: float


@dataclass(frozen=True)
class ChipLatency:
    """Time that the spiking partition would take on a neuromorphic chip, for one clip (modelled).

    Every step lasts as long as its busiest core and the barrier that ends it.

    Attributes:
        profile: whose times are taken.
        chip: whose mapping is taken.
        steps: of a clip, those included that the pipeline of layers needs to drain.
        cores: in all.
        barrier_seconds: of one step.
        clip_seconds: of one clip.
        layers: a layer each.
        assumptions: what it rests on, in words.
        sources: of the constants.
    """

    profile: str
    chip: str
    steps: int
    cores: int
    barrier_seconds: float
    clip_seconds: float
    layers: tuple[LayerLatency, ...]
    assumptions: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Prediction:
    """A class and its softmax probability (0 to 1) under the mean logits."""

    label: str
    probability: float


@dataclass(frozen=True, eq=False)
class Report:
    """A priced trace, ready to print.

    Attributes:
        trace: what the run saw.
        energy: what it would cost.
        predictions: the top classes, best first.
        notices: what a reader must know to take the numbers right, one sentence each.
        chip_latency: time on a chip; None where the profile has no times.
        resources: what the spiking partition takes on chips, from the bundle; None if it does not say.
        parity: what the bundle's compile compared; empty if it does not say.
    """

    trace: Trace
    energy: EnergyEstimate
    predictions: tuple[Prediction, ...]
    notices: tuple[str, ...]
    chip_latency: ChipLatency | None = None
    resources: ResourceReport | None = None
    parity: tuple[ParityRow, ...] = ()
