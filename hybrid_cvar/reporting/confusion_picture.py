"""The confusion matrix as a picture."""

from pathlib import Path

import numpy as np

from hybrid_cvar.records import Evaluation
from hybrid_cvar.reporting.pictures import new_figure, save_figure
from hybrid_cvar.reporting.units import percent, shown

__all__ = ["write_confusion"]

CLASSES_WITH_COUNTS = 30
"""With more, a cell is too small for a number."""
LONGEST_LABEL = 32
DARK = 0.55
"""Share from which a cell is so dark that its number is white."""


def write_confusion(evaluation: Evaluation, path: Path) -> None:
    """Draws how often each class (a row) was answered with each class (a column), as a PNG file.

    The colour is the share of the row's videos. Up to 30 classes have the number of videos in each cell.

    Args:
        evaluation: the answers.
        path: the file; it appears whole or not at all.

    Raises:
        MissingPartError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    counts = np.array(evaluation.scores.confusion, np.int64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(counts)
    numbers = size <= CLASSES_WITH_COUNTS
    side = min(max(2.6 + (0.42 if numbers else 0.17) * size, 4.5), 40.0)
    figure = new_figure(side + 0.6, side)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    labels = [_short(label) for label in evaluation.labels]
    font = 9 if numbers else 6
    axes.set_xticks(range(size), labels, rotation=90, fontsize=font, parse_math=False)
    axes.set_yticks(range(size), labels, fontsize=font, parse_math=False)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.9", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    if numbers:
        for row, column in np.argwhere(counts > 0):
            colour = "white" if shares[row, column] > DARK else "0.15"
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=8, color=colour)
    scores = evaluation.scores
    axes.set_xlabel("answer")
    axes.set_ylabel("class")
    axes.set_title(
        f"{shown(evaluation.model)}, {evaluation.engine}: top-1 {percent(scores.top1)} of {scores.videos} videos",
        fontsize=10,
        parse_math=False,
    )
    figure.colorbar(image, ax=axes, label="share of the class's videos", fraction=0.04, pad=0.02)
    save_figure(figure, path)


def _short(label: str) -> str:
    text = shown(label)
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 3]}..."
