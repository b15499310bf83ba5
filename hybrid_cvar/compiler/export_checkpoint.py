"""A checkpoint's ANN as one ONNX file, for other tools and for models that have no spiking partition."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from hybrid_cvar.atomic_file import check_writable, write_atomically
from hybrid_cvar.compiler.ann_feed import ann_feed
from hybrid_cvar.compiler.onnx_export import export_ann
from hybrid_cvar.compiler.partition import partition_model
from hybrid_cvar.compiler.verify import logit_row, require_parity
from hybrid_cvar.errors import CompileError
from hybrid_cvar.model import Checkpoint, DeployedAnn, load_checkpoint
from hybrid_cvar.neuromorphic.native_stm import NativeStm
from hybrid_cvar.onnx_session import open_session
from hybrid_cvar.records import Clip, ParityRow, SpikingResult, stream_events

__all__ = ["export_checkpoint"]


def export_checkpoint(
    checkpoint_path: Path, output: Path, take_clips: Callable[[Checkpoint], Sequence[Clip]]
) -> ParityRow:
    """Exports the ANN partition, or the whole model where nothing of it spikes on events.

    The file appears only if ONNX Runtime gives torch's logits on the clips.

    Args:
        checkpoint_path: a checkpoint of `save_checkpoint`.
        output: the ONNX file; replaced if it is there.
        take_clips: gives the clips to compare on, for the checkpoint's input spec.

    Returns:
        The comparison.

    Raises:
        CheckpointError: the checkpoint cannot be used. CompileError: it cannot be exported.
        ParityError: the graph computes something else. OutputError: the file cannot be written.
    """
    check_writable(output)
    checkpoint = load_checkpoint(checkpoint_path)
    config = checkpoint.config
    model = checkpoint.build_model()
    clips = take_clips(checkpoint)
    if not clips:
        raise CompileError("no sample clips", "parity is checked on at least one", "give a longer video")
    spiking: list[SpikingResult] = []
    if config.spiking_streams:
        with NativeStm(partition_model(model).stm) as stm:
            spiking = [
                stm.run_clip(*(stream_events(clip, config.input, name) for name in config.spiking_streams))
                for clip in clips
            ]
    feed = ann_feed(config, clips, spiking)
    ann = DeployedAnn(model.ann).eval()
    with tempfile.TemporaryDirectory(prefix="hybrid-cvar-") as folder:
        path = Path(folder) / "ann.onnx"
        export_ann(ann, config.name, checkpoint.labels, path)
        session = open_session(path)
        with torch.no_grad():
            expected = ann(*(torch.from_numpy(np.ascontiguousarray(values)) for values in feed.values())).numpy()
        row = logit_row("torch -> ONNX Runtime", expected, session.run(None, feed)[0])
        require_parity([row])
        write_atomically(output, path.read_bytes())
    return row
