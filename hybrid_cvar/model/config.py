"""Sizes and switches of the model, as one typed and validated config.

The switches are the paper's ablations (Tables 3 and 4); their defaults are its full model. `presets.py` holds the
named sizes, `variants.py` the ablated models by table and name.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.fixed_point import RESETS
from hybrid_cvar.records import STREAM_CHANNELS, InputSpec

__all__ = ["AnnInput", "ModelConfig", "StmConfig", "config_from_dict", "config_to_dict"]

NEURON_PARAMETERS = ("layer", "channel")
MODALITIES = ("iframe", "motion", "residual")
ORDERS = ("T-LS-GS", "LS-T-GS", "LS-GS-T")
TEMPORALS = ("stm", "common-stm", "lstm", "none")
ENCODERS = ("unified", "separate", "cross")
POOLS = ("gap", "class-token")
LARGEST_KERNEL = 63
"""What the integer specification's engines reach."""
LARGEST = 8192
"""No count in a config may be above it."""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class StmConfig:
    """The Spiking Temporal Modulator: ConvLIF layers, the same in both streams.

    Attributes:
        channels: output channels a layer.
        strides: stride a layer, pixels.
        kernel_size: side of the square kernel, pixels; padding is half of it.
        threshold: initial firing threshold v_th, in float units (1.0 is a weight sum of 64 integer steps).
        leak: initial leak lambda, the share of the membrane kept a step, 0 to 1.
        learned: False keeps threshold and leak as they are (Table 4c, "fixed v_th, lambda").
        neuron_parameters: `layer` for one learned threshold and one leak a layer, `channel` for one of each an
            output channel.
        reset: `soft` subtracts the threshold in the step after a spike (paper Eq. 3), `hard` clears the membrane
            at the spike (stock Lava).
    """

    channels: tuple[int, ...] = (16, 16)
    strides: tuple[int, ...] = (2, 2)
    kernel_size: int = 3
    threshold: float = 1.0
    leak: float = 0.9
    learned: bool = True
    neuron_parameters: str = "layer"
    reset: str = "soft"

    def __post_init__(self) -> None:
        for name in ("channels", "strides"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not all(type(value) is int and value <= 1024 for value in values):
                raise ConfigError(f"stm.{name} = {values!r}", "must be whole numbers, at most 1024")
        if type(self.kernel_size) is not int:
            raise ConfigError(f"stm.kernel_size = {self.kernel_size!r}", "must be a whole number")
        for name in ("threshold", "leak"):
            if not _is_number(getattr(self, name)):
                raise ConfigError(f"stm.{name} = {getattr(self, name)!r}", "must be a number")
        if not self.channels or len(self.channels) != len(self.strides):
            raise ConfigError(
                f"stm.channels = {self.channels}, stm.strides = {self.strides}",
                "one stride a layer and at least one layer are needed",
            )
        for name in ("channels", "strides"):
            if min(getattr(self, name)) < 1:
                raise ConfigError(f"stm.{name} = {getattr(self, name)}", "all must be at least 1")
        if not 1 <= self.kernel_size <= LARGEST_KERNEL or self.kernel_size % 2 == 0:
            raise ConfigError(
                f"stm.kernel_size = {self.kernel_size}", f"must be odd, at least 1 and at most {LARGEST_KERNEL}"
            )
        if not 0 < self.threshold < 2048:
            raise ConfigError(f"stm.threshold = {self.threshold}", "must be above 0 and below 2048 (17 bit)")
        if not 0 < self.leak <= 1:
            raise ConfigError(f"stm.leak = {self.leak}", "must be above 0 and at most 1")
        if type(self.learned) is not bool:
            raise ConfigError(f"stm.learned = {self.learned!r}", "must be true or false")
        for name, known in (("neuron_parameters", NEURON_PARAMETERS), ("reset", RESETS)):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"stm.{name} = {value!r}", f"must be one of {', '.join(known)}")

    @property
    def total_stride(self) -> int:
        """Input pixels an output pixel."""
        product = 1
        for stride in self.strides:
            product *= stride
        return product


