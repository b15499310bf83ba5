"""All timesteps of leaky integrate-and-fire neurons as one node of the autograd graph (paper Eq. 3 and 4)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.fixed_point import MEMBRANE_MAX, MEMBRANE_SCALE, RESETS, WEIGHT_SCALE
from hybrid_cvar.model.lif_kernels import run_backward, run_forward

__all__ = ["LifDynamics", "LifRule"]

MEMBRANE_LIMIT = MEMBRANE_MAX / MEMBRANE_SCALE
"""Largest membrane potential that 24 bits hold, float units."""


@dataclass(frozen=True)
class LifRule:
    """How neurons step, beside their threshold and leak.

    Attributes:
        reset: `soft` or `hard`, see `LifDynamics`.
        gamma: width of the surrogate gradient, above 0.
        fixed_point: True for the integers of `neuromorphic/spec.md`, on float tensors; False for plain float.
        limit: membranes are clipped to +-limit, float units; infinite for no clip.
        fire: writes the spikes of membranes; called as `fire(membrane, threshold, out=spikes)`.

    Raises:
        ConfigError: an unknown reset, or a width that is not above 0.
    """

    reset: str
    gamma: float
    fixed_point: bool
    limit: float
    fire: Callable[..., torch.Tensor] = torch.gt

    def __post_init__(self) -> None:
        if self.reset not in RESETS:
            raise ConfigError(f"reset {self.reset!r}", f"must be one of {', '.join(RESETS)}")
        if not 0 < self.gamma < math.inf:
            raise ConfigError(f"surrogate width {self.gamma}", "must be above 0 and finite")

    @classmethod
    def quantised(cls, reset: str, gamma: float) -> "LifRule":
        """The integer specification: truncated decay, membranes of 24 bits."""
        return cls(reset, gamma, fixed_point=True, limit=MEMBRANE_LIMIT)

    @classmethod
    def plain(cls, reset: str, gamma: float) -> "LifRule":
        """Float arithmetic: neither truncation nor clip."""
        return cls(reset, gamma, fixed_point=False, limit=math.inf)


class LifDynamics(torch.autograd.Function):
    """From synaptic sums to spikes and membranes, with back-propagation through time.

        a[t] = clip(leak * u[t-1] + z[t] - v_th * o[t-1])    soft reset
        a[t] = clip(leak * u[t-1] + z[t])                    hard reset
        o[t] = H(a[t] - v_th)
        u[t] = a[t]                                          soft reset
        u[t] = a[t] * (1 - o[t])                             hard reset

    z: synaptic sum; a, u: membrane potential before and after the reset; o: spike; u = o = 0 before the
    first step; H: Heaviside step, 0 at 0.

    The backward pass is that of these float equations at the states the forward pass went through, with

        dH(a - v_th) = (da - dv_th) / v_th / (1 + gamma * x**2),    x = (a - v_th) / v_th,

    the slope of an inverse tangent. It is the exact gradient of the same equations with
    arctan(sqrt(gamma) * x) / sqrt(gamma) in the place of H, where the v_th that x is divided by counts as a
    constant. Nothing else is detached: the reset passes gradient to the spike and to the threshold.
    Rounding and truncation pass the gradient through; a membrane at the clip's limit passes none.

    Fixed point. Potentials are multiples of 1/4096, z and v_th of 1/64, leak of 1/4096. The decay needs 35
    bits, so u is split into whole and fraction: whole * leak is exact in float32, and so is
    fraction * (4096 * leak), which is then truncated toward zero. A sum that float32 rounds lies beyond
    2**12, hence beyond the clip. z is rounded to its 1/64 first, which undoes the error of a convolution
    that does not sum products one by one, such as Winograd's. float32 and float64 give the same bits.
    """

    @staticmethod
    def forward(
        ctx: Any, synapse: torch.Tensor, leak: torch.Tensor, threshold: torch.Tensor, rule: LifRule
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Runs all timesteps from cleared state.

        Args:
            synapse: z, float32 or float64 (N, C, ..., T), float units.
            leak, threshold: (1,) for the layer or (C,), of the same type and device.
            rule: what else decides a step.

        Returns:
            (spikes, membranes after every step), as synapse.
        """
        ctx.rule = rule
        ctx.set_materialize_grads(False)
        if _has_kernel(synapse, rule):
            spikes, arrived = _run_kernel_forward(synapse, leak, threshold, rule)
            ctx.save_for_backward(arrived, arrived, leak, threshold)
            membranes = arrived if rule.reset == "soft" else arrived - arrived * spikes
            return _steps_last(spikes), _steps_last(membranes)
        leaks, thresholds = _each_channel(leak, synapse), _each_channel(threshold, synapse)
        arrived = _steps_first(synapse)  # z[t] becomes a[t] in place
        if rule.fixed_point:
            arrived.mul_(WEIGHT_SCALE).round_().mul_(1 / WEIGHT_SCALE)
        spikes = torch.empty_like(arrived)
        membranes = torch.empty_like(arrived) if rule.reset == "hard" else arrived
        kept, whole, fraction = leaks * MEMBRANE_SCALE, torch.empty_like(arrived[0]), torch.empty_like(arrived[0])
        before: tuple[torch.Tensor, torch.Tensor] | None = None  # u[t-1], o[t-1]
        for a, u, o in zip(arrived, membranes, spikes, strict=True):
            if before is not None:
                if rule.reset == "soft":
                    a.addcmul_(before[1], thresholds, value=-1)
                if rule.fixed_point:
                    torch.frac(before[0], out=fraction)
                    torch.sub(before[0], fraction, out=whole)
                    a.addcmul_(whole, leaks)
                    a.add_(fraction.mul_(kept).trunc_(), alpha=1 / MEMBRANE_SCALE)
                else:
                    a.addcmul_(before[0], leaks)
            if rule.limit < math.inf:
                a.clamp_(-rule.limit, rule.limit)
            rule.fire(a, thresholds, out=o)
            if rule.reset == "hard":
                torch.addcmul(a, a, o, value=-1, out=u)
            before = u, o
        ctx.save_for_backward(arrived, membranes, leak, threshold)
        return spikes.movedim(0, -1), membranes.movedim(0, -1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, spike_grad: torch.Tensor | None, membrane_grad: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, ...]:
        """From dLoss/do and dLoss/du, (N, C, ..., T), to the gradients of synapse, leak and threshold."""
        arrived, membranes, leak, threshold = ctx.saved_tensors
        rule: LifRule = ctx.rule
        if _has_kernel(arrived, rule):
            return _run_kernel_backward(arrived, spike_grad, membrane_grad, leak, threshold, rule)
        synapse_grad = torch.zeros_like(arrived) if spike_grad is None else _steps_first(spike_grad)
        from_outside = None if membrane_grad is None else _steps_first(membrane_grad)
        leaks, thresholds = (_each_channel(each, synapse_grad.movedim(0, -1)) for each in (leak, threshold))
        shortest = thresholds.square() / rule.gamma
        width = thresholds / rule.gamma
        scratch, spikes, to_membrane = (torch.empty_like(arrived[0]) for _ in range(3))
        leak_grad, threshold_grad = torch.zeros_like(leak), torch.zeros_like(threshold)
        carried: torch.Tensor | None = None  # dLoss/da[t+1]
        for t in range(len(arrived) - 1, -1, -1):
            a, u, gradient = arrived[t], membranes[t], synapse_grad[t]  # gradient: dLoss/do[t], then dLoss/da[t]
            rule.fire(a, thresholds, out=spikes)
            if carried is None:
                to_membrane.zero_()
            else:
                torch.mul(carried, leaks, out=to_membrane)
                leak_grad += _sum_of_products(carried, u, leak, scratch)
            if from_outside is not None:
                to_membrane += from_outside[t]
            if rule.reset == "hard":
                gradient.addcmul_(to_membrane, a, value=-1)
                to_membrane.addcmul_(to_membrane, spikes, value=-1)
            elif carried is not None:
                gradient.addcmul_(carried, thresholds, value=-1)
                threshold_grad -= _sum_of_products(carried, spikes, threshold, scratch)
            # slope = 1 / v_th / (1 + gamma * x**2) = (v_th / gamma) / (v_th**2 / gamma + (a - v_th)**2)
            torch.sub(a, thresholds, out=scratch)
            gradient.mul_(width).div_(torch.addcmul(shortest, scratch, scratch, out=scratch))
            threshold_grad -= _sum_to(gradient, threshold)
            gradient += to_membrane
            if rule.limit < math.inf:
                torch.ops.aten.hardtanh_backward(gradient, a, -rule.limit, rule.limit, grad_input=gradient)
            carried = gradient
        return synapse_grad.movedim(0, -1), leak_grad, threshold_grad, None


