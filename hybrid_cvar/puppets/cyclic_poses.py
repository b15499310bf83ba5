"""Trajectories of the actions that repeat: (clock, style, body) -> Pose."""

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.puppets.motion import (
    ARMS_DOWN,
    KNEES_AHEAD,
    Clock,
    Style,
    arm,
    carried_arms,
    new_pose,
    pulse,
    standing_ankles,
    vector,
)
from hybrid_cvar.puppets.person import Body
from hybrid_cvar.puppets.skeleton import Pose

__all__ = ["clap", "jumping_jack", "kick", "punch", "run_on_the_spot", "squat", "stride", "walk", "wave"]

Array = NDArray[np.float64]


def jumping_jack(clock: Clock, style: Style, body: Body) -> Pose:
    """Arms up and legs apart, and back, with a hop each way."""
    angle = style.angle(clock)
    open_ = pulse(angle)
    hop = 0.07 * style.amplitude * np.sin(angle) ** 2
    up = arm(0.2 + 2.6 * open_ * min(style.amplitude, 1.05), np.pi / 2 - 0.15, 0.15)
    ankles = standing_ankles(len(angle), body, 0.0)
    spread = 0.3 * style.amplitude * open_
    ankles[:, 0, 1] += spread
    ankles[:, 1, 1] -= spread
    ankles[:, :, 2] = hop[:, None]
    return new_pose(
        clock,
        body,
        hands=np.stack([up, up], axis=1),
        elbows=np.array([[-1.0, 0.0, -0.6]] * 2),
        height=np.sqrt(0.97 - spread**2) + hop - 0.02,
        ankles=ankles,
        toes=np.repeat(6.0 * hop[:, None], 2, axis=1),
    )


def wave(clock: Clock, style: Style, body: Body) -> Pose:
    """One hand beside the head goes to and fro; the other arm does nothing."""
    angle = style.angle(clock)
    hands, elbows = carried_arms(clock, style)
    elbows = elbows.copy()
    swing = 0.62 * style.amplitude * np.sin(angle) + 0.1
    lift = 1.35 + 0.5 * style.extra[0]
    hands[:, style.side] = vector(
        0.12,
        0.53 * np.sin(lift) + 0.465 * np.sin(swing),
        -0.53 * np.cos(lift) + 0.465 * np.cos(swing),
    )
    elbows[style.side] = (0.0, 1.0, -1.2)
    sign = 1.0 if style.side == 0 else -1.0
    return new_pose(
        clock, body, hands=hands, elbows=elbows, roll=-0.03 * sign + 0.02 * np.sin(angle), aside=0.006 * np.sin(angle)
    )


def clap(clock: Clock, style: Style, body: Body) -> Pose:
    """Hands meet before the chest and part."""
    part = pulse(style.angle(clock))
    middle = -(body.shoulder_half - 0.02) / (body.upper_arm + body.forearm)
    rise = -0.25 + 0.35 * style.extra[0]
    hand = vector(0.6 - 0.1 * part, middle + (0.65 + 0.3 * style.extra[1]) * style.amplitude * part, rise + 0.12 * part)
    return new_pose(
        clock,
        body,
        hands=np.stack([hand, hand], axis=1),
        elbows=np.array([[-0.5, 0.7, -1.0]] * 2),
        nod=0.1 + 0.03 * part,
    )


def punch(clock: Clock, style: Style, body: Body) -> Pose:
    """Fists strike forward by turns, from a guard."""
    angle = style.angle(clock)
    reach = np.stack([pulse(angle, 1.6), pulse(angle + np.pi, 1.6)], axis=1)
    rise = 0.05 + 0.15 * style.extra[0]
    hands = np.stack(
        [vector(0.28 + 0.72 * reach[:, side], -0.12, rise * (0.4 + reach[:, side])) for side in (0, 1)], axis=1
    )
    ankles = standing_ankles(len(angle), body, 0.01)
    ankles[:, style.side, 0] = 0.28
    ankles[:, 1 - style.side, 0] = -0.28
    strike = reach[:, 1] - reach[:, 0]
    return new_pose(
        clock,
        body,
        hands=hands,
        elbows=np.array([[-0.4, 0.5, -1.0]] * 2),
        height=0.9 - 0.02 * np.sin(2 * angle),
        shift=0.02 * np.sin(2 * angle),
        pitch=0.1,
        twist=0.4 * style.amplitude * strike,
        ankles=ankles,
        knees=KNEES_AHEAD,
    )


