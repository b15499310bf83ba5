"""Lava Processes of the spiking partition and their ProcessModels.

Lava imports every module of this folder when it looks for ProcessModels, also inside its child
processes: keep only import-safe modules here, and no torch.
"""

from hybrid_cvar.lava_compat import prepare_lava, widen_stock_conv

prepare_lava()
widen_stock_conv()
