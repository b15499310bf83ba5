"""Compiles the reader's kernels ahead of the first video."""

import numpy as np

from hybrid_cvar.records import Gop, InputSpec
from hybrid_cvar.video.accumulation import Accumulator
from hybrid_cvar.video.geometry import cut_clip
from hybrid_cvar.video.motion_field import VECTOR

__all__ = ["compile_reader_kernels"]

SIDE = 16


def compile_reader_kernels() -> None:
    """Runs one small made-up GOP through every kernel, so that compiling counts in no video's time."""
    iframe = np.zeros((SIDE, SIDE, 3), np.uint8)
    motion, residual = np.zeros((1, SIDE, SIDE, 2), np.int16), np.zeros((1, SIDE, SIDE, 3), np.int16)
    vectors = np.zeros(1, VECTOR)
    vectors.flags.writeable = False  # as FFmpeg's are: to Numba another type, and another kernel
    Accumulator(iframe, accumulated=True).add(vectors, iframe, motion[0], residual[0])
    cut_clip(Gop(iframe, motion, residual, True, 0, 0.0), InputSpec(size=SIDE, timesteps=1))
