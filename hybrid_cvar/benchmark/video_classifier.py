"""A classifier that tells real videos apart, fitted on what an untrained model makes of their clips.

Untrained weights give every clip nearly the same logits, so that its best class hangs on rounding. With a last layer
that tells three videos apart, top-1 is a share of right answers, and what a reduced precision loses of it can be
measured. It says nothing of actions.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hybrid_cvar.model import HybridCvarModel

__all__ = ["fit_classifier"]

RIDGE = 0.1
"""Penalty, in mean eigenvalues of the features' scatter."""
BATCH = 8


def fit_classifier(model: HybridCvarModel, inputs: Sequence[torch.Tensor], labels: NDArray[np.int64]) -> None:
    """Replaces the last layer's weights by ridge regression on one-hot labels; nothing else changes.

    Args:
        model: in evaluation mode; has as many classes as labels.
        inputs: what `AnnPartition.forward` takes, of N clips.
        labels: int64 (N,).
    """
    seen: list[torch.Tensor] = []
    hook = model.ann.classifier.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    try:
        with torch.no_grad():
            for first in range(0, len(labels), BATCH):
                model.ann(*(values[first : first + BATCH] for values in inputs))
    finally:
        hook.remove()
    features = torch.cat(seen).double().numpy()
    mean = features.mean(axis=0)
    centred = features - mean
    scatter = centred.T @ centred
    penalty = RIDGE * np.trace(scatter) / len(scatter) * np.eye(len(scatter))
    wanted = np.eye(model.ann.classifier.out_features)[labels]
    weights = np.linalg.solve(scatter + penalty, centred.T @ (wanted - wanted.mean(axis=0)))
    with torch.no_grad():
        model.ann.classifier.weight.copy_(torch.from_numpy(weights.T))
        model.ann.classifier.bias.copy_(torch.from_numpy(wanted.mean(axis=0) - mean @ weights))
