"""Labelled videos of the public datasets, as they lie on a user's disk.

    lists of a dataset + one listing of its folders -> VideoDataset (videos with labels, and lines that give none)

Every layout that is taken, and what is done about its traps, is in this folder's README.md.
"""

from hybrid_cvar.data.dataset import DATASET_KINDS, find_kind, find_subsets, open_dataset
from hybrid_cvar.data.dataset_lines import SUBSETS
from hybrid_cvar.data.label_mirror import mirrored_labels

__all__ = ["DATASET_KINDS", "SUBSETS", "find_kind", "find_subsets", "mirrored_labels", "open_dataset"]
