import base64
import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hybrid_cvar.records import ClipView, Trace
from hybrid_cvar.reporting.clip_pictures import ClipPicture, clip_pictures


@pytest.fixture
def view(make_trace: Callable[..., Trace]) -> ClipView:
    kept = make_trace(1).view
    assert kept is not None
    return kept


def decoded(picture: ClipPicture) -> np.ndarray:
    kind, _, data = picture.uri.partition(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"data:image/{image.format.lower()}" and image.size == (picture.width, picture.height)
    return np.asarray(image.convert("RGBA")).astype(int)


def test_a_clip_is_five_pictures(view: ClipView) -> None:
    pictures = clip_pictures(view)
    assert [one.title for one in pictures] == [
        "I-frame", "Accumulated motion", "Accumulated residual", "Membranes of motion", "Membranes of residual"
    ]  # fmt: skip
    assert [one.is_motion for one in pictures] == [False, True, False, False, False]
    assert all(one.alt and one.caption for one in pictures)
    iframe = decoded(pictures[0])[..., :3]
    assert np.abs(iframe - view.iframe).mean() < 8, "JPEG's own loss"


def test_motion_has_the_wheels_colours(view: ClipView) -> None:
    motion = np.zeros((64, 64, 2), np.int16)
    motion[:32, :32] = (5, 0)  # right: red
    motion[32:, 32:] = (-5, 0)  # left: cyan
    picture = decoded(clip_pictures(replace(view, motion=motion))[1])
    red, white, cyan = picture[8, 8], picture[8, 56], picture[56, 56]
    assert red[0] > 200 and red[1] < 40 and red[2] < 40
    assert (white[:3] == 255).all()
    assert cyan[0] < 40 and cyan[1] > 200 and cyan[2] > 200


def test_every_channel_has_its_place_and_its_sign(view: ClipView) -> None:
    readout = np.zeros((10, 10, 5), np.int32)
    readout[..., 1], readout[..., 3] = 4096, -4096
    picture = clip_pictures(replace(view, streams=("motion",), readouts=(readout,)))[3]
    sheet = decoded(picture)
    assert (picture.width, picture.height) == (3 * 10 + 2 * 2, 2 * 10 + 2), "3 columns, 2 rows, gaps of 2"
    zero, above, below, gap, nothing = sheet[5, 5], sheet[5, 17], sheet[17, 5], sheet[5, 10], sheet[17, 29]
    assert above[0] > 150 > above[2] and below[2] > 150 > below[0]
    assert zero[:3].min() > 240 and gap[3] == nothing[3] == 0
    assert "\u00b11;" in picture.caption and "40% are not 0" in picture.caption


def test_pictures_of_many_videos_are_small(view: ClipView) -> None:
    large, small = (sum(len(one.uri) for one in clip_pictures(view, small=flag)) for flag in (False, True))
    assert small < 60_000 and small < large / 2
    big = replace(view, iframe=np.zeros((900, 1600, 3), np.uint8))
    assert [clip_pictures(big, small=flag)[0].width for flag in (False, True)] == [336, 128]


def test_a_still_clip_without_spikes(view: ClipView) -> None:
    still = replace(
        view,
        motion=np.zeros_like(view.motion),
        residual=np.zeros_like(view.residual),
        readouts=tuple(np.zeros_like(one) for one in view.readouts),
    )
    pictures = clip_pictures(still)
    assert (decoded(pictures[1])[..., :3] == 255).all()
    assert np.abs(decoded(pictures[2])[..., :3] - 128).max() <= 1
    assert "0% of pixels moved" in pictures[1].caption
