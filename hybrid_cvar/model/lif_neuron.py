"""The ConvLIF neuron as a lava-dl SLAYER neuron: learned threshold and leak, soft or hard reset (paper Eq. 3 and 4)."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hybrid_cvar.fixed_point import DECAY_UNITY, MEMBRANE_SCALE, THRESHOLD_MAX, WEIGHT_SCALE
from hybrid_cvar.lava_compat import prepare_slayer
from hybrid_cvar.model.lif_dynamics import LifDynamics, LifRule

prepare_slayer()

from lava.lib.dl.slayer.neuron import base  # noqa: E402  (Lava is importable only from here on)

__all__ = ["LifNeuron"]

NEURON_TYPES = {"soft": "SOFT_RESET_LIF", "hard": "CUBA"}
"""Neuron type in `spiking.h5`. Hard reset is stock Lava's LIF, which netx builds for `CUBA`. Soft reset is
not, so its type is one that netx does not know, on purpose: it would give other spikes."""


class _RoundThrough(torch.autograd.Function):
    """Rounds half to even; the gradient passes through."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        return torch.round(value)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0]


class LifNeuron(base.Neuron):
    """Leaky integrate-and-fire neurons with learned threshold and leak.

        u[t] = leak * u[t-1] + z[t] - v_th * o[t-1],    o[t] = u[t] > v_th        (soft reset, Eq. 3 and 4)
        u[t] = leak * u[t-1] + z[t],    o[t] = u[t] > v_th,    then u[t] = 0 where o[t] = 1    (hard reset)

    u: membrane potential; z: synaptic sum; o: spike; v_th: threshold. The forward pass runs in the integers
    of `neuromorphic/spec.md` (24-bit membrane, 12-bit decay, 17-bit threshold) on float tensors scaled as
    SLAYER scales them; `fixed_point = False` runs the float equations instead. Gradients: `LifDynamics`.

    Args:
        threshold: initial v_th, float units.
        leak: initial lambda, 0 to 1.
        channels: None for one threshold and one leak in the layer, or C for one of each a channel.
        reset: `soft` or `hard`.
        gamma: width of the inverse-tangent surrogate gradient (100 in the paper; what it multiplies is
            not stated there, so that part is this project's choice).

    Attributes:
        threshold_value, leak_value: the learned parameters, float32 (1,) or (C,).

    Raises:
        ConfigError: an unknown reset, or a width that is not above 0.
    """

    def __init__(
        self,
        threshold: float = 1.0,
        leak: float = 0.9,
        channels: int | None = None,
        reset: str = "soft",
        gamma: float = 100.0,
    ) -> None:
        super().__init__(
            threshold=threshold,
            w_scale=WEIGHT_SCALE,
            s_scale=MEMBRANE_SCALE,
            p_scale=DECAY_UNITY,
            shared_param=channels is None,
        )
        self._rules = {False: LifRule.plain(reset, gamma), True: LifRule.quantised(reset, gamma)}
        self.fixed_point = True
        self.threshold_value = torch.nn.Parameter(torch.full((channels or 1,), float(threshold)))
        self.leak_value = torch.nn.Parameter(torch.full((channels or 1,), float(leak)))
        self.clamp()

    @property
    def reset(self) -> str:
        """`soft` or `hard`."""
        return self._rules[True].reset

    @property
    def gamma(self) -> float:
        """Width of the surrogate gradient."""
        return self._rules[True].gamma

    @property
    def threshold(self) -> float | NDArray[np.float64]:
        """The threshold as the forward pass uses it, float units: a multiple of 1/64, or (C,) of them."""
        return self.threshold_integer / WEIGHT_SCALE

    @property
    def threshold_integer(self) -> int | NDArray[np.int32]:
        """theta, 17 bit: one for the layer, or int32 (C,)."""
        return self._one_or_each(self._rounded(self.threshold_value, WEIGHT_SCALE).clamp(1, THRESHOLD_MAX))

    @property
    def decay_integer(self) -> int | NDArray[np.int32]:
        """d, 12 bit: the membrane keeps (4096 - d) / 4096 of itself a step. One for the layer, or int32 (C,)."""
        kept = self._rounded(self.leak_value, DECAY_UNITY).clamp(1, DECAY_UNITY)
        return self._one_or_each(DECAY_UNITY - kept)

    @property
    def device_params(self) -> dict[str, Any]:
        """The neuron's entry in `spiking.h5`, with netx's key names; arrays (C,) where channels differ."""
        return {
            "type": NEURON_TYPES[self.reset],
            "iDecay": DECAY_UNITY,
            "vDecay": self.decay_integer,
            "vThMant": self.threshold_integer,
        }

    def clamp(self) -> None:
        """Keeps threshold and leak where integers can hold them."""
        with torch.no_grad():
            self.threshold_value.clamp_(1 / WEIGHT_SCALE, THRESHOLD_MAX / WEIGHT_SCALE)
            self.leak_value.clamp_(1 / DECAY_UNITY, 1.0)

    def forward(self, synapse: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Runs all timesteps from cleared state.

        Args:
            synapse: float32 (N, C, H, W, T), synaptic sums z, float units. In fixed point they are multiples of
                1/64, as SLAYER's quantised weights give them, and are rounded to that.

        Returns:
            (spikes {0, 1}, membranes after every step and its reset), float32 (N, C, H, W, T).
        """
        self.shape = synapse.shape[1:-1]
        self.num_neurons = self.shape.numel()
        self.clamp()
        # Copies: the next call's clamp must not change what this one's backward pass has kept.
        threshold, leak = self.threshold_value.clone(), self.leak_value.clone()
        if self.fixed_point:
            threshold = _RoundThrough.apply(threshold * WEIGHT_SCALE) / WEIGHT_SCALE
            leak = _RoundThrough.apply(leak * DECAY_UNITY) / DECAY_UNITY
        spikes, membranes = LifDynamics.apply(synapse, leak, threshold, self._rules[self.fixed_point])
        return spikes, membranes

    def _rounded(self, parameter: torch.Tensor, scale: int) -> torch.Tensor:
        return torch.round(parameter.detach() * scale).to(torch.int32)

    def _one_or_each(self, integers: torch.Tensor) -> int | NDArray[np.int32]:
        return int(integers.item()) if self.shared_param else integers.cpu().numpy()
