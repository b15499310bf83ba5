"""The ConvLIF neuron as a lava-dl SLAYER neuron: learned threshold and leak, soft reset (paper Eq. 3 and 4)."""

from typing import Any

import torch

from hybrid_cvar.fixed_point import MEMBRANE_MAX, MEMBRANE_SCALE, THRESHOLD_MAX, WEIGHT_SCALE
from hybrid_cvar.lava_compat import prepare_slayer

prepare_slayer()

from lava.lib.dl.slayer.neuron import base  # noqa: E402  (Lava is importable only from here on)

__all__ = ["SoftResetNeuron"]


class _RoundThrough(torch.autograd.Function):
    """Rounds half to even; the gradient passes through."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        return torch.round(value)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0]


def _decayed(membrane: torch.Tensor, keep: int) -> torch.Tensor:
    """trunc0(u * keep / 4096) for int32 |u| < 2**23, without leaving 32 bits."""
    magnitude = membrane.abs()
    kept = (magnitude >> 12) * keep + (((magnitude & 4095) * keep) >> 12)
    return torch.where(membrane < 0, -kept, kept)


class _SoftResetDynamics(torch.autograd.Function):
    """All timesteps of Eq. 3 and 4 in one node of the graph, with back-propagation through time.

    The backward pass is that of the float equations at the states the forward pass went through. The
    derivative of the step o = H(x), x = (u - v_th) / v_th, is taken as 1 / (1 + gamma * x**2), that of an
    inverse tangent, and v_th in the denominator of x as a constant. Truncation passes the gradient
    through; a membrane clipped at 24 bits passes none.
    """

    @staticmethod
    def forward(
        ctx: Any, synapse: torch.Tensor, leak: torch.Tensor, threshold: torch.Tensor, gamma: float, fixed_point: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        current = synapse.movedim(-1, 0)
        membranes = torch.empty(current.shape, dtype=torch.float32, device=synapse.device)
        spikes = torch.empty_like(membranes)
        if fixed_point:
            level = round(threshold.item() * WEIGHT_SCALE) * (MEMBRANE_SCALE // WEIGHT_SCALE)
            keep = round(leak.item() * MEMBRANE_SCALE)
            u = torch.zeros(current.shape[1:], dtype=torch.int32, device=synapse.device)
            fired = torch.zeros_like(u)
            for t in range(len(current)):
                arriving = (current[t] * MEMBRANE_SCALE).to(torch.int32)
                u = (_decayed(u, keep) + arriving - level * fired).clamp_(-MEMBRANE_MAX, MEMBRANE_MAX)
                fired = (u > level).to(torch.int32)
                torch.div(u, MEMBRANE_SCALE, out=membranes[t])
                spikes[t] = fired
        else:
            u = torch.zeros(current.shape[1:], device=synapse.device)
            o = torch.zeros_like(u)
            for t in range(len(current)):
                u = leak * u + current[t] - threshold * o
                o = (u > threshold).to(u.dtype)
                membranes[t] = u
                spikes[t] = o
        ctx.save_for_backward(membranes, spikes, leak, threshold)
        ctx.gamma = gamma
        ctx.fixed_point = fixed_point
        return spikes.movedim(0, -1), membranes.movedim(0, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        membranes, spikes, leak, threshold = ctx.saved_tensors
        spike_grad = gradients[0].movedim(-1, 0)
        membrane_grad = gradients[1].movedim(-1, 0)
        synapse_grad = torch.empty_like(membranes)
        carried = torch.zeros_like(membranes[0])
        leak_grad = torch.zeros((), device=membranes.device)
        threshold_grad = torch.zeros((), device=membranes.device)
        limit = MEMBRANE_MAX / MEMBRANE_SCALE
        for t in range(len(membranes) - 1, -1, -1):
            u = membranes[t]
            # carried is dLoss/du[t+1]; the spike of step t is subtracted there (soft reset).
            to_spike = spike_grad[t] - threshold * carried
            threshold_grad -= (carried * spikes[t]).sum()
            x = (u - threshold) / threshold
            slope = 1.0 / (threshold * (1.0 + ctx.gamma * x * x))
            through_spike = to_spike * slope
            threshold_grad -= through_spike.sum()
            to_membrane = membrane_grad[t] + leak * carried + through_spike
            if ctx.fixed_point:
                to_membrane = torch.where(u.abs() < limit, to_membrane, torch.zeros_like(to_membrane))
            if t > 0:
                leak_grad += (to_membrane * membranes[t - 1]).sum()
            synapse_grad[t] = to_membrane
            carried = to_membrane
        return (
            synapse_grad.movedim(0, -1),
            leak_grad.reshape(leak.shape),
            threshold_grad.reshape(threshold.shape),
            None,
            None,
        )


class SoftResetNeuron(base.Neuron):
    """Leaky integrate-and-fire neurons with soft reset, learned threshold and leak, one of each a layer.

        u[t] = leak * u[t-1] + z[t] - v_th * o[t-1],    o[t] = u[t] > v_th

    The forward pass runs in the integers of `neuromorphic/spec.md` (24-bit membrane, 12-bit decay,
    17-bit threshold) on float tensors scaled as SLAYER scales them; `fixed_point = False` runs the
    float equations instead.

    Args:
        threshold: initial v_th, float units.
        leak: initial lambda, 0 to 1.
        gamma: width of the inverse-tangent surrogate gradient (100 in the paper; what it multiplies is
            not stated there, so that part is this project's choice).

    Attributes:
        threshold_value, leak_value: the learned parameters, float32 (1,).
    """

    def __init__(self, threshold: float = 1.0, leak: float = 0.9, gamma: float = 100.0) -> None:
        super().__init__(threshold=threshold, w_scale=WEIGHT_SCALE, s_scale=MEMBRANE_SCALE, p_scale=MEMBRANE_SCALE)
        self.gamma = gamma
        self.fixed_point = True
        self.threshold_value = torch.nn.Parameter(torch.tensor([float(threshold)]))
        self.leak_value = torch.nn.Parameter(torch.tensor([float(leak)]))
        self.clamp()

    @property
    def threshold(self) -> float:
        """The threshold as the forward pass uses it: a multiple of 1/64, float units."""
        return self.threshold_integer / WEIGHT_SCALE

    @property
    def threshold_integer(self) -> int:
        """theta, 17 bit."""
        return min(max(int(torch.round(self.threshold_value.detach() * WEIGHT_SCALE).item()), 1), THRESHOLD_MAX)

    @property
    def decay_integer(self) -> int:
        """d, 12 bit: the membrane keeps (4096 - d) / 4096 of itself a step."""
        kept = int(torch.round(self.leak_value.detach() * MEMBRANE_SCALE).item())
        return MEMBRANE_SCALE - min(max(kept, 1), MEMBRANE_SCALE)

    @property
    def device_params(self) -> dict[str, Any]:
        """The neuron's entry in `spiking.h5`, with netx's key names.

        The type is not one that netx knows, on purpose: its LIF resets hard and would give other spikes.
        """
        return {
            "type": "SOFT_RESET_LIF",
            "iDecay": MEMBRANE_SCALE,
            "vDecay": self.decay_integer,
            "vThMant": self.threshold_integer,
        }

    def clamp(self) -> None:
        """Keeps threshold and leak where integers can hold them."""
        with torch.no_grad():
            self.threshold_value.clamp_(1 / WEIGHT_SCALE, THRESHOLD_MAX / WEIGHT_SCALE)
            self.leak_value.clamp_(1 / MEMBRANE_SCALE, 1.0)

    def forward(self, synapse: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Runs all timesteps from cleared state.

        Args:
            synapse: float32 (N, C, H, W, T), weighted sums z, float units.

        Returns:
            (spikes {0, 1}, membranes after every step), float32 (N, C, H, W, T).
        """
        self.shape = synapse.shape[1:-1]
        self.num_neurons = self.shape.numel()
        self.clamp()
        threshold, leak = self.threshold_value, self.leak_value
        if self.fixed_point:
            threshold = _RoundThrough.apply(threshold * WEIGHT_SCALE) / WEIGHT_SCALE
            leak = _RoundThrough.apply(leak * MEMBRANE_SCALE) / MEMBRANE_SCALE
        spikes, membranes = _SoftResetDynamics.apply(synapse, leak, threshold, self.gamma, self.fixed_point)
        return spikes, membranes
