"""The nouns that cross from one stage to the next: frozen dataclasses, no behaviour beyond derived values.

    Gop -> Clip -> (SpikingResult, dense logits) -> Trace -> EnergyEstimate -> Report

Arrays are NumPy, HWC and C-contiguous unless a docstring says otherwise.
"""

from hybrid_cvar.records.ablation import FULL_MODEL, Ablation, AblationMeasurement, AblationResult, PairDirection
from hybrid_cvar.records.clip import (
    STREAM_CHANNELS,
    Clip,
    CodedFrame,
    Gop,
    GopStructure,
    InputSpec,
    VideoInfo,
    graded_events,
    stream_events,
)
from hybrid_cvar.records.compile_result import (
    AgreementRow,
    ChipFit,
    CompilePlan,
    CompileResult,
    CoreBounds,
    Finding,
    LayerMap,
    LayerResources,
    ParityRow,
    Quantisation,
    ResourceReport,
)
from hybrid_cvar.records.conventions import CONVENTIONS
from hybrid_cvar.records.dataset import DRAWN_MARK, LabelledVideo, MissingVideo, VideoDataset
from hybrid_cvar.records.latency import Percentiles, clip_percentiles
from hybrid_cvar.records.model_description import ModelDescription, PartDescription
from hybrid_cvar.records.paper import PaperTables, PrintedNumber, RecomputedEnergy, Table1Row, Table2Row
from hybrid_cvar.records.report import (
    ChipLatency,
    EnergyEstimate,
    EnergyTerm,
    LayerLatency,
    Prediction,
    PricedConstant,
    Provenance,
    Report,
)
from hybrid_cvar.records.trace import (
    STAGES,
    ClipView,
    NodeMacs,
    ReadCounts,
    SpikingLayerCounts,
    SpikingResult,
    StageSeconds,
    Trace,
    add_counts,
)
from hybrid_cvar.records.training import ClassScore, EpochRow, Evaluation, Scores, TrainingRun, VideoAnswer

__all__ = [
    "CONVENTIONS",
    "DRAWN_MARK",
    "FULL_MODEL",
    "STAGES",
    "STREAM_CHANNELS",
    "Ablation",
    "AblationMeasurement",
    "AblationResult",
    "AgreementRow",
    "ChipFit",
    "ChipLatency",
    "ClassScore",
    "Clip",
    "ClipView",
    "CodedFrame",
    "CompilePlan",
    "CompileResult",
    "CoreBounds",
    "EnergyEstimate",
    "EnergyTerm",
    "EpochRow",
    "Evaluation",
    "Finding",
    "Gop",
    "GopStructure",
    "InputSpec",
    "LabelledVideo",
    "LayerLatency",
    "LayerMap",
    "LayerResources",
    "MissingVideo",
    "ModelDescription",
    "NodeMacs",
    "PairDirection",
    "PaperTables",
    "ParityRow",
    "PartDescription",
    "Percentiles",
    "Prediction",
    "PricedConstant",
    "PrintedNumber",
    "Provenance",
    "Quantisation",
    "ReadCounts",
    "RecomputedEnergy",
    "Report",
    "ResourceReport",
    "Scores",
    "SpikingLayerCounts",
    "SpikingResult",
    "StageSeconds",
    "Table1Row",
    "Table2Row",
    "Trace",
    "TrainingRun",
    "VideoAnswer",
    "VideoDataset",
    "VideoInfo",
    "add_counts",
    "clip_percentiles",
    "graded_events",
    "stream_events",
]
