"""INT8 and BF16: makes the graph of the wanted precision, and checks that it still answers as FP32 does.

BF16 keeps the FP32 graph; the provider that runs it rounds. INT8 is a graph of its own (`quantise.py`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.compiler.quantise import Feed, quantise_ann
from hybrid_cvar.errors import CompileError, ParityError
from hybrid_cvar.onnx_session import SessionSettings, cpu_providers, open_session, require_provider
from hybrid_cvar.records import AgreementRow, Quantisation

__all__ = ["LEAST_SAME_ANSWER", "agreement", "held_out", "reduce_precision", "require_agreement"]

LEAST_SAME_ANSWER = 0.99
"""Share of held-out clips whose best class must stay FP32's."""
FEWEST_CLIPS = 2
BATCH = 8


def held_out(feeds: Sequence[Feed]) -> tuple[list[Feed], list[Feed]]:
    """(to calibrate on, to check on): every second clip each, so that both see all of a video."""
    return list(feeds[::2]), list(feeds[1::2])


def reduce_precision(
    graph: Path, precision: str, feeds: Sequence[Feed], *, required: bool = True
) -> tuple[Quantisation | None, tuple[AgreementRow, ...]]:
    """Turns an exported FP32 graph into one of the wanted precision, in place.

    Args:
        graph: the file of `export_ann`.
        precision: `int8` or `bf16`.
        feeds: inputs of one clip each, (1, ...) arrays; every second one is kept from calibration to check on.
        required: False if the agreement only informs, as of untrained weights.

    Returns:
        What was quantised, None for BF16; and the agreement with FP32 on each CPU provider that is installed and can
        run it. `require_agreement` judges it.

    Raises:
        CompileError: fewer than two clips.
        MissingPartError: no provider for BF16 is installed.
    """
    if len(feeds) < FEWEST_CLIPS:
        raise CompileError(
            f"{len(feeds)} calibration clip(s)",
            f"{precision} needs at least {FEWEST_CLIPS}, half of them to calibrate on and half to check on",
            "give a longer video with --calibrate",
        )
    to_calibrate, to_check = held_out(feeds)
    if precision == "bf16":
        require_provider("openvino", precision)
    expected = _logits(graph, "cpu", "fp32", to_check)
    quantisation = quantise_ann(graph, graph, to_calibrate) if precision == "int8" else None
    providers = [name for name in cpu_providers() if (precision, name) != ("bf16", "cpu")]
    return quantisation, tuple(
        agreement(name, expected, _logits(graph, name, precision, to_check), required=required) for name in providers
    )


def agreement(
    provider: str, expected: NDArray[np.float32], reduced: NDArray[np.float32], *, required: bool = True
) -> AgreementRow:
    """Compares logits, float32 (clips, classes), of FP32 and of a reduced precision."""
    same = float(np.mean(expected.argmax(axis=1) == reduced.argmax(axis=1)))
    spread = float(np.sqrt(np.mean(np.square(expected - expected.mean(axis=1, keepdims=True), dtype=np.float64))))
    error = float(np.sqrt(np.mean(np.square(reduced - expected, dtype=np.float64))))
    return AgreementRow(
        provider,
        len(expected),
        same,
        LEAST_SAME_ANSWER,
        error / (spread or 1.0),
        bool(same >= LEAST_SAME_ANSWER and np.isfinite(reduced).all()),
        required,
    )


def require_agreement(precision: str, rows: Sequence[AgreementRow]) -> None:
    """Raises ParityError if a provider answers otherwise too often, where it must not."""
    for row in rows:
        if row.required and not row.passed:
            other = round((1 - row.same_answer) * row.clips)
            raise ParityError(
                f"{precision} on {row.provider}: {other} of {row.clips} held-out clips get another answer than in fp32",
                f"at least {row.least:.0%} must keep theirs",
                "calibrate on more clips like those it will see (--calibrate, --calibration-clips), or compile with "
                "--precision fp32; no bundle was written",
            )


def _logits(graph: Path, provider: str, precision: str, feeds: Sequence[Feed]) -> NDArray[np.float32]:
    """float32 (clips, classes), in batches as a run takes them."""
    session = open_session(graph, SessionSettings(provider=provider), precision=precision)
    found = []
    for first in range(0, len(feeds), BATCH):
        batch = feeds[first : first + BATCH]
        joined = {name: np.concatenate([feed[name] for feed in batch]) for name in batch[0]}
        found.append(session.run(None, joined)[0])
    return np.concatenate(found)
