"""The ANN partition on ONNX Runtime."""

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hybrid_cvar.errors import EngineError
from hybrid_cvar.records import NodeMacs

__all__ = ["DenseEngine", "node_macs"]

LOG_FATAL = 4

# Element-wise, pooling, normalising and moving operators: no MAC in the paper's counting, nor in torch's.
NO_MATRIX_PRODUCT = frozenset(
    """
    Abs Add ArgMax AveragePool BatchNormalization Cast Clip Concat Constant ConstantOfShape Div Equal Erf Exp
    Expand Flatten Gather Gelu GlobalAveragePool Greater Identity LayerNormalization LeakyRelu Less Log Max MaxPool
    Min Mul Neg Pad Pow Range Reciprocal ReduceMax ReduceMean ReduceSum Relu Reshape Resize Shape Sigmoid Slice
    Softmax Split Sqrt Squeeze Sub Sum Tanh Tile Transpose Unsqueeze Where
    """.split()  # noqa: SIM905
)


class DenseEngine:
    """Runs `ann.onnx`.

    Make it after a Lava network has started: its thread pool does not survive a fork.

    Args:
        graph: path of the ONNX file.
        classes: logits it must give.
        threads: intra-operator threads; 0 takes every usable core.

    Raises:
        EngineError: ONNX Runtime cannot load the graph, or it gives another number of logits.
    """

    def __init__(self, graph: Path, classes: int, *, threads: int = 0) -> None:
        self._graph = graph
        self._threads = threads or len(os.sched_getaffinity(0))
        self._session = self._open(onnxruntime.SessionOptions())
        given = self._session.get_outputs()[0].shape[-1]
        if given != classes:
            raise EngineError(
                f"{graph}: gives {given} logits for {classes} labels",
                "there must be one label a class",
                "compile the checkpoint again",
            )

    def _open(self, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = LOG_FATAL
        try:
            return onnxruntime.InferenceSession(str(self._graph), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            raise EngineError(
                f"{self._graph}: ONNX Runtime cannot load it ({' '.join(str(error).split())[:160]})",
                "the graph must be one that compile wrote",
                "compile the checkpoint again",
            ) from error

    def run(
        self, iframe: NDArray[np.uint8], motion_membrane: NDArray[np.int32], residual_membrane: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Logits of a batch of clips.

        Args:
            iframe: uint8 (N, H, W, 3). motion_membrane, residual_membrane: int32 (N, h, w, C).

        Returns:
            float32 (N, classes).

        Raises:
            EngineError: ONNX Runtime refused or failed.
        """
        feed = _feed(iframe, motion_membrane, residual_membrane)
        try:
            (logits,) = self._session.run(["logits"], feed)
        except Exception as error:  # as above
            raise EngineError(
                f"{self._graph.name}: ONNX Runtime failed ({' '.join(str(error).split())[:160]})",
                "the inputs must be those of the bundle's manifest",
                "compile the checkpoint again",
            ) from error
        return np.asarray(logits, dtype=np.float32)

    def count_macs(
        self, iframe: NDArray[np.uint8], motion_membrane: NDArray[np.int32], residual_membrane: NDArray[np.int32]
    ) -> tuple[NodeMacs, ...]:
        """Multiply-accumulates of every node for one clip, from the shapes that ran.

        Runs the first clip once with ONNX Runtime's profiler and without graph optimisation, so that
        nodes stand as in the file. Padding counts, as in torch's FlopCounterMode.

        Raises:
            EngineError: the graph has an operator whose count is not known.
        """
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.enable_profiling = True
        with tempfile.TemporaryDirectory(prefix="hybrid-cvar-") as folder:
            options.profile_file_prefix = str(Path(folder) / "profile")
            session = self._open(options)
            session.run(None, _feed(iframe[:1], motion_membrane[:1], residual_membrane[:1]))
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        counted = []
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                shapes = event["args"]
                operator = shapes["op_name"]
                macs = node_macs(operator, _shapes(shapes["input_type_shape"]), _shapes(shapes["output_type_shape"]))
                if macs:
                    counted.append(NodeMacs(event["name"].removesuffix("_kernel_time"), operator, macs))
        return tuple(counted)


def _feed(
    iframe: NDArray[np.uint8], motion_membrane: NDArray[np.int32], residual_membrane: NDArray[np.int32]
) -> dict[str, NDArray[np.generic]]:
    return {"iframe": iframe, "motion_membrane": motion_membrane, "residual_membrane": residual_membrane}


def _shapes(described: list[dict[str, list[int]]]) -> list[list[int]]:
    return [shape for one in described for shape in one.values()]


def node_macs(operator: str, inputs: list[list[int]], outputs: list[list[int]]) -> int:
    """Multiply-accumulates of one node; 0 for operators that multiply no matrices.

    Args:
        operator: ONNX operator. inputs, outputs: shapes, weights among the inputs.

    Raises:
        EngineError: a matrix operator whose count is not known here.
    """
    if operator == "Conv":
        return int(np.prod(outputs[0]) * np.prod(inputs[1][1:]))
    if operator == "MatMul":
        return int(np.prod(outputs[0]) * inputs[0][-1])
    if operator == "Gemm":
        rows = outputs[0][0]
        return int(np.prod(outputs[0]) * (np.prod(inputs[0]) // rows))
    if operator not in NO_MATRIX_PRODUCT:
        raise EngineError(
            f"operator {operator} has no known MAC count",
            "every operator is counted or known to multiply no matrices",
            "report it with the model config",
        )
    return 0
