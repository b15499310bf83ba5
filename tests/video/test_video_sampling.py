"""Which GOPs are taken, and the one geometry of a clip's three parts."""

import io
from dataclasses import replace

import numpy as np
import pytest

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Gop, InputSpec
from hybrid_cvar.video import cut_clip, read_clips, read_gops
from hybrid_cvar.video.geometry import crop_box
from hybrid_cvar.video.sampling import segment_centres


def make_gop(width, height, steps=2, seed=0):
    rng = np.random.default_rng(seed)
    return Gop(
        iframe=rng.integers(0, 256, (height, width, 3)).astype(np.uint8),
        motion=rng.integers(-50, 51, (steps, height, width, 2)).astype(np.int16),
        residual=rng.integers(-255, 256, (steps, height, width, 3)).astype(np.int16),
        accumulated=True,
        index=4,
        pts_seconds=1.5,
    )


@pytest.mark.parametrize("length", [1, 3, 8, 9, 17, 130, 1000])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_segment_centres(length, count):
    chosen = segment_centres(length, count)
    assert len(set(chosen)) == len(chosen) == min(length, count)
    assert list(chosen) == sorted(chosen) and chosen[0] >= 0 and chosen[-1] < length
    if length > count:
        for k, position in enumerate(chosen):
            assert abs(position + 0.5 - (k + 0.5) * length / count) <= 0.5


def test_sampled_clips_equal_those_of_the_whole_reading(dancer):
    spec = InputSpec(size=64)
    sampled = read_clips(dancer, spec)
    wanted = {clip.gop_index: clip for clip in sampled.clips}
    assert list(wanted) == list(segment_centres(130, 8)) and sampled.gops == 130
    met = 0
    for gop in read_gops(dancer):
        if gop.index in wanted:
            whole, clip = cut_clip(gop, spec), wanted[gop.index]
            assert whole.pts_seconds == clip.pts_seconds
            np.testing.assert_array_equal(whole.iframe, clip.iframe)
            np.testing.assert_array_equal(whole.motion, clip.motion)
            np.testing.assert_array_equal(whole.residual, clip.residual)
            met += 1
    assert met == 8


def test_the_same_with_a_copy(bikes):
    spec = InputSpec(size=64)
    cut = {gop.index: cut_clip(gop, spec) for gop in read_gops(bikes)}
    for clip in read_clips(bikes, spec, count=5).clips:
        np.testing.assert_array_equal(clip.motion, cut[clip.gop_index].motion)
        np.testing.assert_array_equal(clip.residual, cut[clip.gop_index].residual)


def test_a_video_with_fewer_gops_gives_each_once(tmp_path, encode, pictures):
    path = tmp_path / "clip.avi"
    path.write_bytes(encode(pictures))
    sampled = read_clips(path, InputSpec(size=32))
    assert [clip.gop_index for clip in sampled.clips] == [0, 1, 2] and sampled.gops == 3
    np.testing.assert_allclose([clip.pts_seconds for clip in sampled.clips], [0, 0.48, 0.96], atol=1e-3)


@pytest.mark.parametrize("accumulated", [True, False], ids=["accumulated", "raw"])
@pytest.mark.parametrize("as_a_stream", [False, True], ids=["file", "stream"])
def test_a_specs_clips_are_of_its_form(sample, accumulated, as_a_stream):
    """Those of the GOPs that are read in this form, for a file and for a stream; the other form's differ."""
    spec = InputSpec(size=56, accumulated=accumulated)
    gops = {form: {gop.index: gop for gop in read_gops(sample, accumulated=form)} for form in (True, False)}
    clips = read_clips(io.BytesIO(sample.read_bytes()) if as_a_stream else sample, spec, 3).clips
    assert len(clips) == 3
    for clip in clips:
        expected = cut_clip(gops[accumulated][clip.gop_index], spec)
        other = cut_clip(gops[not accumulated][clip.gop_index], replace(spec, accumulated=not accumulated))
        np.testing.assert_array_equal(clip.motion, expected.motion)
        np.testing.assert_array_equal(clip.residual, expected.residual)
        assert (clip.motion != other.motion).any() and (clip.residual != other.residual).any()


