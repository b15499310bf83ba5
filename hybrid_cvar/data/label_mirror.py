"""Which class a horizontal flip of the picture turns a class into."""

import re

__all__ = ["mirrored_labels"]

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""A word of running text, or of a name such as `StepLeft`."""

MIRRORED = {"left": "right", "right": "left", "Left": "Right", "Right": "Left", "LEFT": "RIGHT", "RIGHT": "LEFT"}


def mirrored_labels(labels: tuple[str, ...]) -> tuple[int, ...]:
    """The class of each class's mirror image, so that a flip of the picture can swap the label too.

    In a label the words left and right, whole and in their own case, change places (`StepLeft` and `StepRight`,
    `Pushing something from left to right`). Where that gives another label, it is the mirror image's; every other
    label is its own (`Bright`, or a `StepLeft` that has no `StepRight`).

    Args:
        labels: class names, in the order of the logits.

    Returns:
        For each label a position in `labels`. Applied twice it gives every label back where names differ.
    """
    position = {label: index for index, label in reversed(list(enumerate(labels)))}
    found = []
    for index, label in enumerate(labels):
        mirrored = WORD.sub(lambda word: MIRRORED.get(word.group(), word.group()), label)
        found.append(index if mirrored == label else position.get(mirrored, index))
    return tuple(found)
