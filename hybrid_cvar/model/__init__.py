"""The model of the paper's Fig. 4 in torch, its spiking partition as lava-dl SLAYER blocks.

Needs the `compile` extra (torch, lava-dl). Sizes the paper does not state are this project's own.
"""

from hybrid_cvar.lava_compat import prepare_slayer

prepare_slayer()

from hybrid_cvar.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint  # noqa: E402
from hybrid_cvar.model.config import PRESETS, ModelConfig, StmConfig, preset_config  # noqa: E402
from hybrid_cvar.model.hybrid_cvar_model import AnnPartition, DeployedAnn, HybridCvarModel, as_slayer_events  # noqa: E402
from hybrid_cvar.model.stm import ConvLif, SpikingTemporalModulator  # noqa: E402

__all__ = [
    "PRESETS",
    "AnnPartition",
    "Checkpoint",
    "ConvLif",
    "DeployedAnn",
    "HybridCvarModel",
    "ModelConfig",
    "SpikingTemporalModulator",
    "StmConfig",
    "as_slayer_events",
    "load_checkpoint",
    "preset_config",
    "save_checkpoint",
]
