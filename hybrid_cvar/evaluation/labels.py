"""Which of a model's classes each class of a dataset is."""

from collections import Counter

from hybrid_cvar.errors import ConfigError

__all__ = ["match_labels"]


def match_labels(model: tuple[str, ...], dataset: tuple[str, ...]) -> tuple[int, ...]:
    """The position in the model's labels of every label of a dataset.

    Names are compared as they are; where these differ, without case and without all that is neither letter nor
    digit, so that `ApplyEyeMakeup`, `apply_eye_makeup` and `Apply Eye Makeup` are one class.

    Args:
        model: class names in the order of the logits.
        dataset: class names in the order of `LabelledVideo.label`.

    Returns:
        One position a label of the dataset, all different.

    Raises:
        ConfigError: a label of one is none of the other's, or names differ only in what is not compared.
    """
    if set(model) == set(dataset) and len(model) == len(dataset):
        places = {label: index for index, label in enumerate(model)}
        return tuple(places[label] for label in dataset)
    keys = {"model": [_key(label) for label in model], "dataset": [_key(label) for label in dataset]}
    for owner, labels in (("model", model), ("dataset", dataset)):
        twice = next((key for key, count in Counter(keys[owner]).items() if count > 1), None)
        if twice is not None:
            alike = [label for label, key in zip(labels, keys[owner], strict=True) if key == twice]
            raise ConfigError(
                f"{alike[0]!r} and {alike[1]!r} of the {owner} are alike",
                "names are compared by their letters and digits",
                "spell the model's labels exactly as the dataset's",
            )
    for labels, own, other, wanted in (
        (dataset, "dataset", "model", set(keys["model"])),
        (model, "model", "dataset", set(keys["dataset"])),
    ):
        odd = next((label for label in labels if _key(label) not in wanted), None)
        if odd is not None:
            raise ConfigError(
                f"label {odd!r} of the {own} is none of the {other}'s ({len(model)} of the model, "
                f"{len(dataset)} of the dataset)",
                "both must have the same classes",
                "evaluate on the dataset that the model was trained for, or train it on this one",
            )
    places = {key: index for index, key in enumerate(keys["model"])}
    return tuple(places[key] for key in keys["dataset"])


def _key(label: str) -> str:
    return "".join(letter for letter in label.casefold() if letter.isalnum())