def _has_kernel(values: torch.Tensor, rule: LifRule) -> bool:
    """Whether `lif_kernels` may take the place of torch's operations."""
    # A subclass is the stand-in of an exporter, which has no values to compute with.
    is_plain = type(values) in (torch.Tensor, torch.nn.Parameter) and values.device.type == "cpu"
    return is_plain and values.dtype == torch.float32 and values.dim() == 5 and rule.fire is torch.gt


def _run_kernel_forward(
    synapse: torch.Tensor, leak: torch.Tensor, threshold: torch.Tensor, rule: LifRule
) -> tuple[torch.Tensor, torch.Tensor]:
    """(spikes, membranes before a hard reset), (T, N, h, w, C)."""
    channels = synapse.shape[1]
    spikes, arrived = run_forward(
        _as_kernel_array(synapse),
        _as_channels(leak, channels),
        _as_channels(threshold, channels),
        soft=rule.reset == "soft",
        fixed=rule.fixed_point,
        limit=rule.limit,
    )
    shape = _steps_first_shape(synapse)
    return torch.from_numpy(spikes).view(shape), torch.from_numpy(arrived).view(shape)


def _run_kernel_backward(
    arrived: torch.Tensor,
    spike_grad: torch.Tensor | None,
    membrane_grad: torch.Tensor | None,
    leak: torch.Tensor,
    threshold: torch.Tensor,
    rule: LifRule,
) -> tuple[torch.Tensor | None, ...]:
    """As `LifDynamics.backward`; arrived is (T, N, h, w, C)."""
    steps, clips, *_, channels = arrived.shape
    gradient, leak_gradient, threshold_gradient = run_backward(
        arrived.numpy().reshape(steps, clips, -1, channels),
        None if spike_grad is None else _as_kernel_array(spike_grad),
        None if membrane_grad is None else _as_kernel_array(membrane_grad),
        _as_channels(leak, channels),
        _as_channels(threshold, channels),
        soft=rule.reset == "soft",
        gamma=rule.gamma,
        limit=rule.limit,
    )
    sums = (torch.from_numpy(each).to(leak) for each in (leak_gradient, threshold_gradient))
    leak_grad, threshold_grad = (each.sum(0, keepdim=True) if leak.numel() == 1 else each for each in sums)
    return _steps_last(torch.from_numpy(gradient).view(arrived.shape)), leak_grad, threshold_grad, None


