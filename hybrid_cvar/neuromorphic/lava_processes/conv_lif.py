"""ConvLIF as one Lava Process, with two ProcessModels of the same bits (spec.md) and one in float."""

import time
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.process import Conv

from hybrid_cvar.fixed_point import DECAY_UNITY, MEMBRANE_SCALE, WEIGHT_SCALE
from hybrid_cvar.neuromorphic.conv_lif_core import ConvLifCore
from hybrid_cvar.neuromorphic.counting import COUNT_FIELDS, message_size, pack_counts
from hybrid_cvar.neuromorphic.lava_processes.soft_reset_lif import SoftResetLif
from hybrid_cvar.neuromorphic.layer_spec import ConvLifSpec
from hybrid_cvar.neuromorphic.reference import synaptic_sum

__all__ = ["ConvLif", "PyConvLifModelFixed", "PyConvLifModelFloat", "SubConvLifModel"]


_NEURON_UPDATES, _SPIKES_OUT = COUNT_FIELDS.index("neuron_updates"), COUNT_FIELDS.index("spikes_out")


def lava_kernel(weight: np.ndarray) -> np.ndarray:
    """(C_out, C_in, kh, kw) of torch to (C_out, kh, kw, C_in), flipped, as `lava.proc.conv.Conv` takes it."""
    return np.ascontiguousarray(weight[:, :, ::-1, ::-1].transpose(0, 2, 3, 1))


def _in_its_row(params: Any, message: np.ndarray) -> np.ndarray:
    """A layer's message in its row, zeros in those of the other layers."""
    messages = np.zeros((params["rows"], message.size), dtype=np.int64)
    messages[params["row"]] = message
    return messages


class ConvLif(AbstractProcess):
    """A 2-D convolution onto leaky integrate-and-fire neurons with a learned threshold and leak.

        u[t] = clip(trunc0(u[t-1] * (4096 - d) / 4096) + (z[t] << 6) - (theta << 6) * o[t-1])
        o[t] = u[t] > (theta << 6)

    With hard reset nothing is subtracted, and `u[t] = 0` where `o[t] = 1`.

    Ports:
        s_in: int8 (H, W, C_in), events of one step.
        s_out: int8 (h, w, C_out), spikes of one step.
        u_out: int32 (h, w, C_out), the membrane after every step.
        membrane_out: int32 (h, w, C_out), sent once a clip, after its last step.
        counts_out: int64 (layers, message), sent once a clip; this layer's row is its message (`counting`), the others
            are 0, so that the read-out adds up all layers. Fused models only.

    Vars:
        weight: the kernel in stock Conv's layout, for reading; only the SubProcessModel computes with it.
        u: the membrane.

    Args:
        spec: the layer.
        timesteps: steps of a clip (T).
        period: run steps from one clip to the next, at least `offset + timesteps`.
        offset: run step, within the period, at which a clip's first input takes effect here.
        row, rows: this layer's row of `counts_out`, and the number of rows.
    """

    def __init__(
        self, *, spec: ConvLifSpec, timesteps: int, period: int, offset: int, row: int, rows: int, name: str
    ) -> None:
        weight = lava_kernel(spec.weight)
        super().__init__(
            name=name,
            weight=weight,
            spec=spec,
            timesteps=timesteps,
            period=period,
            offset=offset,
            row=row,
            rows=rows,
        )
        self.s_in = InPort(shape=spec.input_shape)
        self.s_out = OutPort(shape=spec.output_shape)
        self.u_out = OutPort(shape=spec.output_shape)
        self.membrane_out = OutPort(shape=spec.output_shape)
        self.counts_out = OutPort(shape=(rows, message_size(timesteps)))
        self.weight = Var(shape=weight.shape, init=weight)
        self.u = Var(shape=spec.output_shape, init=0)


