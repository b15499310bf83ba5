"""This machine's best rate of matrix products, as far as its libraries reach it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from hybrid_cvar.benchmark.ann_sessions import Candidate, open_candidate

__all__ = ["SIZES", "fp32_products", "onnx_product", "rates"]

SIZES = (512, 1024, 2048, 4096)
OPSET = 23
IR_VERSION = 11
SCALE = 0.01
CENTRE = 128


def fp32_products(sizes: Sequence[int] = SIZES) -> dict[str, tuple[int, Callable[[], object]]]:
    """(side, call) of square FP32 products in torch and in NumPy, by name."""
    products: dict[str, tuple[int, Callable[[], object]]] = {}
    for size in sizes:
        left, right = np.random.default_rng(0).standard_normal((2, size, size), dtype=np.float32)
        into, into_array = torch.empty((size, size)), np.empty((size, size), np.float32)
        in_torch = partial(torch.mm, torch.from_numpy(left), torch.from_numpy(right), out=into)
        products[f"torch.mm {size}"] = size, in_torch
        products[f"numpy @ {size}"] = size, partial(np.matmul, left, right, out=into_array)
    return products


def onnx_product(size: int, candidate: Candidate, folder: Path) -> Callable[[], object]:
    """A square product as a graph of one MatMul, on a candidate's provider and in its precision.

    In INT8 it has the form that `quantise_ann` gives a product: unsigned activations, signed weights with a scale an
    output channel. What goes in and comes out is FP32; rounding it is in the time.
    """
    rng = np.random.default_rng(0)
    quantised = candidate.precision == "int8"
    activations = rng.integers(0, 2 * CENTRE, (size, size)).astype(np.uint8)
    weights = rng.integers(1 - CENTRE, CENTRE, (size, size)).astype(np.int8)
    nodes = [helper.make_node("MatMul", ["a", "w"], ["product"])]
    constants: list[tuple[str, NDArray[Any]]]
    if quantised:
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["levels"]),
            helper.make_node("DequantizeLinear", ["levels", "scale", "zero"], ["a"]),
            helper.make_node("DequantizeLinear", ["q", "scales", "zeros"], ["w"], axis=1),
            *nodes,
        ]
        constants = [
            ("scale", np.array(SCALE, np.float32)),
            ("zero", np.array(CENTRE, np.uint8)),
            ("q", weights),
            ("scales", np.full(size, SCALE, np.float32)),
            ("zeros", np.zeros(size, np.int8)),
        ]
    else:
        constants = [("w", weights * np.float32(SCALE))]
    name = "x" if quantised else "a"
    feed = {name: (activations - np.float32(CENTRE)) * np.float32(SCALE)}
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, (size, size))],
        [helper.make_tensor_value_info("product", TensorProto.FLOAT, (size, size))],
        [onnx.numpy_helper.from_array(array, constant) for constant, array in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    path = folder / f"product-{candidate.precision}-{candidate.provider}-{size}.onnx"
    path.write_bytes(model.SerializeToString())
    session = open_candidate(candidate, path)
    return lambda: session.run(None, feed)[0]


def rates(sizes: Mapping[str, int], seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """GMAC/s of each product in its fastest round."""
    return {name: sizes[name] ** 3 / min(seconds[name]) / 1e9 for name in sizes}
