"""From a GOP to a model's input: one box of the frame, one resize, one flip, for all three parts.

The frame is thought of as 340x256 whatever its size and shape, a 224x224 square is cut there, and the square is
resized (paper Sec. 4.1). So in source pixels the centre box is 224/340 of the width and 224/256 of the height.
As every frame is stretched to 340x256, the shape of its pixels (sample aspect ratio) has no influence: two files
that hold the same pixels give the same clip, whatever shape they are displayed in.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.jit import compiled
from hybrid_cvar.records import Clip, Gop, InputSpec
from hybrid_cvar.records.clip import MAX_PIXELS

__all__ = ["Crop", "CropBox", "crop_box", "cut_clip", "scale_gop"]

LARGEST_SIDE = 8192
SMALLEST_CROP = 1.0
EDGE_TOLERANCE = 1e-6
"""Pixels of the 340x256 frame; `left + width` of a crop at the frame's edge may come out a rounding error above it."""

MOTION_LIMIT = 32767.0
"""The same on both sides of zero, so that a negated vector is never out of range."""


@dataclass(frozen=True)
class Crop:
    """A box of the frame, in pixels of the frame thought of as 340x256 (`InputSpec.frame_width`, `frame_height`).

    Attributes:
        left, top: distance from the frame's edges, before any flip; at least 0.
        width, height: size; at least 1. The box need not be square.

    Raises:
        ConfigError: a value is not a finite number or is too small. That the box lies inside the frame is checked
            where it is used.
    """

    left: float
    top: float
    width: float
    height: float

    def __post_init__(self) -> None:
        for name, least in (("left", 0.0), ("top", 0.0), ("width", SMALLEST_CROP), ("height", SMALLEST_CROP)):
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float | np.integer | np.floating)
                or not math.isfinite(value)
                or value < least
            ):
                raise ConfigError(
                    f"crop.{name} = {value!r}",
                    f"must be a number of at least {least:g}",
                    "give left, top, width and height in pixels of the 340x256 frame",
                )


@dataclass(frozen=True)
class CropBox:
    """A box of a frame, source pixels; edges may fall inside pixels.

    Attributes:
        left, top: distance from the frame's edges.
        width, height: size.
    """

    left: float
    top: float
    width: float
    height: float


def crop_box(frame_width: int, frame_height: int, spec: InputSpec, crop: Crop | None = None) -> CropBox:
    """A crop in a frame of `frame_width` x `frame_height` pixels.

    Args:
        frame_width, frame_height: the coded frame, pixels.
        spec: the frame it is thought of as, and the centre crop.
        crop: the box; the centre crop of `spec` if None.

    Raises:
        ConfigError: the crop passes the edge of the frame.
    """
    if crop is None:
        width = frame_width * spec.crop / spec.frame_width
        height = frame_height * spec.crop / spec.frame_height
        return CropBox((frame_width - width) / 2, (frame_height - height) / 2, width, height)
    for edge, name, begin, length, limit in (
        ("left", "width", crop.left, crop.width, spec.frame_width),
        ("top", "height", crop.top, crop.height, spec.frame_height),
    ):
        if begin + length > limit + EDGE_TOLERANCE:
            raise ConfigError(
                f"crop.{edge} + crop.{name} = {begin + length:g}",
                f"must fit the {spec.frame_width}x{spec.frame_height} frame, so at most {limit}",
                f"choose a smaller {edge} or {name}",
            )
    across, down = frame_width / spec.frame_width, frame_height / spec.frame_height
    return CropBox(
        float(crop.left * across), float(crop.top * down), float(crop.width * across), float(crop.height * down)
    )


def cut_clip(gop: Gop, spec: InputSpec, *, crop: Crop | None = None, flip: bool = False) -> Clip:
    """Cut a crop of a GOP and resize it to the model's input; crop and flip are the same for all three parts.

    The I-frame and the residual are averaged over the area that each output pixel covers; motion is taken at
    the pixel under the output pixel's centre and scaled with the frame, x by size / box width and y by size / box
    height. All are rounded half away from zero. The frame's own pixels count, not their shape on a screen.

    Args:
        gop: accumulated or raw as `spec` says, at least `spec.timesteps` P-frames; further ones are left out.
        spec: sizes and form.
        crop: the box that is cut, in pixels of the 340x256 frame; the centre crop of `spec` if None.
        flip: mirror the clip left to right and negate motion x. To the bit the mirror image of the clip without
            it, so a second flip undoes the first.

    Returns:
        The clip, (S, S); motion in pixels of the scaled frame.

    Raises:
        ConfigError: the GOP has fewer P-frames than `spec.timesteps` or is of the other form, or the crop passes the
            frame's edge.
    """
    steps, height, width = gop.motion.shape[:3]
    if steps < spec.timesteps:
        raise ConfigError(
            f"GOP {gop.index}: {steps} P-frames",
            f"input.timesteps = {spec.timesteps} needs as many",
            "read the GOPs with the same number of timesteps",
        )
    if gop.accumulated != spec.accumulated:
        raise ConfigError(
            f"GOP {gop.index}: accumulated = {gop.accumulated}",
            f"input.accumulated = {spec.accumulated} needs the other form",
            f"read the GOPs with accumulated={spec.accumulated}",
        )
    return _resample(gop, spec.timesteps, crop_box(width, height, spec, crop), spec.size, spec.size, flip)


