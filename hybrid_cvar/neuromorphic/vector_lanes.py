"""Sixteen float32 lanes at a time inside compiled kernels, whatever width the processor's registers have.

Numba leaves a loop scalar where two arrays might overlap, as sums and weights might; these two primitives say in
LLVM's own vector type what is meant, and LLVM splits it into the registers there are.

Numba's cache on disk knows a kernel by the file that it stands in, not by this one: after a change here, touch
`kernels.py`, or old machine code runs on.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic

__all__ = ["LANES", "PIXELS", "add_lanes", "add_pixels"]

LANES = 16
PIXELS = 8
"""Neighbouring outputs that `add_pixels` sums at a time: so many accumulators fit into registers."""

intrinsic: Callable[..., Any] = numba_intrinsic
_INDEX = ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_CONTRACT = ["contract"]


def _pointer(context: Any, builder: ir.IRBuilder, array_type: types.Array, array: ir.Value, at: ir.Value) -> ir.Value:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [at])


def _broadcast(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _add_scaled(builder: ir.IRBuilder, total: ir.Value, value: ir.Value, weights: ir.Value) -> ir.Value:
    return builder.fadd(total, builder.fmul(value, weights, flags=_CONTRACT), flags=_CONTRACT)


def _load(builder: ir.IRBuilder, pointer: ir.Value) -> ir.Value:
    return builder.load(builder.bitcast(pointer, _VECTOR.as_pointer()), align=4)


def _store(builder: ir.IRBuilder, value: ir.Value, pointer: ir.Value) -> None:
    builder.store(value, builder.bitcast(pointer, _VECTOR.as_pointer()), align=4)


@intrinsic
def add_lanes(typing_context: Any, sums: Any, at: Any, weights: Any, weights_at: Any, value: Any) -> Any:
    """`sums[at : at + 16] += value * weights[weights_at : weights_at + 16]`; nothing is checked.

    Args:
        sums, weights: float32 (N,), C-contiguous.
        at, weights_at: uint64.
        value: float32.
    """
    signature = types.void(sums, types.uint64, weights, types.uint64, types.float32)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        sums_value, at_value, weights_value, weights_at_value, scalar = arguments
        target = _pointer(context, builder, signature.args[0], sums_value, at_value)
        source = _pointer(context, builder, signature.args[2], weights_value, weights_at_value)
        total = _add_scaled(builder, _load(builder, target), _broadcast(builder, scalar), _load(builder, source))
        _store(builder, total, target)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_pixels(
    typing_context: Any,
    sums: Any,
    at: Any,
    channels: Any,
    inputs: Any,
    inputs_at: Any,
    step: Any,
    weights: Any,
    weights_at: Any,
    count: Any,
) -> Any:
    """For p of 8 and j below `count`: `sums[at + p * channels :][:16] += inputs[inputs_at + p * step + j] * weights_j`.

    `weights_j` is `weights[weights_at + 16 * j :][:16]`; nothing is checked. Lanes beyond the channels must have
    weight 0: they fall onto the next pixel.

    Args:
        sums, inputs, weights: float32 (N,), C-contiguous.
        at, channels, inputs_at, step, weights_at, count: uint64.
    """
    index = types.uint64
    signature = types.void(sums, index, index, inputs, index, index, weights, index, index)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        sums_value, at_value, channels_value, inputs_value, inputs_at_value, step_value = arguments[:6]
        weights_value, weights_at_value, count_value = arguments[6:]
        target = _pointer(context, builder, signature.args[0], sums_value, at_value)
        source = _pointer(context, builder, signature.args[3], inputs_value, inputs_at_value)
        kernel = _pointer(context, builder, signature.args[6], weights_value, weights_at_value)
        totals = [cgutils.alloca_once(builder, _VECTOR) for _ in range(PIXELS)]
        for total in totals:
            builder.store(ir.Constant(_VECTOR, [0.0] * LANES), total)
        with cgutils.for_range(builder, count_value) as loop:
            weights_lanes = _load(builder, builder.gep(kernel, [builder.mul(loop.index, ir.Constant(_INDEX, LANES))]))
            for pixel, total in enumerate(totals):
                offset = builder.add(builder.mul(step_value, ir.Constant(_INDEX, pixel)), loop.index)
                value = _broadcast(builder, builder.load(builder.gep(source, [offset])))
                builder.store(_add_scaled(builder, builder.load(total), value, weights_lanes), total)
        for pixel, total in enumerate(totals):
            output = builder.gep(target, [builder.mul(channels_value, ir.Constant(_INDEX, pixel))])
            _store(builder, builder.fadd(_load(builder, output), builder.load(total)), output)
        return context.get_dummy_value()

    return signature, generate
