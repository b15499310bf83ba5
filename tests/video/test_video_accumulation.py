"""The fast accumulation against Eq. 1 and 2 as they stand, on blocks of every kind."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_cvar.video.accumulation import Accumulator, accumulate_by_definition
from hybrid_cvar.video.motion_field import VECTOR, dense_motion


def random_blocks(rng, count, height, width, reach):
    """Blocks that overlap, pass the edges, point outside, and repeat their neighbour's vector."""
    vectors = np.zeros(count, VECTOR)
    vectors["source"] = rng.choice([-1, 1], count, p=[0.95, 0.05])
    vectors["w"], vectors["h"] = rng.choice([0, 4, 8, 16], (2, count), p=[0.02, 0.08, 0.4, 0.5])
    vectors["dst_x"] = rng.integers(-12, width + 12, count)
    vectors["dst_y"] = rng.integers(-12, height + 12, count)
    motion_x, motion_y = rng.integers(-reach, reach + 1, (2, count))
    for n in range(1, count):
        if rng.random() < 0.5:
            for field in ("w", "h", "dst_y"):
                vectors[field][n] = vectors[field][n - 1]
            vectors["dst_x"][n] = vectors["dst_x"][n - 1] + vectors["w"][n]
            motion_x[n], motion_y[n] = motion_x[n - 1], motion_y[n - 1] * (rng.random() < 0.8)
    vectors["src_x"], vectors["src_y"] = vectors["dst_x"] - motion_x, vectors["dst_y"] - motion_y
    return vectors


def plain_field(vectors, height, width):
    """The rule, pixel by pixel."""
    field = np.zeros((height, width, 2), np.int64)
    for v in vectors:
        if v["source"] > 0:
            continue
        top, left = int(v["dst_y"]) - int(v["h"]) // 2, int(v["dst_x"]) - int(v["w"]) // 2
        for y in range(max(top, 0), min(top + int(v["h"]), height)):
            for x in range(max(left, 0), min(left + int(v["w"]), width)):
                source_x = min(max(x - int(v["dst_x"]) + int(v["src_x"]), 0), width - 1)
                source_y = min(max(y - int(v["dst_y"]) + int(v["src_y"]), 0), height - 1)
                field[y, x] = x - source_x, y - source_y
    return field


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 50),
    width=st.integers(1, 70),
    count=st.integers(0, 40),
    reach=st.sampled_from([0, 3, 20, 200]),
)
def test_both_forms_equal_the_definition(seed, height, width, count, reach):
    rng = np.random.default_rng(seed)
    steps = 4
    frames = [rng.integers(0, 256, (height, width, 3)).astype(np.uint8) for _ in range(steps + 1)]
    blocks = [random_blocks(rng, count, height, width, reach) for _ in range(steps)]
    fields = [plain_field(vectors, height, width).astype(np.int16) for vectors in blocks]
    for vectors, field in zip(blocks, fields, strict=True):
        np.testing.assert_array_equal(dense_motion(vectors, height, width), field)

    motion, residual = accumulate_by_definition(frames, fields)
    whole = Accumulator(frames[0], accumulated=True)
    raw = Accumulator(frames[0], accumulated=False)
    rows, columns = np.mgrid[:height, :width]
    for t in range(steps):
        got_motion = np.empty((height, width, 2), np.int16)
        got_residual = np.empty((height, width, 3), np.int16)
        whole.add(blocks[t], frames[t + 1], got_motion, got_residual)
        np.testing.assert_array_equal(got_motion, motion[t])
        np.testing.assert_array_equal(got_residual, residual[t])
        raw_motion, raw_residual = np.empty_like(got_motion), np.empty_like(got_residual)
        raw.add(blocks[t], frames[t + 1], raw_motion, raw_residual)
        np.testing.assert_array_equal(raw_motion, fields[t])
        source = frames[t][rows - fields[t][..., 1], columns - fields[t][..., 0]]
        np.testing.assert_array_equal(raw_residual, frames[t + 1].astype(int) - source)
        whole_motion = got_motion.copy()
        np.testing.assert_array_equal(whole_motion, got_motion)
