"""What a run would cost, and what is said of it."""

from dataclasses import dataclass
from enum import StrEnum

from hybrid_cvar.records.trace import Trace

__all__ = ["EnergyEstimate", "EnergyTerm", "Prediction", "Provenance", "Report"]


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
        operation: `AC` or `MAC`.
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
class EnergyEstimate:
    """A trace priced by one profile (modelled).

    Attributes:
        profile: profile name.
        source: where its constants come from.
        terms: one a spiking layer and one a dense operator type.
        not_priced: what the profile leaves out, in words.
    """

    profile: str
    source: str
    terms: tuple[EnergyTerm, ...]
    not_priced: tuple[str, ...]

    @property
    def total_joules(self) -> float:
        """Sum of the terms, joules."""
        return sum(term.energy_joules for term in self.terms)


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
    """

    trace: Trace
    energy: EnergyEstimate
    predictions: tuple[Prediction, ...]
    notices: tuple[str, ...]
