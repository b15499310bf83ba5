"""From a decoder's motion vectors to a dense field: one vector a pixel, added to the field before it.

For a pixel i of frame t, the block that covers it was predicted from the pixel i - tau of frame t - 1 (paper
Sec. 3.1, tau). A vector's sign is destination - source: a thing that moves right has a positive x.
"""

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from hybrid_cvar.jit import compiled

__all__ = ["VECTOR", "dense_motion", "kept_vectors", "motion_vectors", "trace_motion"]

VECTOR = np.dtype(
    [
        ("source", np.int32),
        ("w", np.uint8),
        ("h", np.uint8),
        ("src_x", np.int16),
        ("src_y", np.int16),
        ("dst_x", np.int16),
        ("dst_y", np.int16),
        ("flags", np.uint64),
        ("motion_x", np.int32),
        ("motion_y", np.int32),
        ("motion_scale", np.uint16),
    ],
    align=True,
)
"""One block's vector, FFmpeg's AVMotionVector (libavutil/motion_vector.h)."""

NO_VECTORS = np.empty(0, VECTOR)


def motion_vectors(frame: VideoFrame) -> NDArray[np.void]:
    """The vectors that the decoder exported with a frame, as they are.

    Args:
        frame: decoded with `flags2=+export_mvs`.

    Returns:
        VECTOR (N,), one row a block in decoding order: width, height, centre of the source block x and y, centre of
        the destination block x and y, whole pixels (FFmpeg truncates fractions toward zero). N is 0 for I-frames and
        all-intra P-frames. The frame's own memory: copy what is to outlive it.
    """
    # `frame.side_data` would tie the frame to itself, and its memory would wait for a full garbage collection.
    exported = SideDataContainer(frame).get("MOTION_VECTORS")  # type: ignore[call-arg]  # stub lacks it
    return NO_VECTORS if exported is None else exported.to_ndarray().view(VECTOR)


def kept_vectors(frame: VideoFrame) -> NDArray[np.void]:
    """As `motion_vectors`, in memory of their own, read-only."""
    exported = SideDataContainer(frame).get("MOTION_VECTORS")  # type: ignore[call-arg]  # stub lacks it
    # Copied as bytes: NumPy would copy rows with gaps between their fields field by field.
    return NO_VECTORS if exported is None else np.frombuffer(bytes(exported), VECTOR)


def dense_motion(vectors: NDArray[np.void], height: int, width: int) -> NDArray[np.int16]:
    """Paint blocks into a field of one vector a pixel (tau of the paper).

    Where a block's source lies outside the frame, the vector is shortened, pixel by pixel, to the nearest one
    inside: decoders repeat the frame's edge there, so it is the same pixel. Intra blocks, which have no
    vector, stay 0, and so do those predicted from a later frame.

    Args:
        vectors: VECTOR (N,), from `motion_vectors`; of blocks that overlap, the last one counts.
        height, width: frame size, pixels.

    Returns:
        int16 (H, W, 2), pixels, x then y, destination - source; i - tau lies in the frame for every pixel.
    """
    field = np.empty((height, width, 2), np.int16)
    trace_motion(vectors, np.zeros((height, width, 2), np.int16), field)
    return field


def trace_motion(vectors: NDArray[np.void], before: NDArray[np.int16], motion: NDArray[np.int16]) -> None:
    """Add a frame's dense motion to the motion of the frame before: `motion(i) = tau(i) + before(i - tau(i))`.

    Args:
        vectors: VECTOR (N,), the frame's blocks.
        before: int16 (H, W, 2), C-contiguous; i - before(i) lies in the frame for every pixel.
        motion: int16 (H, W, 2), C-contiguous, filled.
    """
    height, width = motion.shape[:2]
    _trace(vectors, before.reshape(-1), motion.reshape(-1), height, width)


@compiled
def _trace(vectors, before, motion, height, width):  # type: ignore[no-untyped-def]
    """Fill `motion` from the blocks and `before`, both flat.

    Loops over rows are kept in a form that LLVM turns into vector instructions: unsigned indices (for signed ones
    Numba adds a test), no slices (each costs a reference count), and neighbours with the same vector, which in video
    are many, taken as one wide block.
    """
    for i in range(np.uint64(motion.shape[0])):
        motion[i] = before[i]
    two, one = np.uint64(2), np.uint64(1)
    count = vectors.shape[0]
    n = 0
    while n < count:
        block = vectors[n]
        n += 1
        # A source above 0 is a later frame, which an I- and P-frame stream does not have unless it is damaged.
        if block["source"] > 0:
            continue
        block_height = np.int64(block["h"])
        center_y = np.int64(block["dst_y"])
        motion_x = np.int64(block["dst_x"]) - np.int64(block["src_x"])
        motion_y = center_y - np.int64(block["src_y"])
        left = np.int64(block["dst_x"]) - np.int64(block["w"]) // 2
        right = left + np.int64(block["w"])
        while n < count:
            follower = vectors[n]
            if (
                follower["source"] > 0
                or follower["h"] != block_height
                or follower["dst_y"] != center_y
                or np.int64(follower["dst_x"]) - np.int64(follower["w"]) // 2 != right
                or np.int64(follower["dst_x"]) - np.int64(follower["src_x"]) != motion_x
                or center_y - np.int64(follower["src_y"]) != motion_y
            ):
                break
            right += np.int64(follower["w"])
            n += 1
        top = center_y - block_height // 2
        bottom = min(top + block_height, height)
        top, left, right = max(top, np.int64(0)), max(left, np.int64(0)), min(right, width)
        if top >= bottom or left >= right:
            continue
        if top >= motion_y and bottom - motion_y <= height and left >= motion_x and right - motion_x <= width:
            add_x, add_y = np.int16(motion_x), np.int16(motion_y)
            pixels = np.uint64(right - left)
            for y in range(top, bottom):
                to = np.uint64(2 * (y * width + left))
                source = np.uint64(2 * ((y - motion_y) * width + left - motion_x))
                for i in range(pixels):
                    motion[to + two * i] = before[source + two * i] + add_x
                    motion[to + two * i + one] = before[source + two * i + one] + add_y
        else:
            for y in range(top, bottom):
                source_y = min(max(y - motion_y, 0), height - 1)
                for x in range(left, right):
                    source_x = min(max(x - motion_x, 0), width - 1)
                    to = np.uint64(2 * (y * width + x))
                    source = np.uint64(2 * (source_y * width + source_x))
                    motion[to] = before[source] + np.int16(x - source_x)
                    motion[to + one] = before[source + one] + np.int16(y - source_y)
