"""A video of a batch that could not be reported on."""

from dataclasses import dataclass

__all__ = ["VideoFailure"]


@dataclass(frozen=True)
class VideoFailure:
    """A video that failed while the rest of the batch went on.

    Attributes:
        video: the file as the user named it.
        error: what was found, the rule it breaks and the remedy, in one line.
    """

    video: str
    error: str
