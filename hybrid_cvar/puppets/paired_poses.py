"""Trajectories of the actions that have a reverse: each runs evenly from one end to the other over all moments.

Only the forward one is written; time reversed, steps and all, it is the other one of the pair.
"""

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.puppets.cyclic_poses import stride
from hybrid_cvar.puppets.motion import Clock, Style, arm, carried_arms, new_pose, standing_ankles, vector
from hybrid_cvar.puppets.person import Body
from hybrid_cvar.puppets.skeleton import Pose

__all__ = ["SEAT_HEIGHT", "push", "raise_arms", "sit_down", "step_left"]

Array = NDArray[np.float64]
SEAT_HEIGHT = 0.255
"""Of the chair, in heights."""


def sit_down(clock: Clock, style: Style, body: Body) -> Pose:
    """From upright, arms before the body, onto a chair, leaning back, hands on the knees."""
    done = clock.progress
    leg = body.thigh + body.shin
    seated = (SEAT_HEIGHT + 0.05 * body.girth - body.ankle_height) / leg
    back = body.thigh * 0.96 + 0.02
    ankles = standing_ankles(len(done), body, 0.02)
    ankles[:, :, 0] = 0.03
    high, low = 1.9 + 0.6 * style.extra[0], 0.6
    hand = arm(high + (low - high) * done, 0.1, 0.15 + 0.1 * done)
    return new_pose(
        clock,
        body,
        hands=np.stack([hand, hand], axis=1),
        elbows=np.array([[-0.6, 0.5, -1.0]] * 2),
        height=0.985 - (0.985 - seated) * done**1.1,
        shift=0.015 - back * (1.0 - (1.0 - done) ** 1.25),
        pitch=0.06 + (0.3 + 0.2 * style.extra[1]) * np.sin(np.pi * done) - 0.2 * done,
        nod=0.05 + 0.1 * done,
        ankles=ankles,
        knees=np.array([[1.0, 0.15, 0.0]] * 2),
    )


def push(clock: Clock, style: Style, body: Body) -> Pose:
    """Leaning against a load that goes before the figure, step by step."""
    travel = style.travel * (clock.progress - 0.5)
    length = 0.36 * style.amplitude
    leg = body.thigh + body.shin
    angle = style.phase + np.pi * travel / (2 * length * leg)
    ankles, toes = stride(angle, body, length, 0.1)
    ankles[:, :, 0] -= 0.12
    lean = 0.42 + 0.2 * style.extra[0]
    hand = vector(0.84 + 0.04 * np.sin(angle), -0.08 + 0.06 * style.extra[1], -0.08 - 0.12 * style.extra[2])
    return new_pose(
        clock,
        body,
        hands=np.stack([hand, hand], axis=1),
        elbows=np.array([[-0.5, 0.6, -1.0]] * 2),
        height=0.9 - 0.012 * np.cos(2 * angle),
        pitch=lean + 0.03 * np.cos(2 * angle),
        nod=0.2,
        ankles=ankles,
        toes=toes,
        travel=travel,
    )


def raise_arms(clock: Clock, style: Style, body: Body) -> Pose:
    """Straight arms from beside the body, sideways, to above the head."""
    done = clock.progress
    low, high = 0.12 + 0.1 * style.extra[0], 2.85 + 0.15 * style.extra[1]
    outward = np.pi / 2 - 0.5 * style.extra[2]
    raised = arm(low + (high - low) * done, outward, 0.12)
    return new_pose(
        clock,
        body,
        hands=np.stack([raised, raised], axis=1),
        elbows=np.array([[-1.0, 0.0, -0.5]] * 2),
        nod=0.05 - 0.2 * done,
        pitch=0.02 - 0.03 * done,
    )


def step_left(clock: Clock, style: Style, body: Body) -> Pose:
    """Side steps, facing the viewer, towards the picture's left, which is the figure's right."""
    travel = style.travel * (clock.progress - 0.5)
    leg = body.thigh + body.shin
    step = (0.34 + 0.1 * style.extra[0]) * leg
    cycle = travel / step + style.extra[1]
    whole = np.floor(cycle)
    share = cycle - whole
    ankles = standing_ankles(len(travel), body, 0.0)
    toes = np.zeros((len(travel), 2))
    lift = 0.09 * style.amplitude
    for side, begin in ((1, 0.0), (0, 0.5)):
        part = np.clip((share - begin) * 2.0, 0.0, 1.0)
        moved = part - np.sin(2 * np.pi * part) / (2 * np.pi) * 0.5
        ahead = (whole + moved - cycle) * step
        ankles[:, side, 1] -= ahead / leg
        ankles[:, side, 2] = lift * np.sin(np.pi * part) ** 2
        toes[:, side] = 0.3 * np.sin(np.pi * part)
    hands, elbows = carried_arms(clock, style)
    return new_pose(
        clock,
        body,
        hands=hands,
        elbows=elbows,
        height=0.955,
        roll=0.03 * np.cos(2 * np.pi * share),
        ankles=ankles,
        toes=toes,
        sidestep=-travel,
    )
