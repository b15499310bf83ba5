"""Cuts the model at the STM/ANN boundary and turns the spiking side into integers."""

from dataclasses import dataclass

import numpy as np

from hybrid_cvar.errors import CompileError, ConfigError
from hybrid_cvar.fixed_point import DECAY_UNITY, WEIGHT_MAX, WEIGHT_MIN, WEIGHT_SCALE
from hybrid_cvar.model import ConvLif, DeployedAnn, HybridCvarModel, SpikingTemporalModulator
from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec, StmSpec, StreamSpec
from hybrid_cvar.records import STREAM_CHANNELS, LayerMap

__all__ = ["Partitions", "partition_model"]

WEIGHT_STEP = 2
"""Integer weights are even: SLAYER's `quantize_8bit` rounds to steps of 2 of 64."""


@dataclass(frozen=True, eq=False)
class Partitions:
    """The two sides of the boundary.

    Attributes:
        stm: the spiking partition in integers.
        maps: one entry a layer, motion first.
        ann: the ANN partition as it is exported; takes integer membranes.
    """

    stm: StmSpec
    maps: tuple[LayerMap, ...]
    ann: DeployedAnn


def partition_model(model: HybridCvarModel) -> Partitions:
    """Quantises every stream's STM with SLAYER's own quantisation and wraps the ANN for export.

    Raises:
        CompileError: the model has no spiking partition, or a layer does not fit the integer specification.
    """
    config = model.config
    if not config.spiking_streams:
        raise CompileError(
            f"order = {config.order!r}, temporal = {config.temporal!r}, modalities = {config.modalities}",
            "a bundle needs an STM that takes the clip's events: order T-LS-GS, temporal stm or common-stm, and motion "
            "or residual",
            "this variant can be trained, and exported whole with `hybrid-cvar model export`",
        )
    size = config.input.size
    streams, maps = [], []
    for name, stm in model.modulators.items():
        stream, stream_maps = _quantise_stream(name, stm, (size, size, STREAM_CHANNELS[name]))
        streams.append(stream)
        maps += stream_maps
    return Partitions(StmSpec(tuple(streams), config.input.timesteps), tuple(maps), DeployedAnn(model.ann).eval())


def _quantise_stream(
    name: str, stm: SpikingTemporalModulator, input_shape: tuple[int, int, int]
) -> tuple[StreamSpec, list[LayerMap]]:
    layers: list[ConvLifSpec] = []
    maps = []
    for index, block in enumerate(stm.blocks):
        try:
            layer = _quantise_layer(f"{name}.{index}", block, input_shape, graded=index == 0)
        except ConfigError as error:
            raise CompileError(error.found, error.rule, error.remedy) from error
        layers.append(layer)
        maps.append(_map_layer(layer, block))
        input_shape = layer.output_shape
    return StreamSpec(name, tuple(layers)), maps


def _quantise_layer(name: str, block: ConvLif, input_shape: tuple[int, int, int], graded: bool) -> ConvLifSpec:
    weight = block.neuron.quantize_8bit(block.synapse.weight.detach(), descale=True)[..., 0]
    return ConvLifSpec(
        name=name,
        input_shape=input_shape,
        weight=weight.cpu().numpy().astype(np.int32),
        stride=tuple(block.synapse.stride[:2]),
        padding=tuple(block.synapse.padding[:2]),
        threshold=block.neuron.threshold_integer,
        decay=block.neuron.decay_integer,
        reset=block.neuron.reset,
        graded_input=graded,
    )


def _map_layer(layer: ConvLifSpec, block: ConvLif) -> LayerMap:
    exact = block.synapse.weight.detach()[..., 0].cpu().numpy().astype(np.float64)
    error = np.abs(layer.weight / WEIGHT_SCALE - exact)
    rails = (layer.weight == WEIGHT_MIN) | (layer.weight == WEIGHT_MAX)
    unclipped = np.rint(exact * (WEIGHT_SCALE / WEIGHT_STEP)) * WEIGHT_STEP
    thresholds, decays = np.atleast_1d(layer.threshold), np.atleast_1d(layer.decay)
    return LayerMap(
        name=layer.name,
        reset=layer.reset,
        weight_scale=WEIGHT_SCALE,
        weight_rounding_rms=float(np.sqrt(np.mean(error**2))),
        weight_rounding_largest=float(error.max()),
        weights_at_rails=float(rails.mean()),
        weights_clipped=float(((unclipped < WEIGHT_MIN) | (unclipped > WEIGHT_MAX)).mean()),
        threshold_float=tuple(block.neuron.threshold_value.detach().tolist()),
        threshold_integer=tuple(thresholds.tolist()),
        threshold_represented=tuple((thresholds / WEIGHT_SCALE).tolist()),
        leak_float=tuple(block.neuron.leak_value.detach().tolist()),
        decay_integer=tuple(decays.tolist()),
        leak_represented=tuple(((DECAY_UNITY - decays) / DECAY_UNITY).tolist()),
    )
