"""From a GOP to a model's input: one centred box of the frame, one resize, for all three parts.

The frame is thought of as 340x256 whatever its size, a centred 224x224 square is cut there, and the square is
resized (paper Sec. 4.1). So in source pixels the box is 224/340 of the width and 224/256 of the height.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.jit import compiled
from hybrid_cvar.records import Clip, Gop, InputSpec

__all__ = ["CropBox", "crop_box", "cut_clip"]


@dataclass(frozen=True)
class CropBox:
    """A centred box of a frame, source pixels; edges may fall inside pixels.

    Attributes:
        left, top: distance from the frame's edges.
        width, height: size.
    """

    left: float
    top: float
    width: float
    height: float


def crop_box(frame_width: int, frame_height: int, spec: InputSpec) -> CropBox:
    """The centre crop of `spec` in a frame of `frame_width` x `frame_height` pixels."""
    width = frame_width * spec.crop / spec.frame_width
    height = frame_height * spec.crop / spec.frame_height
    return CropBox((frame_width - width) / 2, (frame_height - height) / 2, width, height)


def cut_clip(gop: Gop, spec: InputSpec) -> Clip:
    """Cut the centre crop of a GOP and resize it to the model's input.

    The I-frame and the residual are averaged over the area that each output pixel covers; motion is taken at
    the pixel under the output pixel's centre and scaled with the frame, x by size / box width and y by size / box
    height. All are rounded half away from zero.

    Args:
        gop: at least `spec.timesteps` P-frames; further ones are left out.
        spec: sizes.

    Returns:
        The clip; motion in pixels of the scaled frame.

    Raises:
        ConfigError: the GOP has fewer P-frames than `spec.timesteps`.
    """
    steps, height, width = gop.motion.shape[:3]
    if steps < spec.timesteps:
        raise ConfigError(
            f"GOP {gop.index}: {steps} P-frames",
            f"input.timesteps = {spec.timesteps} needs as many",
            "read the GOPs with the same number of timesteps",
        )
    box = crop_box(width, height, spec)
    columns, rows = _edges(box.left, box.width, spec.size, width), _edges(box.top, box.height, spec.size, height)
    return Clip(
        iframe=_area_average(gop.iframe[None], rows, columns)[0].astype(np.uint8),
        motion=_nearest_motion(gop.motion[: spec.timesteps], box, spec.size),
        residual=_area_average(gop.residual[: spec.timesteps], rows, columns),
        gop_index=gop.index,
        pts_seconds=gop.pts_seconds,
    )


def _edges(start: float, length: float, size: int, limit: int) -> NDArray[np.float64]:
    """float64 (size + 1,): where the output pixels begin and end along one axis, source pixels."""
    return np.clip(start + np.arange(size + 1) * (length / size), 0.0, float(limit))


def _area_average(images: NDArray[Any], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.int16]:
    """Images (N, H, W, 3) to int16 (N, S, S, 3)."""
    count, height, width, _ = images.shape
    size = len(rows) - 1
    out = np.empty((count, size, size * 3), np.int16)
    _average(np.ascontiguousarray(images).reshape(count, height, width * 3), rows, columns, out)
    return out.reshape(count, size, size, 3)


@compiled
def _round(value):  # type: ignore[no-untyped-def]
    return np.floor(value + 0.5) if value >= 0.0 else np.ceil(value - 0.5)


@compiled
def _average(images, rows, columns, out):  # type: ignore[no-untyped-def]
    """Exact area average: the rows that an output row covers are summed first, then the columns.

    images: (N, H, W * 3); rows, columns: the output pixels' edges; out: (N, S, S * 3).
    """
    size = rows.shape[0] - 1
    line = np.empty(images.shape[2], np.float64)
    begin = 3 * int(columns[0])
    end = 3 * int(np.ceil(columns[size]))
    for n in range(images.shape[0]):
        for oy in range(size):
            top, bottom = rows[oy], rows[oy + 1]
            line[begin:end] = 0.0
            for y in range(int(top), int(np.ceil(bottom))):
                part = min(bottom, y + 1.0) - max(top, float(y))
                for i in range(begin, end):
                    line[i] += part * images[n, y, i]
            for ox in range(size):
                left, right = columns[ox], columns[ox + 1]
                red = green = blue = 0.0
                for x in range(int(left), int(np.ceil(right))):
                    part = min(right, x + 1.0) - max(left, float(x))
                    red += part * line[3 * x]
                    green += part * line[3 * x + 1]
                    blue += part * line[3 * x + 2]
                area = (bottom - top) * (right - left)
                out[n, oy, 3 * ox] = _round(red / area)
                out[n, oy, 3 * ox + 1] = _round(green / area)
                out[n, oy, 3 * ox + 2] = _round(blue / area)


def _nearest_motion(motion: NDArray[np.int16], box: CropBox, size: int) -> NDArray[np.int16]:
    centres = (np.arange(size) + 0.5) / size
    rows = np.minimum((box.top + centres * box.height).astype(np.intp), motion.shape[1] - 1)
    columns = np.minimum((box.left + centres * box.width).astype(np.intp), motion.shape[2] - 1)
    scaled = motion[:, rows[:, None], columns[None, :]] * np.array([size / box.width, size / box.height])
    limits = np.iinfo(np.int16)
    rounded = np.trunc(scaled + np.copysign(0.5, scaled))
    result: NDArray[np.int16] = np.clip(rounded, limits.min, limits.max).astype(np.int16)
    return result
