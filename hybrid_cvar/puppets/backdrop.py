"""Backgrounds of four kinds, painted from noise: clouds and leaves, a room, open country, blurred lights."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["KINDS", "paint_backdrop"]

Array = NDArray[np.float32]
KINDS: tuple[str, ...] = ("foliage", "room", "country", "lights")
SHARES = (0.25, 0.4, 0.25, 0.1)


def paint_backdrop(rng: np.random.Generator, width: int, height: int, floor_y: float, size: float) -> NDArray[np.uint8]:
    """A background.

    Args:
        rng: source of all choices.
        width, height: pixels.
        floor_y: row on which the figure stands, pixels.
        size: pixels of a figure's height.

    Returns:
        uint8 (height, width, 3), RGB.
    """
    kind = KINDS[int(rng.choice(len(KINDS), p=SHARES))]
    painter = {"foliage": _foliage, "room": _room, "country": _country, "lights": _lights}[kind]
    picture = painter(rng, width, height, floor_y, size)
    picture *= _light_fall(rng, width, height)[..., None]
    picture += 6.0 * _octaves(rng, width, height, (90, 30, 9, 3), 0.7)[..., None]
    return np.clip(picture, 0.0, 255.0).astype(np.uint8)


def _smooth(rng: np.random.Generator, width: int, height: int, cell: float, stretch: float = 1.0) -> Array:
    """float32 (H, W), deviation about 1, blobs of about `cell` pixels, `stretch` times as wide as high."""
    rows, columns = max(int(height / cell) + 3, 4), max(int(width / (cell * stretch)) + 3, 4)
    coarse = rng.normal(0.0, 1.0, (rows, columns)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.float32)


def _octaves(
    rng: np.random.Generator, width: int, height: int, cells: tuple[float, ...], fall: float, stretch: float = 1.0
) -> Array:
    """float32 (H, W): noise of several scales, each `fall` times as strong as the one before it."""
    total = np.zeros((height, width), np.float32)
    for index, cell in enumerate(cells):
        total += np.float32(fall**index) * _smooth(rng, width, height, cell, stretch)
    return total


def _mixed(first: Array, second: Array, share: Array) -> Array:
    return first + np.clip(share, 0.0, 1.0)[..., None] * (second - first)


def _colour(rng: np.random.Generator, low: float = 40.0, high: float = 215.0, strength: float = 45.0) -> Array:
    return np.clip(rng.uniform(low, high) + rng.uniform(-strength, strength, 3), 10.0, 245.0).astype(np.float32)


def _light_fall(rng: np.random.Generator, width: int, height: int) -> Array:
    across = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None]
    down = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    return (1.0 + rng.uniform(-0.25, 0.25) * across + rng.uniform(-0.2, 0.15) * down).astype(np.float32)


def _foliage(rng: np.random.Generator, width: int, height: int, floor_y: float, size: float) -> Array:
    largest = rng.uniform(60.0, 140.0)
    cells = tuple(largest / 2.2**step for step in range(5))
    fall = rng.uniform(0.55, 0.8)
    first, second, third = _colour(rng), _colour(rng), _colour(rng)
    flat = np.broadcast_to(first, (height, width, 3))
    picture = _mixed(flat, second, 0.5 + 0.35 * _octaves(rng, width, height, cells, fall))
    return _mixed(picture, third, 0.4 * _octaves(rng, width, height, cells[1:4], 0.7))


def _country(rng: np.random.Generator, width: int, height: int, floor_y: float, size: float) -> Array:
    down = np.arange(height, dtype=np.float32)[:, None]
    horizon = float(np.clip(floor_y - rng.uniform(0.12, 0.5) * size, 0.15 * height, height - 4.0))
    top = np.array((90.0, 140.0, 215.0), np.float32) * rng.uniform(0.6, 1.1) + rng.normal(0.0, 12.0, 3)
    low = np.clip(top + rng.uniform(10.0, 70.0), 0.0, 245.0).astype(np.float32)
    picture = _mixed(
        np.broadcast_to(top.astype(np.float32), (height, width, 3)),
        low,
        np.broadcast_to(down / horizon, (height, width)),
    )
    cloud = _octaves(rng, width, height, (80, 34, 14, 6), 0.6, 2.0) - rng.uniform(0.0, 1.5)
    picture = _mixed(picture, np.full(3, 238.0, np.float32), 0.5 * cloud)
    for layer in range(int(rng.integers(1, 4))):
        ridge = horizon - (rng.uniform(0.1, 0.55) - 0.12 * layer) * size
        line = ridge + 0.12 * size * _smooth(rng, width, 4, 60.0 / (layer + 1), 1.0)[1]
        line = line + 0.02 * size * _smooth(rng, width, 4, 7.0, 1.0)[1]
        tone = _colour(rng, 50.0, 140.0, 30.0) * np.array((0.8, 1.05, 0.8), np.float32)
        leaves = tone * (1.0 + 0.22 * _octaves(rng, width, height, (14, 5, 2.5), 0.8))[..., None]
        picture = _mixed(picture, leaves, np.clip(down - line[None], 0.0, 1.0))
    for _ in range(int(rng.integers(0, 6))):
        _tree(rng, picture, float(rng.uniform(0, width)), horizon + rng.uniform(0.0, 0.1) * size, size)
    ground = _colour(rng, 70.0, 170.0, 35.0)
    depth = (down - horizon) / max(height - horizon, 1.0)
    grain = _octaves(rng, width, height, (40, 12, 4, 2), 0.8, 2.5)
    floor = ground * (1.0 + 0.16 * grain + 0.15 * depth)[..., None]
    return _mixed(picture, floor, np.broadcast_to(np.clip(down - horizon, 0.0, 1.0), (height, width)))


def _tree(rng: np.random.Generator, picture: Array, x: float, foot: float, size: float) -> None:
    height, width = picture.shape[:2]
    tall, thick = rng.uniform(0.5, 1.3) * size, rng.uniform(0.015, 0.05) * size
    crown = rng.uniform(0.18, 0.4) * size
    left, right = max(int(x - crown * 1.6), 0), min(int(x + crown * 1.6), width)
    if right - left < 8:
        return
    across: Array = np.arange(left, right, dtype=np.float32)[None] - np.float32(x)
    down: Array = np.arange(height, dtype=np.float32)[:, None]
    region = picture[:, left:right]
    trunk = _colour(rng, 40.0, 110.0, 20.0)
    upright = ((down < foot) & (down > foot - tall * 0.8)).astype(np.float32)
    inside = np.clip(np.float32(thick) - np.abs(across) + np.float32(0.5), 0.0, 1.0).astype(np.float32) * upright
    region[:] = _mixed(region, trunk, inside)
    rough = _octaves(rng, right - left, height, (16, 6, 3), 0.8)
    around = np.hypot(across, (down - foot + tall) * rng.uniform(0.7, 1.2)) + 0.14 * crown * rough
    tone = _colour(rng, 45.0, 130.0, 30.0) * np.array((0.8, 1.1, 0.7), np.float32)
    region[:] = _mixed(region, tone * (1.0 + 0.3 * rough)[..., None], (crown - around) * 0.5)


def _pattern(rng: np.random.Generator, across: Array, down: Array, width: int, height: int, size: float) -> Array:
    """Share of a second colour: plain, stripes, bricks, tiles or panels."""
    kind = int(rng.integers(0, 6))
    period = rng.uniform(0.06, 0.3) * size
    joint = max(1.0, 0.05 * period)
    if kind == 0:
        return np.zeros(np.broadcast_shapes(across.shape, down.shape), np.float32)
    if kind == 1:
        return np.broadcast_to(np.clip(0.5 + 4.0 * np.sin(across * 2 * np.pi / period), 0.0, 1.0), (height, width))
    if kind == 2:
        row = np.floor(down / (period * 0.5))
        shift = across + np.where(row % 2 == 0, 0.0, period * 0.5)
        return np.maximum(shift % period < joint, down % (period * 0.5) < joint).astype(np.float32)
    if kind == 3:
        return np.maximum(across % period < joint, down % period < joint).astype(np.float32)
    if kind == 4:
        return 0.6 * np.clip(np.sin(across * 6.3 / period) + np.sin(down * 6.3 / period), 0.0, 1.0).astype(np.float32)
    return np.broadcast_to((across % period < joint).astype(np.float32), (height, width))


def _room(rng: np.random.Generator, width: int, height: int, floor_y: float, size: float) -> Array:
    across = np.arange(width, dtype=np.float32)[None]
    down = np.arange(height, dtype=np.float32)[:, None]
    corner = floor_y - rng.uniform(0.06, 0.3) * size
    wall, second = _colour(rng), _colour(rng)
    strength = rng.uniform(0.2, 0.8)
    rough = 1.0 + 0.04 * _octaves(rng, width, height, (60, 10, 3), 0.9)
    share = strength * _pattern(rng, across + rng.uniform(0, 99), down, width, height, size)
    picture = _mixed(np.broadcast_to(wall, (height, width, 3)), second, share) * rough[..., None]
    for _ in range(int(rng.integers(0, 4))):
        _hang(rng, picture, corner, size)
    # Lines of the floor meet at a point above the corner.
    depth = np.maximum(down - corner + 0.1 * size, 1.0) / (0.1 * size)
    beside = (across - width / 2 + rng.uniform(-80, 80)) / depth + 1000.0
    behind = 4000.0 / depth
    first, other = _colour(rng, 40.0, 190.0, 35.0), _colour(rng, 40.0, 190.0, 35.0)
    tiles = _pattern(rng, beside, np.broadcast_to(behind, (height, width)), width, height, size * 0.6)
    grain = 1.0 + 0.07 * _octaves(rng, width, height, (30, 8, 3), 0.8, 3.0)
    floor = _mixed(np.broadcast_to(first, (height, width, 3)), other, strength * tiles) * grain[..., None]
    picture = _mixed(picture, floor, np.broadcast_to(np.clip(down - corner, 0.0, 1.0), (height, width)))
    skirting = np.exp(-(((down - corner) / 3.0) ** 2)) * rng.uniform(0.0, 0.8)
    picture = _mixed(picture, _colour(rng, 30.0, 120.0, 15.0), np.broadcast_to(skirting, (height, width)))
    for _ in range(int(rng.integers(0, 4))):
        _furniture(rng, picture, corner, size)
    return picture


def _hang(rng: np.random.Generator, picture: Array, corner: float, size: float) -> None:
    """A picture in its frame, a window or a door on the wall."""
    height, width = picture.shape[:2]
    wide, high = rng.uniform(0.2, 0.7) * size, rng.uniform(0.2, 0.7) * size
    left = rng.uniform(-0.2 * wide, width - 0.5 * wide)
    bottom = corner - rng.uniform(0.0, 0.9) * size if rng.random() < 0.8 else corner
    box = _box(left, bottom - high, left + wide, bottom, width, height)
    if box is None:
        return
    x0, y0, x1, y1 = box
    edge = max(int(0.02 * size), 2)
    picture[y0:y1, x0:x1] = _colour(rng)
    if x1 - x0 <= 2 * edge + 4 or y1 - y0 <= 2 * edge + 4:
        return
    shape = picture[y0 + edge : y1 - edge, x0 + edge : x1 - edge].shape
    noise = _octaves(rng, shape[1], shape[0], (30, 12, 5), 0.7)
    picture[y0 + edge : y1 - edge, x0 + edge : x1 - edge] = _mixed(
        np.broadcast_to(_colour(rng, 60.0, 230.0), shape), _colour(rng, 60.0, 230.0), 0.5 + 0.4 * noise
    )
    if rng.random() < 0.5:
        middle = (x0 + x1) // 2
        picture[y0:y1, middle - edge // 2 : middle + edge // 2 + 1] = picture[y0, x0]


def _furniture(rng: np.random.Generator, picture: Array, corner: float, size: float) -> None:
    """A cupboard or a shelf that stands against the wall."""
    height, width = picture.shape[:2]
    wide, high = rng.uniform(0.15, 0.6) * size, rng.uniform(0.2, 0.9) * size
    left = rng.uniform(-0.3 * wide, width - 0.6 * wide)
    box = _box(left, corner - high, left + wide, corner + rng.uniform(0.01, 0.05) * size, width, height)
    if box is None:
        return
    x0, y0, x1, y1 = box
    grain = 1.0 + 0.1 * _octaves(rng, x1 - x0, y1 - y0, (12, 4), 0.8, 4.0)
    picture[y0:y1, x0:x1] = _colour(rng, 30.0, 190.0, 40.0) * grain[..., None]
    shelves = int(rng.integers(1, 5))
    for row in np.linspace(y0, y1 - 1, shelves + 1)[1:-1].astype(int):
        picture[row : row + 2, x0:x1] *= 0.55
    picture[y0:y1, x0 : x0 + 1] *= 0.6
    picture[y0:y1, x1 - 1 : x1] *= 0.6


def _box(x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> tuple[int, int, int, int] | None:
    left, right = max(int(x0), 0), min(int(x1), width)
    top, bottom = max(int(y0), 0), min(int(y1), height)
    return (left, top, right, bottom) if right - left > 3 and bottom - top > 3 else None


def _lights(rng: np.random.Generator, width: int, height: int, floor_y: float, size: float) -> Array:
    first, second = _colour(rng, 20.0, 110.0, 25.0), _colour(rng, 30.0, 150.0, 35.0)
    share = 0.5 + 0.5 * _octaves(rng, width, height, (110, 50), 0.6)
    picture = _mixed(np.broadcast_to(first, (height, width, 3)), second, share)
    for _ in range(int(rng.integers(12, 45))):
        radius = rng.uniform(0.03, 0.15) * size
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        box = _box(x - radius - 2, y - radius - 2, x + radius + 3, y + radius + 3, width, height)
        if box is None:
            continue
        x0, y0, x1, y1 = box
        away = np.hypot(np.arange(x0, x1)[None] - x, np.arange(y0, y1)[:, None] - y).astype(np.float32)
        disc = np.clip((radius - away) * 0.6, 0.0, 1.0) * rng.uniform(0.15, 0.6)
        picture[y0:y1, x0:x1] = _mixed(picture[y0:y1, x0:x1], _colour(rng, 110.0, 235.0, 60.0), disc)
    return picture
