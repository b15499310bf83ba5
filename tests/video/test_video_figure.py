"""Figures: colours mean what the legend says, forms agree with the reader, files open again and have their size."""

import colorsys
from itertools import islice

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw

from hybrid_cvar.clip_colours import colour_wheel, flow_colours, residual_colours
from hybrid_cvar.errors import ConfigError, OutputError, ShortVideoError
from hybrid_cvar.records import Gop
from hybrid_cvar.video import read_gops
from hybrid_cvar.video.figure import accumulate, figure_scale
from hybrid_cvar.video.figure_sheet import FigureTitle, compose_instant, compose_sheet
from hybrid_cvar.video.figure_text import draw_text, text_width
from hybrid_cvar.video.show import show_video


def hue_degrees(vector, limit=10):
    red, green, blue = flow_colours(np.array(vector, np.int16), limit) / 255.0
    return 360 * colorsys.rgb_to_hsv(red, green, blue)[0]


def saturation(vector, limit=10):
    return colorsys.rgb_to_hsv(*flow_colours(np.array(vector, np.int16), limit) / 255.0)[1]


# Colours


@pytest.mark.parametrize(
    ("vector", "hue"),
    [((10, 0), 0), ((10, 10), 45), ((0, 10), 90), ((-10, 10), 135), ((-10, 0), 180), ((0, -10), 270), ((10, -10), 315)],
)
def test_a_direction_has_its_hue(vector, hue):
    assert hue_degrees(vector) == pytest.approx(hue, abs=1)


def test_opposite_vectors_have_opposite_hues():
    for vector in np.random.default_rng(3).integers(-300, 300, (50, 2)):
        if np.hypot(*vector) < 5:
            continue
        difference = abs(hue_degrees(vector, 8) - hue_degrees(-vector, 8))
        assert difference == pytest.approx(180, abs=2), vector


def test_no_motion_is_white_and_saturation_rises_with_length():
    assert flow_colours(np.zeros((2, 3, 2), np.int16), 5).tolist() == [[[255] * 3] * 3] * 2
    for direction in ((1, 0), (-1, 2), (0, -1)):
        shown = [saturation(np.array(direction) * length, 50) for length in range(0, 21, 2)]
        assert shown == sorted(shown)
        assert len(set(shown)) == len(shown)
    assert saturation((40, 0), 40) == pytest.approx(1, abs=0.01)
    assert saturation((400, 0), 40) == saturation((40, 0), 40)


def test_long_vectors_have_the_same_colours_as_the_table_gives():
    motion = np.random.default_rng(1).integers(-60, 60, (9, 7, 2)).astype(np.int16)
    alone = flow_colours(motion, 30)
    beside_a_long_one = flow_colours(np.concatenate([motion, np.full((1, 7, 2), 3000, np.int16)]), 30)
    np.testing.assert_array_equal(beside_a_long_one[:-1], alone)


def test_the_wheel_shows_the_colour_of_each_direction():
    wheel = colour_wheel(101)
    assert wheel.shape == (101, 101, 3)
    assert wheel[50, 50].tolist() == [255] * 3
    assert wheel[0, 0].tolist() == wheel[100, 0].tolist() == [255] * 3
    for (x, y), vector in {(99, 50): (50, 0), (50, 99): (0, 50), (1, 50): (-50, 0), (50, 1): (0, -50)}.items():
        np.testing.assert_allclose(wheel[y, x], flow_colours(np.array(vector, np.int16), 50), atol=8)


def test_a_residual_is_grey_at_zero_and_full_at_the_limit():
    values = np.array([[-400, -64, -32, 0, 32, 64, 400]], np.int16).repeat(3, axis=0).T
    levels = residual_colours(values, 64)
    assert levels[:, 0].tolist() == [0, 1, 64, 128, 192, 255, 255]
    assert residual_colours(np.array([10, 0, -10], np.int16), 10).tolist() == [255, 128, 1]


# Forms


@pytest.mark.parametrize("size", [(66, 98), (48, 64)])
def test_the_accumulated_form_is_the_readers(sample, tmp_path, pictures, encode, size):
    path = tmp_path / "a.avi"
    path.write_bytes(encode([picture[: size[0], : size[1]] for picture in pictures]))
    pairs = zip(read_gops(path, accumulated=False), read_gops(path), strict=True)
    for raw, wanted in pairs:
        made, frames = accumulate(raw)
        np.testing.assert_array_equal(made.motion, wanted.motion)
        np.testing.assert_array_equal(made.residual, wanted.residual)
        assert (made.accumulated, made.index, made.pts_seconds) == (True, wanted.index, wanted.pts_seconds)
        rows, columns = np.indices(size)
        for t in range(11):
            origin = wanted.iframe[rows - wanted.motion[t, ..., 1], columns - wanted.motion[t, ..., 0]]
            np.testing.assert_array_equal(frames[t], origin + wanted.residual[t])


