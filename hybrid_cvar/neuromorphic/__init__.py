"""The spiking partition in fixed point: specification (spec.md), kernels, native engine, Lava processes.

`NativeStm` needs neither torch nor Lava. `lava_stm.LavaStm` needs the `lava` extra.
"""

from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec, StmSpec, StreamSpec
from hybrid_cvar.neuromorphic.native_stm import NativeStm
from hybrid_cvar.neuromorphic.reference import reference_layer

__all__ = ["ConvLifSpec", "NativeStm", "StmSpec", "StreamSpec", "reference_layer"]
