"""What a coded picture's headers say of it, and what every reader of headers gives."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["CodedPicture", "HeaderReader", "Obstacle", "PictureType", "most_general"]


class PictureType(StrEnum):
    """How a picture is predicted; the most general of its slices counts."""

    INTRA = "I"
    PREDICTED = "P"
    BIDIRECTIONAL = "B"


def most_general(types: Collection[PictureType]) -> PictureType:
    """The type of a picture whose slices have these types, at least one: B over P over I."""
    for kind in (PictureType.BIDIRECTIONAL, PictureType.PREDICTED):
        if kind in types:
            return kind
    return PictureType.INTRA


class Obstacle(StrEnum):
    """Why a picture's motion is not motion from the previous picture alone, in the words that a user reads."""

    NONE = ""
    B_FRAMES = "B-frames"
    DATA_PARTITIONS = "data partitions"
    GLOBAL_MOTION = "global motion compensation"
    INTERLACED = "interlaced coding"
    LONG_TERM = "long-term references"
    OTHER_REFERENCE = "references other than the previous frame"
    PB_FRAMES = "PB-frames"
    RESAMPLED_REFERENCE = "resampled references"
    SHIFTED = "frames cropped at the left or the top"
    SEVERAL_PICTURES = "several pictures in a packet"
    SEVERAL_REFERENCES = "several reference frames"
    SLICE_GROUPS = "slice groups"
    SPLIT_PICTURE = "pictures in several packets"
    UNREADABLE = "headers that cannot be read"


@dataclass(frozen=True)
class CodedPicture:
    """One coded picture, as its headers describe it.

    Attributes:
        type: intra, predicted or bidirectional.
        random_access: True if a decoder that starts here needs nothing from before: an IDR picture of H.264, an
            intra picture of the other codecs.
        references: reference pictures that a block of it may choose from: 0 for intra, 1 for a plain P-picture.
            Several entries of an H.264 list that name one picture count once.
        obstacle: why its motion is not from the previous picture alone, one of `Obstacle`; "" if it is.
        lost: True if pictures before it are missing: damage, not a property of the stream.
    """

    type: PictureType
    random_access: bool
    references: int = 0
    obstacle: str = ""
    lost: bool = False


class HeaderReader(Protocol):
    """Reads the headers of one stream's packets, in the order of the file."""

    def read(self, packet: bytes) -> CodedPicture | None:
        """The picture that a packet holds.

        Args:
            packet: its bytes; any bytes are taken, and nothing is raised.

        Returns:
            The picture, or None where there is none (parameter sets alone, or not this codec's data).
        """
        ...
