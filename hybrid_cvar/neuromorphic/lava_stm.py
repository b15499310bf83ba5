"""The spiking partition on Lava's Loihi simulator: one runtime for all clips (spec.md)."""

import time
from types import TracebackType
from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError, LavaError
from hybrid_cvar.lava_compat import prepare_lava
from hybrid_cvar.neuromorphic.conv_lif_core import compile_neuron_kernels
from hybrid_cvar.neuromorphic.lava_networks import LayerNetwork, StreamNetwork
from hybrid_cvar.neuromorphic.lava_runtime import LavaRuntime
from hybrid_cvar.neuromorphic.layer_spec import StmSpec
from hybrid_cvar.neuromorphic.native_stm import check_events
from hybrid_cvar.records import SpikingResult

__all__ = ["LavaForm", "LavaStm"]

LavaForm = Literal["streams", "layers", "stock", "float"]
"""The Processes and ProcessModels to run: one Process a stream, or one a layer, with fused fixed-point models; stock
`Conv` and our neuron, two Processes a layer (SubProcessModels); one a layer in float64, for debugging."""


class LavaStm:
    """Runs clips through every stream as Lava processes in fixed point.

    Use as a context manager: entering builds the network and starts its processes, leaving ends them
    and removes their shared memory, also after an error or Ctrl-C.

    Args:
        spec: the layers.
        form: which of the equivalent networks; `stock` is slow and tells neither operations nor time.
        record: keep every layer's spikes and membranes, of every step, in the result.
        clip_timeout_seconds: a clip that takes longer is an error.

    Raises:
        MissingPartError: lava-nc is not installed.
        ConfigError: there is no such form.
        LavaError: a process failed, hung or could not start.
    """

    def __init__(
        self,
        spec: StmSpec,
        *,
        form: LavaForm = "streams",
        record: bool = False,
        clip_timeout_seconds: float = 600.0,
    ) -> None:
        if form not in get_args(LavaForm):
            raise ConfigError(f"form = {form!r}", f"must be one of {', '.join(get_args(LavaForm))}")
        prepare_lava()
        self._spec = spec
        self._form = form
        self._record = record
        self._timeout = clip_timeout_seconds
        self._network: StreamNetwork | LayerNetwork | None = None
        self._runtime: LavaRuntime | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self._end()

    def start(self) -> None:
        """Builds the network and starts its processes; does nothing if they run already."""
        if self._runtime is None:
            compile_neuron_kernels()
            self._network = (
                StreamNetwork(self._spec, record=self._record)
                if self._form == "streams"
                else LayerNetwork(self._spec, stock=self._form == "stock", record=self._record)
            )
            tag = "floating_pt" if self._form == "float" else "fixed_pt"
            self._runtime = LavaRuntime(self._network.root, reference=self._form == "stock", tag=tag)

    def stop(self) -> None:
        """Ends the processes and removes their shared memory; does nothing if none run."""
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            runtime.stop()

    def _end(self) -> None:
        """As `stop`, without asking the processes first."""
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            runtime.end()

    def run_clip(self, *events: NDArray[np.int8]) -> SpikingResult:
        """Runs one clip from cleared state.

        Args:
            events: one array a stream, in the spec's order: int8 (T, H, W, C), graded events (`stream_events`).

        Raises:
            EngineError: the arrays are not what the streams take.
            LavaError: a process failed or the clip took longer than the timeout; the network has ended.
        """
        check_events(self._spec, events)
        if self._runtime is None or self._network is None:
            raise LavaError("the Lava network is not running", "a clip needs it", "use LavaStm in a with block")
        deadline = time.monotonic() + self._timeout
        try:
            self._network.send(self._runtime, events)
            self._runtime.begin_steps(self._network.period)
            result = self._network.receive(self._runtime, deadline)
            self._runtime.finish_steps(deadline)
        except BaseException:
            self._end()
            raise
        return result
