"""Runs a bundle on videos: spiking engine (Lava or native), dense engine (ONNX Runtime), Trace. No torch."""

from hybrid_cvar.runtime.dense_engine import DenseEngine
from hybrid_cvar.runtime.hybrid_runtime import HybridRuntime
from hybrid_cvar.runtime.spiking_engine import ENGINES, SpikingEngine, open_spiking_engine

__all__ = ["ENGINES", "DenseEngine", "HybridRuntime", "SpikingEngine", "open_spiking_engine"]
