"""The models that the paper's Tables 3 and 4 compare, as changes of a config."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.model.config import ModelConfig, StmConfig
from hybrid_cvar.records import InputSpec

__all__ = [
    "PAPER_FULL_TOP1",
    "PAPER_FULL_TOP5",
    "PAPER_TABLES",
    "VARIANTS",
    "Variant",
    "field_paths",
    "find_variant",
    "variant_config",
]

PAPER_FULL_TOP1 = 95.63
"""Top-1 of the paper's full model on UCF-101, per cent: the last row of its Tables 3 and 4a to 4c."""
PAPER_FULL_TOP5 = 99.53
"""Top-5 of the same, per cent: the last row of Table 3, the only one that gives it."""
PAPER_TABLES: Mapping[str, str] = {
    "3": "Impact of different modality combinations",
    "4a": "Contextualization Order",
    "4b": "Transformer Encoder Analysis",
    "4c": "Temporal Modulator Analysis",
    "4d": "Model Variants",
}
"""The paper's ablations on UCF-101, each with its caption."""


@dataclass(frozen=True)
class Variant:
    """One ablated model.

    Attributes:
        table: the paper's table: `3`, `4a`, `4b`, `4c` or `4d`.
        name: short name, unique.
        row: the paper's words for its row of that table.
        changes: config fields that differ from the full model; `stm.` and `input.` name fields of those tables.
        paper_top1: of that row on UCF-101, per cent as printed; None if the paper has no such row, or its number did
            not survive in the text we have (Table 4d).
        paper_top5: as `paper_top1`; Table 3 alone gives it.
        in_paper: False for a control that the paper has no row for.
    """

    table: str
    name: str
    row: str
    changes: Mapping[str, Any]
    paper_top1: float | None = None
    paper_top5: float | None = None
    in_paper: bool = True


VARIANTS: tuple[Variant, ...] = (
    Variant("3", "no-residual", "I, MV", {"modalities": ("iframe", "motion")}, 93.21, 97.46),
    Variant("3", "no-motion", "I, R", {"modalities": ("iframe", "residual")}, 92.93, 97.01),
    Variant("3", "no-iframe", "MV, R", {"modalities": ("motion", "residual")}, 84.06, 88.32),
    Variant("3", "iframe-only", "(control, not in the paper)", {"modalities": ("iframe",)}, in_paper=False),
    Variant("3", "motion-only", "(not in the paper)", {"modalities": ("motion",)}, in_paper=False),
    Variant("3", "residual-only", "(not in the paper)", {"modalities": ("residual",)}, in_paper=False),
    Variant("4a", "ls-gs-t", "LS => GS => T", {"order": "LS-GS-T"}, 90.72),
    Variant("4a", "ls-t-gs", "LS => T => GS", {"order": "LS-T-GS"}, 91.64),
    Variant("4b", "cross-attention", "Cross-att.", {"encoder": "cross"}, 94.72),
    Variant("4b", "separate-transformers", "Separate", {"encoder": "separate"}, 94.18),
    Variant("4c", "no-stm", "W/o STM", {"temporal": "none"}, 88.61),
    Variant("4c", "common-stm", "Common STM", {"temporal": "common-stm"}, 93.45),
    Variant("4c", "lstm", "STM -> LSTM", {"temporal": "lstm"}, 93.92),
    Variant("4c", "fixed-neurons", "STM (fixed v_th, lambda)", {"stm.learned": False}, 93.91),
    Variant("4d", "no-accumulation", "W/o P-frame Accumulation", {"input.accumulated": False}),
    Variant("4d", "no-mixer", "W/o Multi-Modal Mixer", {"mixer": False, "skips": False}),
    Variant("4d", "no-skips", "W/o skips", {"skips": False}),
    Variant("4d", "no-rrdb", "W/o RRDB", {"rrdb_blocks": 0}),
    Variant("4d", "class-token", "GAP -> Class Token", {"pool": "class-token"}),
)


def find_variant(name: str) -> Variant:
    """The variant of that name.

    Raises:
        ConfigError: there is none.
    """
    for variant in VARIANTS:
        if variant.name == name:
            return variant
    raise ConfigError(f"variant {name!r} does not exist", f"known: {', '.join(each.name for each in VARIANTS)}")


def _names(table: ModelConfig | StmConfig | InputSpec) -> set[str]:
    return {each.name for each in dataclasses.fields(table)}


def field_paths(config: ModelConfig) -> tuple[str, ...]:
    """Every field that `variant_config` can change."""
    own = sorted(_names(config) - {"stm", "input"})
    return (
        *own,
        *(f"stm.{name}" for name in sorted(_names(config.stm))),
        *(f"input.{name}" for name in sorted(_names(config.input))),
    )


def variant_config(config: ModelConfig, changes: Mapping[str, Any]) -> ModelConfig:
    """The config with some fields changed.

    Args:
        config: the full model.
        changes: values by field; `stm.<field>` and `input.<field>` reach into those tables.

    Raises:
        ConfigError: a field is unknown, or the values do not fit.
    """
    tables: dict[str, dict[str, Any]] = {"": {}, "stm": {}, "input": {}}
    known = {"": _names(config) - {"stm", "input"}, "stm": _names(config.stm), "input": _names(config.input)}
    for path, value in changes.items():
        table, _, name = path.rpartition(".")
        if name not in known.get(table, set()):
            raise ConfigError(f"config field {path!r} is unknown", f"known: {', '.join(field_paths(config))}")
        tables[table][name] = value
    return dataclasses.replace(
        config,
        **tables[""],
        stm=dataclasses.replace(config.stm, **tables["stm"]),
        input=dataclasses.replace(config.input, **tables["input"]),
    )
