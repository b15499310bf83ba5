"""A pose and a body to joints in space: hands and feet are given, elbows and knees follow.

Space: f forward, s to the figure's left, u up; the unit is the figure's height, the origin lies on the floor
between the feet where the figure starts.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.puppets.person import Body

__all__ = ["Joint", "Pose", "place_joints"]

Array = NDArray[np.float64]
STRETCH = 0.998  # of a limb's length, at most, from end to end


class Joint(IntEnum):
    """Rows of the joint table; of a pair, the left one comes first."""

    PELVIS = 0
    WAIST = 1
    CHEST = 2
    COLLAR = 3
    NECK = 4
    HEAD = 5
    CROWN = 6
    FACE = 7
    HAIR = 8
    NOSE = 9
    EYES = 10
    SHOULDERS = 12
    ELBOWS = 14
    WRISTS = 16
    FINGERS = 18
    HIPS = 20
    KNEES = 22
    ANKLES = 24
    HEELS = 26
    TOES = 28
    SHADOW = 30
    COUNT = 31


@dataclass(frozen=True, eq=False)
class Pose:
    """Where the ends of a body are, for N moments; sides are left, right.

    Attributes:
        pelvis: (N, 3), middle between the hips; f and s from `origin`, u from the floor, heights. It is lowered as
            far as the legs need to reach the feet.
        pitch: (N,), trunk's lean forward, radians.
        roll: (N,), trunk's lean to the left, radians.
        twist: (N,), turn of the shoulders against the hips, radians, left shoulder back.
        nod: (N,), head's lean forward against upright, radians.
        hands: (N, 2, 3), wrist from its shoulder in arm lengths: forward, outward, up.
        elbows: (2, 3), the way the elbows point: forward, outward, up.
        ankles: (N, 2, 3), from `origin`, in leg lengths, s as such (not outward); u above standing.
        knees: (2, 3), the way the knees point: forward, outward, up.
        toes: (N, 2), feet's pitch, radians, toes down.
        origin: (N, 2), travel along f and s, heights.
    """

    pelvis: Array
    pitch: Array
    roll: Array
    twist: Array
    nod: Array
    hands: Array
    elbows: Array
    ankles: Array
    knees: Array
    toes: Array
    origin: Array


def _vector(*components: Any) -> Array:
    return np.stack(np.broadcast_arrays(*(np.asarray(component, np.float64) for component in components)), axis=-1)


def _unit(vectors: Array) -> Array:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def _bend(root: Array, target: Array, first: float, second: float, pole: Array) -> tuple[Array, Array]:
    """The middle and the end of a two-segment limb from `root` towards `target`, bent towards `pole`."""
    reach = target - root
    distance = np.linalg.norm(reach, axis=-1, keepdims=True)
    direction = reach / (distance + 1e-9)
    distance = np.clip(distance, abs(first - second) * 1.02 + 1e-3, (first + second) * STRETCH)
    along = (first**2 - second**2 + distance**2) / (2 * distance)
    aside = np.sqrt(np.maximum(first**2 - along**2, 0.0))
    across = _unit(pole - direction * (pole * direction).sum(axis=-1, keepdims=True))
    return root + direction * along + across * aside, root + direction * distance


def place_joints(pose: Pose, body: Body) -> Array:
    """All joints in space.

    Returns:
        (N, Joint.COUNT, 3): f, s, u in heights.
    """
    moments = len(pose.pitch)
    joints = np.zeros((moments, Joint.COUNT, 3))
    start = _vector(pose.origin[:, 0], pose.origin[:, 1], 0.0)
    leg = body.thigh + body.shin
    ankles = start[:, None] + pose.ankles * leg + np.array([0.0, 0.0, body.ankle_height])

    pelvis = start + pose.pelvis
    hips_s = np.array([body.hip_half, -body.hip_half])
    flat = np.hypot(
        ankles[:, :, 0] - pelvis[:, None, 0],
        ankles[:, :, 1] - pelvis[:, None, 1] - hips_s,
    )
    highest = ankles[:, :, 2] + np.sqrt(np.maximum((leg * STRETCH) ** 2 - flat**2, 0.0))
    pelvis[:, 2] = np.minimum(pelvis[:, 2], highest.min(axis=1))

    up = _unit(_vector(np.sin(pose.pitch), np.sin(pose.roll), np.cos(pose.pitch) * np.cos(pose.roll)))
    left = _unit(_vector(-np.sin(pose.twist), np.cos(pose.twist), -np.sin(pose.roll)))
    collar = pelvis + up * body.trunk
    joints[:, Joint.PELVIS] = pelvis
    joints[:, Joint.WAIST] = pelvis + up * body.trunk * 0.18
    joints[:, Joint.CHEST] = pelvis + up * body.trunk * 0.7
    joints[:, Joint.COLLAR] = collar
    head_up = _unit(_vector(np.sin(pose.nod) + 0.35 * up[:, 0], 0.6 * up[:, 1], np.cos(pose.nod)))
    head_ahead = _unit(_vector(head_up[:, 2], 0.0, -head_up[:, 0]))
    neck = collar + _unit(up + head_up) * body.neck
    head = neck + head_up * body.head_half * 0.95
    joints[:, Joint.NECK] = neck
    joints[:, Joint.HEAD] = head
    joints[:, Joint.CROWN] = head + head_up * body.head_half
    joints[:, Joint.FACE] = head + (head_ahead * 0.14 - head_up * 0.1) * body.head_half
    joints[:, Joint.HAIR] = head + (head_ahead * -0.13 + head_up * 0.16) * body.head_half
    joints[:, Joint.NOSE] = head + (head_ahead * 0.88 - head_up * 0.15) * body.head_half
    head_left = np.array([0.0, 1.0, 0.0])
    for side, sign in ((0, 1.0), (1, -1.0)):
        joints[:, Joint.EYES + side] = head + (head_ahead * 0.66 + head_up * 0.06 + head_left * 0.32 * sign) * (
            body.head_half
        )
        outward = np.array([1.0, sign, 1.0])
        shoulder = collar + left * body.shoulder_half * sign - up * 0.012
        arm = body.upper_arm + body.forearm
        elbow, wrist = _bend(
            shoulder,
            shoulder + pose.hands[:, side] * outward * arm,
            body.upper_arm,
            body.forearm,
            pose.elbows[side] * outward,
        )
        joints[:, Joint.SHOULDERS + side] = shoulder
        joints[:, Joint.ELBOWS + side] = elbow
        joints[:, Joint.WRISTS + side] = wrist
        joints[:, Joint.FINGERS + side] = wrist + _unit(wrist - elbow) * body.hand
        hip = pelvis + np.array([0.0, body.hip_half * sign, 0.0])
        knee, ankle = _bend(hip, ankles[:, side], body.thigh, body.shin, pose.knees[side] * outward)
        joints[:, Joint.HIPS + side] = hip
        joints[:, Joint.KNEES + side] = knee
        joints[:, Joint.ANKLES + side] = ankle
        pitch = pose.toes[:, side]
        sole = ankle - _vector(np.sin(pitch), 0.0, np.cos(pitch)) * (body.ankle_height - body.foot_radius)
        splay = 0.35 * sign
        forward = _vector(np.cos(pitch), splay * np.cos(pitch), -np.sin(pitch)) / np.hypot(1.0, splay)
        joints[:, Joint.HEELS + side] = sole - forward * body.foot * 0.22
        joints[:, Joint.TOES + side] = sole + forward * body.foot * 0.7
    middle = 0.5 * (ankles[:, 0] + ankles[:, 1])
    joints[:, Joint.SHADOW] = middle * 0.6 + pelvis * 0.4
    joints[:, Joint.SHADOW, 2] = 0.0
    return joints
