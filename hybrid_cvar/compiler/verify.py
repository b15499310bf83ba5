"""Parity: every form of both partitions on the same clips, before a bundle appears.

float STM -> quantised STM (SLAYER) -> native engine -> Lava       spikes and membranes
torch ANN -> ONNX Runtime                                          logits
torch model -> native engine + ONNX Runtime                        logits
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hybrid_cvar.compiler.ann_feed import ann_feed
from hybrid_cvar.compiler.partition import Partitions
from hybrid_cvar.errors import ParityError
from hybrid_cvar.fixed_point import MEMBRANE_SCALE
from hybrid_cvar.model import HybridCvarModel, as_slayer_events
from hybrid_cvar.neuromorphic.lava_stm import LavaStm
from hybrid_cvar.neuromorphic.native_stm import NativeStm
from hybrid_cvar.onnx_session import open_session
from hybrid_cvar.records import Clip, ParityRow, SpikingLayerCounts, SpikingResult, add_counts, stream_events

__all__ = ["LOGIT_TOLERANCE", "VerifiedClips", "logit_row", "require_parity", "verify_partitions"]

LOGIT_TOLERANCE = 1e-4
"""Relative to the largest logit: both sides compute in FP32, in another order of additions."""


@dataclass(frozen=True, eq=False)
class VerifiedClips:
    """What verification saw.

    Attributes:
        rows: the comparisons.
        counts: the native engine's counts a layer, summed over the clips.
    """

    rows: tuple[ParityRow, ...]
    counts: tuple[SpikingLayerCounts, ...]


def verify_partitions(
    model: HybridCvarModel, partitions: Partitions, ann_file: Path, clips: Sequence[Clip]
) -> VerifiedClips:
    """Runs every form on the clips and compares neighbours.

    Args:
        model: the float model, in evaluation mode.
        partitions: its integer STM and its ANN.
        ann_file: the exported graph.
        clips: at least one.
    """
    spec = model.config.input
    names = [stream.name for stream in partitions.stm.streams]
    events = [tuple(stream_events(clip, spec, name) for name in names) for clip in clips]
    exact = _slayer(model, events, fixed_point=False)
    slayer = _slayer(model, events, fixed_point=True)
    quantised = [one.as_integers() for one in slayer]
    with NativeStm(partitions.stm, record=True) as native_stm:
        native = [native_stm.run_clip(*pair) for pair in events]
    with LavaStm(partitions.stm, record=True) as lava_stm:
        lava = [lava_stm.run_clip(*pair) for pair in events]
    rows = [
        *_quantisation_rows(exact, slayer),
        *_bit_rows("SLAYER quantised -> native", quantised, native),
        *_bit_rows("native -> Lava fixed_pt", native, lava),
        _count_row(native, lava),
        *_logit_rows(model, partitions, ann_file, clips, native),
    ]
    return VerifiedClips(tuple(rows), functools.reduce(add_counts, (result.counts for result in native), ()))


def require_parity(rows: Sequence[ParityRow]) -> None:
    """Raises ParityError if a row failed."""
    failed = [row for row in rows if not row.passed]
    if failed:
        row = failed[0]
        raise ParityError(
            f"{row.compared}: {row.mismatches} of {row.values} {row.quantity} differ, "
            f"the largest by {row.largest_error:.3g}",
            row.rule,
            "nothing was written; report it with the checkpoint",
        )


@dataclass(frozen=True, eq=False)
class _SlayerResult:
    """One clip in torch.

    Attributes:
        readouts: of each stream's last layer after the last step, float64 (h, w, C), in integer units.
        spikes: int8 (T, h, w, C) a layer.
        layer_membranes: float32 (T, h, w, C) a layer, in integer units.
    """

    readouts: tuple[NDArray[np.float64], ...]
    spikes: tuple[NDArray[np.int8], ...]
    layer_membranes: tuple[NDArray[np.float32], ...]

    def as_integers(self) -> SpikingResult:
        """Exact for the quantised forward, whose membranes are whole numbers."""
        readouts = tuple(readout.astype(np.int32) for readout in self.readouts)
        of_layers = tuple(membranes.astype(np.int32) for membranes in self.layer_membranes)
        return SpikingResult(readouts, (), self.spikes, of_layers)


def _slayer(
    model: HybridCvarModel, events: Sequence[tuple[NDArray[np.int8], ...]], *, fixed_point: bool
) -> list[_SlayerResult]:
    results = []
    model.set_fixed_point(fixed_point)
    try:
        with torch.no_grad():
            for of_clip in events:
                readouts, spikes, of_layers = [], [], []
                for stm, of_stream in zip(model.modulators.values(), of_clip, strict=True):
                    readout, layer_spikes, layer_membranes = stm.trace(
                        as_slayer_events(torch.from_numpy(of_stream)[None])
                    )
                    readouts.append(readout[0].double().permute(1, 2, 0).numpy() * MEMBRANE_SCALE)
                    spikes += [_steps_first(layer).to(torch.int8).numpy() for layer in layer_spikes]
                    of_layers += [_steps_first(layer).numpy() * np.float32(MEMBRANE_SCALE) for layer in layer_membranes]
                results.append(_SlayerResult(tuple(readouts), tuple(spikes), tuple(of_layers)))
    finally:
        model.set_fixed_point(True)
    return results


def _steps_first(layer: torch.Tensor) -> torch.Tensor:
    """(1, C, h, w, T) to (T, h, w, C)."""
    return layer[0].permute(3, 1, 2, 0)


def _membranes(results: Sequence[SpikingResult]) -> NDArray[np.int32]:
    """Of every layer and step, and the read-outs as the engine hands them over."""
    return np.concatenate([part.ravel() for one in results for part in (*one.membranes, *one.readouts)])


def _spikes(results: Sequence[SpikingResult | _SlayerResult]) -> NDArray[np.int8]:
    return np.concatenate([layer.ravel() for one in results for layer in one.spikes])


def _quantisation_rows(exact: Sequence[_SlayerResult], quantised: Sequence[_SlayerResult]) -> list[ParityRow]:
    spikes_before, spikes_after = _spikes(exact), _spikes(quantised)
    membrane_before, membrane_after = (
        np.concatenate([readout.ravel() for one in results for readout in one.readouts])
        for results in (exact, quantised)
    )
    error = membrane_after - membrane_before
    scale = float(np.sqrt(np.mean(membrane_before**2))) or 1.0
    differ = int(np.count_nonzero(spikes_before != spikes_after))
    name = "float -> SLAYER quantised"
    return [
        ParityRow(name, "spikes", spikes_before.size, differ, differ / spikes_before.size, "", True),
        ParityRow(
            name,
            "membranes (RMS share)",
            error.size,
            int(np.count_nonzero(error)),
            float(np.sqrt(np.mean(error**2))) / scale,
            "",
            True,
        ),
    ]


def _bit_rows(name: str, before: Sequence[SpikingResult], after: Sequence[SpikingResult]) -> list[ParityRow]:
    rows = []
    for quantity, take in (("spikes", _spikes), ("membranes", _membranes)):
        left, right = take(before), take(after)
        unequal = left != right
        differ = int(np.count_nonzero(unequal))
        largest = float(np.abs(left[unequal].astype(np.int64) - right[unequal]).max(initial=0))
        rows.append(ParityRow(name, quantity, left.size, differ, largest, "every value must be equal", differ == 0))
    return rows


def _count_row(native: Sequence[SpikingResult], lava: Sequence[SpikingResult]) -> ParityRow:
    pairs = [
        (a, b) for one, other in zip(native, lava, strict=True) for a, b in zip(one.counts, other.counts, strict=True)
    ]
    differ = sum(a != b for a, b in pairs)
    return ParityRow(
        "native -> Lava fixed_pt",
        "layer counts",
        len(pairs),
        differ,
        float(differ),
        "every value must be equal",
        differ == 0,
    )


def _logit_rows(
    model: HybridCvarModel,
    partitions: Partitions,
    ann_file: Path,
    clips: Sequence[Clip],
    native: Sequence[SpikingResult],
) -> list[ParityRow]:
    feed = ann_feed(model.config, clips, native)
    deployed = open_session(ann_file).run(None, feed)[0]
    spec = model.config.input
    with torch.no_grad():
        ann = partitions.ann(*(torch.from_numpy(part) for part in feed.values())).numpy()
        whole = model(
            torch.from_numpy(np.stack([clip.iframe for clip in clips])),
            torch.from_numpy(np.stack([stream_events(clip, spec, "motion") for clip in clips])),
            torch.from_numpy(np.stack([stream_events(clip, spec, "residual") for clip in clips])),
        ).numpy()
    return [
        logit_row("torch ANN -> ONNX Runtime", ann, deployed),
        logit_row("torch model -> native + ONNX Runtime", whole, deployed),
    ]


def logit_row(name: str, before: NDArray[np.float32], after: NDArray[np.float32]) -> ParityRow:
    """Compares logits (N, classes) of two forms that both compute in FP32."""
    largest = float(np.abs(before).max()) or 1.0
    error = np.abs(before.astype(np.float64) - after) / largest
    differ = int(np.count_nonzero(~(error <= LOGIT_TOLERANCE)))
    return ParityRow(
        name,
        "logits (relative)",
        before.size,
        differ,
        float(error.max()),
        f"must agree to {LOGIT_TOLERANCE:g} of the largest logit",
        differ == 0,
    )
