"""Accumulated motion and residual of a GOP (paper Sec. 3.1, Eq. 1 and 2).

Every pixel i of P-frame t is traced back through the motion fields to the pixel of the I-frame it came from:

    Gamma[t](i) = mu[1]( mu[2]( ... mu[t](i) ... ) ),   mu[t](i) = i - tau[t](i)          (Eq. 1)
    Pi[t](i)    = i - Gamma[t](i)
    Delta[t](i) = sum over j = 1..t of delta[j]( pixel of frame j on that trace )         (Eq. 2)

with tau the dense motion field and delta the residual against the previous frame. Two shorter forms are
computed. Gamma[t](i) = Gamma[t-1](mu[t](i)), hence Pi[t](i) = tau[t](i) + Pi[t-1](i - tau[t](i)): one look-up a
pixel and step. And delta being frame[t](i) - frame[t-1](mu[t](i)), the sum of Eq. 2 telescopes to
Delta[t](i) = frame[t](i) - iframe(Gamma[t](i)), which makes `frame[t][i] == iframe[i - Pi[t][i]] + Delta[t][i]`
exact, whatever the decoder did in between.

`accumulate_by_definition` is Eq. 1 and 2 as they stand, pixel by pixel; the tests compare the two.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.jit import compiled
from hybrid_cvar.video.motion_field import trace_motion

__all__ = ["Accumulator", "accumulate_by_definition"]

RUN = 8
"""Pixels that are compared at once, to find runs of equal motion."""


class Accumulator:
    """Turns the P-frames of one GOP, fed in order, into motion and residual.

    Args:
        iframe: uint8 (H, W, 3), RGB; kept, not copied.
        accumulated: True for Pi and Delta, against the I-frame; False for tau and delta, against the previous
            frame.
    """

    def __init__(self, iframe: NDArray[np.uint8], *, accumulated: bool) -> None:
        height, width = iframe.shape[:2]
        self._accumulated = accumulated
        self._reference = iframe
        self._before = np.zeros((height, width, 2), np.int16)

    def add(
        self,
        vectors: NDArray[np.void],
        frame: NDArray[np.uint8],
        motion: NDArray[np.int16],
        residual: NDArray[np.int16],
    ) -> None:
        """Take the next P-frame.

        Args:
            vectors: VECTOR (N,), its blocks, from `motion_vectors`.
            frame: uint8 (H, W, 3), RGB.
            motion: int16 (H, W, 2), filled: pixels, x then y, destination - source. Kept until the next call.
            residual: int16 (H, W, 3), filled: RGB. These three are C-contiguous.
        """
        trace_motion(vectors, self._before, motion)
        flat = motion.reshape(-1)
        _subtract(
            flat,
            flat.view(np.int32),
            frame.reshape(-1),
            self._reference.reshape(-1),
            frame.shape[1],
            residual.reshape(-1),
        )
        if self._accumulated:
            self._before = motion
        else:
            self._reference = frame


@compiled
def _subtract(motion, vectors, frame, reference, width, residual):  # type: ignore[no-untyped-def]
    """residual(i) = frame(i) - reference(i - motion(i)), all flat; `vectors` is `motion`, x and y in one number.

    Where `RUN` neighbours or more have the same motion, their sources are neighbours too, and the subtraction is one
    vectorised loop; elsewhere each pixel is looked up alone. Indices are unsigned: Numba then leaves out a test.
    """
    pixels, run = np.uint64(vectors.shape[0]), np.uint64(RUN)
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    i = np.uint64(0)
    while i < pixels:
        stop = i
        while stop + run <= pixels:
            different = np.int32(0)
            for k in range(run):
                different |= vectors[stop + k] ^ vectors[i]
            if different != 0:
                break
            stop += run
        if stop > i:
            to = three * i
            source = np.uint64(3 * (np.int64(i) - np.int64(motion[two * i]) - np.int64(motion[two * i + one]) * width))
            for k in range(three * (stop - i)):
                residual[to + k] = np.int16(frame[to + k]) - np.int16(reference[source + k])
            i = stop
            continue
        stop = min(i + run, pixels)
        while i < stop:
            to = three * i
            source = np.uint64(3 * (np.int64(i) - np.int64(motion[two * i]) - np.int64(motion[two * i + one]) * width))
            residual[to] = np.int16(frame[to]) - np.int16(reference[source])
            residual[to + one] = np.int16(frame[to + one]) - np.int16(reference[source + one])
            residual[to + two] = np.int16(frame[to + two]) - np.int16(reference[source + two])
            i += one


def accumulate_by_definition(
    frames: Sequence[NDArray[np.uint8]], fields: Sequence[NDArray[np.int16]]
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Eq. 1 and 2 as they stand: every pixel traced back frame by frame, the residuals on its way summed. Slow.

    Args:
        frames: T + 1 of uint8 (H, W, 3), RGB, the I-frame first.
        fields: T of int16 (H, W, 2), the dense motion of each P-frame (tau).

    Returns:
        motion int16 (T, H, W, 2) and residual int16 (T, H, W, 3), accumulated.
    """
    height, width = frames[0].shape[:2]
    rows, columns = np.mgrid[:height, :width]
    motions, residuals = [], []
    for t in range(1, len(frames)):
        y, x = rows, columns
        residual = np.zeros((height, width, 3), np.int64)
        for j in range(t, 0, -1):
            tau = fields[j - 1][y, x]
            source_x, source_y = x - tau[..., 0], y - tau[..., 1]
            residual += frames[j][y, x].astype(np.int64) - frames[j - 1][source_y, source_x]
            x, y = source_x, source_y
        motions.append(np.stack([columns - x, rows - y], axis=-1))
        residuals.append(residual)
    return np.stack(motions).astype(np.int16), np.stack(residuals).astype(np.int16)
