"""One video: a person, an action, a place and a camera, all from a seed; then its frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.puppets.actions import Action, find_action, first_moment, moments, moments_drawn
from hybrid_cvar.puppets.backdrop import paint_backdrop
from hybrid_cvar.puppets.camera import Camera, View, new_camera, project
from hybrid_cvar.puppets.motion import Clock, new_style
from hybrid_cvar.puppets.parts import Light, Part, figure_parts, nearness, paint_rows, part_geometry
from hybrid_cvar.puppets.person import Body, Person, dress, new_person
from hybrid_cvar.puppets.props import Prop, new_chair, new_load, new_obstacle
from hybrid_cvar.puppets.raster import PAINT, draw_background, draw_frame, new_tile
from hybrid_cvar.puppets.skeleton import Joint, Pose, place_joints

__all__ = ["Scene", "draw_puppet", "make_scene"]

Array = NDArray[np.float64]
SEEN = 224 / 256  # side of the square in the frame's middle that a model sees, parts of the frame's height
OVERFLOW = 1.22  # of that square by what moves across it
MARGIN = 0.06  # around the joints, heights
PART_REACH = np.array([0.21, 0.12])  # the shadow's half width, the widest radius of other parts, heights
SMALLEST_SIDE = 64


@dataclass(frozen=True, eq=False)
class Scene:
    """All that a seed fixes; row n of an array is moment `first_moment() + n`, and S are the sub-frames.

    Attributes:
        joints: (N, K, 2), the figure's and its prop's points, picture pixels, in the middle of the exposure.
        geometry: (N, S, P, 8); order: (N, S, P), from the farthest part to the nearest; paint: (P, 17).
        front_geometry: (N, Q, 8), the obstacle's; front_paint: (Q, 17).
        boxes: (N, 4), left, top, right, bottom, pixels: hold all moving parts.
        scale: (N,), pixels of the figure's height.
        windows: (N, 3), left, top, pixels, and step of the background's part that is seen.
        background: uint8 (H', W', 3).
        gain: float32 (H, W, 3), vignette and exposure.
        tile, grain: noise of textures and of the sensor.
        grain_at: (N, 3), where the grain begins, and its sign.
    """

    joints: Array
    geometry: NDArray[np.float32]
    order: NDArray[np.int64]
    paint: NDArray[np.float32]
    front_geometry: NDArray[np.float32]
    front_paint: NDArray[np.float32]
    boxes: NDArray[np.int64]
    scale: Array
    windows: Array
    background: NDArray[np.uint8]
    gain: NDArray[np.float32]
    tile: NDArray[np.float32]
    grain: NDArray[np.int8]
    grain_at: NDArray[np.int64]


def draw_puppet(
    action: str,
    seed: int | Sequence[int],
    frames: int = 96,
    width: int = 340,
    height: int = 256,
    person: Person | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Draw a video, frame by frame.

    The two of a pair (`REVERSED_PAIRS`) with the same seed are one film, run forward and backward: where `last` is the
    last I-frame's number, frame t of the second shows what frame `last - t` of the first does.

    Args:
        action: one of `ACTIONS`.
        seed: fixes all else; one number or several, 0 or more.
        frames: how many, at 25 a second.
        width, height: of a frame, pixels, at least 64.
        person: who is drawn; from the seed if None.

    Yields:
        uint8 (H, W, 3), RGB.

    Raises:
        ConfigError: no such action, or a number out of range.
    """
    found = find_action(action)
    numbers = (seed,) if isinstance(seed, int) else tuple(seed)
    if not numbers or min(numbers) < 0 or frames < 1 or min(width, height) < SMALLEST_SIDE:
        raise ConfigError(
            f"seed = {seed}, frames = {frames}, {width}x{height}",
            f"seeds must not be negative, there must be a frame, and sides must be at least {SMALLEST_SIDE} pixels",
        )
    scene = make_scene(found, numbers, frames, width, height, person)
    return _draw(scene, moments(found, frames) - first_moment(), width, height)


