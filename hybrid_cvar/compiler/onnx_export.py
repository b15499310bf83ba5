"""Exports the ANN partition as one ONNX graph in one file."""

import contextlib
import io
import json
import logging
import warnings
from pathlib import Path

import onnx
import torch

from hybrid_cvar.errors import CompileError
from hybrid_cvar.model import DeployedAnn
from hybrid_cvar.version import __version__

__all__ = ["MAX_ONNX_BYTES", "OPSET", "OUTPUT_NAME", "export_ann"]

OUTPUT_NAME = "logits"
OPSET = 23
MAX_ONNX_BYTES = 2**31 - 1
"""A protobuf message holds no more, and weights stay in the one file."""


def export_ann(ann: DeployedAnn, name: str, labels: tuple[str, ...], path: Path) -> None:
    """Writes the ANN partition: inputs as `config.ann_inputs` names them, float32 logits out, any batch size.

    Args:
        ann: the partition, in evaluation mode.
        name: model name, stored in the file's metadata beside the labels and this package's version.
        labels: class names.
        path: the file to write.

    Raises:
        CompileError: torch cannot export the graph, or it is over 2 GB.
    """
    size = sum(parameter.numel() * parameter.element_size() for parameter in ann.parameters())
    if size > MAX_ONNX_BYTES:
        raise _too_large(size)
    graph = _exported_graph(ann)
    # Inferred shapes that the exporter leaves behind contradict the folded graph; ONNX Runtime infers its own.
    del graph.graph.value_info[:]
    onnx.helper.set_model_props(graph, {"model": name, "labels": json.dumps(list(labels)), "hybrid-cvar": __version__})
    graph.producer_name, graph.producer_version = "hybrid-cvar", __version__
    if graph.ByteSize() > MAX_ONNX_BYTES:
        raise _too_large(graph.ByteSize())
    onnx.checker.check_model(graph, full_check=True)
    path.write_bytes(graph.SerializeToString())


def _too_large(size: int) -> CompileError:
    return CompileError(
        f"the ANN partition takes {size} bytes",
        f"one ONNX file holds at most {MAX_ONNX_BYTES}",
        "choose a smaller width or depth",
    )


def _exported_graph(ann: DeployedAnn) -> onnx.ModelProto:
    inputs = ann.ann.inputs
    example = tuple(torch.zeros((2, *each.shape), dtype=getattr(torch, each.dtype)) for each in inputs)
    batch = torch.export.Dim("batch", min=1, max=65536)
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                ann,
                example,
                input_names=[each.name for each in inputs],
                output_names=[OUTPUT_NAME],
                dynamic_shapes={"inputs": tuple({0: batch} for _ in inputs)},
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
            )
            assert program is not None
            return program.model_proto
    except Exception as error:
        raise CompileError(
            f"torch cannot export the ANN partition: {' '.join(str(error).split())[:200]}",
            "every operator must have an ONNX form",
            "report it with the model config",
        ) from error
    finally:
        quiet.setLevel(level)
