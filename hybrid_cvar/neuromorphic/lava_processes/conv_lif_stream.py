"""All layers of one stream as one Lava Process: what the spiking partition runs on when nobody looks inside.

The same layers can be had as a chain of `ConvLif` Processes. Together they save the messages between the layers and,
a step, a hand-shake a layer.
"""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from hybrid_cvar.neuromorphic.conv_lif_core import ConvLifCore
from hybrid_cvar.neuromorphic.counting import message_size, pack_counts
from hybrid_cvar.neuromorphic.layer_spec import StreamSpec

__all__ = ["ConvLifStream", "PyConvLifStreamModelFixed"]


class ConvLifStream(AbstractProcess):
    """ConvLIF layers, each feeding the next within the same step (spec.md, C2).

    Ports:
        s_in: int8 (H, W, C_in), events of one step.
        s_out: int8 (h, w, C_out), spikes of one step, of the last layer.
        membrane_out: int32 (h, w, C_out), of the last layer, sent once a clip, after its last step.
        counts_in: int64 (layers before, message), received once a clip if `layers_before` is not 0.
        counts_out: int64 (layers before + layers, message), a layer's message (`counting`) a row, sent once a clip:
            what came in, then the rows of this stream's layers.
        spikes_out: int8 (T, neurons), all layers, flat, in order; sent once a clip if `record`.
        membranes_out: int32 (T, neurons), the same.

    Vars:
        u: the last layer's membrane.

    Args:
        stream: the layers.
        timesteps: steps of a clip (T).
        layers_before: rows of `counts_in`.
        record: send spikes and membranes of every layer and step.
    """

    def __init__(self, *, stream: StreamSpec, timesteps: int, layers_before: int, record: bool) -> None:
        super().__init__(
            name=stream.name, stream=stream, timesteps=timesteps, layers_before=layers_before, record=record
        )
        neurons = sum(layer.neurons for layer in stream.layers)
        self.s_in = InPort(shape=stream.layers[0].input_shape)
        self.s_out = OutPort(shape=stream.membrane_shape)
        self.membrane_out = OutPort(shape=stream.membrane_shape)
        self.counts_in = InPort(shape=(max(layers_before, 1), message_size(timesteps)))
        self.counts_out = OutPort(shape=(layers_before + len(stream.layers), message_size(timesteps)))
        self.spikes_out = OutPort(shape=(timesteps, neurons))
        self.membranes_out = OutPort(shape=(timesteps, neurons))
        self.u = Var(shape=stream.membrane_shape, init=0)


@implements(proc=ConvLifStream, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyConvLifStreamModelFixed(PyLoihiProcessModel):
    """Every layer with the compiled kernels, one after the other, each step."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int8, precision=8)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int8, precision=1)
    membrane_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    counts_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=64)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=64)
    spikes_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int8, precision=1)
    membranes_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    u: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._cores = [ConvLifCore(layer) for layer in proc_params["stream"].layers]
        self._run_step = 0
        self._spikes: list[np.ndarray] = []
        self._membranes: list[np.ndarray] = []

    def run_spk(self) -> None:
        """Receives a step's events, runs every layer, sends spikes; at a clip's end also the read-out."""
        events = self.s_in.recv()[np.newaxis]
        self._cores[-1].membrane = self.u  # the Var is the state
        step = self._run_step % self.proc_params["timesteps"]
        self._run_step += 1
        if step == 0:
            for core in self._cores:
                core.clear()
        spikes = []
        for core in self._cores:
            events = core.run(events)
            spikes.append(events.ravel())
        self.s_out.send(events[0])
        if self.proc_params["record"]:
            self._spikes.append(np.concatenate(spikes))
            self._membranes.append(np.concatenate([core.membrane.ravel() for core in self._cores]))
        if step == self.proc_params["timesteps"] - 1:
            self._send_clip()

    def _send_clip(self) -> None:
        self.membrane_out.send(self.u)
        rows = [pack_counts(core.counts, core.spells) for core in self._cores]
        before = list(self.counts_in.recv()) if self.proc_params["layers_before"] else []
        self.counts_out.send(np.stack([*before, *rows]))
        if self.proc_params["record"]:
            self.spikes_out.send(np.stack(self._spikes))
            self.membranes_out.send(np.stack(self._membranes))
            self._spikes, self._membranes = [], []