@pytest.mark.parametrize("accumulated", [True, False], ids=["accumulated", "raw"])
def test_clips_of_either_form_rebuild_every_frame(tmp_path, encode, pictures, decode_plainly, accumulated):
    """At full size, from the I-frame or from the frame before, as the form says; the other reference fails."""
    path = tmp_path / "square.avi"
    path.write_bytes(encode([np.ascontiguousarray(picture[:48, :48]) for picture in pictures]))
    spec = InputSpec(size=48, frame_width=48, frame_height=48, crop=48, accumulated=accumulated)
    frames = [frame.astype(int) for frame in decode_plainly(path)]
    rows, columns = np.mgrid[:48, :48]
    clips, of_the_other = read_clips(path, spec).clips, 0
    assert len(clips) == 3
    for clip in clips:
        start = 12 * clip.gop_index
        for t in range(spec.timesteps):
            row, column = rows - clip.motion[t, ..., 1], columns - clip.motion[t, ..., 0]
            from_iframe, from_before = (frames[at][row, column] + clip.residual[t] for at in (start, start + t))
            this, other = (from_iframe, from_before) if accumulated else (from_before, from_iframe)
            np.testing.assert_array_equal(this, frames[start + 1 + t])
            of_the_other += bool((other != frames[start + 1 + t]).any())
    assert of_the_other > 20


@pytest.mark.parametrize("accumulated", [True, False])
def test_a_gop_of_the_other_form_is_refused(accumulated):
    gop = replace(make_gop(60, 60), accumulated=not accumulated)
    with pytest.raises(ConfigError, match=f"input.accumulated = {accumulated} needs the other form"):
        cut_clip(gop, InputSpec(size=16, timesteps=2, accumulated=accumulated))


@pytest.mark.parametrize("value", [1, 0, "raw", None])
def test_a_form_that_is_no_bool_is_refused(value):
    with pytest.raises(ConfigError, match=r"input\.accumulated = .*; must be true or false"):
        InputSpec(accumulated=value)


@pytest.mark.parametrize("count", [0, -1, 2.5, True])
def test_a_bad_count_is_refused(sample, count):
    with pytest.raises(ConfigError, match="clips"):
        read_clips(sample, InputSpec(), count)


def test_a_count_in_the_place_of_the_spec_is_told(sample):
    with pytest.raises(ConfigError, match=r"spec = 8; must be an InputSpec; .*count=8"):
        read_clips(sample, 8)


def test_raw_form_reaches_the_clips(sample):
    specs = (InputSpec(size=56, accumulated=form) for form in (False, True))
    raw, accumulated = (read_clips(sample, spec).clips[0] for spec in specs)
    np.testing.assert_array_equal(raw.motion[0], accumulated.motion[0])
    assert np.abs(accumulated.motion[-1]).sum() > 2 * np.abs(raw.motion[-1]).sum()


def test_identity_where_nothing_is_to_do():
    gop = make_gop(48, 48)
    clip = cut_clip(gop, InputSpec(size=48, timesteps=2, frame_width=48, frame_height=48, crop=48))
    np.testing.assert_array_equal(clip.iframe, gop.iframe)
    np.testing.assert_array_equal(clip.motion, gop.motion)
    np.testing.assert_array_equal(clip.residual, gop.residual)
    assert clip.iframe.dtype == np.uint8 and clip.motion.dtype == clip.residual.dtype == np.int16
    assert (clip.gop_index, clip.pts_seconds) == (4, 1.5)


def test_plain_crop_of_the_papers_frame():
    gop = make_gop(340, 256)
    clip = cut_clip(gop, InputSpec(size=224, timesteps=2))
    np.testing.assert_array_equal(clip.iframe, gop.iframe[16:240, 58:282])
    np.testing.assert_array_equal(clip.motion, gop.motion[:, 16:240, 58:282])
    np.testing.assert_array_equal(clip.residual, gop.residual[:, 16:240, 58:282])


