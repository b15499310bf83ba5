"""The actions: what each shows, from where it is seen, and which ones are the reverse of another.

Trajectories are in `cyclic_poses` and `paired_poses`. A pair is one trajectory, run forward and backward over moments
that lie symmetrically about the I-frames (`moments`), so that no I-frame tells which of the two it belongs to.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.puppets.cyclic_poses import clap, jumping_jack, kick, punch, run_on_the_spot, squat, walk, wave
from hybrid_cvar.puppets.motion import Clock, Style
from hybrid_cvar.puppets.paired_poses import push, raise_arms, sit_down, step_left
from hybrid_cvar.puppets.person import Body
from hybrid_cvar.puppets.skeleton import Pose
from hybrid_cvar.video.encoding import GOP_FRAMES

__all__ = ["ACTIONS", "REVERSED_PAIRS", "Action", "find_action", "first_moment", "moments", "moments_drawn"]


@dataclass(frozen=True)
class Action:
    """One action.

    Attributes:
        pose: (clock, style, body) -> Pose, the trajectory.
        turn_degrees: least and most turn away from the viewer, either way: 0 faces the viewer, 90 is a side view.
        reversed: True if the trajectory runs backward.
        prop: `chair`, `load` or none.
        travels: parts of a height that the figure moves on by, least and most.
        tempo: cycles a second, least and most.
        is_followed: True if the camera goes along with the figure.
        figure: its height, parts of the frame's, least and most, where there is room.
    """

    pose: Callable[[Clock, Style, Body], Pose]
    turn_degrees: tuple[float, float]
    reversed: bool = False
    prop: str = ""
    travels: tuple[float, float] = (0.0, 0.0)
    tempo: tuple[float, float] = (0.7, 1.6)
    is_followed: bool = False
    figure: tuple[float, float] = (0.55, 0.85)


def _pair(
    pose: Callable[[Clock, Style, Body], Pose],
    turn_degrees: tuple[float, float],
    prop: str = "",
    travels: tuple[float, float] = (0.0, 0.0),
    figure: tuple[float, float] = (0.55, 0.85),
) -> tuple[Action, Action]:
    forward = Action(pose, turn_degrees, False, prop, travels, figure=figure)
    return forward, replace(forward, reversed=True)


_SIT, _STAND = _pair(sit_down, (50.0, 90.0), "chair", figure=(0.66, 0.9))
_PUSH, _PULL = _pair(push, (72.0, 90.0), "load", (0.62, 0.88))
_RAISE, _LOWER = _pair(raise_arms, (0.0, 25.0))
_LEFT, _RIGHT = _pair(step_left, (0.0, 15.0), travels=(0.7, 1.0))

_ACTIONS = {
    "Clap": Action(clap, (0.0, 35.0), tempo=(0.8, 1.7)),
    "JumpingJack": Action(jumping_jack, (0.0, 25.0), tempo=(0.7, 1.4)),
    "Kick": Action(kick, (55.0, 90.0), tempo=(0.6, 1.2)),
    "LowerArms": _LOWER,
    "Pull": _PULL,
    "Punch": Action(punch, (50.0, 90.0), tempo=(0.8, 1.7)),
    "Push": _PUSH,
    "RaiseArms": _RAISE,
    "RunOnTheSpot": Action(run_on_the_spot, (0.0, 90.0), tempo=(1.3, 2.2)),
    "SitDown": _SIT,
    "Squat": Action(squat, (0.0, 65.0), tempo=(0.55, 1.1)),
    "StandUp": _STAND,
    "StepLeft": _LEFT,
    "StepRight": _RIGHT,
    "Walk": Action(walk, (60.0, 90.0), travels=(0.1, 0.5), tempo=(0.8, 1.2), is_followed=True),
    "Wave": Action(wave, (0.0, 30.0), tempo=(0.9, 1.8)),
}

ACTIONS: tuple[str, ...] = tuple(_ACTIONS)
"""Names of the actions, in alphabetical order."""

REVERSED_PAIRS: tuple[tuple[str, str], ...] = (
    ("SitDown", "StandUp"),
    ("Push", "Pull"),
    ("RaiseArms", "LowerArms"),
    ("StepLeft", "StepRight"),
)
"""The second of each is the first one's trajectory, backward."""


def find_action(name: str) -> Action:
    """An action by its name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in _ACTIONS:
        raise ConfigError(f"action = {name!r}", f"must be one of: {', '.join(ACTIONS)}")
    return _ACTIONS[name]


def first_moment() -> int:
    """The earliest moment that a video can show; the first frame of one that runs forward is moment 0."""
    return 1 - GOP_FRAMES


def moments_drawn(frames: int) -> int:
    """Moments, from `first_moment` on, that both directions of a video of so many frames need together."""
    return _last_iframe(frames) + 2 * GOP_FRAMES - 1


def moments(action: Action, frames: int) -> NDArray[np.int64]:
    """The moment that each frame shows, int64 (frames,).

    Forward: 0, 1, 2, ... Backward: from the last I-frame's moment down, past 0 after the last I-frame.
    """
    forward = np.arange(frames)
    return _last_iframe(frames) - forward if action.reversed else forward


def _last_iframe(frames: int) -> int:
    return GOP_FRAMES * ((frames - 1) // GOP_FRAMES)