@dataclass(frozen=True)
class AnnInput:
    """One input of the ANN partition.

    Attributes:
        name: `iframe`, `<stream>_membrane` or `<stream>_events`.
        kind: `iframe`, `membrane` or `events`.
        shape: of one clip: iframe (H, W, 3), membrane (h, w, C), events (T, H, W, C).
        dtype: NumPy's name: uint8, int32, int8.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class ModelConfig:
    """The whole model (paper Fig. 4).

    Attributes:
        name: preset or own name.
        input: size, timesteps and event steps of a clip; `input.accumulated` is Table 4d's first row.
        stm: the spiking partition.
        patch: side of a patch in input pixels, for all modalities (16 in the paper).
        width: token width D.
        depth: transformer blocks.
        heads: attention heads.
        mlp_width: hidden width of the blocks' MLP.
        dilation: keys and values are taken every so many grid rows and columns.
        fold_width: channels a modality after conv folding.
        fold_stride: stride of conv folding, grid cells.
        fuse_width: channels after conv fusion, and features of the RRDB.
        rrdb_growth: channels each convolution of a dense block adds.
        rrdb_blocks: residual in residual dense blocks; 0 for none (Table 4d).
        rrdb_scale: residual scaling (0.2 in ESRGAN).
        modalities: which of `iframe`, `motion`, `residual` are used, in that order (Table 3).
        order: of T (temporal), LS (local spatial: patch embedding) and GS (global spatial: attention), Table 4a.
        temporal: `stm`, one for each of motion and residual; `common-stm`, one that takes both as 5 channels; `lstm`,
            convolutional LSTM layers in its place; `none`, the steps as channels of the patch embedding (Table 4c).
        encoder: `unified`, one transformer over all tokens; `separate`, one a modality; `cross`, one a modality whose
            keys and values are the other modalities' (Table 4b).
        mixer: False averages the modalities' maps instead of conv folding and fusion (Table 4d).
        skips: False keeps the low-level temporal maps out of conv fusion (Table 4d).
        pool: `gap`, global average pooling, or `class-token` (Table 4d).

    Raises:
        ConfigError: a value is out of its range, or parts do not fit together; names the field, the value and the rule.
    """

    name: str = "tiny"
    input: InputSpec = field(default_factory=InputSpec)
    stm: StmConfig = field(default_factory=StmConfig)
    patch: int = 16
    width: int = 128
    depth: int = 4
    heads: int = 4
    mlp_width: int = 256
    dilation: int = 2
    fold_width: int = 32
    fold_stride: int = 1
    fuse_width: int = 64
    rrdb_growth: int = 16
    rrdb_blocks: int = 1
    rrdb_scale: float = 0.2
    modalities: tuple[str, ...] = MODALITIES
    order: str = "T-LS-GS"
    temporal: str = "stm"
    encoder: str = "unified"
    mixer: bool = True
    skips: bool = True
    pool: str = "gap"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"name = {self.name!r}", "must be a name")
        if not isinstance(self.input, InputSpec) or not isinstance(self.stm, StmConfig):
            raise ConfigError("input or stm is no table of fields", "both must be")
        for name in COUNTS:
            value = getattr(self, name)
            least = 0 if name == "rrdb_blocks" else 1
            if type(value) is not int or not least <= value <= LARGEST:
                raise ConfigError(f"{name} = {value!r}", f"must be a whole number from {least} to {LARGEST}")
        if not _is_number(self.rrdb_scale) or not 0 < self.rrdb_scale <= 1:
            raise ConfigError(f"rrdb_scale = {self.rrdb_scale!r}", "must be above 0 and at most 1")
        for name, known in (("order", ORDERS), ("temporal", TEMPORALS), ("encoder", ENCODERS), ("pool", POOLS)):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"{name} = {value!r}", f"must be one of {', '.join(known)}")
        for name in ("mixer", "skips"):
            if type(getattr(self, name)) is not bool:
                raise ConfigError(f"{name} = {getattr(self, name)!r}", "must be true or false")
        if (
            not isinstance(self.modalities, tuple)
            or not self.modalities
            or self.modalities != tuple(name for name in MODALITIES if name in self.modalities)
        ):
            raise ConfigError(
                f"modalities = {self.modalities!r}", f"must be one or more of {', '.join(MODALITIES)}, in that order"
            )
        self._check_sizes_fit()
        self._check_switches_fit()

    def _check_sizes_fit(self) -> None:
        if self.width % self.heads:
            raise ConfigError(f"width = {self.width}, heads = {self.heads}", "heads must divide width")
        if self.input.size < self.patch:
            raise ConfigError(
                f"input.size = {self.input.size}, patch = {self.patch}", "the input must hold at least one patch"
            )
        if self.patch % self.stm.total_stride:
            raise ConfigError(
                f"patch = {self.patch}, stm.strides = {self.stm.strides}",
                "the strides' product must divide the patch, so that all modalities share one token grid",
            )
        for name in ("dilation", "fold_stride"):
            if getattr(self, name) > self.grid:
                raise ConfigError(
                    f"{name} = {getattr(self, name)}",
                    f"must be at most the token grid's side, {self.grid} (input.size over patch)",
                )

    def _check_switches_fit(self) -> None:
        p_frames = self.modalities != ("iframe",)
        if self.temporal == "common-stm" and not {"motion", "residual"} <= set(self.modalities):
            raise ConfigError(
                f"temporal = {self.temporal!r}, modalities = {self.modalities}",
                "a common STM takes motion and residual, so both must be used",
            )
        if self.order != "T-LS-GS" and (self.temporal != "stm" or not p_frames):
            raise ConfigError(
                f"order = {self.order!r}, temporal = {self.temporal!r}, modalities = {self.modalities}",
                "another order than T-LS-GS moves the STM, so temporal must be 'stm' and motion or residual be used",
            )
        if self.encoder == "cross" and len(self.token_modalities) < 2:
            raise ConfigError(
                f"encoder = {self.encoder!r}, modalities = {self.modalities}, temporal = {self.temporal!r}",
                "cross-attention needs tokens of at least two modalities",
            )
        if self.pool == "class-token" and self.fuse_width % self.heads:
            raise ConfigError(
                f"pool = {self.pool!r}, fuse_width = {self.fuse_width}, heads = {self.heads}",
                "a class token attends with the same heads, so heads must divide fuse_width",
            )
        if self.skips and not self.mixer:
            raise ConfigError(
                "skips = True, mixer = False", "the skips end in the mixer, so without it there are none: skips = false"
            )

    @property
    def grid(self) -> int:
        """Tokens along one side of a modality's grid; a partial patch at the edge counts."""
        return -(-self.input.size // self.patch)

    @property
    def streams(self) -> tuple[str, ...]:
        """P-frame streams, whatever models them over time: names of `STREAM_CHANNELS`."""
        if self.temporal == "common-stm":
            return ("common",)
        return tuple(name for name in self.modalities if name in STREAM_CHANNELS)

    @property
    def spiking_streams(self) -> tuple[str, ...]:
        """Streams that the spiking partition runs: those whose STM takes the clip's events as they are."""
        return self.streams if self.order == "T-LS-GS" and self.temporal in ("stm", "common-stm") else ()

    @property
    def token_modalities(self) -> tuple[str, ...]:
        """What the tokens stand for: `iframe`, if it is used, then the streams."""
        return (*(name for name in self.modalities if name == "iframe"), *self.streams)

    @property
    def ann_inputs(self) -> tuple[AnnInput, ...]:
        """Inputs of the ANN partition, in order."""
        size, steps = self.input.size, self.input.timesteps
        side = self.membrane_side
        inputs = []
        for name in self.token_modalities:
            if name == "iframe":
                inputs.append(AnnInput("iframe", "iframe", (size, size, 3), "uint8"))
            elif name in self.spiking_streams:
                inputs.append(AnnInput(f"{name}_membrane", "membrane", (side, side, self.stm.channels[-1]), "int32"))
            else:
                inputs.append(AnnInput(f"{name}_events", "events", (steps, size, size, STREAM_CHANNELS[name]), "int8"))
        return tuple(inputs)

    @property
    def membrane_side(self) -> int:
        """Side of the STM's read-out, pixels."""
        side = self.input.size
        for stride in self.stm.strides:
            side = -(-side // stride)
        return side

    @property
    def membrane_patch(self) -> int:
        """Side of a patch in the STM's read-out, pixels."""
        return self.patch // self.stm.total_stride


COUNTS = (
    *("patch", "width", "depth", "heads", "mlp_width", "dilation", "fold_width", "fold_stride", "fuse_width"),
    *("rrdb_growth", "rrdb_blocks"),
)
"""Fields of `ModelConfig` that count something."""


def config_to_dict(config: ModelConfig) -> dict[str, Any]:
    """Plain numbers, strings and lists, as a checkpoint stores them."""
    plain = _lists_for_tuples(dataclasses.asdict(config))
    plain["stm"] = _lists_for_tuples(plain["stm"])
    return plain


def config_from_dict(plain: object) -> ModelConfig:
    """Inverse of `config_to_dict`.

    Raises:
        ConfigError: a field is unknown or its value is not allowed.
    """
    values = dict(_fields(ModelConfig, plain, "model"))
    if "input" in values:
        values["input"] = InputSpec(**_fields(InputSpec, values["input"], "input"))
    if "stm" in values:
        values["stm"] = StmConfig(**_tuples_for_lists(_fields(StmConfig, values["stm"], "stm")))
    try:
        return ModelConfig(**_tuples_for_lists(values))
    except TypeError as error:
        raise ConfigError(f"model config {values}", str(error)) from error


def _lists_for_tuples(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}


def _tuples_for_lists(plain: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}


def _fields(kind: type, plain: object, where: str) -> dict[str, Any]:
    if not isinstance(plain, dict):
        raise ConfigError(f"{where} config is a {type(plain).__name__}", "must be a table of fields")
    known = {item.name for item in dataclasses.fields(kind)}
    unknown = sorted(str(name) for name in set(plain) - known)
    if unknown:
        raise ConfigError(f"{where} config has unknown field {unknown[0]!r}", f"known: {', '.join(sorted(known))}")
    return plain
