"""What a figure is made of: capsules, ellipses and quadrilaterals between joints, with their paint."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.puppets.person import Cloth, Colour, Outfit, Person
from hybrid_cvar.puppets.raster import CAPSULE, ELLIPSE, GEOMETRY, PAINT, TEXTURES
from hybrid_cvar.puppets.skeleton import Joint

__all__ = ["Light", "Part", "figure_parts", "nearness", "paint_rows", "part_geometry", "plain"]

Array = NDArray[np.float64]
SHADOW_NEARNESS = -5.0


@dataclass(frozen=True)
class Part:
    """One shape.

    Attributes:
        kind: CAPSULE, ELLIPSE or QUAD.
        points: rows of the joint table: a capsule's ends; an ellipse's middle and where its first axis points to;
            a quadrilateral's corners.
        radii: a capsule's at its ends, or an ellipse's half axes, heights.
        cloth: its material.
        bias: heights that it counts as nearer than it is.
        shade: how round it looks, 0 to 1.
        alpha: opacity.
        softness: width of its edge, pixels.
    """

    kind: int
    points: tuple[int, ...]
    radii: tuple[float, float]
    cloth: Cloth
    bias: float = 0.0
    shade: float = 0.3
    alpha: float = 1.0
    softness: float = 1.0


@dataclass(frozen=True)
class Light:
    """Where light comes from and its colour.

    Attributes:
        direction: right and down, pointing to the light, length 0 to 1.
        tint: factor on red, green, blue.
    """

    direction: tuple[float, float]
    tint: tuple[float, float, float]


def plain(colour: Colour, folds: float = 0.04) -> Cloth:
    """A material of one colour."""
    return Cloth("plain", colour, colour, 0.1, folds)


def figure_parts(person: Person, outfit: Outfit, turn: float) -> list[Part]:
    """The parts of a clothed person that stands turned by `turn` radians."""
    body, girth = person.body, person.body.girth
    skin, hair = plain(person.skin), Cloth("noise", person.hair, _darker(person.hair), 0.03, 0.25)
    shirt, trousers = outfit.shirt, outfit.trousers
    sleeve = shirt if outfit.long_sleeves else skin
    legging = trousers if outfit.long_legs else skin
    front = abs(np.cos(turn))

    def flat(wide: float, deep: float) -> float:
        """Radius, seen from this side, of what is `wide` from the front and `deep` from the side."""
        return float(np.hypot(wide * front, deep * np.sin(turn))) * girth

    parts = [
        Part(
            ELLIPSE,
            (Joint.SHADOW,),
            (0.2, 0.035),
            plain((12.0, 12.0, 16.0), 0.0),
            SHADOW_NEARNESS,
            0.0,
            0.4,
            9.0,
        )
    ]
    chest, waist = flat(0.092, 0.072), flat(0.078, 0.07) * body.belly
    parts += [
        Part(CAPSULE, (Joint.HIPS, Joint.HIPS + 1), (0.062 * girth, 0.062 * girth), trousers, -0.04),
        Part(CAPSULE, (Joint.WAIST, Joint.CHEST), (waist, chest), shirt),
        Part(CAPSULE, (Joint.SHOULDERS, Joint.SHOULDERS + 1), (0.042 * girth, 0.042 * girth), shirt, 0.001),
        Part(CAPSULE, (Joint.COLLAR, Joint.NECK), (0.034 * girth**0.5, 0.031 * girth**0.5), skin, 0.002),
    ]
    half = body.head_half
    long_hair = person.hair_length
    parts += [
        Part(
            ELLIPSE, (Joint.HAIR, Joint.CROWN), (half * 0.98 * long_hair**0.6, half * 0.83 * long_hair**0.5), hair, 0.02
        ),
        Part(ELLIPSE, (Joint.FACE, Joint.CROWN), (half * 0.92, half * 0.7), skin, 0.05, 0.4),
        Part(ELLIPSE, (Joint.NOSE, Joint.CROWN), (half * 0.17, half * 0.13), plain(_darker(person.skin, 0.93)), 0.06),
    ]
    eye = plain((30.0, 24.0, 22.0), 0.0)
    parts += [
        Part(ELLIPSE, (Joint.EYES + side, Joint.EYES + side), (half * 0.11, half * 0.11), eye, 0.045, 0.0)
        for side in (0, 1)
    ]
    for side in (0, 1):
        shoulder, elbow, wrist = Joint.SHOULDERS + side, Joint.ELBOWS + side, Joint.WRISTS + side
        hip, knee, ankle = Joint.HIPS + side, Joint.KNEES + side, Joint.ANKLES + side
        parts += [
            Part(CAPSULE, (hip, knee), (0.062 * girth, 0.046 * girth), trousers, -0.06),
            Part(CAPSULE, (knee, ankle), (0.043 * girth, 0.027 * girth), legging, -0.062),
            Part(
                CAPSULE,
                (Joint.HEELS + side, Joint.TOES + side),
                (body.foot_radius * 1.1, body.foot_radius * 0.9),
                outfit.shoes,
                -0.058,
            ),
            Part(CAPSULE, (shoulder, elbow), (0.038 * girth, 0.03 * girth), shirt, 0.05),
            Part(CAPSULE, (elbow, wrist), (0.028 * girth, 0.021 * girth), sleeve, 0.055),
            Part(CAPSULE, (wrist, Joint.FINGERS + side), (0.02, 0.022), skin, 0.056),
        ]
    return parts


def part_geometry(parts: list[Part], pixels: Array, scale: Array) -> NDArray[np.float32]:
    """Rows for the raster.

    Args:
        parts: P of them.
        pixels: (N, K, 2), the joint table in the picture.
        scale: (N,), pixels of the figure's height.

    Returns:
        (N, P, GEOMETRY).
    """
    rows = np.zeros((len(pixels), len(parts), GEOMETRY), np.float32)
    for index, part in enumerate(parts):
        row = rows[:, index]
        if part.kind == ELLIPSE:
            middle, end = pixels[:, part.points[0]], pixels[:, part.points[-1]]
            axis = end - middle
            length = np.linalg.norm(axis, axis=-1, keepdims=True)
            row[:, 0:2] = middle
            row[:, 2] = part.radii[0] * scale
            row[:, 3] = part.radii[1] * scale
            row[:, 4:6] = np.where(length > 1e-3, axis / np.maximum(length, 1e-3), (1.0, 0.0))
            continue
        for number, point in enumerate(part.points):
            row[:, 2 * number : 2 * number + 2] = pixels[:, point]
        if part.kind == CAPSULE:
            row[:, 4] = part.radii[0] * scale
            row[:, 5] = part.radii[1] * scale
    return rows


def paint_rows(parts: list[Part], light: Light, rng: np.random.Generator) -> NDArray[np.float32]:
    """(P, PAINT), what the parts look like in a light."""
    rows = np.zeros((len(parts), PAINT), np.float32)
    tint = np.asarray(light.tint)
    for row, part in zip(rows, parts, strict=True):
        cloth = part.cloth
        row[0], row[1], row[2] = part.kind, TEXTURES.index(cloth.texture), cloth.period
        row[3:6], row[6:9] = np.asarray(cloth.first) * tint, np.asarray(cloth.second) * tint
        row[9], row[10:12] = cloth.folds, rng.uniform(0.0, 128.0, 2)
        row[12:15] = part.shade, part.alpha, part.softness
        row[15:17] = light.direction
    return rows


def nearness(parts: list[Part], near: Array) -> Array:
    """(N, P), heights towards the viewer: the mean of a part's points, and its bias."""
    return np.stack([near[:, list(part.points)].mean(axis=1) + part.bias for part in parts], axis=1)


def _darker(colour: Colour, factor: float = 0.6) -> Colour:
    red, green, blue = colour
    return red * factor, green * factor, blue * factor
