"""Where the camera looks at each moment, and how a figure in space gets into its picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Camera", "View", "new_camera", "project"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Camera:
    """N moments of a camera that shakes, pans and zooms a little.

    Attributes:
        offset: (N, 2), pixels right and down that it looks beside the scene's middle.
        zoom: (N,), factor.
    """

    offset: Array
    zoom: Array

    def apply(self, points: Array, center: tuple[float, float]) -> Array:
        """Scene pixels (N, K, 2) to picture pixels; `center` is the picture's middle."""
        middle = np.asarray(center)
        return middle + (points - middle - self.offset[:, None]) * self.zoom[:, None, None]


@dataclass(frozen=True)
class View:
    """How a figure stands in the scene.

    Attributes:
        turn: radians from facing the viewer; positive: it faces the picture's right.
        tilt: of the camera's look downward, radians.
        height: the figure's, pixels.
        x, floor_y: scene pixels of the point between its feet where it starts.
    """

    turn: float
    tilt: float
    height: float
    x: float
    floor_y: float


def new_camera(rng: np.random.Generator, moments: Array, follow: float, height: int) -> Camera:
    """A random camera.

    Args:
        rng: source of all choices.
        moments: (N,), frames.
        follow: pixels to the right that it moves from the first to the last moment, besides its own.
        height: the picture's, pixels.
    """
    seconds = moments / 25.0
    size = height / 256
    shake = 0.0 if rng.random() < 0.3 else rng.uniform(0.2, 1.4)
    offset = np.zeros((len(moments), 2))
    for axis in (0, 1):
        for _ in range(3):
            rate = rng.uniform(1.5, 12.0)
            offset[:, axis] += shake * size * np.sin(rate * seconds + rng.uniform(0.0, 2 * np.pi)) / (0.5 + rate / 6.0)
    share = (moments - moments.mean()) / max(float(np.ptp(moments)), 1.0)
    pan = rng.uniform(-14.0, 14.0) if rng.random() < 0.5 else 0.0
    offset[:, 0] += share * (pan * size + follow)
    offset[:, 1] += share * rng.uniform(-4.0, 4.0) * size * (pan != 0.0)
    growth = rng.uniform(-0.05, 0.05) if rng.random() < 0.4 else 0.0
    return Camera(offset, 1.0 + growth * share + 0.0 * seconds)


def project(joints: Array, view: View) -> tuple[Array, Array]:
    """Joints in space to the scene.

    Args:
        joints: (N, K, 3), forward, left, up, heights.
        view: how the figure stands.

    Returns:
        Pixels (N, K, 2), right and down, and nearness (N, K), heights towards the viewer.
    """
    sine, cosine = np.sin(view.turn), np.cos(view.turn)
    right = joints[..., 0] * sine + joints[..., 1] * cosine
    near = joints[..., 0] * cosine - joints[..., 1] * sine
    down = near * np.sin(view.tilt) - joints[..., 2] * np.cos(view.tilt)
    pixels = np.stack([view.x + right * view.height, view.floor_y + down * view.height], axis=-1)
    return pixels, near
