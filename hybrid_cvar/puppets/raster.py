"""Antialiased capsules, ellipses and quadrilaterals, with textures and shading, over a background seen by a camera.

A part is a row of 8 numbers that say where it is (`GEOMETRY`) and a row of 17 that say what it looks like (`PAINT`).

    capsule   x0 y0 x1 y1 r0 r1     tapered, round ends
    ellipse   x y rx ry ax ay       (ax, ay): unit vector of the first half axis
    quad      x0 y0 ... x3 y3       convex, in order

All in pixels. A part's own texture runs along its axis (u) and across it (v), so it moves and turns with the part.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.jit import compiled

__all__ = [
    "CAPSULE",
    "ELLIPSE",
    "GEOMETRY",
    "PAINT",
    "QUAD",
    "TEXTURES",
    "draw_background",
    "draw_frame",
    "new_tile",
]

GEOMETRY, PAINT = 8, 17
CAPSULE, ELLIPSE, QUAD = 0, 1, 2
TEXTURES: tuple[str, ...] = ("plain", "hoops", "pinstripes", "checks", "plaid", "noise", "dots")
TILE = 128
NOISE_CELLS = 110.0  # cells of the noise tile in a figure's height

# Columns of a row of PAINT.
KIND, TEXTURE, PERIOD, RED_A, RED_B, FOLDS, TILE_U, TILE_V, SHADE, ALPHA, SOFTNESS = (
    0,
    1,
    2,
    3,
    6,
    9,
    10,
    11,
    12,
    13,
    14,
)
LIGHT_X, LIGHT_Y = 15, 16


def new_tile(rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise that tiles, float32 (TILE, TILE), -1 to 1: the texture of cloth, leaves and wood."""
    fine = rng.normal(0.0, 1.0, (TILE, TILE))
    coarse = np.kron(rng.normal(0.0, 1.0, (TILE // 4, TILE // 4)), np.ones((4, 4)))
    field = fine * 0.6 + coarse
    for axis in (0, 1):
        field = 0.5 * field + 0.25 * (np.roll(field, 1, axis) + np.roll(field, -1, axis))
    return np.clip(field / (2.0 * field.std()), -1.0, 1.0).astype(np.float32)


@compiled
def _wave(x: float) -> float:
    """A triangle wave of period 1, -1 to 1."""
    return 4.0 * abs(x - math.floor(x + 0.5)) - 1.0


@compiled
def _edge(x: float) -> float:
    """A stripe with soft edges, 0 to 1."""
    return min(max(0.5 + 2.5 * _wave(x), 0.0), 1.0)


@compiled
def _look_up(tile: NDArray[np.float32], u: float, v: float) -> float:
    column, row = math.floor(u), math.floor(v)
    fx, fy = u - column, v - row
    x0, y0 = int(column) & (TILE - 1), int(row) & (TILE - 1)
    x1, y1 = (x0 + 1) & (TILE - 1), (y0 + 1) & (TILE - 1)
    top = tile[y0, x0] + fx * (tile[y0, x1] - tile[y0, x0])
    bottom = tile[y1, x0] + fx * (tile[y1, x1] - tile[y1, x0])
    return top + fy * (bottom - top)


@compiled
def _mix(texture: int, u: float, v: float, tile: NDArray[np.float32]) -> float:
    """Share of the second colour, 0 to 1; `u` and `v` in periods of the texture."""
    if texture == 1:
        return _edge(u)
    if texture == 2:
        return _edge(v)
    if texture == 3:
        first, second = _edge(u * 0.5), _edge(v * 0.5)
        return first + second - 2.0 * first * second
    if texture == 4:
        return 0.5 * (_edge(u) + _edge(v))
    if texture == 5:
        return min(max(0.5 + _look_up(tile, u * 3.0, v * 3.0), 0.0), 1.0)
    if texture == 6:
        du, dv = u - math.floor(u + 0.5), v - math.floor(v + 0.5)
        return min(max(8.0 * (0.11 - du * du - dv * dv) + 0.5, 0.0), 1.0)
    return 0.0


@compiled
def _quad_distance(g: Any, x: float, y: float) -> float:
    area = (g[4] - g[0]) * (g[7] - g[3]) - (g[5] - g[1]) * (g[6] - g[2])
    sign = 1.0 if area > 0.0 else -1.0
    distance = -1e9
    for i in range(4):
        j = (i + 1) & 3
        ex, ey = g[2 * j] - g[2 * i], g[2 * j + 1] - g[2 * i + 1]
        length = math.sqrt(ex * ex + ey * ey) + 1e-6
        distance = max(distance, sign * (ey * (x - g[2 * i]) - ex * (y - g[2 * i + 1])) / length)
    return distance


@compiled
def _draw_part(canvas: NDArray[np.float32], g: Any, paint: Any, scale: float, tile: NDArray[np.float32]) -> None:
    """Draws a part over `canvas`, float32 (H, W, 3)."""
    kind = int(paint[KIND])
    height, width = canvas.shape[0], canvas.shape[1]
    soft = paint[SOFTNESS]
    if kind == CAPSULE:
        reach = max(g[4], g[5]) + soft
        left, right = min(g[0], g[2]) - reach, max(g[0], g[2]) + reach
        top, bottom = min(g[1], g[3]) - reach, max(g[1], g[3]) + reach
        ax, ay = g[2] - g[0], g[3] - g[1]
        length = math.sqrt(ax * ax + ay * ay)
        if length > 1e-3:
            ax, ay = ax / length, ay / length
        else:
            ax, ay = 0.0, 1.0
    elif kind == ELLIPSE:
        reach = max(g[2], g[3]) + soft
        left, right, top, bottom = g[0] - reach, g[0] + reach, g[1] - reach, g[1] + reach
        ax, ay, length = g[4], g[5], 0.0
    else:
        left, right = min(min(g[0], g[2]), min(g[4], g[6])) - soft, max(max(g[0], g[2]), max(g[4], g[6])) + soft
        top, bottom = min(min(g[1], g[3]), min(g[5], g[7])) - soft, max(max(g[1], g[3]), max(g[5], g[7])) + soft
        ax, ay = g[2] - g[0], g[3] - g[1]
        length = math.sqrt(ax * ax + ay * ay)
        ax, ay = ax / (length + 1e-6), ay / (length + 1e-6)
    x_from, x_to = int(max(math.floor(left), 0)), int(min(math.ceil(right) + 1, width))
    y_from, y_to = int(max(math.floor(top), 0)), int(min(math.ceil(bottom) + 1, height))
    texture = int(paint[TEXTURE])
    per_period = 1.0 / (paint[PERIOD] * scale)
    per_cell = NOISE_CELLS / scale
    shade, alpha, folds = paint[SHADE], paint[ALPHA], paint[FOLDS]
    tile_u, tile_v, light_x, light_y = paint[TILE_U], paint[TILE_V], paint[LIGHT_X], paint[LIGHT_Y]
    red, green, blue = paint[RED_A], paint[RED_A + 1], paint[RED_A + 2]
    more_red, more_green, more_blue = paint[RED_B] - red, paint[RED_B + 1] - green, paint[RED_B + 2] - blue
    from_x, from_y, first, second = g[0], g[1], g[4], g[5]
    slope = (second - first) / (length + 1e-6)
    half_x, half_y = 1.0 / max(g[2], 1e-3), 1.0 / max(g[3], 1e-3)
    thin = min(g[2], g[3])
    per_soft = 1.0 / soft
    for y in range(y_from, y_to):
        line = canvas[y]
        for x in range(x_from, x_to):
            dx, dy = x - from_x, y - from_y
            u, v = dx * ax + dy * ay, dy * ax - dx * ay
            if kind == CAPSULE:
                along = min(max(u, 0.0), length)
                radius = first + slope * along
                over = u - along
                squared = over * over + v * v
                if squared > (radius + soft) * (radius + soft):
                    continue
                distance = math.sqrt(squared) - radius
                nx, ny = (over * ax - v * ay) / radius, (over * ay + v * ax) / radius
            elif kind == ELLIPSE:
                ru, rv = u * half_x, v * half_y
                distance = (math.sqrt(ru * ru + rv * rv) - 1.0) * thin
                nx, ny = ru * ax - rv * ay, ru * ay + rv * ax
            else:
                distance = _quad_distance(g, x, y)
                nx = ny = 0.0
            cover = min(max(0.5 - distance * per_soft, 0.0), 1.0) * alpha
            if cover <= 0.0:
                continue
            light = 1.0 + shade * (nx * light_x + ny * light_y - 0.6 * (nx * nx + ny * ny))
            if folds > 0.0:
                light += folds * _look_up(tile, u * per_cell + tile_u, v * per_cell + tile_v)
            mix = _mix(texture, u * per_period, v * per_period, tile) if texture else 0.0
            line[x, 0] += cover * ((red + mix * more_red) * light - line[x, 0])
            line[x, 1] += cover * ((green + mix * more_green) * light - line[x, 1])
            line[x, 2] += cover * ((blue + mix * more_blue) * light - line[x, 2])


@compiled
def draw_background(
    canvas: NDArray[np.float32], background: NDArray[np.uint8], left: float, top: float, step: float
) -> None:
    """Fill `canvas`, float32 (H, W, 3), with the part of `background` that begins at (left, top), `step` pixels apart.

    Bilinear; what lies outside the background repeats its edge.
    """
    rows, columns = background.shape[0], background.shape[1]
    height, width = canvas.shape[0], canvas.shape[1]
    source = np.empty(width, np.int64)
    share = np.empty(width, np.float32)
    for x in range(width):
        at_x = min(max(left + x * step, 0.0), columns - 1.001)
        source[x] = int(at_x)
        share[x] = at_x - source[x]
    blended = np.empty((columns, 3), np.float32)
    flat = blended.reshape(-1)
    for y in range(height):
        at_y = min(max(top + y * step, 0.0), rows - 1.001)
        y0 = int(at_y)
        fy = np.float32(at_y - y0)
        above, below = background[y0].reshape(-1), background[y0 + 1].reshape(-1)
        for i in range(flat.size):
            flat[i] = above[i] + fy * (np.float32(below[i]) - np.float32(above[i]))
        line = canvas[y]
        for x in range(width):
            first = blended[source[x]]
            second = blended[source[x] + 1]
            for k in range(3):
                line[x, k] = first[k] + share[x] * (second[k] - first[k])


@compiled
def draw_frame(
    canvas: NDArray[np.float32],
    scratch: NDArray[np.float32],
    geometry: NDArray[np.float32],
    order: NDArray[np.int64],
    paint: NDArray[np.float32],
    front_geometry: NDArray[np.float32],
    front_paint: NDArray[np.float32],
    scale: float,
    box: NDArray[np.int64],
    tile: NDArray[np.float32],
    gain: NDArray[np.float32],
    grain: NDArray[np.int8],
    grain_at: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Draw the moving parts, averaged over their sub-frames, and those in front of them, and finish the frame.

    Args:
        canvas: float32 (H, W, 3), the background; overwritten.
        scratch: float32 (2, H, W, 3); overwritten.
        geometry: (S, P, GEOMETRY), moving parts in S sub-frames.
        order: (S, P), the parts from the farthest to the nearest.
        paint: (P, PAINT).
        front_geometry, front_paint: (Q, GEOMETRY) and (Q, PAINT), parts in front that stand still.
        scale: pixels of the figure's height, the unit of textures.
        box: left, top, right, bottom, pixels: holds all moving parts.
        tile: noise of `new_tile`.
        gain: (H, W, 3), factor on the levels.
        grain: int8 (2 * H, W + 64, 3), sensor noise, levels times 8.
        grain_at: row, column at which the frame's grain begins, and 0 or 1: its sign.
        out: (H, W, 3), the frame.
    """
    height, width = canvas.shape[0], canvas.shape[1]
    left, top = max(box[0], 0), max(box[1], 0)
    right, bottom = min(box[2], width), min(box[3], height)
    subframes = geometry.shape[0]
    share = np.float32(1.0) / np.float32(subframes)
    if subframes == 1:
        for k in range(order.shape[1]):
            part = order[0, k]
            _draw_part(canvas, geometry[0, part], paint[part], scale, tile)
    elif right > left and bottom > top:
        total, view = scratch[0], scratch[1]
        for s in range(subframes):
            for y in range(top, bottom):
                below, copy = canvas[y].reshape(-1), view[y].reshape(-1)
                for i in range(3 * left, 3 * right):
                    copy[i] = below[i]
            for k in range(order.shape[1]):
                part = order[s, k]
                _draw_part(view, geometry[s, part], paint[part], scale, tile)
            for y in range(top, bottom):
                seen, sums = view[y].reshape(-1), total[y].reshape(-1)
                if s == 0:
                    for i in range(3 * left, 3 * right):
                        sums[i] = share * seen[i]
                else:
                    for i in range(3 * left, 3 * right):
                        sums[i] += share * seen[i]
        for y in range(top, bottom):
            sums, below = total[y].reshape(-1), canvas[y].reshape(-1)
            for i in range(3 * left, 3 * right):
                below[i] = sums[i]
    for part in range(front_geometry.shape[0]):
        _draw_part(canvas, front_geometry[part], front_paint[part], scale, tile)
    sign = np.float32(0.125 if grain_at[2] else -0.125)
    row, column = grain_at[0], grain_at[1]
    for y in range(height):
        line, factors, pixels = canvas[y].reshape(-1), gain[y].reshape(-1), out[y].reshape(-1)
        specks = grain[row + y, column : column + width].reshape(-1)
        for i in range(pixels.size):
            value = line[i] * factors[i] + sign * np.float32(specks[i]) + np.float32(0.5)
            pixels[i] = np.uint8(min(max(value, np.float32(0.0)), np.float32(255.0)))
