"""From a decoder's motion vectors to a dense field: one vector a pixel.

For a pixel i of frame t, the block that covers it was predicted from the pixel i - tau of frame t - 1 (paper
Sec. 3.1, tau). A vector's sign is destination - source: a thing that moves right has a positive x.
"""

import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from hybrid_cvar.jit import compiled

__all__ = ["dense_motion", "motion_vectors"]

FIELDS = ("w", "h", "src_x", "src_y", "dst_x", "dst_y")


def motion_vectors(frame: VideoFrame) -> NDArray[np.int32]:
    """The forward vectors that the decoder exported with a frame.

    Args:
        frame: decoded with `flags2=+export_mvs`.

    Returns:
        int32 (N, 6), one row a block in decoding order: width, height, centre of the source block x and y,
        centre of the destination block x and y; whole pixels (FFmpeg truncates fractions toward zero). N is 0
        for I-frames and all-intra P-frames.
    """
    # `frame.side_data` would tie the frame to itself, and its memory would wait for a full garbage collection.
    exported = SideDataContainer(frame).get("MOTION_VECTORS")  # type: ignore[call-arg]  # stub lacks it
    if exported is None:
        return np.empty((0, len(FIELDS)), np.int32)
    vectors = exported.to_ndarray()
    # A source above 0 is a later frame, which an I- and P-frame stream does not have unless it is damaged.
    vectors = vectors[vectors["source"] < 0]
    return np.stack([vectors[field].astype(np.int32) for field in FIELDS], axis=1)


@compiled
def _paint(vectors, field):  # type: ignore[no-untyped-def]
    height, width = field.shape[:2]
    for n in range(vectors.shape[0]):
        block_width, block_height, src_x, src_y, dst_x, dst_y = vectors[n]
        motion_x, motion_y = dst_x - src_x, dst_y - src_y
        top, left = max(dst_y - block_height // 2, 0), max(dst_x - block_width // 2, 0)
        bottom = min(dst_y - block_height // 2 + block_height, height)
        right = min(dst_x - block_width // 2 + block_width, width)
        for y in range(top, bottom):
            inside_y = y - min(max(y - motion_y, 0), height - 1)
            for x in range(left, right):
                field[y, x, 0] = x - min(max(x - motion_x, 0), width - 1)
                field[y, x, 1] = inside_y


def dense_motion(vectors: NDArray[np.int32], height: int, width: int) -> NDArray[np.int16]:
    """Paint blocks into a field of one vector a pixel (tau of the paper).

    Where a block's source lies outside the frame, the vector is shortened, pixel by pixel, to the nearest one
    inside: decoders repeat the frame's edge there, so it is the same pixel. Intra blocks, which have no
    vector, stay 0.

    Args:
        vectors: int32 (N, 6), from `motion_vectors`; of blocks that overlap, the last one counts.
        height, width: frame size, pixels.

    Returns:
        int16 (H, W, 2), pixels, x then y, destination - source; i - tau lies in the frame for every pixel.
    """
    field = np.zeros((height, width, 2), np.int16)
    if len(vectors):
        _paint(vectors, field)
    return field
