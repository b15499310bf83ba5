"""Who is drawn: a body's proportions and colours, and what it wears."""

from dataclasses import dataclass

import numpy as np

from hybrid_cvar.puppets.raster import TEXTURES

__all__ = ["Body", "Cloth", "Outfit", "Person", "dress", "new_person"]

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Body:
    """Lengths and radii in parts of the figure's height.

    Attributes:
        thigh, shin, ankle_height, foot, foot_radius: the leg's.
        trunk, neck, head_half: hips to collar, collar to chin, half the head's height.
        upper_arm, forearm, hand: the arm's.
        shoulder_half, hip_half: half the distance of the shoulders, and of the hips.
        girth: factor on all radii.
        belly: factor on the waist's radius.
    """

    thigh: float
    shin: float
    ankle_height: float
    foot: float
    foot_radius: float
    trunk: float
    neck: float
    head_half: float
    upper_arm: float
    forearm: float
    hand: float
    shoulder_half: float
    hip_half: float
    girth: float
    belly: float


@dataclass(frozen=True)
class Cloth:
    """A material: two colours (levels 0 to 255), one of `TEXTURES`, its period in heights, how strong folds show."""

    texture: str
    first: Colour
    second: Colour
    period: float
    folds: float


@dataclass(frozen=True)
class Outfit:
    """What a figure wears in one video.

    Attributes:
        shirt, trousers, shoes: materials.
        long_sleeves, long_legs: bare forearms and shins where False.
    """

    shirt: Cloth
    trousers: Cloth
    shoes: Cloth
    long_sleeves: bool
    long_legs: bool


@dataclass(frozen=True)
class Person:
    """A body, its colours and a wardrobe.

    Attributes:
        body: proportions.
        skin, hair: colours, levels 0 to 255.
        hair_length: factor on the hair's size.
        palette: colours that the clothes are taken from.
    """

    body: Body
    skin: Colour
    hair: Colour
    hair_length: float
    palette: tuple[Colour, ...]


def new_person(rng: np.random.Generator) -> Person:
    """A person of random proportions and colours."""
    head = rng.uniform(0.062, 0.078)
    trunk = rng.uniform(0.265, 0.305)
    neck = rng.uniform(0.018, 0.03)
    ankle = 0.042
    leg = 1.0 - 2 * head - trunk - neck - ankle
    thigh = rng.uniform(0.495, 0.525)
    arm = rng.uniform(0.315, 0.36)
    upper = rng.uniform(0.51, 0.55)
    body = Body(
        thigh=leg * thigh,
        shin=leg * (1 - thigh),
        ankle_height=ankle,
        foot=rng.uniform(0.13, 0.16),
        foot_radius=rng.uniform(0.021, 0.026),
        trunk=trunk,
        neck=neck,
        head_half=head,
        upper_arm=arm * upper,
        forearm=arm * (1 - upper),
        hand=rng.uniform(0.045, 0.06),
        shoulder_half=rng.uniform(0.095, 0.125),
        hip_half=rng.uniform(0.046, 0.06),
        girth=rng.uniform(0.85, 1.25),
        belly=rng.uniform(0.9, 1.2),
    )
    dark = rng.uniform(0.0, 1.0)
    skin = _between((238, 194, 165), (84, 52, 36), dark, rng)
    hair_colours = ((28, 22, 20), (72, 46, 28), (140, 96, 48), (206, 170, 104), (130, 126, 124), (120, 48, 28))
    hair = _between(hair_colours[int(rng.integers(0, 6 if dark < 0.5 else 2))], (30, 26, 24), 0.2, rng)
    palette = tuple(_cloth_colour(rng) for _ in range(7))
    return Person(body, skin, hair, float(rng.uniform(0.9, 1.3)), palette)


def dress(person: Person, rng: np.random.Generator) -> Outfit:
    """An outfit of a person's colours."""
    shirt, second, trousers, third, shoes = (_vary(person.palette[i], rng) for i in rng.choice(7, 5, replace=False))
    return Outfit(
        shirt=_cloth(shirt, second, rng, plain=0.3),
        trousers=_cloth(trousers, third, rng, plain=0.65),
        shoes=Cloth("plain", shoes, shoes, 0.1, 0.05),
        long_sleeves=bool(rng.random() < 0.5),
        long_legs=bool(rng.random() < 0.7),
    )


def _cloth(first: Colour, second: Colour, rng: np.random.Generator, plain: float) -> Cloth:
    texture = "plain" if rng.random() < plain else TEXTURES[int(rng.integers(1, len(TEXTURES)))]
    return Cloth(texture, first, second, float(rng.uniform(0.025, 0.08)), float(rng.uniform(0.05, 0.2)))


def _cloth_colour(rng: np.random.Generator) -> Colour:
    """Any brightness, mostly muted: a grey with some of a hue."""
    level, strength = rng.uniform(25.0, 225.0), rng.uniform(0.0, 1.0) ** 1.5 * 110.0
    red, green, blue = np.clip(level + strength * rng.uniform(-1.0, 1.0, 3), 8.0, 245.0)
    return float(red), float(green), float(blue)


def _vary(colour: Colour, rng: np.random.Generator) -> Colour:
    red, green, blue = np.clip(np.array(colour) * rng.uniform(0.8, 1.2) + rng.normal(0.0, 8.0, 3), 5.0, 250.0)
    return float(red), float(green), float(blue)


def _between(first: Colour, second: Colour, share: float, rng: np.random.Generator) -> Colour:
    mixed = np.array(first) * (1 - share) + np.array(second) * share + rng.normal(0.0, 4.0, 3)
    red, green, blue = np.clip(mixed, 5.0, 250.0)
    return float(red), float(green), float(blue)
