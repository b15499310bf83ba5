"""How well logits name the classes of videos."""

import numpy as np
from numpy.typing import ArrayLike

from hybrid_cvar.errors import ConfigError, MissingPartError
from hybrid_cvar.records import ClassScore, Scores

__all__ = ["score_answers"]

TOP = 5


def score_answers(logits: ArrayLike, truth: ArrayLike, labels: tuple[str, ...]) -> Scores:
    """Top-1, top-5, every class and the confusion matrix.

    Args:
        logits: (V, C), a row a video.
        truth: (V,), positions of the classes.
        labels: C names.

    Raises:
        ConfigError: no videos, or shapes that do not fit.
        MissingPartError: scikit-learn is not installed.
    """
    try:
        from sklearn.metrics import confusion_matrix, top_k_accuracy_score
    except ImportError as error:
        raise MissingPartError(
            "scikit-learn is not installed", "scores are counted with it", "install it: pip install scikit-learn"
        ) from error
    values, right = np.asarray(logits, np.float64), np.asarray(truth, np.int64)
    if not len(right) or values.shape != (len(right), len(labels)):
        raise ConfigError(f"logits {values.shape} for {len(right)} videos of {len(labels)} classes", "they must fit")
    classes = np.arange(len(labels))
    answers = values.argmax(axis=1)
    confusion = confusion_matrix(right, answers, labels=classes)
    of_class = confusion.sum(axis=1)
    # With two classes scikit-learn expects the score of the second one alone; with at most five every answer counts.
    top5 = 1.0 if len(labels) <= TOP else float(top_k_accuracy_score(right, values, k=TOP, labels=classes))
    return Scores(
        videos=len(right),
        top1=float((answers == right).mean()),
        top5=top5,
        classes=tuple(
            ClassScore(label, int(count), float(confusion[index, index] / count) if count else None)
            for index, (label, count) in enumerate(zip(labels, of_class, strict=True))
        ),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )
