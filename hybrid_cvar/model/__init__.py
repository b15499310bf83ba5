"""The model of the paper's Fig. 4 in torch, its spiking partition as lava-dl SLAYER blocks.

Needs the `compile` extra (torch, lava-dl). Sizes the paper does not state are this project's own.
"""

from hybrid_cvar.lava_compat import prepare_slayer

prepare_slayer()

from hybrid_cvar.model.ann_partition import AnnPartition  # noqa: E402
from hybrid_cvar.model.calibration import calibrate_thresholds  # noqa: E402
from hybrid_cvar.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint  # noqa: E402
from hybrid_cvar.model.config import ModelConfig, StmConfig  # noqa: E402
from hybrid_cvar.model.deployed_ann import DeployedAnn  # noqa: E402
from hybrid_cvar.model.hybrid_cvar_model import HybridCvarModel, as_slayer_events  # noqa: E402
from hybrid_cvar.model.presets import PRESETS, preset_config  # noqa: E402
from hybrid_cvar.model.stm import ConvLif, SpikingTemporalModulator  # noqa: E402
from hybrid_cvar.model.variants import VARIANTS, Variant, find_variant, variant_config  # noqa: E402

__all__ = [
    "PRESETS",
    "VARIANTS",
    "AnnPartition",
    "Checkpoint",
    "ConvLif",
    "DeployedAnn",
    "HybridCvarModel",
    "ModelConfig",
    "SpikingTemporalModulator",
    "StmConfig",
    "Variant",
    "as_slayer_events",
    "calibrate_thresholds",
    "find_variant",
    "load_checkpoint",
    "preset_config",
    "save_checkpoint",
    "variant_config",
]
