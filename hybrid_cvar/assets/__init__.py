"""The shipped defaults, and the scripts that make them."""

from pathlib import Path

__all__ = ["DEFAULT_BUNDLE", "DEFAULT_CHECKPOINT", "SAMPLE_VIDEO"]

_FOLDER = Path(__file__).parent

SAMPLE_VIDEO = _FOLDER / "sample.avi"
"""Made by `make_sample.py`."""
DEFAULT_CHECKPOINT = _FOLDER / "default.pt"
"""Trained by `models/puppet-tiny/recipe.toml`; its card says on what and how well."""
DEFAULT_BUNDLE = _FOLDER / "default.bundle"
"""`hybrid-cvar compile` of the default checkpoint, shipped so that `run` needs no torch."""
