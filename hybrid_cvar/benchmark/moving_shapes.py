"""Videos of one textured figure that does one thing: eight actions that only motion tells apart.

A seed fixes the look (figure, colours, background, place, speed, camera); the action fixes the motion alone.
So a single frame says nothing of the action, and a recogniser has to use the motion. Translations wrap around
the frame, turns go on for ever, and growth starts again when it reaches its end, which it does between two GOPs.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.video.encoding import GOP_FRAMES

__all__ = ["ACTIONS", "draw_video"]

ACTIONS: tuple[str, ...] = (
    "move left",
    "move right",
    "move up",
    "move down",
    "grow",
    "shrink",
    "turn clockwise",
    "turn anticlockwise",
)

DIRECTIONS = {"move left": (-1, 0), "move right": (1, 0), "move up": (0, -1), "move down": (0, 1)}
GROWTH = {"grow": 1, "shrink": -1}
TURNS = {"turn clockwise": 1, "turn anticlockwise": -1}

CANVAS = 192
SMALLEST, SPAN = 0.15, 0.5  # least radius of a figure that grows or shrinks, and most change; parts of the height
NOISE_FRAMES = 8


@dataclass(frozen=True, eq=False)
class _Scene:
    """Everything that a seed fixes.

    Attributes:
        figure: RGBA, CANVAS x CANVAS, its centre in the middle.
        background: RGB, a margin of 2 pixels wider than the frame on each side.
        noise: int8 (NOISE_FRAMES, H, W, 1), grey levels.
        center: start of the figure's centre, pixels.
        radius: its radius, pixels, where the action does not change it.
        angle: its start angle, radians, clockwise.
        speed: pixels a frame, at the figure's rim for turns.
        growth: pixels a frame that the radius changes by.
        rounds: GOPs from the least radius to the greatest.
        phase: GOPs of the first round that lie before the first frame.
        sway: two rates and two phases of the camera's sway, radians.
    """

    figure: Image.Image
    background: Image.Image
    noise: NDArray[np.int8]
    center: tuple[float, float]
    radius: float
    angle: float
    speed: float
    growth: float
    rounds: int
    phase: int
    sway: tuple[float, float, float, float]


def draw_video(
    action: str, seed: int, frames: int = 96, width: int = 340, height: int = 256
) -> Iterator[NDArray[np.uint8]]:
    """Draw a video, frame by frame.

    Args:
        action: one of `ACTIONS`.
        seed: fixes all but the action, 0 or more.
        frames: how many.
        width, height: frame size, pixels, at least 32.

    Yields:
        uint8 (H, W, 3), RGB. The figure moves 18 to 38 pixels in 12 frames (at its rim, if it turns or grows),
        for a frame 256 pixels high.

    Raises:
        ConfigError: no such action, or a number out of range.
    """
    if action not in ACTIONS:
        raise ConfigError(f"action = {action!r}", f"must be one of: {', '.join(ACTIONS)}")
    if seed < 0 or frames < 1 or min(width, height) < 32:
        raise ConfigError(
            f"seed = {seed}, frames = {frames}, {width}x{height}",
            "the seed must not be negative, there must be a frame, and sides must be at least 32 pixels",
        )
    return _draw_frames(action, _make_scene(seed, width, height), frames, width, height)


def _make_scene(seed: int, width: int, height: int) -> _Scene:
    rng = np.random.default_rng(seed)
    growth = float(rng.uniform(1.5, 2.6) * height / 256)
    rounds = int(SPAN * height / (growth * GOP_FRAMES))
    return _Scene(
        figure=_draw_figure(rng),
        background=_draw_background(rng, width + 4, height + 4),
        noise=np.rint(rng.normal(0.0, 0.9, (NOISE_FRAMES, height, width, 1))).astype(np.int8),
        center=(float(rng.uniform(0.3, 0.7) * width), float(rng.uniform(0.35, 0.65) * height)),
        radius=float(rng.uniform(0.2, 0.4) * height),
        angle=float(rng.uniform(0.0, 2 * np.pi)),
        speed=float(rng.uniform(1.5, 3.2) * height / 256),
        growth=growth,
        rounds=rounds,
        phase=int(rng.integers(0, rounds)),
        sway=(
            float(rng.uniform(0.05, 0.2)),
            float(rng.uniform(0.05, 0.2)),
            float(rng.uniform(0.0, 2 * np.pi)),
            float(rng.uniform(0.0, 2 * np.pi)),
        ),
    )


def _smooth_noise(rng: np.random.Generator, width: int, height: int, cell: int) -> NDArray[np.float32]:
    """float32 (H, W), about -1 to 1, with blobs of about `cell` pixels."""
    coarse = rng.uniform(-1.0, 1.0, (height // cell + 3, width // cell + 3)).astype(np.float32)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, np.float32)


def _draw_background(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    base = rng.uniform(60.0, 180.0, 3)
    light = 26 * _smooth_noise(rng, width, height, 90) + 14 * _smooth_noise(rng, width, height, 28)
    light += 9 * _smooth_noise(rng, width, height, 7)
    tint = np.stack([14 * _smooth_noise(rng, width, height, 70) for _ in range(3)], axis=-1)
    return Image.fromarray(np.clip(base + light[..., None] + tint, 0, 255).astype(np.uint8))


def _draw_figure(rng: np.random.Generator) -> Image.Image:
    """A body with three to five limbs of different lengths, every part of another colour and texture."""
    scale = 2
    size = CANVAS * scale
    shape = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    pen = ImageDraw.Draw(shape)
    middle = size / 2
    limbs = int(rng.integers(3, 6))
    turns = np.arange(limbs) * 2 * np.pi / limbs + rng.uniform(-0.35, 0.35, limbs)
    for turn in turns:
        reach = rng.uniform(0.72, 0.96) * middle
        breadth = rng.uniform(0.09, 0.17) * size
        tip = (middle + reach * np.cos(turn), middle + reach * np.sin(turn))
        colour = _colour(rng)
        pen.line([(middle, middle), tip], fill=colour, width=int(breadth))
        knob = breadth * rng.uniform(0.5, 0.8)
        tip = (middle + (reach - knob) * np.cos(turn), middle + (reach - knob) * np.sin(turn))
        pen.ellipse([tip[0] - knob, tip[1] - knob, tip[0] + knob, tip[1] + knob], fill=_colour(rng))
    corners = int(rng.integers(4, 8))
    around = np.sort(rng.uniform(0.0, 2 * np.pi, corners) * 0.25 + np.arange(corners) * 2 * np.pi / corners)
    radii = rng.uniform(0.36, 0.55, corners) * middle
    outline = [(middle + r * np.cos(a), middle + r * np.sin(a)) for r, a in zip(radii, around, strict=True)]
    pen.polygon(outline, fill=_colour(rng))
    small = np.asarray(shape.resize((CANVAS, CANVAS), Image.Resampling.BOX)).astype(np.float32)
    texture = 26 * _smooth_noise(rng, CANVAS, CANVAS, 9) + 22 * _smooth_noise(rng, CANVAS, CANVAS, 22)
    rows, columns = np.mgrid[0:CANVAS, 0:CANVAS]
    lean = rng.uniform(0.0, np.pi)
    texture += 16 * np.sin((columns * np.cos(lean) + rows * np.sin(lean)) * rng.uniform(0.35, 0.7))
    small[..., :3] += texture[..., None]
    return Image.fromarray(np.clip(small, 0, 255).astype(np.uint8))


def _colour(rng: np.random.Generator) -> tuple[int, int, int, int]:
    red, green, blue = (int(level) for level in rng.integers(20, 236, 3))
    return red, green, blue, 255


def _draw_frames(action: str, scene: _Scene, frames: int, width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    for t in range(frames):
        sway_x = 0.4 * np.sin(scene.sway[0] * t + scene.sway[2])
        sway_y = 0.4 * np.sin(scene.sway[1] * t + scene.sway[3])
        canvas = scene.background.transform(
            (width, height),
            Image.Transform.AFFINE,
            (1, 0, 2 - sway_x, 0, 1, 2 - sway_y),
            Image.Resampling.BILINEAR,
        )
        x, y, radius, angle = _pose(action, scene, t, width, height)
        reach = int(np.ceil(radius)) + 2
        wraps = action in DIRECTIONS
        for at_x in _wrapped(x, reach, width) if wraps else [x]:
            for at_y in _wrapped(y, reach, height) if wraps else [y]:
                _paste(canvas, scene.figure, at_x + sway_x, at_y + sway_y, radius, angle)
        pixels = np.asarray(canvas, np.int16) + scene.noise[t % NOISE_FRAMES]
        yield np.clip(pixels, 0, 255).astype(np.uint8)


def _pose(action: str, scene: _Scene, t: int, width: int, height: int) -> tuple[float, float, float, float]:
    """Centre x and y, radius (pixels) and angle (radians, clockwise) at frame `t`."""
    (x, y), radius, angle = scene.center, scene.radius, scene.angle
    if action in DIRECTIONS:
        across, down = DIRECTIONS[action]
        x, y = (x + across * scene.speed * t) % width, (y + down * scene.speed * t) % height
    elif action in GROWTH:
        steps = scene.rounds * GOP_FRAMES
        step = (t + scene.phase * GOP_FRAMES) % steps
        radius = SMALLEST * height + scene.growth * (step if GROWTH[action] > 0 else steps - step)
    else:
        angle += TURNS[action] * scene.speed * t / radius
    return x, y, radius, angle


def _wrapped(at: float, reach: int, limit: int) -> list[float]:
    """The places, one frame apart, at which something of size `reach` touches 0 to `limit`."""
    return [at + shift for shift in (-limit, 0, limit) if -reach < at + shift < limit + reach]


def _paste(canvas: Image.Image, figure: Image.Image, x: float, y: float, radius: float, angle: float) -> None:
    reach = int(np.ceil(radius)) + 2
    left, top = int(np.floor(x)) - reach, int(np.floor(y)) - reach
    step = (CANVAS / 2) / radius
    cos, sin = step * np.cos(angle), step * np.sin(angle)
    # From a pixel of the patch back to the figure: turned anticlockwise and scaled about the centre.
    offset_x, offset_y = x - left, y - top
    matrix = (
        cos,
        sin,
        CANVAS / 2 - cos * offset_x - sin * offset_y,
        -sin,
        cos,
        CANVAS / 2 + sin * offset_x - cos * offset_y,
    )
    side = 2 * reach + 1
    patch = figure.transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    canvas.paste(patch, (left, top), patch)
