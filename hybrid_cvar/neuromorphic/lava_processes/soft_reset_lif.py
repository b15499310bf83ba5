"""The neuron of ConvLIF as a Lava Process of its own, in NumPy."""

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
from numpy.typing import NDArray

from hybrid_cvar.fixed_point import DECAY_UNITY, MEMBRANE_MAX

__all__ = ["PySoftResetLifModelFixed", "SoftResetLif"]


class SoftResetLif(AbstractProcess):
    """Leaky integrate-and-fire neurons without a current state (paper Eq. 3 and 4, spec.md N1 to N6).

    As `lava.proc.lif` in fixed point with du = 4095 and dv = decay, but the synaptic input is clipped
    with the membrane instead of wrapped, and the reset subtracts the threshold one step later unless
    `hard_reset`.

    Ports:
        a_in: int32 (h, w, C), synaptic sums z[t].
        s_out: int8 (h, w, C), spikes.
        u_out: int32 (h, w, C), the membrane after every step.
        membrane_out: int32 (h, w, C), sent once a clip, after its last step.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        threshold: NDArray[np.int32],
        decay: NDArray[np.int32],
        hard_reset: bool,
        timesteps: int,
        period: int,
        offset: int,
    ) -> None:
        super().__init__(
            threshold=threshold,
            decay=decay,
            hard_reset=hard_reset,
            timesteps=timesteps,
            period=period,
            offset=offset,
        )
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u_out = OutPort(shape=shape)
        self.membrane_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.o = Var(shape=shape, init=0)


@implements(proc=SoftResetLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySoftResetLifModelFixed(PyLoihiProcessModel):
    """The neuron in 24-bit fixed point."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int8, precision=1)
    u_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    membrane_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    u: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    o: np.ndarray = LavaPyType(np.ndarray, np.int8, precision=1)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._run_step = 0

    def run_spk(self) -> None:
        """Receives a step's synaptic sums, updates every neuron, sends spikes; at a clip's end the membrane."""
        synapse = self.a_in.recv().astype(np.int64)
        params = self.proc_params
        clip_step = self._run_step % params["period"] - params["offset"]
        self._run_step += 1
        if clip_step == 0:
            self.u[:] = 0
            self.o[:] = 0
        level = params["threshold"].astype(np.int64) << 6
        before = self.u.astype(np.int64)
        membrane = np.sign(before) * ((np.abs(before) * (DECAY_UNITY - params["decay"].astype(np.int64))) >> 12) + (
            synapse << 6
        )
        if not params["hard_reset"]:
            membrane -= level * self.o.astype(np.int64)
        membrane = np.clip(membrane, -MEMBRANE_MAX, MEMBRANE_MAX)
        spikes = membrane > level
        if params["hard_reset"]:
            membrane[spikes] = 0
        self.u[:] = membrane
        self.o[:] = spikes
        self.s_out.send(self.o)
        self.u_out.send(self.u)
        if clip_step == params["timesteps"] - 1:
            self.membrane_out.send(self.u)
