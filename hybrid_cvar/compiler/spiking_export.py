"""Writes `spiking.h5` (layout: `spiking_file.py`)."""

from pathlib import Path

import h5py
import numpy as np
import torch

from hybrid_cvar.compiler.spiking_file import NETX_CHAIN, stream_names
from hybrid_cvar.model import HybridCvarModel
from hybrid_cvar.neuromorphic.layer_spec import StmSpec

__all__ = ["link_netx_chain", "write_spiking_file"]


def write_spiking_file(model: HybridCvarModel, stm: StmSpec, path: Path) -> None:
    """Writes every stream through SLAYER's own block export, then the chain that netx reads.

    Args:
        model: its modulators are those of the streams.
        stm: the same streams as integers.
        path: the file, written anew.
    """
    with h5py.File(path, "w") as file:
        for stream in stm.streams:
            blocks = model.modulators[stream.name].blocks
            height, width, channels = stream.layers[0].input_shape
            _write_input(file.create_group(f"{stream.name}/layer/0"), (channels, height, width))
            for index, (layer, block) in enumerate(zip(stream.layers, blocks, strict=True), start=1):
                out_height, out_width, out_channels = layer.output_shape
                block.neuron.shape = torch.Size((out_channels, out_height, out_width))
                block.export_hdf5(file.create_group(f"{stream.name}/layer/{index}"))
        link_netx_chain(file)


def link_netx_chain(file: h5py.File) -> None:
    """Adds the root group `layer`: hard links to every stream's layers, in one chain, and what picks a stream."""
    chain = file.create_group(NETX_CHAIN)
    for stream in stream_names(file):
        layers = file[f"{stream}/layer"]
        marker = chain.create_group(str(len(chain)))
        _write_input(marker, (1,))
        marker["neuron/type"] = "SDNN"
        marker["neuron/vThMant"] = 0
        file[stream].attrs["skip_layers"] = len(chain)
        for index in range(len(layers)):
            chain[str(len(chain))] = layers[str(index)]
        file[stream].attrs["num_layers"] = len(chain)


def _write_input(group: h5py.Group, shape: tuple[int, ...]) -> None:
    group.create_dataset("type", (1,), "S10", [b"input"])
    group.create_dataset("shape", data=np.array(shape))