def scale_gop(gop: Gop, width: int = 340, height: int = 256, *, flip: bool = False) -> Clip:
    """Scale a whole GOP, by default to the paper's frame (Sec. 4.1), whatever its own aspect.

    The same resampling, rounding and flip as `cut_clip`; motion x is scaled by width / frame width and motion y by
    height / frame height.

    Args:
        gop: accumulated or raw; all of its P-frames are kept.
        width, height: size wanted, pixels.
        flip: mirror left to right and negate motion x.

    Returns:
        The clip, (H, W) = (`height`, `width`); motion in pixels of the scaled frame.

    Raises:
        ConfigError: a side is not a whole number from 1 to 8192, or the clip would be too large.
    """
    for name, value in (("width", width), ("height", height)):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_SIDE:
            raise ConfigError(
                f"{name} = {value!r}", f"must be a whole number from 1 to {LARGEST_SIDE}", "give the size in pixels"
            )
    steps, frame_height, frame_width = gop.motion.shape[:3]
    if width * height * steps > MAX_PIXELS:
        raise ConfigError(
            f"{width}x{height}, {steps} P-frames", f"width x height x P-frames must be at most {MAX_PIXELS}"
        )
    return _resample(gop, steps, CropBox(0.0, 0.0, float(frame_width), float(frame_height)), width, height, flip)


@dataclass(frozen=True, eq=False)
class _Axis:
    """How the output pixels of one axis cover source pixels.

    Attributes:
        first: int64 (S,), first source pixel under each output pixel.
        count: int64 (S,), source pixels under each.
        shares: float64 (S, K), the part of each source pixel that is covered; 0 beyond `count`.
        lengths: float64 (S,), the output pixels' lengths, source pixels.
        begin, end: source pixels under all of them.
    """

    first: NDArray[np.int64]
    count: NDArray[np.int64]
    shares: NDArray[np.float64]
    lengths: NDArray[np.float64]
    begin: int
    end: int


def _axis(start: float, length: float, size: int, limit: int, *, mirrored: bool = False) -> _Axis:
    edges = np.clip(start + np.arange(size + 1) * (length / size), 0.0, float(limit))
    first = np.minimum(edges[:-1].astype(np.int64), limit - 1)
    count = np.maximum(np.ceil(edges[1:]).astype(np.int64) - first, 1)
    pixels = (first[:, None] + np.arange(count.max())).astype(np.float64)
    shares = np.maximum(np.minimum(edges[1:, None], pixels + 1.0) - np.maximum(edges[:-1, None], pixels), 0.0)
    order = slice(None, None, -1) if mirrored else slice(None)
    return _Axis(
        np.ascontiguousarray(first[order]),
        np.ascontiguousarray(count[order]),
        np.ascontiguousarray(shares[order]),
        np.ascontiguousarray(np.diff(edges)[order]),
        int(first[0]),
        int(first[-1] + count[-1]),
    )


def _centres(start: float, length: float, size: int, limit: int, *, mirrored: bool = False) -> NDArray[np.int64]:
    """int64 (S,): the source pixel under each output pixel's centre."""
    centres = (np.arange(size) + 0.5) / size
    pixels = np.minimum((start + centres * length).astype(np.int64), limit - 1)
    return np.ascontiguousarray(pixels[::-1]) if mirrored else pixels