def gop(width, height, steps=11):
    motion = np.zeros((steps, height, width, 2), np.int16)
    motion[:, height // 2 :, :, 0] = np.clip(np.arange(width), 0, 3)  # stays within the frame
    residual = np.zeros((steps, height, width, 3), np.int16)
    residual[:, ::4] = 5
    return Gop(np.full((height, width, 3), 90, np.uint8), motion, residual, False, 3, 1.44)


def test_the_scale_follows_what_is_seen():
    small = gop(64, 48)
    scale = figure_scale([(small, accumulate(small)[0])])
    assert scale.raw_motion == 3
    assert scale.accumulated_motion > scale.raw_motion
    assert scale.raw_residual == 16
    still = Gop(small.iframe, 0 * small.motion, 0 * small.residual, False, 0, 0.0)
    assert figure_scale([(still, still)]) == figure_scale([])


# Sheets


@pytest.mark.parametrize("width", [480, 1600])
@pytest.mark.parametrize("size", [(96, 64), (340, 256), (640, 272), (1080, 1920), (1920, 1080), (16, 2000)])
def test_a_sheet_fits_and_nothing_touches_its_edges(size, width):
    raw = gop(*size, steps=2)
    whole, frames = accumulate(raw)
    sheet = compose_sheet(
        raw,
        whole,
        frames,
        (1, 2),
        figure_scale([(raw, whole)]),
        FigureTitle("n" * 300, "é 漢 facts " * 30),
        width=width,
    )
    assert sheet.dtype == np.uint8
    assert width // 2 <= sheet.shape[1] <= width
    for edge in (sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1]):
        assert (edge == 255).all(), "an empty margin all round"
    film = [
        compose_instant(raw, whole, frames, step, figure_scale([(raw, whole)]), FigureTitle("n", "f"), width=width)
        for step in (0, 2)
    ]
    assert film[0].shape == film[1].shape
    assert film[0].shape[0] % 2 == film[0].shape[1] % 2 == 0
    assert film[0].shape[1] == width
    assert (film[0] != film[1]).any()
    assert all((edge == 255).all() for edge in (film[1][0], film[1][-1], film[1][:, 0], film[1][:, -1]))


def test_text_never_passes_its_room():
    image = Image.new("RGB", (300, 40), (255, 255, 255))
    draw_text(ImageDraw.Draw(image), (10, 5), "a very long line " * 9, 16, 200)
    inked = np.flatnonzero((np.asarray(image) < 200).any(axis=(0, 2)))
    assert 10 <= inked.min() < 20
    assert 180 < inked.max() < 211
    assert text_width("abc", 32) > text_width("abc", 16) > text_width("ab", 16)


# Files


def opened(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(video=0))
        return stream.codec.canonical_name, frames[0].format.name, float(stream.average_rate), frames


def test_a_png_opens_again(sample, tmp_path):
    shown = show_video(sample, tmp_path / "a.PNG", width=700)
    with Image.open(tmp_path / "a.PNG") as image:
        assert image.format == "PNG"
        assert image.size == (shown.width, shown.height)
    assert shown.frames == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.PNG"]


def test_a_film_opens_again_with_every_frame(sample, tmp_path):
    shown = show_video(sample, tmp_path / "a.mp4", gops=2, width=480)
    codec, pixels, rate, frames = opened(tmp_path / "a.mp4")
    assert (codec, pixels) == ("h264", "yuv420p")
    assert len(frames) == shown.frames == 24
    assert {(frame.width, frame.height) for frame in frames} == {(shown.width, shown.height)}
    assert rate == pytest.approx(shown.info.frames_per_second, rel=1e-3)
    slow = show_video(sample, tmp_path / "slow.mp4", gops=1, at_seconds=0, width=480, slow=4)
    assert opened(tmp_path / "slow.mp4")[2] == pytest.approx(shown.info.frames_per_second / 4, rel=1e-3)
    assert (slow.gops, slow.frames, slow.pts_seconds) == (1, 12, 0.0)


def test_the_gop_is_the_one_at_the_time_or_the_liveliest(tmp_path, pictures, encode):
    still = [pictures[0]] * 24
    path = tmp_path / "a.avi"
    path.write_bytes(encode([*still, *pictures[:12], *still]))
    starts = [one.pts_seconds for one in read_gops(path)]
    assert len(starts) == 5
    assert show_video(path, tmp_path / "a.png", width=480).pts_seconds == starts[2]
    for seconds, index in ((0, 0), (starts[3], 3), (starts[3] - 0.001, 2), (starts[4] + 0.1, 4)):
        assert show_video(path, tmp_path / "a.png", at_seconds=seconds, width=480).pts_seconds == starts[index]
    copy = show_video(path, tmp_path / "a.png", at_seconds=starts[3], domain="transcode", width=480)
    assert copy.pts_seconds == pytest.approx(starts[3])
    assert copy.info.domain == "transcode"


def test_what_cannot_be_drawn_is_refused_before_anything_is_written(sample, tmp_path, pictures, encode):
    wrong = ({"width": 10}, {"slow": 0}, {"gops": 0}, {"at_seconds": 1e6}, {"at_seconds": -1.0}, {"domain": "x"})
    for options in wrong:
        with pytest.raises(ConfigError):
            show_video(sample, tmp_path / "a.mp4", **options)
    with pytest.raises(ConfigError, match="gif"):
        show_video(sample, tmp_path / "a.gif")
    with pytest.raises(OutputError):
        show_video(sample, tmp_path / "none" / "a.png")
    short = tmp_path / "short.avi"
    short.write_bytes(encode(islice(pictures, 5)))
    with pytest.raises(ShortVideoError):
        show_video(short, tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["short.avi"]
