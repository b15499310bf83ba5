"""Training: a recipe and a labelled dataset in, a checkpoint and what was measured out.

    recipe.toml + videos -> gop_cache (decoded once) -> random views -> epochs -> checkpoint.pt, TrainingRun

Needs the `train` extra (torch, lava-dl, Lightning Fabric, TensorBoard).
"""

from hybrid_cvar.lava_compat import prepare_slayer

prepare_slayer()

from hybrid_cvar.training.options import TrainObserver, TrainOptions  # noqa: E402
from hybrid_cvar.training.recipe import Recipe, adjusted_recipe, load_recipe  # noqa: E402
from hybrid_cvar.training.train_loop import RUN_FILES, train  # noqa: E402

__all__ = ["RUN_FILES", "Recipe", "TrainObserver", "TrainOptions", "adjusted_recipe", "load_recipe", "train"]