def half_away(values):
    return np.trunc(values + np.copysign(0.5, values))


def test_halved_crop_is_the_mean_of_four():
    gop = make_gop(340, 256)
    clip = cut_clip(gop, InputSpec(size=112, timesteps=2))
    box = gop.residual[:, 16:240, 58:282].astype(float).reshape(2, 112, 2, 112, 2, 3)
    np.testing.assert_array_equal(clip.residual, half_away(box.mean(axis=(2, 4))))
    still = gop.iframe[16:240, 58:282].astype(float).reshape(112, 2, 112, 2, 3)
    np.testing.assert_array_equal(clip.iframe, half_away(still.mean(axis=(1, 3))))
    np.testing.assert_array_equal(clip.motion, half_away(gop.motion[:, 17:240:2, 59:282:2] / 2))


def test_vectors_are_scaled_with_each_axis():
    """518x496 is 1.52 times as wide as the paper's frame, and 1.94 times as high."""
    gop = make_gop(518, 496)
    gop.motion[...] = (20, -20)
    clip = cut_clip(gop, InputSpec(size=112, timesteps=2))
    box = crop_box(518, 496, InputSpec())
    assert box.width == pytest.approx(518 * 224 / 340) and box.height == pytest.approx(434)
    assert (clip.motion == half_away(np.array([20 * 112 / box.width, -20 * 112 / box.height]))).all()


@pytest.mark.parametrize(("width", "height"), [(518, 496), (341, 257), (1280, 720), (60, 44)])
def test_the_three_parts_share_one_crop(width, height):
    """A mark at one place of the source comes out at one place of all three."""
    x, y = int(width * 0.4), int(height * 0.6)
    side = max(width // 12, 2)
    gop = make_gop(width, height, steps=1)
    for part in (gop.iframe, gop.motion, gop.residual):
        part[...] = 0
    gop.iframe[y : y + side, x : x + side] = 200
    gop.motion[:, y : y + side, x : x + side] = 40
    gop.residual[:, y : y + side, x : x + side] = 200
    clip = cut_clip(gop, InputSpec(size=100, timesteps=1))
    np.testing.assert_array_equal(clip.iframe, clip.residual[0])
    centres = []
    for part in (clip.iframe, clip.motion[0]):
        rows, columns = np.nonzero(part[..., 0] > part.max() / 2)
        centres.append((columns.mean(), rows.mean()))
    box = crop_box(width, height, InputSpec())
    expected = ((x + side / 2 - box.left) * 100 / box.width - 0.5, (y + side / 2 - box.top) * 100 / box.height - 0.5)
    np.testing.assert_allclose(centres, [expected, expected], atol=1.0)


def test_means_are_exact_for_any_size():
    """Every pixel of the box counts by the area that it shares with the output pixel."""
    gop = make_gop(71, 53, steps=1)
    spec = InputSpec(size=19, timesteps=1, frame_width=71, frame_height=53, crop=40)
    box = crop_box(71, 53, spec)

    def shares(start, length, size, limit):
        edges = start + np.arange(size + 1) * length / size
        pixels = np.arange(limit)
        return np.clip(np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels), 0, None) / (
            length / size
        )

    rows, columns = shares(box.top, box.height, 19, 53), shares(box.left, box.width, 19, 71)
    exact = np.einsum("ay,yxc,bx->abc", rows, gop.residual[0].astype(float), columns)
    assert np.abs(cut_clip(gop, spec).residual[0] - exact).max() <= 0.5 + 1e-9


def test_surplus_steps_are_cut_and_missing_ones_refused():
    gop = make_gop(64, 64, steps=5)
    assert len(cut_clip(gop, InputSpec(size=16, timesteps=3)).motion) == 3
    with pytest.raises(ConfigError, match="5 P-frames.*timesteps = 6"):
        cut_clip(gop, InputSpec(size=16, timesteps=6))
