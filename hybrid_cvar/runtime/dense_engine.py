"""The ANN partition on ONNX Runtime."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from hybrid_cvar.errors import EngineError
from hybrid_cvar.onnx_session import SessionSettings, default_provider, open_session
from hybrid_cvar.records import NodeMacs

__all__ = ["DenseEngine", "node_macs"]

# Element-wise, pooling, normalising and moving operators: no MAC in the paper's counting, nor in torch's.
NO_MATRIX_PRODUCT = frozenset(
    """
    Abs Add And ArgMax AveragePool BatchNormalization Cast CastLike Ceil Clip Concat Constant ConstantOfShape
    DequantizeLinear Div Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gelu GlobalAveragePool
    Greater GreaterOrEqual Identity LayerNormalization LeakyRelu Less LessOrEqual Log Max MaxPool Min Mul Neg Not Or Pad
    Pow QuantizeLinear Range Reciprocal ReduceMax ReduceMean ReduceSum Relu Reshape Resize Round ScatterElements
    ScatterND Shape Sigmoid Sign Slice Softmax Split Sqrt Squeeze Sub Sum Tanh Tile Transpose Unsqueeze Where
    """.split()  # noqa: SIM905
)


class DenseEngine:
    """Runs `ann.onnx`.

    Make it after a Lava network has started: its thread pool does not survive a fork.

    Args:
        graph: path of the ONNX file.
        classes: logits it must give.
        precision: that it was compiled to.
        settings: provider, threads and memory; None for the precision's default provider.

    Raises:
        ConfigError, MissingPartError: the provider does not compute in that precision, or is not installed.
        EngineError: ONNX Runtime cannot load the graph, or it gives another number of logits.
    """

    def __init__(
        self, graph: Path, classes: int, *, precision: str = "fp32", settings: SessionSettings | None = None
    ) -> None:
        self._graph = graph
        self.settings = settings or SessionSettings(provider=default_provider(precision))
        self._session = open_session(graph, self.settings, precision=precision)
        given = self._session.get_outputs()[0].shape[-1]
        if given != classes:
            raise EngineError(
                f"{graph}: gives {given} logits for {classes} labels",
                "there must be one label a class",
                "compile the checkpoint again",
            )

    def run(self, feed: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Logits of a batch of clips.

        Args:
            feed: an array for every input of the graph: `iframe`, if it takes I-frames, uint8 (N, H, W, 3), RGB;
                `<stream>_membrane` of every stream, int32 (N, h, w, C).

        Returns:
            float32 (N, classes).

        Raises:
            EngineError: the feed is not that of the graph's inputs; ONNX Runtime refused or failed.
        """
        self._check_names(feed)
        try:
            (logits,) = self._session.run(["logits"], dict(feed))
        except Exception as error:  # as above
            raise EngineError(
                f"{self._graph.name}: ONNX Runtime failed ({' '.join(str(error).split())[:160]})",
                "the inputs must be those of the bundle's manifest",
                "compile the checkpoint again",
            ) from error
        return np.asarray(logits, dtype=np.float32)

    def _check_names(self, feed: Mapping[str, NDArray[Any]]) -> None:
        wanted = [one.name for one in self._session.get_inputs()]
        if set(feed) != set(wanted):
            raise EngineError(
                f"{self._graph.name}: was given {', '.join(feed) or 'nothing'}",
                f"it takes {', '.join(wanted)}",
                "give an array for each of these",
            )

    def count_macs(self, feed: Mapping[str, NDArray[Any]]) -> tuple[NodeMacs, ...]:
        """Multiply-accumulates of every node for one clip, from the shapes that ran.

        Runs the first clip once with ONNX Runtime's profiler and without graph optimisation, so that
        nodes stand as in the file. Padding counts, as in torch's FlopCounterMode.

        Args:
            feed: as of `run`; the first clip of each array is taken.

        Raises:
            EngineError: the feed is not that of the graph's inputs, or the graph has an operator whose count is not
                known.
        """
        self._check_names(feed)
        with tempfile.TemporaryDirectory(prefix="hybrid-cvar-") as folder:

            def profile(options: onnxruntime.SessionOptions) -> None:
                options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
                options.enable_profiling = True
                options.profile_file_prefix = str(Path(folder) / "profile")

            session = open_session(self._graph, SessionSettings(threads=self.settings.threads), change=profile)
            session.run(None, {name: values[:1] for name, values in feed.items()})
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
