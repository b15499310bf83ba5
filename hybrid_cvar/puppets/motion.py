"""What the trajectories have in common: clock, style, and small pieces of motion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.puppets.person import Body
from hybrid_cvar.puppets.skeleton import Pose

__all__ = [
    "ARMS_DOWN",
    "KNEES_AHEAD",
    "Clock",
    "Style",
    "arm",
    "carried_arms",
    "new_pose",
    "new_style",
    "pulse",
    "standing_ankles",
    "vector",
]

Array = NDArray[np.float64]
FRAMES_PER_SECOND = 25.0
ARMS_DOWN = np.array([[-1.0, 0.35, 0.0], [-1.0, 0.35, 0.0]])
KNEES_AHEAD = np.array([[1.0, 0.2, 0.0], [1.0, 0.2, 0.0]])


@dataclass(frozen=True, eq=False)
class Clock:
    """N moments.

    Attributes:
        moment: (N,), frames; moment 0 is the first frame of a video that runs forward.
        progress: (N,), 0 at the first moment that is drawn, 1 at the last.
    """

    moment: Array
    progress: Array

    @property
    def seconds(self) -> Array:
        """(N,)."""
        return self.moment / FRAMES_PER_SECOND


@dataclass(frozen=True)
class Style:
    """How one video's figure moves.

    Attributes:
        amplitude: factor on the size of movements.
        side: 0 if the left limb acts, 1 if the right one.
        tempo: cycles a second.
        phase: of the cycle at moment 0, radians.
        jitter: how uneven the tempo is, radians.
        jitter_rate: radians a second.
        travel: parts of a height that the figure moves on by, over all moments.
        carriage: how arms are carried that do nothing: 0 hanging, 1 on the hips, 2 bent in front.
        extra: numbers between 0 and 1 for an action's own use.
    """

    amplitude: float
    side: int
    tempo: float
    phase: float
    jitter: float
    jitter_rate: float
    travel: float
    carriage: int
    extra: tuple[float, ...]

    def angle(self, clock: Clock) -> Array:
        """(N,), the cycle's phase, radians."""
        seconds = clock.seconds
        uneven = self.jitter * np.sin(self.jitter_rate * seconds + 6.0 * self.extra[5])
        return self.phase + 2 * np.pi * self.tempo * seconds + uneven


def new_style(rng: np.random.Generator, tempo: tuple[float, float], travels: tuple[float, float]) -> Style:
    """A random style within an action's bounds."""
    return Style(
        amplitude=float(rng.uniform(0.85, 1.1)),
        side=int(rng.integers(0, 2)),
        tempo=float(rng.uniform(*tempo)),
        phase=float(rng.uniform(0.0, 2 * np.pi)),
        jitter=float(rng.uniform(0.0, 0.3)),
        jitter_rate=float(rng.uniform(1.0, 3.0)),
        travel=float(rng.uniform(*travels)),
        carriage=int(rng.choice(3, p=(0.6, 0.2, 0.2))),
        extra=tuple(float(number) for number in rng.random(6)),
    )


def vector(*components: Array | float) -> Array:
    """(N, 3) of three components that broadcast."""
    return np.stack(np.broadcast_arrays(*components), axis=-1).astype(np.float64)


def arm(raised: Array | float, outward: Array | float = 0.0, bend: Array | float = 0.0) -> Array:
    """(N, 3), the wrist from its shoulder in arm lengths.

    Args:
        raised: the upper arm's angle from hanging down, radians.
        outward: the way in which it is raised, 0 forward, pi / 2 sideways.
        bend: the forearm's angle against the upper arm, further up, radians.
    """
    upper, lower = 0.53, 0.465
    low = np.asarray(raised) + bend
    reach = upper * np.sin(raised) + lower * np.sin(low)
    return vector(reach * np.cos(outward), reach * np.sin(outward), -upper * np.cos(raised) - lower * np.cos(low))


def pulse(angle: Array, power: float = 1.0) -> Array:
    """(N,), 0 at phase 0, 1 at phase pi."""
    return (0.5 - 0.5 * np.cos(angle)) ** power


def carried_arms(clock: Clock, style: Style) -> tuple[Array, Array]:
    """Hands (N, 2, 3) and elbows' way (2, 3) of arms that do nothing."""
    sway = 0.05 * np.sin(1.3 * clock.seconds + 6.0 * style.extra[4])
    if style.carriage == 1:
        one, way = vector(0.1 + 0 * sway, 0.02, -0.72), np.array([[-0.4, 1.0, 0.0]] * 2)
    elif style.carriage == 2:
        one, way = arm(0.15 + sway, 0.1, 1.5), np.array([[-0.6, 0.5, -1.0]] * 2)
    else:
        one, way = arm(0.12 + sway, 1.1, 0.1), ARMS_DOWN
    return np.stack([one, one], axis=1), way


def new_pose(
    clock: Clock,
    body: Body,
    *,
    hands: Array,
    elbows: Array = ARMS_DOWN,
    height: Array | float = 0.985,
    shift: Array | float = 0.0,
    aside: Array | float = 0.0,
    pitch: Array | float = 0.02,
    roll: Array | float = 0.0,
    twist: Array | float = 0.0,
    nod: Array | float = 0.05,
    ankles: Array | None = None,
    knees: Array = KNEES_AHEAD,
    toes: Array | None = None,
    travel: Array | float = 0.0,
    sidestep: Array | float = 0.0,
) -> Pose:
    """A pose from its parts: those that are left out stand upright.

    Args:
        clock: N moments.
        body: proportions.
        hands, elbows, knees, pitch, roll, twist, nod, toes: as `Pose`.
        height: of the hips above the ankles' standing height, leg lengths.
        shift, aside: of the hips against the feet, forward and to the left, heights.
        ankles: as `Pose`; side by side if None.
        travel, sidestep: of the figure, forward and to the left, heights.
    """
    moments = len(clock.moment)
    leg = body.thigh + body.shin

    def every(value: Array | float) -> Array:
        return np.broadcast_to(np.asarray(value, np.float64), (moments,))

    if ankles is None:
        ankles = standing_ankles(moments, body)
    if toes is None:
        toes = np.zeros((moments, 2))
    breath = 0.002 * np.sin(2.0 * clock.seconds)
    return Pose(
        pelvis=np.stack([every(shift), every(aside), body.ankle_height + every(height) * leg + breath], axis=-1),
        pitch=every(pitch),
        roll=every(roll),
        twist=every(twist),
        nod=every(nod),
        hands=hands,
        elbows=elbows,
        ankles=ankles,
        knees=knees,
        toes=toes,
        origin=np.stack([every(travel), every(sidestep)], axis=-1),
    )


def standing_ankles(moments: int, body: Body, apart: float = 0.035) -> Array:
    """(N, 2, 3), feet side by side, each `apart` heights outside its hip."""
    leg = body.thigh + body.shin
    aside = (body.hip_half + apart) / leg
    return np.broadcast_to(np.array([[0.0, aside, 0.0], [0.0, -aside, 0.0]]), (moments, 2, 3)).copy()