def kick(clock: Clock, style: Style, body: Body) -> Pose:
    """One leg swings forward and up, and back; the other stands."""
    angle = style.angle(clock)
    swing = pulse(angle, 1.3)
    high = (1.25 + 0.35 * style.extra[0]) * style.amplitude
    leg = body.thigh + body.shin
    raised = -0.45 + high * swing + 0.25 * swing
    length = 0.9 + 0.08 * swing
    ankles = standing_ankles(len(angle), body, 0.005)
    lean = -0.28 * swing
    shift = 0.015 * swing
    ankles[:, style.side, 0] = length * np.sin(raised) + shift / leg
    ankles[:, style.side, 2] = 0.965 - length * np.cos(raised)
    toes = np.zeros((len(angle), 2))
    toes[:, style.side] = 0.35 - 1.0 * np.clip(raised, 0.0, 1.6)
    near, far = arm(0.35 + 0.6 * swing, 0.5, 0.7), arm(-0.3 - 0.25 * swing + 0.5, 0.7, 0.6)
    hands = np.stack([far, near] if style.side == 0 else [near, far], axis=1)
    return new_pose(
        clock,
        body,
        hands=hands,
        height=0.965,
        shift=shift,
        pitch=0.06 + lean,
        nod=0.05 - 0.3 * lean,
        ankles=ankles,
        toes=toes,
    )


def squat(clock: Clock, style: Style, body: Body) -> Pose:
    """Down to the knees' height and up again."""
    down = pulse(style.angle(clock)) * min(style.amplitude, 1.05)
    ankles = standing_ankles(len(down), body, 0.05)
    if style.carriage == 0:
        one, way = arm(0.3 + 1.25 * down, 0.15), ARMS_DOWN
        hands = np.stack([one, one], axis=1)
    else:
        hands, way = carried_arms(clock, style)
    return new_pose(
        clock,
        body,
        hands=hands,
        elbows=way,
        height=0.985 - 0.5 * down,
        shift=-0.1 * down,
        pitch=0.04 + 0.55 * down,
        nod=0.05 + 0.1 * down,
        ankles=ankles,
        knees=np.array([[1.0, 0.55, 0.0]] * 2),
    )


def stride(angle: Array, body: Body, length: float, lift: float) -> tuple[Array, Array]:
    """Ankles (N, 2, 3) and toes (N, 2) of a walk: a foot on the floor goes back, one in the air comes forward.

    Args:
        angle: the left leg's phase; its foot is farthest forward at 0 and leaves the floor at pi.
        body: proportions.
        length: from the middle to the farthest, leg lengths.
        lift: of the foot in the air, leg lengths.
    """
    ankles = standing_ankles(len(angle), body, -0.012)
    toes = np.zeros((len(angle), 2))
    for side in (0, 1):
        leg = angle + np.pi * side
        air = np.maximum(-np.sin(leg), 0.0)
        heel = np.maximum(-np.cos(leg), 0.0) ** 3
        ankles[:, side, 0] = length * np.cos(leg)
        ankles[:, side, 2] = lift * air + 0.11 * heel
        toes[:, side] = 0.75 * heel + 0.4 * air - 0.3 * np.maximum(np.cos(leg), 0.0) ** 4
    return ankles, toes


def walk(clock: Clock, style: Style, body: Body) -> Pose:
    """A walk seen from the side; the camera follows it, if not quite."""
    angle = style.angle(clock)
    length = (0.32 + 0.08 * style.extra[0]) * style.amplitude
    ankles, toes = stride(angle, body, length, 0.13)
    swing = (0.3 + 0.35 * style.extra[1]) * style.amplitude
    hands = np.stack(
        [arm(-swing * np.cos(angle), 0.05, 0.3), arm(swing * np.cos(angle), 0.05, 0.3)],
        axis=1,
    )
    return new_pose(
        clock,
        body,
        hands=hands,
        height=0.955 - 0.012 * np.cos(2 * angle),
        pitch=0.06 + 0.08 * style.extra[2],
        twist=0.12 * np.cos(angle),
        ankles=ankles,
        toes=toes,
        travel=style.travel * (clock.progress - 0.5),
    )


def run_on_the_spot(clock: Clock, style: Style, body: Body) -> Pose:
    """Knees up by turns, bent arms pump, on one spot."""
    angle = style.angle(clock)
    ankles = standing_ankles(len(angle), body, -0.005)
    toes = np.zeros((len(angle), 2))
    for side in (0, 1):
        air = np.maximum(np.sin(angle + np.pi * side), 0.0)
        ankles[:, side, 2] = (0.36 + 0.16 * style.extra[0]) * style.amplitude * air
        ankles[:, side, 0] = (-0.04 + 0.1 * style.extra[1]) * air
        toes[:, side] = 0.7 * air
    pump = 0.7 * style.amplitude * np.sin(angle)
    hands = np.stack([arm(-0.05 - pump, 0.15, 1.5), arm(-0.05 + pump, 0.15, 1.5)], axis=1)
    return new_pose(
        clock,
        body,
        hands=hands,
        elbows=np.array([[-1.0, 0.3, -0.3]] * 2),
        height=0.955 + 0.03 * np.sin(angle) ** 2,
        pitch=0.1,
        twist=0.12 * np.sin(angle),
        ankles=ankles,
        toes=toes,
    )
