"""What the paper prints of itself and of other methods (arXiv 2503.13724, Tables 1 and 2)."""

from dataclasses import dataclass

__all__ = ["PaperTables", "PrintedNumber", "RecomputedEnergy", "Table1Row", "Table2Row"]


@dataclass(frozen=True)
class PrintedNumber:
    """A number as it is printed.

    Attributes:
        printed: the text, `>3.422` say.
        value: the number alone.
        at_least: True where it is marked with `>`.
        half_unit: half a unit of its last printed digit, which rounding may hide.
    """

    printed: str
    value: float
    at_least: bool
    half_unit: float


@dataclass(frozen=True)
class Table1Row:
    """A row of Table 1: UCF-101 and HMDB-51. None where the paper prints a dash.

    Attributes:
        method: as printed, without its reference.
        reference: number in the paper's bibliography; 0 for its own model.
        modality: raw domain, compressed domain and optical flow: `RD`, `CD`, `CD + OF`, ...
        temporal_views, spatial_crops: views of a video.
        ucf101_percent, hmdb51_percent: top-1 accuracy.
        params_millions: parameters.
        tflops_ann: tera multiply-accumulates of a video, over all views (the paper's FLOP is one).
        gflops_spike: giga accumulates of the spiking partition; its own model alone has them.
        energy_joules: E_Total of a video.
        videos_per_second: on an RTX 2080 Ti.
    """

    method: str
    reference: int
    modality: str
    temporal_views: int
    spatial_crops: int
    ucf101_percent: PrintedNumber
    hmdb51_percent: PrintedNumber | None
    params_millions: PrintedNumber | None
    tflops_ann: PrintedNumber
    gflops_spike: PrintedNumber | None
    energy_joules: PrintedNumber
    videos_per_second: PrintedNumber | None

    @property
    def own(self) -> bool:
        """Whether it is the paper's own model."""
        return self.reference == 0


@dataclass(frozen=True)
class Table2Row:
    """A row of Table 2: SS-v2, Kinetics-400 and Kinetics-600; as `Table1Row`."""

    method: str
    reference: int
    modality: str
    ssv2_percent: PrintedNumber | None
    k400_percent: PrintedNumber | None
    k600_percent: PrintedNumber | None
    energy_joules: PrintedNumber

    @property
    def own(self) -> bool:
        """Whether it is one of the paper's own models."""
        return self.reference == 0


@dataclass(frozen=True)
class PaperTables:
    """Both tables.

    Attributes:
        source: the publication.
        table1, table2: rows in the paper's order.
    """

    source: str
    table1: tuple[Table1Row, ...]
    table2: tuple[Table2Row, ...]


@dataclass(frozen=True)
class RecomputedEnergy:
    """E_Total of a row of Table 1 from its own FLOPs (modelled).

    Attributes:
        method: of the row. own: whether it is the paper's own model.
        printed_joules: as printed.
        recomputed_joules: from the printed FLOPs.
        relative_error: of the recomputed energy, to the printed one; not negative.
        explained: the largest relative error that the rounding of the printed FLOPs and energy can make.
        needed_tflops: tera multiply-accumulates that the printed energy needs.
        remark: in words, where rounding does not explain the error; empty where it does.
    """

    method: str
    own: bool
    printed_joules: float
    recomputed_joules: float
    relative_error: float
    explained: float
    needed_tflops: float
    remark: str

    @property
    def closes(self) -> bool:
        """Whether rounding explains the error."""
        return not self.remark