def _steps_first_shape(values: torch.Tensor) -> tuple[int, ...]:
    clips, channels, height, width, steps = values.shape
    return steps, clips, height, width, channels


def _steps_last(values: torch.Tensor) -> torch.Tensor:
    """(T, N, h, w, C) to a view (N, C, h, w, T)."""
    return values.permute(1, 4, 2, 3, 0)


def _as_kernel_array(values: torch.Tensor) -> NDArray[np.float32]:
    """(N, C, h, w, T) to (T, N, h * w, C): a view of what `_steps_last` gave, else a copy."""
    steps, clips, height, width, channels = _steps_first_shape(values)
    return values.detach().permute(4, 0, 2, 3, 1).contiguous().numpy().reshape(steps, clips, height * width, channels)


def _as_channels(parameter: torch.Tensor, channels: int) -> NDArray[np.float32]:
    """(1,) or (C,) to (C,)."""
    return np.ascontiguousarray(parameter.detach().expand(channels).numpy())


def _steps_first(values: torch.Tensor) -> torch.Tensor:
    """(N, C, ..., T) to a new, contiguous (T, N, C, ...)."""
    return values.movedim(-1, 0).clone(memory_format=torch.contiguous_format)


def _each_channel(parameter: torch.Tensor, synapse: torch.Tensor) -> torch.Tensor:
    """(1,) or (C,) to a shape that broadcasts over one step (N, C, ...) of synapse (N, C, ..., T)."""
    return parameter.detach().reshape(-1, *[1] * (synapse.dim() - 3))


def _sum_to(values: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """The sum of values (N, C, ...) over all but what parameter, (1,) or (C,), tells apart."""
    if parameter.numel() == 1:
        return values.sum()
    return values.sum(dim=[axis for axis in range(values.dim()) if axis != 1])


def _sum_of_products(
    left: torch.Tensor, right: torch.Tensor, parameter: torch.Tensor, scratch: torch.Tensor
) -> torch.Tensor:
    """`_sum_to` of left * right."""
    if parameter.numel() == 1:
        return torch.dot(left.flatten(), right.flatten())
    return _sum_to(torch.mul(left, right, out=scratch), parameter)
