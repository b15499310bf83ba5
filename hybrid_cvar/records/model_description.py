"""What a model consists of, before it has weights."""

from dataclasses import dataclass

__all__ = ["ModelDescription", "PartDescription"]


@dataclass(frozen=True)
class PartDescription:
    """One part of a model, for one clip.

    Attributes:
        name: the paper's word for the part, and which of several.
        spiking: True for a ConvLIF layer of the spiking partition.
        output_shape: without the batch; of a ConvLIF layer (C, h, w, T).
        parameters: learned and fixed ones, buffers left out.
        macs: multiply-accumulates of the ANN partition; 0 for a spiking layer.
        dense_accumulates: of a spiking layer, if every input were an event in every step; 0 for the others.
    """

    name: str
    spiking: bool
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    dense_accumulates: int


@dataclass(frozen=True)
class ModelDescription:
    """A model's parts; the totals are their sums.

    Attributes:
        name: preset or own name.
        classes: logits.
        input_size: side of the input, pixels.
        timesteps: P-frames a clip.
        parts: in the order in which data flows.
        changes: config fields that differ from the preset, as `field = value`; may be empty.
    """

    name: str
    classes: int
    input_size: int
    timesteps: int
    parts: tuple[PartDescription, ...]
    changes: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """Of all parts."""
        return sum(part.parameters for part in self.parts)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the ANN partition a clip."""
        return sum(part.macs for part in self.parts)

    @property
    def dense_accumulates(self) -> int:
        """Accumulates of the spiking partition a clip, if every input were an event in every step."""
        return sum(part.dense_accumulates for part in self.parts)
