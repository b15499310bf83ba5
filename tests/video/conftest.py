"""Clips and helpers for the video tests."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from hybrid_cvar.assets.make_sample import SAMPLE
from hybrid_cvar.benchmark.moving_shapes import draw_video
from hybrid_cvar.records import Gop
from hybrid_cvar.video.encoding import add_mpeg4_stream
from hybrid_cvar.video.transcode import HEIGHT, WIDTH, paper_frames


@pytest.fixture(scope="session")
def sample() -> Path:
    """The shipped sample."""
    return SAMPLE


@pytest.fixture(scope="session")
def pictures() -> list[NDArray[np.uint8]]:
    """40 frames of 98x66."""
    return list(draw_video("grow", 1, 40, 98, 66))


def _encode(
    frames: Iterable[NDArray[np.uint8]],
    *,
    codec: str = "mpeg4",
    container: str = "avi",
    pixels: str = "yuv420p",
    **options: str,
) -> bytes:
    """A video of `frames` as a file's content; `options` are FFmpeg's, `g=12` and `bf=0` unless given."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as target:
        stream = None
        for array in frames:
            if stream is None:
                stream = target.add_stream(codec, rate=25)
                stream.height, stream.width = array.shape[:2]
                stream.pix_fmt = pixels
                stream.codec_context.options = {"g": "12", "bf": "0"} | options
            frame = av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format=pixels)
            target.mux(stream.encode(frame))
        assert stream is not None
        target.mux(stream.encode(None))
    return file.getvalue()


def _decode_plainly(source: Path | io.BytesIO) -> Iterator[NDArray[np.uint8]]:
    """Every frame as RGB, by PyAV alone, one at a time."""
    if not isinstance(source, Path):
        source.seek(0)
    with av.open(source, mode="r") as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def _rebuild(gop: Gop) -> NDArray[np.int64]:
    """int64 (T, H, W, 3): the P-frames by the identity, `reference[i - motion] + residual`."""
    height, width = gop.iframe.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    reference = gop.iframe.astype(np.int64)
    frames = []
    for motion, residual in zip(gop.motion, gop.residual, strict=True):
        x, y = columns - motion[..., 0], rows - motion[..., 1]
        assert x.min() >= 0 and y.min() >= 0 and x.max() < width and y.max() < height
        frame = reference[y, x] + residual
        frames.append(frame)
        if not gop.accumulated:
            reference = frame
    return np.stack(frames)


def _check_identity(gops: Iterable[Gop], frames: Iterable[NDArray[np.uint8]], first_frames: Sequence[int]) -> int:
    """Every GOP, in order, rebuilds the frames that follow its first one; returns how many were checked."""
    checked = position = 0
    frames = iter(frames)
    for gop in gops:
        start = first_frames[gop.index] + gop.first_frame
        assert gop.iframe.dtype == np.uint8 and gop.motion.dtype == gop.residual.dtype == np.int16
        assert gop.iframe.flags.c_contiguous and gop.motion.flags.c_contiguous and gop.residual.flags.c_contiguous
        assert gop.motion.shape == (*gop.residual.shape[:3], 2)
        *_, iframe = islice(frames, start + 1 - position)
        np.testing.assert_array_equal(gop.iframe, iframe)
        np.testing.assert_array_equal(_rebuild(gop), list(islice(frames, len(gop.motion))))
        position = start + 1 + len(gop.motion)
        checked += 1
    return checked


def _paper_copy(path: Path) -> io.BytesIO:
    """A video's frames in the paper's format, encoded in one go to one file."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as target:
        stream = add_mpeg4_stream(target, width=WIDTH, height=HEIGHT, frames_per_second=Fraction(25))
        for number, (picture, _) in enumerate(paper_frames(path)):
            picture.pts, picture.time_base = number, Fraction(1, 25)
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
    return file


# Functions come as fixtures, so that the tests need no import path of their own.


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """`_encode`."""
    return _encode


@pytest.fixture(scope="session")
def decode_plainly() -> Callable[[Path | io.BytesIO], Iterator[NDArray[np.uint8]]]:
    """`_decode_plainly`."""
    return _decode_plainly


@pytest.fixture(scope="session")
def check_identity() -> Callable[[Iterable[Gop], Iterable[NDArray[np.uint8]], Sequence[int]], int]:
    """`_check_identity`."""
    return _check_identity


@pytest.fixture(scope="session")
def paper_copy() -> Callable[[Path], io.BytesIO]:
    """`_paper_copy`."""
    return _paper_copy


@pytest.fixture(scope="session")
def rebuild() -> Callable[[Gop], NDArray[np.int64]]:
    """`_rebuild`."""
    return _rebuild
