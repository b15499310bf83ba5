"""RGB pixels: the values of PyAV's own conversion, whatever the frame, in memory that is used again."""

import io

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from hybrid_cvar.video.rgb import RgbConverter, _DirectGraph

FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12", "gray", "gbrp", "rgb24")
SIZES = ((64, 48), (66, 50), (33, 18), (34, 17), (33, 17), (2, 2), (1, 1))


def noise(pixel_format: str, width: int, height: int, seed: int = 0) -> VideoFrame:
    colours = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return VideoFrame.from_ndarray(colours, format="rgb24").reformat(format=pixel_format)


def expected(frame: VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="rgb24")


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_values_are_those_of_pyav(pixel_format):
    converter = RgbConverter()
    for width, height in SIZES:
        for colorspace in (1, 2, 5, 9):
            for color_range in (0, 1, 2):
                frame = noise(pixel_format, width, height)
                frame.colorspace, frame.color_range = colorspace, color_range
                np.testing.assert_array_equal(converter.view(frame), expected(frame))
                array = converter.array(frame)
                assert array.flags.c_contiguous
                np.testing.assert_array_equal(array, expected(frame))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_decoded_frames_too(encode, width, height):
    pictures = [np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8) for seed in range(4)]
    converter = RgbConverter()
    with av.open(io.BytesIO(encode(pictures))) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 4
    for frame in frames:
        np.testing.assert_array_equal(converter.view(frame), expected(frame))


@pytest.mark.parametrize("name", ["color_primaries", "color_trc"])
def test_whatever_a_frame_says_of_its_colours(name):
    """Filters refuse some that PyAV takes."""
    for value in range(0, 256, 1):
        frame = noise("yuv420p", 16, 16)
        try:
            setattr(frame, name, value)
        except (ValueError, OverflowError):
            continue
        converter = RgbConverter()
        for _ in range(2):
            np.testing.assert_array_equal(converter.view(frame), expected(frame))


def test_a_stream_that_changes():
    converter = RgbConverter()
    frames = [
        noise(*kind, seed) for seed, kind in enumerate(2 * [("yuv420p", 64, 48), ("yuv420p", 32, 48), ("gray", 64, 48)])
    ]
    for frame in frames:
        np.testing.assert_array_equal(converter.view(frame), expected(frame))


def test_after_a_failure_no_frame_gets_anothers_pixels(monkeypatch):
    converter = RgbConverter()
    frames = [noise("yuv420p", 64, 48, seed) for seed in range(5)]
    converter.view(frames[0])
    convert = _DirectGraph.convert

    def fails_once(graph, frame):
        monkeypatch.undo()
        graph._source.push(frame)
        raise ValueError("it was pushed, and not pulled")

    monkeypatch.setattr(_DirectGraph, "convert", fails_once)
    for frame in frames[1:]:
        np.testing.assert_array_equal(converter.view(frame), expected(frame))
    assert _DirectGraph.convert is convert


def test_what_is_held_keeps_its_values_and_what_is_not_is_used_again():
    converter = RgbConverter()
    frames = [noise("yuv420p", 320, 240, seed) for seed in range(30)]
    held = [converter.view(frame) for frame in frames]
    for frame, picture in zip(frames, held, strict=True):
        np.testing.assert_array_equal(picture, expected(frame))
    places = {picture.ctypes.data for picture in held}
    assert len(places) == len(frames)
    del held, picture
    again = {converter.view(frame).ctypes.data for frame in frames}
    assert again < places


def test_pictures_outlive_the_converter():
    frames = [noise("yuv420p", 320, 240, seed) for seed in range(20)]
    pictures = [RgbConverter().view(frame) for frame in frames]
    for frame, picture in zip(frames, pictures, strict=True):
        np.testing.assert_array_equal(picture, expected(frame))
