"""INT8: static quantisation of the exported ANN partition with ONNX Runtime's tools, calibrated on real clips.

    q = clip(round(x / scale) + zero_point),    x' = (q - zero_point) * scale

Weights are signed and symmetric, with one scale an output channel. Activations are unsigned and asymmetric, with one
scale a tensor, from the least and the largest value on the calibration clips. Matrix products and convolutions are
quantised, the two products of attention included; what lies between them (sums, LayerNorm, GELU, softmax, pooling)
stays in FP32, and so do

- the classifier, whose few products decide the answer;
- every node of which 8 bits hold an input with a signal-to-quantisation-noise ratio below `MIN_SQNR_DB`, measured on
  the calibration clips (`vector_sqnr`): a range that outliers stretch.
"""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from hybrid_cvar.errors import CompileError
from hybrid_cvar.records import Quantisation

__all__ = ["MIN_SQNR_DB", "Feed", "quantise_ann"]

MIN_SQNR_DB = 35.0
"""8 bits over a range that a normal distribution fills to 4 sigma give 37 dB: below 35 dB it is stretched further."""
QUANTISED_OPERATORS = ("Conv", "Gemm", "MatMul")
LEVELS = 255
SQNR_CLIPS = 4
"""Spread over the calibration clips, all of which give the ranges."""

Feed = Mapping[str, NDArray[np.generic]]


class _Reader(CalibrationDataReader):
    """Gives ONNX Runtime's calibrator one clip at a time."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._left = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._left, None)


def quantise_ann(graph: Path, output: Path, feeds: Sequence[Feed]) -> Quantisation:
    """Writes the INT8 form (QDQ) of an exported graph.

    Args:
        graph: the FP32 file of `export_ann`.
        output: the file to write; may be the same.
        feeds: inputs of one clip each, (1, ...) arrays, to calibrate on.

    Raises:
        CompileError: there is no clip to calibrate on, or nothing can be quantised.
    """
    if not feeds:
        raise CompileError("no clip to calibrate on", "ranges are taken from at least one", "give a longer video")
    model = onnx.load(graph)
    candidates = [node for node in model.graph.node if node.op_type in QUANTISED_OPERATORS]
    kept = _sensitive_nodes(model, candidates, feeds)
    quantised = [node.name for node in candidates if node.name not in kept]
    if not quantised:
        raise CompileError(
            f"none of {len(candidates)} matrix products and convolutions can be quantised",
            f"each has an input that 8 bits hold with less than {MIN_SQNR_DB:g} dB",
            "calibrate on clips like those it will see, or compile with --precision fp32",
        )
    quiet = logging.getLogger()  # the tool logs to the root itself
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # it recommends a pre-processing that renames what the manifest names
    try:
        with tempfile.TemporaryDirectory(prefix="hybrid-cvar-") as folder:
            written = Path(folder) / "int8.onnx"
            quantize_static(
                model,
                written,
                _Reader(feeds),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTISED_OPERATORS),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=list(kept),
                calibrate_method=CalibrationMethod.MinMax,
                extra_options={
                    "WeightSymmetric": True,
                    "ActivationSymmetric": False,
                    "OpTypesToExcludeOutputQuantization": list(QUANTISED_OPERATORS),
                    "QDQOpTypePerChannelSupportToAxis": {"MatMul": 1},
                },
            )
            result = onnx.load(written)
    finally:
        quiet.setLevel(level)
    del result.graph.value_info[:]
    onnx.helper.set_model_props(result, {each.key: each.value for each in model.metadata_props})
    onnx.checker.check_model(result, full_check=True)
    output.write_bytes(result.SerializeToString())
    return Quantisation(tuple(quantised), tuple(kept.items()), len(feeds))


def _sensitive_nodes(
    model: onnx.ModelProto, candidates: Sequence[onnx.NodeProto], feeds: Sequence[Feed]
) -> dict[str, str]:
    """Why each node that stays in float does, by its name."""
    kept = {node.name: "classifier" for node in candidates if "logits" in node.output}
    constants = {each.name for each in model.graph.initializer}
    contracted = {
        (name, _contracted_axis(node.op_type, position))
        for node in candidates
        for position, name in enumerate(node.input[:2])
        if name not in constants
    }
    measured = _measure_sqnr(model, sorted(contracted), feeds)
    for node in candidates:
        for position, name in enumerate(node.input[:2]):
            decibels = measured.get((name, _contracted_axis(node.op_type, position)), np.inf)
            if decibels < MIN_SQNR_DB:
                kept.setdefault(node.name, f"8 bits hold {name} with {decibels:.1f} dB")
    return kept


def _contracted_axis(operator: str, position: int) -> int:
    """The axis of an input that the products are summed over: a convolution's channels, a matrix product's inner."""
    if operator == "Conv":
        return 1
    return -1 if position == 0 else -2


def _measure_sqnr(
    model: onnx.ModelProto, tensors: Sequence[tuple[str, int]], feeds: Sequence[Feed]
) -> dict[tuple[str, int], float]:
    """Least signal-to-quantisation-noise ratio of each (tensor, contracted axis), dB, in the range over all clips."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    given = {each.name for each in exposed.graph.input}
    inner = sorted({name for name, _ in tensors} - given)
    exposed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # As exported: fusion would take away tensors that are asked for.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def values_of(feed: Feed) -> dict[str, NDArray[Any]]:
        return dict(feed) | dict(zip(inner, session.run(inner, dict(feed)), strict=True))

    ranges = {name: (0.0, 0.0) for name, _ in tensors}
    for feed in feeds:
        seen = values_of(feed)
        for name, (low, high) in ranges.items():
            ranges[name] = (min(low, float(seen[name].min())), max(high, float(seen[name].max())))
    least = dict.fromkeys(tensors, float("inf"))
    for feed in feeds[:: max(1, len(feeds) // SQNR_CLIPS)]:
        seen = values_of(feed)
        for name, axis in tensors:
            least[name, axis] = min(least[name, axis], vector_sqnr(seen[name], axis, ranges[name]))
    return least


def vector_sqnr(values: NDArray[Any], axis: int, value_range: tuple[float, float]) -> float:
    """Signal-to-quantisation-noise ratio of 8 bits over a range, dB: the mean over a tensor's vectors.

    A vector lies along the contracted axis, so it is what one output is computed from. A ratio of the whole tensor
    would hide that a few large vectors stretch the range and leave the others no levels.

    Args:
        values: floats of any shape. axis: of the vectors. value_range: (low, high), 0 within it.

    Returns:
        dB; infinite where nothing is lost. Vectors of nothing but zeros are left out.
    """
    exact = values.astype(np.float64)
    low, high = value_range
    scale = (high - low) / LEVELS or 1.0
    zero = round(-low / scale)
    held = (np.clip(np.rint(exact / scale) + zero, 0, LEVELS) - zero) * scale
    signal, noise = np.square(exact).sum(axis=axis), np.square(exact - held).sum(axis=axis)
    lossy = (signal > 0) & (noise > 0)
    return float(np.mean(10 * np.log10(signal[lossy] / noise[lossy]))) if lossy.any() else float("inf")
