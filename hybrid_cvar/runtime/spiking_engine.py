"""Chooses who runs the spiking partition: the Lava simulator or the native engine. Same bits either way."""

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.neuromorphic.layer_spec import StmSpec
from hybrid_cvar.neuromorphic.native_stm import NativeStm
from hybrid_cvar.records import SpikingResult

__all__ = ["ENGINES", "EngineName", "SpikingEngine", "open_spiking_engine"]

EngineName = Literal["lava", "native"]
ENGINES: tuple[EngineName, ...] = ("lava", "native")


class SpikingEngine(Protocol):
    """Runs one clip at a time, between `start` and `stop`."""

    def start(self) -> None:
        """Starts it; does nothing if it runs already."""
        ...

    def stop(self) -> None:
        """Ends it and everything it holds; does nothing if it does not run."""
        ...

    def run_clip(self, *events: NDArray[np.int8]) -> SpikingResult:
        """One array of graded events a stream, int8 (T, H, W, C), to the read-outs and counts."""
        ...


def open_spiking_engine(name: str, stm: StmSpec) -> SpikingEngine:
    """The engine of that name.

    Raises:
        ConfigError: there is none.
        MissingPartError: `lava` without lava-nc.
    """
    if name == "native":
        return NativeStm(stm)
    if name == "lava":
        from hybrid_cvar.neuromorphic.lava_stm import LavaStm  # Lava is optional where the native engine runs

        return LavaStm(stm)
    raise ConfigError(f"engine {name!r} does not exist", f"known engines: {', '.join(ENGINES)}")
