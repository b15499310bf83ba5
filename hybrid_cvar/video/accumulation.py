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
"""

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.jit import compiled

__all__ = ["Accumulator"]


@compiled
def _step(field, before, frame, reference, width, motion, residual):  # type: ignore[no-untyped-def]
    """One P-frame; every array flat. `before` is the motion of the frame before, which the trace goes on with.

    Indices are unsigned because Numba then leaves out the test for negative ones: twice the speed.
    """
    for i in range(field.shape[0] // 2):
        x, y = np.int64(field[2 * i]), np.int64(field[2 * i + 1])
        source = np.uint64(i - x - y * width)
        x += before[2 * source]
        y += before[2 * source + 1]
        motion[2 * i] = x
        motion[2 * i + 1] = y
        origin = np.uint64(3 * (i - x - y * width))
        residual[3 * i] = np.int16(frame[3 * i]) - np.int16(reference[origin])
        residual[3 * i + 1] = np.int16(frame[3 * i + 1]) - np.int16(reference[origin + np.uint64(1)])
        residual[3 * i + 2] = np.int16(frame[3 * i + 2]) - np.int16(reference[origin + np.uint64(2)])


class Accumulator:
    """Turns the P-frames of one GOP, fed in order, into motion and residual.

    Args:
        iframe: uint8 (H, W, 3), RGB; kept, not copied.
        accumulated: True for Pi and Delta, against the I-frame; False for tau and delta, against the previous
            frame.
    """

    def __init__(self, iframe: NDArray[np.uint8], *, accumulated: bool) -> None:
        height, width = iframe.shape[:2]
        self._width = width
        self._accumulated = accumulated
        self._reference = iframe
        self._before = np.zeros((height, width, 2), np.int16)

    def add(
        self,
        field: NDArray[np.int16],
        frame: NDArray[np.uint8],
        motion: NDArray[np.int16],
        residual: NDArray[np.int16],
    ) -> None:
        """Take the next P-frame.

        Args:
            field: int16 (H, W, 2), its dense motion, from `dense_motion`.
            frame: uint8 (H, W, 3), RGB.
            motion: int16 (H, W, 2), filled: pixels, x then y, destination - source. Kept until the next call.
            residual: int16 (H, W, 3), filled: RGB. All four are C-contiguous.
        """
        _step(
            field.reshape(-1),
            self._before.reshape(-1),
            frame.reshape(-1),
            self._reference.reshape(-1),
            self._width,
            motion.reshape(-1),
            residual.reshape(-1),
        )
        if self._accumulated:
            self._before = motion
        else:
            self._reference = frame
