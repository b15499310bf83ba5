"""Processes that carry whole arrays between this program and a running Lava network.

A port of Lava's external-pipe kind moves an array through shared memory in one piece; reading a `Var`
would move it an element at a time.
"""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from hybrid_cvar.neuromorphic.counting import message_size

__all__ = ["CLIPS_IN_FLIGHT", "ClipSource", "MembraneSink", "ReadOut", "SpikeSink"]

CLIPS_IN_FLIGHT = 1


class ClipSource(AbstractProcess):
    """Takes a clip's events in one array and sends them a step at a time.

    Ports:
        clip_in: int8 (T, H, W, C), external, one array a clip.
        s_out: int8 (H, W, C); zeros in the steps of a period after T.
    """

    def __init__(self, *, shape: tuple[int, int, int], timesteps: int, period: int) -> None:
        super().__init__(shape=shape, timesteps=timesteps, period=period)
        self.clip_in = InPort(shape=(timesteps, *shape))
        self.clip_in.flag_external_pipe(buffer_size=CLIPS_IN_FLIGHT)
        self.s_out = OutPort(shape=shape)


@implements(proc=ClipSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PyClipSourceModel(PyLoihiProcessModel):
    """Sends step t of the clip in run step t of the period."""

    clip_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int8, precision=8)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int8, precision=8)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._run_step = 0
        self._clip = np.zeros(0, dtype=np.int8)
        self._silence = np.zeros(proc_params["shape"], dtype=np.int8)

    def run_spk(self) -> None:
        """Sends one step's events."""
        step = self._run_step % self.proc_params["period"]
        self._run_step += 1
        if step == 0:
            self._clip = self.clip_in.recv()
        self.s_out.send(self._clip[step] if step < self.proc_params["timesteps"] else self._silence)


class ReadOut(AbstractProcess):
    """Hands a stream's read-out to the program, once a clip. Those of all streams form a chain: one network.

    Ports:
        membrane_in: int32 (h, w, C). membrane_out: the same, external.
        counts_in: int64 (layers, message), the sum over the rows of this stream's layers and what the stream before
            sends; a row is a layer's message (`counting`).
        counts_out: the same, to the next stream's; the last one's is for the program. Used only if `with_counts`.

    Args:
        shape: of the membrane (h, w, C).
        rows: layers of all streams.
        timesteps: steps of a clip (T).
        period: run steps a clip.
        last_step: run step, within the period, in which the stream's last layer sends.
        with_counts: whether the layers count.
    """

    def __init__(
        self, *, shape: tuple[int, int, int], rows: int, timesteps: int, period: int, last_step: int, with_counts: bool
    ) -> None:
        super().__init__(period=period, last_step=last_step, with_counts=with_counts)
        counts_shape = (rows, message_size(timesteps))
        self.membrane_in = InPort(shape=shape)
        self.counts_in = InPort(shape=counts_shape)
        self.membrane_out = OutPort(shape=shape)
        self.membrane_out.flag_external_pipe(buffer_size=CLIPS_IN_FLIGHT)
        self.counts_out = OutPort(shape=counts_shape)


@implements(proc=ReadOut, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PyReadOutModel(PyLoihiProcessModel):
    """Receives in the stream's last step of a clip only."""

    membrane_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    counts_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64, precision=64)
    membrane_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._run_step = 0

    def run_spk(self) -> None:
        """Passes the read-out on at the end of a clip."""
        step = self._run_step % self.proc_params["period"]
        self._run_step += 1
        if step == self.proc_params["last_step"]:
            self.membrane_out.send(self.membrane_in.recv())
            if self.proc_params["with_counts"]:
                self.counts_out.send(self.counts_in.recv())


class StepSink(AbstractProcess):
    """Collects what a layer sends every step and hands it to the program, once a clip.

    Ports:
        s_in: (h, w, C). steps_out: (T, h, w, C), external.

    Args:
        first_step: run step, within the period, of the layer's first message of a clip.
    """

    def __init__(self, *, shape: tuple[int, int, int], timesteps: int, period: int, first_step: int) -> None:
        super().__init__(shape=shape, timesteps=timesteps, period=period, first_step=first_step)
        self.s_in = InPort(shape=shape)
        self.steps_out = OutPort(shape=(timesteps, *shape))
        self.steps_out.flag_external_pipe(buffer_size=CLIPS_IN_FLIGHT)


class SpikeSink(StepSink):
    """`StepSink` of spikes, int8."""


class MembraneSink(StepSink):
    """`StepSink` of membranes, int32."""


class _StepSinkModel(PyLoihiProcessModel):
    """Receives every step; keeps the steps of the clip."""

    s_in: PyInPort
    steps_out: PyOutPort

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._run_step = 0
        self._kept: list[np.ndarray] = []

    def run_spk(self) -> None:
        """Stores one step's message; sends them all after the clip's last step."""
        clip_step = self._run_step % self.proc_params["period"] - self.proc_params["first_step"]
        self._run_step += 1
        message = self.s_in.recv()
        if 0 <= clip_step < self.proc_params["timesteps"]:
            self._kept.append(message)
        if clip_step == self.proc_params["timesteps"] - 1:
            self.steps_out.send(np.stack(self._kept))
            self._kept = []


@implements(proc=SpikeSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PySpikeSinkModel(_StepSinkModel):
    """The spikes of every step."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int8, precision=1)
    steps_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int8, precision=1)


@implements(proc=MembraneSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class PyMembraneSinkModel(_StepSinkModel):
    """The membranes of every step."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    steps_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