@implements(proc=ConvLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyConvLifModelFixed(PyLoihiProcessModel):
    """Convolution and neuron in one process, with the compiled kernels. An input takes effect in its own step."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int8, precision=8)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int8, precision=1)
    u_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    membrane_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=64)
    weight: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=9)
    u: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._core = ConvLifCore(proc_params["spec"])
        self._run_step = 0

    def run_spk(self) -> None:
        """Receives a step's events, runs the layer, sends its spikes; at a clip's end also the read-out."""
        events = self.s_in.recv()
        self._core.membrane = self.u  # the Var is the state
        clip_step = self._run_step % self.proc_params["period"] - self.proc_params["offset"]
        self._run_step += 1
        if clip_step == 0:
            self._core.clear()
        self.s_out.send(self._core.run(events[np.newaxis])[0])
        self.u_out.send(self.u)
        if clip_step == self.proc_params["timesteps"] - 1:
            self.membrane_out.send(self.u)
            self.counts_out.send(_in_its_row(self.proc_params, pack_counts(self._core.counts, self._core.spells)))


@implements(proc=ConvLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyConvLifModelFloat(PyLoihiProcessModel):
    """The same weights, threshold and leak in float64, without truncation or clipping: for debugging.

    What it gives beside the fixed-point model is the effect of 24-bit arithmetic alone. The read-out is
    rounded to the fixed-point model's units; `counts_out` holds spikes, neuron updates and time only.
    """

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int8, precision=8)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int8, precision=1)
    u_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    membrane_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=64)
    weight: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=9)
    u: np.ndarray = LavaPyType(np.ndarray, float)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._run_step = 0
        self._spikes = np.zeros(proc_params["spec"].output_shape, dtype=np.int8)
        self._counts = np.zeros((proc_params["timesteps"], len(COUNT_FIELDS)), dtype=np.int64)
        self._spells: list[tuple[int, int]] = []

    def run_spk(self) -> None:
        """Receives a step's events, runs the layer, sends its spikes; at a clip's end also the read-out."""
        params, spec = self.proc_params, self.proc_params["spec"]
        events = self.s_in.recv()
        begin = time.monotonic_ns()
        clip_step = self._run_step % params["period"] - params["offset"]
        self._run_step += 1
        if clip_step == 0:
            self.u[:] = 0
            self._spikes[:] = 0
            self._counts[:] = 0
            self._spells.clear()
        synapse = synaptic_sum(spec.weight, events, spec.output_shape, spec.stride, spec.padding)
        threshold = spec.thresholds / WEIGHT_SCALE
        leak = (DECAY_UNITY - spec.decays) / DECAY_UNITY
        self.u[:] = leak * self.u + synapse / WEIGHT_SCALE
        if spec.reset == "soft":
            self.u[:] -= threshold * self._spikes
        fired = self.u > threshold
        if spec.reset == "hard":
            self.u[fired] = 0
        self._spikes[:] = fired
        self._counts[clip_step, _NEURON_UPDATES] = self.u.size
        self._counts[clip_step, _SPIKES_OUT] = fired.sum()
        membrane = np.rint(self.u * MEMBRANE_SCALE).astype(np.int32)
        self._spells.append((begin, time.monotonic_ns()))
        self.s_out.send(self._spikes)
        self.u_out.send(membrane)
        if clip_step == params["timesteps"] - 1:
            self.membrane_out.send(membrane)
            self.counts_out.send(_in_its_row(params, pack_counts(self._counts, self._spells)))


@implements(proc=ConvLif, protocol=LoihiProtocol)
@tag("fixed_pt")
class SubConvLifModel(AbstractSubProcessModel):
    """Stock `lava.proc.conv.Conv` and our neuron: the readable reference.

    Stock Conv sends what it computed a step earlier, so a layer's input takes effect one step late;
    the builder of the network allows for it through `period` and `offset`.
    """

    def __init__(self, proc: AbstractProcess) -> None:
        params = proc.proc_params
        spec = params["spec"]
        self.conv = Conv(
            weight=params["weight"],
            input_shape=spec.input_shape,
            stride=spec.stride,
            padding=spec.padding,
            num_message_bits=8 if spec.graded_input else 0,
        )
        self.neuron = SoftResetLif(
            shape=spec.output_shape,
            threshold=spec.thresholds,
            decay=spec.decays,
            hard_reset=spec.reset == "hard",
            timesteps=params["timesteps"],
            period=params["period"],
            offset=params["offset"],
        )
        proc.in_ports.s_in.connect(self.conv.in_ports.s_in)
        self.conv.out_ports.a_out.connect(self.neuron.in_ports.a_in)
        self.neuron.out_ports.s_out.connect(proc.out_ports.s_out)
        self.neuron.out_ports.u_out.connect(proc.out_ports.u_out)
        self.neuron.out_ports.membrane_out.connect(proc.out_ports.membrane_out)
        proc.vars.weight.alias(self.conv.vars.weight)
        proc.vars.u.alias(self.neuron.vars.u)
