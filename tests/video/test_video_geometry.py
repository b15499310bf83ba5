"""Crops, flips and whole-frame scaling against a plain reference, on random sizes and on a moving square."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Gop, InputSpec
from hybrid_cvar.video.geometry import Crop, crop_box, cut_clip, scale_gop
from hybrid_cvar.video.gop_reader import read_gops

TIE = 1e-7  # a value this close to a half may be rounded either way: sums of parts of pixels are not exact
PARTS = ("iframe", "motion", "residual")


def make_gop(width, height, steps=2, seed=0, accumulated=True):
    rng = np.random.default_rng(seed)
    return Gop(
        iframe=rng.integers(0, 256, (height, width, 3)).astype(np.uint8),
        motion=rng.integers(-50, 51, (steps, height, width, 2)).astype(np.int16),
        residual=rng.integers(-255, 256, (steps, height, width, 3)).astype(np.int16),
        accumulated=accumulated,
        index=4,
        pts_seconds=1.5,
    )


def mirror(thing):
    """A GOP or a clip, left to right; x vectors negated."""
    return replace(
        thing,
        iframe=thing.iframe[:, ::-1].copy(),
        motion=thing.motion[:, :, ::-1] * np.array([-1, 1], np.int16),
        residual=thing.residual[:, :, ::-1].copy(),
    )


def assert_same(a, b):
    for part in PARTS:
        np.testing.assert_array_equal(getattr(a, part), getattr(b, part))


def half_away(values):
    return np.sign(values) * np.floor(np.abs(values) + 0.5)


def cover(start, length, size, limit):
    """(size, limit): the part of each output pixel that each source pixel fills."""
    edges = start + np.arange(size + 1) * length / size
    pixels = np.arange(limit)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(shared, 0, None) / (length / size)


def reference(gop, box, width, height):
    """Unrounded I-frame, motion and residual, and the centres of the output pixels."""
    frame_height, frame_width = gop.iframe.shape[:2]
    rows = cover(box.top, box.height, height, frame_height)
    columns = cover(box.left, box.width, width, frame_width)
    iframe = np.einsum("ay,yxc,bx->abc", rows, gop.iframe.astype(float), columns)
    residual = np.einsum("ay,tyxc,bx->tabc", rows, gop.residual.astype(float), columns)
    y = box.top + (np.arange(height) + 0.5) * box.height / height
    x = box.left + (np.arange(width) + 0.5) * box.width / width
    motion = gop.motion[:, y.astype(int)[:, None], x.astype(int)] * [width / box.width, height / box.height]
    return iframe, np.clip(motion, -32767, 32767), residual, x, y


def assert_rounded(values, exact):
    """`values` are `exact`, rounded half away from zero; either way within `TIE` of a half."""
    near_half = np.abs(np.abs(exact) % 1 - 0.5) < TIE
    np.testing.assert_array_equal(values[~near_half], half_away(exact)[~near_half])
    np.testing.assert_allclose(values, exact, rtol=0, atol=0.5 + TIE)


def assert_matches(clip, gop, box, width, height):
    iframe, motion, residual, x, y = reference(gop, box, width, height)
    assert_rounded(clip.iframe, iframe)
    assert_rounded(clip.residual, residual)
    # A centre on the border of two pixels may belong to either.
    clear = (np.abs(y - np.round(y)) > TIE)[:, None] & (np.abs(x - np.round(x)) > TIE)
    assert_rounded(clip.motion[:, clear], motion[:, clear])
    assert clip.iframe.dtype == np.uint8 and clip.motion.dtype == clip.residual.dtype == np.int16
    assert all(getattr(clip, part).flags.c_contiguous for part in PARTS)


frames = st.tuples(st.integers(16, 90), st.integers(16, 90), st.integers(0, 2**32 - 1))
sizes = st.integers(1, 50)


@st.composite
def crops(draw):
    width, height = draw(st.floats(1, 340)), draw(st.floats(1, 256))
    return Crop(draw(st.floats(0, 340 - width)), draw(st.floats(0, 256 - height)), width, height)


@given(frames, sizes, crops(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_crop_of_any_frame(frame, size, crop, accumulated):
    width, height, seed = frame
    gop = make_gop(width, height, seed=seed, accumulated=accumulated)
    spec = InputSpec(size=size, timesteps=2, accumulated=accumulated)
    clip = cut_clip(gop, spec, crop=crop)
    assert_matches(clip, gop, crop_box(width, height, spec, crop), size, size)
    # A flip is the mirror image to the bit, for every crop; and another flip undoes it.
    flipped = cut_clip(gop, spec, crop=crop, flip=True)
    assert_same(flipped, mirror(clip))
    assert_same(mirror(flipped), clip)
    assert (flipped.gop_index, flipped.pts_seconds) == (4, 1.5)


@given(frames, sizes, sizes, st.booleans())
@settings(max_examples=50, deadline=None)
def test_the_whole_frame_scaled(frame, wide, high, flip):
    width, height, seed = frame
    gop = make_gop(width, height, seed=seed)
    clip = scale_gop(gop, wide, high, flip=flip)
    assert clip.iframe.shape == (high, wide, 3) and clip.motion.shape == (2, high, wide, 2)
    whole = crop_box(width, height, InputSpec(), Crop(0, 0, 340, 256))
    assert_matches(mirror(clip) if flip else clip, gop, whole, wide, high)


@given(frames, sizes)
@settings(max_examples=50, deadline=None)
def test_a_mirrored_video_gives_the_mirrored_clip(frame, size):
    """The centre crop is symmetric, and so is the rounding: only ties that inexact sums decide may differ."""
    width, height, seed = frame
    gop, spec = make_gop(width, height, seed=seed), InputSpec(size=size, timesteps=2)
    flipped, of_mirrored = cut_clip(gop, spec, flip=True), cut_clip(mirror(gop), spec)
    box = crop_box(width, height, spec)
    iframe, _, residual, x, y = reference(gop, box, size, size)
    for part, exact in (("iframe", iframe[:, ::-1]), ("residual", residual[:, :, ::-1])):
        clear = np.abs(np.abs(exact) % 1 - 0.5) > TIE
        np.testing.assert_array_equal(getattr(flipped, part)[clear], getattr(of_mirrored, part)[clear])
    clear = (np.abs(y - np.round(y)) > TIE)[:, None] & (np.abs(x - np.round(x)) > TIE)[::-1]
    np.testing.assert_array_equal(flipped.motion[:, clear], of_mirrored.motion[:, clear])


@pytest.mark.parametrize("size", [224, 112, 56])
def test_flip_commutes_with_the_cut_where_sums_are_exact(size):
    """340x256, and whole numbers of pixels to one: every mean is exact, so every bit agrees, ties included."""
    gop, spec = make_gop(340, 256), InputSpec(size=size, timesteps=2)
    flipped, of_mirrored = cut_clip(gop, spec, flip=True), cut_clip(mirror(gop), spec)
    np.testing.assert_array_equal(flipped.iframe, of_mirrored.iframe)
    np.testing.assert_array_equal(flipped.residual, of_mirrored.residual)
    if size == 224:
        np.testing.assert_array_equal(flipped.motion, of_mirrored.motion)


def test_flip_commutes_to_the_bit_on_a_real_video(dancer):
    spec = InputSpec(size=112)
    for gop, _ in zip(read_gops(dancer), range(2), strict=False):
        assert_same(cut_clip(gop, spec, flip=True), cut_clip(mirror(gop), spec))
        assert_same(scale_gop(gop, flip=True), scale_gop(mirror(gop)))


def test_the_centre_given_as_a_crop():
    gop, spec = make_gop(518, 496), InputSpec(size=64, timesteps=2)
    assert_same(cut_clip(gop, spec), cut_clip(gop, spec, crop=Crop(58, 16, 224, 224)))


def test_crops_are_where_they_say():
    """On a 340x256 frame and whole numbers a crop is a slice."""
    gop, spec = make_gop(340, 256), InputSpec(size=64, timesteps=2)
    clip = cut_clip(gop, spec, crop=Crop(276, 3, 64, 64))
    np.testing.assert_array_equal(clip.iframe, gop.iframe[3:67, 276:])
    np.testing.assert_array_equal(clip.motion, gop.motion[:, 3:67, 276:])
    np.testing.assert_array_equal(clip.residual, gop.residual[:, 3:67, 276:])


def test_a_crop_that_is_not_square_scales_each_axis():
    gop = make_gop(340, 256)
    gop.motion[...] = (10, 10)
    clip = cut_clip(gop, InputSpec(size=64, timesteps=2), crop=Crop(0, 0, 128, 32))
    assert (clip.motion == (5, 20)).all()


def test_scaling_to_its_own_size_changes_nothing():
    gop = make_gop(340, 256, steps=3)
    clip = scale_gop(gop)
    assert_same(clip, gop)
    assert len(clip.motion) == 3 and (clip.gop_index, clip.pts_seconds) == (4, 1.5)


@pytest.mark.parametrize(("width", "height"), [(160, 96), (320, 192), (96, 160)])
def test_a_moving_square(tmp_path, encode, width, height):
    """k pixels a frame to the right are k * size / box width in the clip, and the negative of it in a flipped one."""
    speed, side, size, steps = 3, 48, 112, 4
    rng = np.random.default_rng(5)
    square = np.repeat(np.repeat(rng.integers(0, 256, (side // 6, side // 6, 3)), 6, 0), 6, 1).astype(np.uint8)
    left, top = (width - side) // 2 - 4, (height - side) // 2
    pictures = []
    for t in range(steps + 1):
        picture = np.full((height, width, 3), 128, np.uint8)
        picture[top : top + side, left + speed * t : left + speed * t + side] = square
        pictures.append(picture)
    path = tmp_path / "square.avi"
    path.write_bytes(encode(pictures, flags="+qscale", global_quality="236"))
    box = crop_box(width, height, InputSpec())
    for accumulated in (True, False):
        spec = InputSpec(size=size, timesteps=steps, accumulated=accumulated)
        gop = next(read_gops(path, timesteps=steps, accumulated=accumulated))
        straight, flipped = cut_clip(gop, spec), cut_clip(gop, spec, flip=True)
        for t in range(steps):
            frames_moved = t + 1 if accumulated else 1
            expected = half_away(np.array(speed * frames_moved * size / box.width))
            centre = left + speed * (t + 1) + side / 2
            column, row = (centre - box.left) * size / box.width, (top + side / 2 - box.top) * size / box.height
            for clip, at, sign in ((straight, column, 1), (flipped, size - column, -1)):
                inner = clip.motion[t, int(row) - 4 : int(row) + 4, int(at) - 4 : int(at) + 4]
                np.testing.assert_array_equal(np.median(inner, axis=(0, 1)), [sign * expected, 0])


def test_flipped_motion_never_leaves_its_range():
    """A tiny crop magnifies vectors beyond int16; both directions stop at the same value."""
    gop = make_gop(64, 64)
    gop.motion[...] = (-60, 60)
    clip = cut_clip(gop, InputSpec(size=2048, timesteps=2), crop=Crop(10, 10, 1, 1))
    flipped = cut_clip(gop, InputSpec(size=2048, timesteps=2), crop=Crop(10, 10, 1, 1), flip=True)
    assert (clip.motion == (-32767, 32767)).all() and (flipped.motion == (32767, 32767)).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-1, 0, 10, 10), r"crop.left = -1; must be a number of at least 0; "),
        ((0, -0.5, 10, 10), "crop.top = -0.5"),
        ((0, 0, 0, 10), "crop.width = 0; must be a number of at least 1"),
        ((0, 0, 10, 0.5), "crop.height = 0.5"),
        ((float("nan"), 0, 10, 10), "crop.left = nan"),
        ((0, 0, float("inf"), 10), "crop.width = inf"),
        ((0, 0, 10, "10"), "crop.height = '10'"),
        ((True, 0, 10, 10), "crop.left = True"),
    ],
)
def test_a_crop_of_no_sense_is_refused(values, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Crop(*values)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("crop", "message"),
    [
        (Crop(200, 0, 141, 10), r"crop.left \+ crop.width = 341; must fit the 340x256 frame, so at most 340"),
        (Crop(0, 100.5, 10, 156), r"crop.top \+ crop.height = 256.5; .* at most 256"),
        (Crop(340, 0, 1, 1), r"crop.left \+ crop.width = 341"),
    ],
)
def test_a_crop_beyond_the_edge_is_refused(crop, message):
    with pytest.raises(ConfigError, match=message) as caught:
        cut_clip(make_gop(40, 40), InputSpec(size=8, timesteps=2), crop=crop)
    assert caught.value.remedy


def test_the_frame_of_the_spec_is_the_crops_frame():
    spec = InputSpec(size=8, timesteps=2, frame_width=100, frame_height=80, crop=8)
    gop = make_gop(100, 80)
    clip = cut_clip(gop, spec, crop=Crop(92, 72, 8, 8))
    np.testing.assert_array_equal(clip.iframe, gop.iframe[72:, 92:])
    with pytest.raises(ConfigError, match="100x80 frame"):
        cut_clip(gop, spec, crop=Crop(93, 72, 8, 8))


@pytest.mark.parametrize("side", [0, -3, 2.5, True, 8193])
def test_a_size_of_no_sense_is_refused(side):
    for sides in ((side, 256), (340, side)):
        with pytest.raises(ConfigError, match="whole number from 1 to 8192"):
            scale_gop(make_gop(40, 40), *sides)


def test_a_size_beyond_memory_is_refused():
    with pytest.raises(ConfigError, match="8192x8192, 3 P-frames"):
        scale_gop(make_gop(40, 40, steps=3), 8192, 8192)