def _resample(gop: Gop, steps: int, box: CropBox, width: int, height: int, flip: bool) -> Clip:
    """Everything of a GOP inside `box`, at `width` x `height`."""
    frame_height, frame_width = gop.motion.shape[1:3]
    rows = _axis(box.top, box.height, height, frame_height)
    columns = _axis(box.left, box.width, width, frame_width, mirrored=flip)
    motion = np.empty((steps, height, width, 2), np.int16)
    _scale_motion(
        np.ascontiguousarray(gop.motion[:steps]),
        _centres(box.top, box.height, height, frame_height),
        _centres(box.left, box.width, width, frame_width, mirrored=flip),
        -width / box.width if flip else width / box.width,
        height / box.height,
        motion,
    )
    return Clip(
        iframe=_area_average(gop.iframe[None], rows, columns)[0].astype(np.uint8),
        motion=motion,
        residual=_area_average(gop.residual[:steps], rows, columns),
        gop_index=gop.index,
        pts_seconds=gop.pts_seconds,
    )


def _area_average(images: NDArray[Any], rows: _Axis, columns: _Axis) -> NDArray[np.int16]:
    """Images (N, H, W, 3) to int16 (N, height, width, 3)."""
    count, frame_height, frame_width, _ = images.shape
    height, width = len(rows.first), len(columns.first)
    out = np.empty((count, height, width * 3), np.int16)
    _average(
        np.ascontiguousarray(images).reshape(count, frame_height, frame_width * 3),
        rows.first,
        rows.count,
        rows.shares,
        rows.lengths,
        columns.first,
        columns.count,
        columns.shares,
        np.repeat(columns.lengths, 3),
        columns.begin,
        columns.end,
        out,
    )
    return out.reshape(count, height, width, 3)


@compiled
def _average(  # type: ignore[no-untyped-def]
    images, firsts, counts, shares, heights, column_firsts, column_counts, column_shares, widths, begin, end, out
):
    """Exact area average: the rows that an output row covers are summed first, then the columns.

    images: (N, H, W * 3); widths: of each output value, so three times each; begin, end: source columns that are
    covered; out: (N, S, S * 3). Rows are taken two at a time, which halves the traffic of `line`; the order of
    the additions is that of one at a time. The index into `line` is unsigned because Numba then leaves out the
    test for negative ones.
    """
    values = 3 * (end - begin)
    line = np.empty(values, np.float64)
    sums = np.empty(out.shape[2], np.float64)
    for n in range(images.shape[0]):
        for oy in range(out.shape[1]):
            top, count = firsts[oy], counts[oy]
            row, part = images[n, top, 3 * begin : 3 * end], shares[oy, 0]
            for i in range(values):
                line[i] = part * row[i]
            k = 1
            while k + 1 < count:
                row, part = images[n, top + k, 3 * begin : 3 * end], shares[oy, k]
                next_row, next_part = images[n, top + k + 1, 3 * begin : 3 * end], shares[oy, k + 1]
                for i in range(values):
                    line[i] = (line[i] + part * row[i]) + next_part * next_row[i]
                k += 2
            if k < count:
                row, part = images[n, top + k, 3 * begin : 3 * end], shares[oy, k]
                for i in range(values):
                    line[i] += part * row[i]
            for ox in range(column_firsts.shape[0]):
                at = np.uint64(3 * (column_firsts[ox] - begin))
                red = green = blue = 0.0
                for k in range(column_counts[ox]):
                    part = column_shares[ox, k]
                    red += part * line[at]
                    green += part * line[at + np.uint64(1)]
                    blue += part * line[at + np.uint64(2)]
                    at += np.uint64(3)
                sums[3 * ox] = red
                sums[3 * ox + 1] = green
                sums[3 * ox + 2] = blue
            target = out[n, oy]
            for i in range(sums.shape[0]):
                mean = sums[i] / (heights[oy] * widths[i])
                target[i] = np.int32(mean + np.copysign(0.5, mean))


@compiled
def _scale_motion(motion, rows, columns, scale_x, scale_y, out):  # type: ignore[no-untyped-def]
    """The vectors at `rows` x `columns`, scaled, half away from zero; out: int16 (T, H, W, 2)."""
    for t in range(out.shape[0]):
        for oy in range(out.shape[1]):
            line = motion[t, rows[oy]]
            for ox in range(out.shape[2]):
                x = line[columns[ox], 0] * scale_x
                y = line[columns[ox], 1] * scale_y
                x += np.copysign(0.5, x)
                y += np.copysign(0.5, y)
                # Conversion to an integer cuts off the fraction.
                out[t, oy, ox, 0] = np.int32(min(max(x, -MOTION_LIMIT), MOTION_LIMIT))
                out[t, oy, ox, 1] = np.int32(min(max(y, -MOTION_LIMIT), MOTION_LIMIT))
