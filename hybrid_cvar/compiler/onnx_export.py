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
from hybrid_cvar.model import DeployedAnn, ModelConfig

__all__ = ["INPUT_NAMES", "OUTPUT_NAME", "export_ann"]

INPUT_NAMES = ("iframe", "motion_membrane", "residual_membrane")
OUTPUT_NAME = "logits"
OPSET = 20


def export_ann(ann: DeployedAnn, config: ModelConfig, labels: tuple[str, ...], path: Path) -> None:
    """Writes `ann.onnx`: uint8 I-frame and int32 membranes in, float32 logits out, any batch size.

    Args:
        ann: the partition, in evaluation mode.
        config: gives the input's size.
        labels: stored in the file's metadata.
        path: the file to write.

    Raises:
        CompileError: torch cannot export the graph.
    """
    size = config.input.size
    membrane = torch.zeros((2, config.membrane_side, config.membrane_side, config.stm.channels[-1]), dtype=torch.int32)
    example = (torch.zeros((2, size, size, 3), dtype=torch.uint8), membrane, membrane.clone())
    batch = torch.export.Dim("batch", min=1, max=65536)
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                ann,
                example,
                input_names=list(INPUT_NAMES),
                output_names=[OUTPUT_NAME],
                dynamic_shapes=({0: batch}, {0: batch}, {0: batch}),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
            )
            assert program is not None
            graph = program.model_proto
    except Exception as error:
        raise CompileError(
            f"torch cannot export the ANN partition: {' '.join(str(error).split())[:200]}",
            "every operator must have an ONNX form",
            "report it with the model config",
        ) from error
    finally:
        quiet.setLevel(level)
    # Inferred shapes that the exporter leaves behind contradict the folded graph; ONNX Runtime infers its own.
    del graph.graph.value_info[:]
    onnx.helper.set_model_props(graph, {"model": config.name, "labels": json.dumps(list(labels))})
    onnx.checker.check_model(graph)
    path.write_bytes(graph.SerializeToString())
