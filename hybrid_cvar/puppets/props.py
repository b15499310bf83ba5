"""Chairs, crates and carts that a figure uses, and what stands in front of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.puppets.paired_poses import SEAT_HEIGHT
from hybrid_cvar.puppets.parts import Part, plain
from hybrid_cvar.puppets.person import Cloth, Colour
from hybrid_cvar.puppets.raster import CAPSULE, ELLIPSE, QUAD

__all__ = ["Prop", "new_chair", "new_load", "new_obstacle"]

Array = NDArray[np.float64]
BEHIND = -2.0
HALF_DEPTH = 0.13  # of a chair, heights


@dataclass(frozen=True, eq=False)
class Prop:
    """Points and the parts between them.

    Attributes:
        points: (K, 3): forward, left, up from the figure's start, heights. (K, 2), right and down, for an obstacle.
        parts: whose `points` are rows of these points, from 0.
    """

    points: Array
    parts: list[Part]


def new_chair(rng: np.random.Generator, thigh: float) -> Prop:
    """A chair that stands behind the figure, ready for `sit_down`."""
    cloth = _material(rng)
    frame = plain(cloth.second, 0.1)
    front, back = -0.35 * thigh, -thigh - 0.12
    wide, top = HALF_DEPTH, SEAT_HEIGHT + rng.uniform(0.22, 0.3)
    lean = rng.uniform(0.0, 0.05)
    points, parts = [], []
    for f, u in ((front, SEAT_HEIGHT), (back, SEAT_HEIGHT)):
        points += [(f, wide, u), (f, -wide, u)]
    for f in (front, back):
        points += [(f, wide, 0.0), (f, -wide, 0.0)]
    points += [(back - lean, wide, top), (back - lean, -wide, top)]
    thick = float(rng.uniform(0.01, 0.018))
    for upper, lower in ((0, 4), (1, 5), (2, 6), (3, 7)):
        parts.append(Part(CAPSULE, (upper, lower), (thick, thick), frame, BEHIND, 0.3))
    if rng.random() < 0.5:
        parts.append(Part(QUAD, (2, 3, 9, 8), (0.0, 0.0), cloth, BEHIND + 0.1, 0.0))
    else:
        for share in (0.35, 0.65, 0.95):
            points += [(back - lean * share, side, SEAT_HEIGHT + share * (top - SEAT_HEIGHT)) for side in (wide, -wide)]
            parts.append(Part(CAPSULE, (len(points) - 2, len(points) - 1), (0.02, 0.02), cloth, BEHIND + 0.1, 0.3))
    for end in (8, 9):
        parts.append(Part(CAPSULE, (end - 6, end), (thick, thick), frame, BEHIND + 0.15, 0.3))
    parts.append(Part(QUAD, (0, 1, 3, 2), (0.0, 0.0), cloth, BEHIND + 0.2, 0.0))
    for first, second in ((0, 1), (0, 2), (1, 3)):
        parts.append(Part(CAPSULE, (first, second), (thick * 1.2, thick * 1.2), frame, BEHIND + 0.25, 0.3))
    return Prop(np.array(points), parts)


def new_load(rng: np.random.Generator, at: float, hand_height: float) -> Prop:
    """A crate or a cart that travels with the figure.

    Args:
        rng: source of all choices.
        at: of the hands, forward, heights.
        hand_height: of the hands, heights.
    """
    cloth = _material(rng)
    cart = bool(rng.random() < 0.45)
    near, length = at + (0.1 if cart else 0.02), rng.uniform(0.22, 0.34)
    wide = rng.uniform(0.1, 0.16)
    low = 0.09 if cart else 0.0
    high = rng.uniform(0.34, 0.48) if cart else max(hand_height + rng.uniform(0.02, 0.1), 0.3)
    points = [
        (f, s, u)
        for u in (low, high)
        for f, s in ((near, wide), (near, -wide), (near + length, -wide), (near + length, wide))
    ]
    side, end, lid = cloth, _shaded(cloth, 0.8), _shaded(cloth, 1.15)
    parts = [
        Part(QUAD, (0, 3, 7, 4), (0.0, 0.0), side, -0.03, 0.0),
        Part(QUAD, (3, 2, 6, 7), (0.0, 0.0), end, 0.0, 0.0),
        Part(QUAD, (0, 1, 5, 4), (0.0, 0.0), end, 0.0, 0.0),
        Part(QUAD, (4, 5, 6, 7), (0.0, 0.0), lid, 0.01, 0.0),
        Part(QUAD, (1, 2, 6, 5), (0.0, 0.0), side, -0.03, 0.0),
    ]
    frame = plain(_shaded(cloth, 0.5).first, 0.1)
    for pair in ((5, 6), (1, 2), (1, 5), (2, 6), (4, 7), (0, 4), (3, 7)):
        parts.append(Part(CAPSULE, pair, (0.008, 0.008), frame, 0.015, 0.2))
    if cart:
        for f in (near + 0.05, near + length - 0.05):
            for s in (wide, -wide):
                points.append((f, s, 0.055))
                parts.append(Part(ELLIPSE, (len(points) - 1,), (0.055, 0.055), plain((34.0, 34.0, 38.0)), 0.03, 0.3))
                parts.append(Part(ELLIPSE, (len(points) - 1,), (0.02, 0.02), plain((150.0, 150.0, 150.0)), 0.031, 0.3))
        for s in (wide, -wide):
            points += [(near + 0.02, s, high - 0.03), (at, s, hand_height)]
            parts.append(Part(CAPSULE, (len(points) - 2, len(points) - 1), (0.011, 0.011), frame, 0.0, 0.3))
    return Prop(np.array(points), parts)


def new_obstacle(rng: np.random.Generator, width: int, height: int, figure: float) -> Prop:
    """Something that stands between the viewer and the figure, or nothing: a pole, a bush, a table or a box.

    Args:
        rng: source of all choices.
        width, height: of the picture, pixels.
        figure: the figure's height, pixels.

    Returns:
        Points in scene pixels; radii in figure heights.
    """
    kind = rng.choice(5, p=(0.55, 0.1, 0.15, 0.1, 0.1))
    x, bottom = rng.uniform(0.18, 0.82) * width, height + 40.0
    if kind == 0:
        return Prop(np.zeros((0, 2)), [])
    if kind == 1:
        thick = float(rng.uniform(0.02, 0.05))
        part = Part(CAPSULE, (0, 1), (thick, thick), _material(rng), 0.0, 0.5)
        return Prop(np.array([(x, -30.0), (x + rng.uniform(-8.0, 8.0), bottom)]), [part])
    if kind == 2:
        green = np.array((60.0, 110.0, 50.0)) * rng.uniform(0.5, 1.3) + rng.normal(0.0, 14.0, 3)
        points, parts = [], []
        top = height - figure * rng.uniform(0.05, 0.3)
        for _ in range(int(rng.integers(6, 12))):
            points.append((x + rng.normal(0.0, 0.14) * figure, top + rng.uniform(0.0, 0.35) * figure))
            leaf = np.clip(green * rng.uniform(0.75, 1.25), 5.0, 250.0)
            cloth = Cloth("noise", _colour(leaf), _colour(leaf * 0.5), float(rng.uniform(0.03, 0.06)), 0.3)
            radius = float(rng.uniform(0.07, 0.15))
            parts.append(Part(ELLIPSE, (len(points) - 1,), (radius, radius * 0.8), cloth, 0.0, 0.3, 1.0, 3.0))
        return Prop(np.array(points), parts)
    cloth = _material(rng)
    half, top = rng.uniform(0.15, 0.3) * figure, height - figure * rng.uniform(0.05, 0.3)
    if kind == 3:
        points = [(x - half, top), (x + half, top), (x - half * 0.9, bottom), (x + half * 0.9, bottom)]
        parts = [Part(CAPSULE, pair, (0.02, 0.02), cloth, 0.0, 0.4) for pair in ((0, 2), (1, 3))]
        parts.append(Part(CAPSULE, (0, 1), (0.03, 0.03), cloth, 0.0, 0.3))
        return Prop(np.array(points), parts)
    points = [(x - half, top), (x + half, top), (x + half, bottom), (x - half, bottom)]
    return Prop(np.array(points), [Part(QUAD, (0, 1, 2, 3), (0.0, 0.0), cloth, 0.0, 0.0)])


def _material(rng: np.random.Generator) -> Cloth:
    """Wood, paint or fabric."""
    if rng.random() < 0.5:
        wood = np.array((150.0, 105.0, 65.0)) * rng.uniform(0.45, 1.35) + rng.normal(0.0, 10.0, 3)
    else:
        wood = rng.uniform(20.0, 225.0, 3)
    texture = str(rng.choice(["plain", "hoops", "pinstripes", "checks", "noise"]))
    return Cloth(texture, _colour(wood), _colour(wood * rng.uniform(0.55, 0.85)), float(rng.uniform(0.03, 0.09)), 0.12)


def _shaded(cloth: Cloth, factor: float) -> Cloth:
    first, second = np.array(cloth.first) * factor, np.array(cloth.second) * factor
    return Cloth(cloth.texture, _colour(first), _colour(second), cloth.period, cloth.folds)


def _colour(levels: Array) -> Colour:
    red, green, blue = np.clip(levels, 3.0, 250.0)
    return float(red), float(green), float(blue)
