"""Sizes of the model, as one typed and validated config.

The paper's appendix is not public: sizes it does not state (width, depth, folding and RRDB sizes, and
everything of `tiny`) are this project's choice.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import InputSpec

__all__ = ["PRESETS", "ModelConfig", "StmConfig", "config_from_dict", "config_to_dict", "preset_config"]

NEURON_PARAMETERS = ("layer", "channel")
RESETS = ("soft", "hard")


@dataclass(frozen=True)
class StmConfig:
    """The Spiking Temporal Modulator: ConvLIF layers, the same in both streams.

    Attributes:
        channels: output channels a layer.
        strides: stride a layer, pixels.
        kernel_size: side of the square kernel, pixels; padding is half of it.
        threshold: initial firing threshold v_th, in float units (1.0 is a weight sum of 64 integer steps).
        leak: initial leak lambda, the share of the membrane kept a step, 0 to 1.
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
    neuron_parameters: str = "layer"
    reset: str = "soft"

    def __post_init__(self) -> None:
        for name in ("channels", "strides"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not all(type(value) is int and value <= 1024 for value in values):
                raise ConfigError(f"stm.{name} = {values!r}", "must be whole numbers, at most 1024")
        if type(self.kernel_size) is not int or not all(
            isinstance(value, int | float) for value in (self.threshold, self.leak)
        ):
            raise ConfigError(
                f"stm.kernel_size = {self.kernel_size!r}, stm.threshold = {self.threshold!r}, stm.leak = {self.leak!r}",
                "must be a whole number and two numbers",
            )
        if not self.channels or len(self.channels) != len(self.strides):
            raise ConfigError(
                f"stm.channels = {self.channels}, stm.strides = {self.strides}",
                "one stride a layer and at least one layer are needed",
            )
        if min(self.channels) < 1 or min(self.strides) < 1:
            raise ConfigError(f"stm.channels = {self.channels}, stm.strides = {self.strides}", "all must be at least 1")
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ConfigError(f"stm.kernel_size = {self.kernel_size}", "must be odd and at least 1")
        if not 0 < self.threshold < 2048:
            raise ConfigError(f"stm.threshold = {self.threshold}", "must be above 0 and below 2048 (17 bit)")
        if not 0 < self.leak <= 1:
            raise ConfigError(f"stm.leak = {self.leak}", "must be above 0 and at most 1")
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
class ModelConfig:
    """The whole model (paper Fig. 4).

    Attributes:
        name: preset or own name.
        input: size, timesteps and event steps of a clip.
        stm: the spiking partition.
        patch: side of a patch in input pixels, for all modalities (16 in the paper).
        width: token width.
        depth: transformer blocks.
        heads: attention heads.
        mlp_ratio: hidden width of the blocks' MLP, in widths.
        dilation: keys and values are taken every so many grid rows and columns.
        fold_width: channels a modality after conv folding.
        fold_stride: stride of conv folding, grid cells.
        fuse_width: channels after conv fusion, and features of the RRDB.
        rrdb_growth: channels each convolution of a dense block adds.
        rrdb_blocks: residual in residual dense blocks.
        rrdb_scale: residual scaling (0.2 in ESRGAN).
    """

    name: str = "tiny"
    input: InputSpec = field(default_factory=InputSpec)
    stm: StmConfig = field(default_factory=StmConfig)
    patch: int = 16
    width: int = 128
    depth: int = 4
    heads: int = 4
    mlp_ratio: int = 2
    dilation: int = 2
    fold_width: int = 32
    fold_stride: int = 1
    fuse_width: int = 64
    rrdb_growth: int = 16
    rrdb_blocks: int = 1
    rrdb_scale: float = 0.2

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ConfigError(f"name = {self.name!r}", "must be a name")
        if not isinstance(self.input, InputSpec) or not isinstance(self.stm, StmConfig):
            raise ConfigError("input or stm is no table of fields", "both must be")
        for name in (
            "patch",
            "width",
            "depth",
            "heads",
            "mlp_ratio",
            "dilation",
            "fold_width",
            "fold_stride",
            "fuse_width",
            "rrdb_growth",
            "rrdb_blocks",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 8192:
                raise ConfigError(f"{name} = {value!r}", "must be a whole number from 1 to 8192")
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
        if self.membrane_side // self.membrane_patch != self.grid:
            raise ConfigError(
                f"input.size = {self.input.size}, patch = {self.patch}, stm.strides = {self.stm.strides}",
                f"the I-frame gives {self.grid} tokens a side and the membranes "
                f"{self.membrane_side // self.membrane_patch}",
                "choose a size that the patch divides",
            )
        if not isinstance(self.rrdb_scale, int | float) or not 0 < self.rrdb_scale <= 1:
            raise ConfigError(f"rrdb_scale = {self.rrdb_scale}", "must be above 0 and at most 1")

    @property
    def grid(self) -> int:
        """Tokens along one side of a modality's grid."""
        return self.input.size // self.patch

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


PRESETS: dict[str, ModelConfig] = {"tiny": ModelConfig()}


def preset_config(name: str) -> ModelConfig:
    """The preset of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} does not exist", f"known presets: {', '.join(sorted(PRESETS))}")
    return PRESETS[name]


def config_to_dict(config: ModelConfig) -> dict[str, Any]:
    """Plain numbers, strings and lists, as a checkpoint stores them."""
    plain = dataclasses.asdict(config)
    plain["stm"] = {key: list(value) if isinstance(value, tuple) else value for key, value in plain["stm"].items()}
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
        stm = _fields(StmConfig, values["stm"], "stm")
        stm = {key: tuple(value) if isinstance(value, list) else value for key, value in stm.items()}
        values["stm"] = StmConfig(**stm)
    try:
        return ModelConfig(**values)
    except TypeError as error:
        raise ConfigError(f"model config {values}", str(error)) from error


def _fields(kind: type, plain: object, where: str) -> dict[str, Any]:
    if not isinstance(plain, dict):
        raise ConfigError(f"{where} config is a {type(plain).__name__}", "must be a table of fields")
    known = {item.name for item in dataclasses.fields(kind)}
    unknown = sorted(str(name) for name in set(plain) - known)
    if unknown:
        raise ConfigError(f"{where} config has unknown field {unknown[0]!r}", f"known: {', '.join(sorted(known))}")
    return plain