def make_scene(
    action: Action, seed: Sequence[int], frames: int, width: int, height: int, person: Person | None
) -> Scene:
    """All that is needed to draw an action's frames; the same for both of a pair."""
    streams = [np.random.default_rng(child) for child in np.random.SeedSequence(tuple(seed)).spawn(8)]
    who, wardrobe, motion, place, lens, backdrop, props, noise = streams
    person = person or new_person(who)
    outfit = dress(person, wardrobe)
    count = moments_drawn(frames)
    moment: Array = np.arange(count, dtype=np.float64) + first_moment()
    style = new_style(motion, action.tempo, action.travels)
    turn = np.radians(motion.uniform(*action.turn_degrees)) * motion.choice((-1.0, 1.0))

    def pose_at(offset: float) -> Pose:
        at = moment + offset
        progress = (at - moment[0] + 1.0) / (count + 1)  # sub-frames lie beyond the first and the last moment
        return action.pose(Clock(at, progress), style, person.body)

    pose = pose_at(0.0)
    prop = _new_prop(action, props, pose, person.body)
    middle = _with_prop(pose, person.body, prop, action)
    view = _frame_figure(middle, turn, action.figure, place, width, height)
    follow = float(place.uniform(0.0, 100.0) * np.sign(turn) * height / 256) if action.is_followed else 0.0
    camera = new_camera(lens, moment, follow, height)
    scale = view.height * camera.zoom

    parts = figure_parts(person, outfit, float(turn))
    parts += _shifted(prop.parts, Joint.COUNT)
    shutter = lens.uniform(0.3, 0.95) if lens.random() < 0.6 else 0.0
    offsets = (-shutter / 3, 0.0, shutter / 3) if shutter else (0.0,)
    geometry, order, pictures = [], [], []
    share = (moment - moment.mean()) / max(count - 1, 1)
    for offset in offsets:
        pixels, near = project(_with_prop(pose_at(offset), person.body, prop, action), view)
        pixels[..., 0] += (share * follow)[:, None]
        pixels = camera.apply(pixels, (width / 2, height / 2))
        pictures.append(pixels)
        geometry.append(part_geometry(parts, pixels, scale))
        order.append(np.argsort(nearness(parts, near), axis=1, kind="stable"))

    light = _new_light(place)
    obstacle = new_obstacle(props, width, height, view.height)
    in_front = camera.apply(np.broadcast_to(obstacle.points, (count, *obstacle.points.shape)), (width / 2, height / 2))
    background, windows = _new_background(backdrop, camera, view, width, height)
    reach = PART_REACH * scale[:, None] + 8.0
    low = np.minimum.reduce([pixels.min(axis=1) for pixels in pictures]) - reach
    high = np.maximum.reduce([pixels.max(axis=1) for pixels in pictures]) + reach
    return Scene(
        joints=pictures[len(pictures) // 2],
        geometry=np.stack(geometry, axis=1),
        order=np.stack(order, axis=1),
        paint=paint_rows(parts, light, place),
        front_geometry=part_geometry(obstacle.parts, in_front, scale),
        front_paint=paint_rows(obstacle.parts, light, place).reshape(-1, PAINT),
        boxes=np.concatenate([np.floor(low), np.ceil(high)], axis=1).astype(np.int64),
        scale=scale,
        windows=windows,
        background=background,
        gain=_new_gain(lens, width, height),
        tile=new_tile(noise),
        grain=_new_grain(noise, width, height),
        grain_at=np.stack(
            [noise.integers(0, height, count), noise.integers(0, 64, count), noise.integers(0, 2, count)], 1
        ),
    )


def _new_prop(action: Action, rng: np.random.Generator, pose: Pose, body: Body) -> Prop:
    if action.prop == "chair":
        return new_chair(rng, body.thigh)
    if action.prop == "load":
        wrists = place_joints(pose, body)[:, Joint.FINGERS] - np.pad(pose.origin, ((0, 0), (0, 1)))
        return new_load(rng, float(wrists[:, 0].mean()) + 0.01, float(wrists[:, 2].mean()))
    return Prop(np.zeros((0, 3)), [])


def _with_prop(pose: Pose, body: Body, prop: Prop, action: Action) -> Array:
    """(N, K, 3), the joints and the prop's points; a load moves with the figure."""
    joints = place_joints(pose, body)
    points = np.broadcast_to(prop.points, (len(joints), *prop.points.shape)).copy()
    if action.prop == "load":
        points[..., :2] += pose.origin[:, None]
    return np.concatenate([joints, points], axis=1)


def _shifted(parts: list[Part], by: int) -> list[Part]:
    return [replace(part, points=tuple(point + by for point in part.points)) for part in parts]


def _frame_figure(
    joints: Array, turn: float, figure: tuple[float, float], rng: np.random.Generator, width: int, height: int
) -> View:
    """A view in which all that the figure does lies within the square that a model sees, if it can."""
    tilt = float(rng.uniform(0.04, 0.2))
    flat, _ = project(joints, View(float(turn), tilt, 1.0, 0.0, 0.0))
    kept = np.delete(flat, Joint.SHADOW, axis=1).reshape(-1, 2)
    (left, top), (right, bottom) = kept.min(axis=0) - MARGIN, kept.max(axis=0) + MARGIN
    seen = SEEN * height
    largest = min(seen * OVERFLOW / (right - left), (height * 0.97) / (bottom - top))
    size = min(float(rng.uniform(*figure)) * height, largest * float(rng.uniform(0.86, 1.0)))
    free_x, free_y = seen - (right - left) * size, 0.97 * height - (bottom - top) * size
    x = (width - seen) / 2 - left * size + (rng.uniform(0.0, 1.0) * free_x if free_x > 0 else free_x / 2)
    floor_y = 0.015 * height - top * size + rng.uniform(0.25, 1.0) * max(free_y, 0.0)
    return View(float(turn), tilt, size, float(x), float(floor_y))


def _new_light(rng: np.random.Generator) -> Light:
    angle, strength = rng.uniform(-np.pi, 0.0), rng.uniform(0.2, 1.0)
    warm = rng.normal(0.0, 0.06)
    tint = np.array((1.0 + warm, 1.0, 1.0 - warm)) * rng.uniform(0.75, 1.15)
    return Light(
        (float(strength * np.cos(angle)), float(strength * np.sin(angle))),
        (float(tint[0]), float(tint[1]), float(tint[2])),
    )


def _new_background(
    rng: np.random.Generator, camera: Camera, view: View, width: int, height: int
) -> tuple[NDArray[np.uint8], Array]:
    """The background, as large as the camera needs it, and the windows (N, 3) through which it is seen."""
    step = 1.0 / camera.zoom
    left = width / 2 + camera.offset[:, 0] - step * width / 2
    top = height / 2 + camera.offset[:, 1] - step * height / 2
    first_x, first_y = int(np.floor(left.min())) - 2, int(np.floor(top.min())) - 2
    last_x, last_y = (left + step * width).max() + 3, (top + step * height).max() + 3
    picture = paint_backdrop(
        rng, int(last_x - first_x) + 1, int(last_y - first_y) + 1, view.floor_y - first_y, view.height
    )
    return picture, np.stack([left - first_x, top - first_y, step], axis=1)


def _new_gain(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    across = (np.arange(width) / width - 0.5)[None]
    down = (np.arange(height) / height - 0.5)[:, None]
    vignette = 1.0 - rng.uniform(0.0, 0.5) * (across**2 + down**2)
    balance = rng.uniform(0.8, 1.15) * (1.0 + rng.normal(0.0, 0.03, 3))
    return (vignette[..., None] * balance).astype(np.float32)


def _new_grain(rng: np.random.Generator, width: int, height: int) -> NDArray[np.int8]:
    luma = rng.normal(0.0, 8.0 * rng.uniform(0.3, 1.4), (height * 2, width + 64))
    return np.repeat(np.clip(luma, -127, 127).astype(np.int8)[..., None], 3, axis=2)


def _draw(scene: Scene, rows: NDArray[np.int64], width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    canvas, scratch = np.empty((height, width, 3), np.float32), np.empty((2, height, width, 3), np.float32)
    for n in rows:
        left, top, step = scene.windows[n]
        draw_background(canvas, scene.background, left, top, step)
        out = np.empty((height, width, 3), np.uint8)
        draw_frame(
            canvas,
            scratch,
            scene.geometry[n],
            scene.order[n],
            scene.paint,
            scene.front_geometry[n],
            scene.front_paint,
            scene.scale[n],
            scene.boxes[n],
            scene.tile,
            scene.gain,
            scene.grain,
            scene.grain_at[n],
            out,
        )
        yield out
