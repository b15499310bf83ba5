"""Frames of puppets: the same from the same seed, a pair's two are one film, and every GOP shows its direction."""

import numpy as np
import pytest

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.puppets import ACTIONS, REVERSED_PAIRS, draw_puppet
from hybrid_cvar.puppets.actions import find_action, first_moment, moments, moments_drawn
from hybrid_cvar.puppets.person import new_person
from hybrid_cvar.puppets.scene import make_scene
from hybrid_cvar.puppets.skeleton import Joint

FRAMES = 96
IFRAMES = np.arange(0, FRAMES, 12)


def joints_shown(action, seed, frames=FRAMES):
    """(frames, K, 2), picture pixels."""
    found = find_action(action)
    return make_scene(found, (seed,), frames, 340, 256, None).joints[moments(found, frames) - first_moment()]


def test_names_are_sixteen_in_alphabetical_order():
    assert len(ACTIONS) == 16 and list(ACTIONS) == sorted(ACTIONS)
    assert len(REVERSED_PAIRS) == 4 and set(sum(REVERSED_PAIRS, ())) <= set(ACTIONS)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_seed_gives_the_same_frames(action):
    first, second = (np.stack(list(draw_puppet(action, 3, 13))) for _ in range(2))
    assert first.shape == (13, 256, 340, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, second)
    other = np.stack(list(draw_puppet(action, 4, 1)))
    assert np.abs(first[0].astype(int) - other[0]).mean() > 10


def test_a_given_person_is_drawn():
    someone = new_person(np.random.default_rng(1))
    plain, given = (next(draw_puppet("Wave", 3, 1, person=person)) for person in (None, someone))
    assert (plain != given).any()
    assert np.mean((plain == given).all(axis=-1)) > 0.4  # the place is the same


@pytest.mark.parametrize(("forward", "backward"), REVERSED_PAIRS)
def test_the_second_of_a_pair_is_the_first_ones_film_backward(forward, backward):
    there, back = (np.stack(list(draw_puppet(action, 5, 36))) for action in (forward, backward))
    np.testing.assert_array_equal(back[:25], there[24::-1])
    assert (back[25:] != there[25:]).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("frames", [12, 13, 75, 96])
@pytest.mark.parametrize(("forward", "backward"), REVERSED_PAIRS)
def test_iframes_of_a_pair_show_the_same_poses(forward, backward, frames):
    last = 12 * ((frames - 1) // 12)
    there, back = (joints_shown(action, 6, frames)[: last + 1 : 12] for action in (forward, backward))
    np.testing.assert_array_equal(there, back[::-1])


def test_every_frame_has_a_moment_that_is_drawn():
    for frames in (1, 12, 13, 96):
        for action in ("Push", "Pull"):
            rows = moments(find_action(action), frames) - first_moment()
            assert rows.min() >= 0 and rows.max() < moments_drawn(frames)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("forward", "backward"), REVERSED_PAIRS)
def test_every_gop_of_a_pair_shows_its_direction(forward, backward, seed):
    for action, sign in ((forward, 1.0), (backward, -1.0)):
        joints = joints_shown(action, seed)
        moved = joints[IFRAMES + 11] - joints[IFRAMES]
        facing = np.sign(joints[0, Joint.TOES, 0] - joints[0, Joint.HEELS, 0])
        shown = {
            "SitDown": moved[:, Joint.PELVIS, 1] - moved[:, Joint.HEELS, 1],
            "Push": facing * moved[:, Joint.PELVIS, 0],
            "RaiseArms": -moved[:, Joint.WRISTS : Joint.WRISTS + 2, 1].mean(axis=1),
            "StepLeft": -moved[:, Joint.PELVIS, 0],
        }[forward]
        assert (sign * shown > 1.0).all(), shown
        assert np.linalg.norm(moved, axis=-1).max(axis=1).min() >= 7.5


@pytest.mark.parametrize("action", ACTIONS)
def test_figures_stay_mostly_within_what_a_model_sees(action):
    for seed in range(5):
        joints = joints_shown(action, seed)[:, : Joint.SHADOW]
        seen = (np.abs(joints[..., 0] - 170) < 125) & (joints[..., 1] > -8) & (joints[..., 1] < 264)
        assert seen.mean() > 0.9, (seed, seen.mean())


@pytest.mark.parametrize("action", ACTIONS)
def test_limbs_keep_their_lengths_and_feet_stay_above_the_floor(action):
    from hybrid_cvar.puppets.motion import Clock, new_style
    from hybrid_cvar.puppets.skeleton import place_joints

    found, rng = find_action(action), np.random.default_rng(8)
    body = new_person(rng).body
    at = np.arange(-11.0, 96.0)
    pose = found.pose(Clock(at, np.linspace(0.0, 1.0, len(at))), new_style(rng, found.tempo, found.travels), body)
    joints = place_joints(pose, body)
    assert np.isfinite(joints).all()
    for first, second, length in (
        (Joint.SHOULDERS, Joint.ELBOWS, body.upper_arm),
        (Joint.ELBOWS, Joint.WRISTS, body.forearm),
        (Joint.HIPS, Joint.KNEES, body.thigh),
        (Joint.KNEES, Joint.ANKLES, body.shin),
    ):
        for side in (0, 1):
            found_length = np.linalg.norm(joints[:, second + side] - joints[:, first + side], axis=-1)
            np.testing.assert_allclose(found_length, length, rtol=1e-6)
    assert joints[:, Joint.ANKLES : Joint.ANKLES + 2, 2].min() > 0.9 * body.ankle_height
    knees, hips, ankles = (joints[:, j : j + 2, 0] for j in (Joint.KNEES, Joint.HIPS, Joint.ANKLES))
    assert (knees >= np.minimum(hips, ankles) - 1e-6).all()  # a knee bends forward


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (340, 256)])
def test_frames_have_the_size_asked_for(size):
    frames = list(draw_puppet("Kick", (1, 2), 2, *size))
    assert [frame.shape for frame in frames] == [(size[1], size[0], 3)] * 2


@pytest.mark.parametrize(
    "arguments", [("Jump", 1), ("Kick", -1), ("Kick", ()), ("Kick", 1, 0), ("Kick", 1, 5, 63, 64), ("Kick", (1, -2))]
)
def test_bad_drawings_are_refused(arguments):
    with pytest.raises(ConfigError):
        draw_puppet(*arguments)
