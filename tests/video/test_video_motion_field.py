"""Painting of blocks, and the guard on how vectors are decoded."""

import gc
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from av.codec.context import ThreadType
from av.video.frame import VideoFrame

from hybrid_cvar.records import InputSpec
from hybrid_cvar.video import (
    container,
    frame_reader,
    live,
    packet_cursor,
    read_clips,
    read_frames,
    read_gops,
    stream_info,
    transcode,
)
from hybrid_cvar.video.container import open_video, vector_decoder
from hybrid_cvar.video.motion_field import VECTOR, dense_motion, motion_vectors


def blocks(*rows):
    """Vectors of blocks given as width, height, motion, centre."""
    vectors = np.zeros(len(rows), VECTOR)
    for vector, (width, height, motion, centre) in zip(vectors, rows, strict=True):
        vector["source"], vector["w"], vector["h"] = -1, width, height
        vector["dst_x"], vector["dst_y"] = centre
        vector["src_x"], vector["src_y"] = centre[0] - motion[0], centre[1] - motion[1]
    return vectors


def test_blocks_become_pixels_and_the_rest_is_zero():
    field = dense_motion(blocks((16, 8, (3, -2), (24, 20))), 48, 64)
    expected = np.zeros((48, 64, 2), np.int16)
    expected[16:24, 16:32] = (3, -2)
    assert field.dtype == np.int16
    np.testing.assert_array_equal(field, expected)


def test_sources_outside_the_frame_are_moved_to_its_edge():
    field = dense_motion(blocks((16, 16, (5, 0), (8, 8)), (16, 16, (0, -9), (24, 24))), 30, 40)
    np.testing.assert_array_equal(field[0, :8, 0], [0, 1, 2, 3, 4, 5, 5, 5])
    np.testing.assert_array_equal(field[18:30, 20, 1], [-9, -9, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0])


def test_blocks_may_pass_the_frames_edge():
    field = dense_motion(blocks((16, 16, (1, 2), (40, 24))), 26, 42)
    assert (field[16:26, 32:42] == (1, 2)).all() and np.count_nonzero(field) == 2 * 10 * 10


def test_a_later_block_covers_an_earlier_one():
    field = dense_motion(blocks((16, 16, (4, 4), (24, 24)), (8, 8, (0, 1), (20, 20))), 48, 48)
    assert (field[16:24, 16:24] == (0, 1)).all() and (field[24:32, 24:32] == (4, 4)).all()


@pytest.mark.parametrize("seed", range(4))
def test_references_stay_in_the_frame(seed):
    rng = np.random.default_rng(seed)
    vectors = np.zeros(200, VECTOR)
    for field in ("src_x", "src_y", "dst_x", "dst_y"):
        vectors[field] = rng.integers(-40, 140, 200)
    vectors["w"], vectors["h"] = rng.choice([8, 16], (2, 200))
    field = dense_motion(vectors, 70, 90)
    rows, columns = np.mgrid[:70, :90]
    x, y = columns - field[..., 0], rows - field[..., 1]
    assert x.min() >= 0 and x.max() < 90 and y.min() >= 0 and y.max() < 70


def test_vectors_are_exported_and_iframes_have_none(dancer):
    with open_video(dancer) as (container, stream):
        counts = [len(motion_vectors(frame)) for frame, _ in zip(container.decode(stream), range(13), strict=False)]
    assert counts[0] == counts[12] == 0 and min(counts[1:12]) > 0


def test_frames_are_freed_without_garbage_collection(dancer):
    """PyAV's `frame.side_data` makes a reference cycle, which held hundreds of megabytes of frames."""
    gc.collect()
    gc.disable()
    try:
        with open_video(dancer) as (container, stream):
            for frame, _ in zip(container.decode(stream), range(20), strict=False):
                motion_vectors(frame)
        assert sum(type(thing) is VideoFrame for thing in gc.get_objects()) <= 2
    finally:
        gc.enable()


def test_no_frame_threads(dancer, bikes, monkeypatch):
    """With frame threads FFmpeg hands out other frames' vectors."""
    decoders = []

    @contextmanager
    def watched_open(*arguments):
        with open_video(*arguments) as (container, stream):
            decoders.append(stream.codec_context)
            yield container, stream

    def watched_decoder(*arguments):
        decoders.append(vector_decoder(*arguments))
        return decoders[-1]

    for module in (frame_reader, live, packet_cursor, stream_info, transcode):
        if hasattr(module, "open_video"):
            monkeypatch.setattr(module, "open_video", watched_open)
        if hasattr(module, "vector_decoder"):
            monkeypatch.setattr(module, "vector_decoder", watched_decoder)
    reads = (read_gops, read_frames, lambda path: iter(read_clips(path, InputSpec(size=32), 2).clips))
    for path in (dancer, bikes):
        for read in reads:
            before = len(decoders)
            next(read(path))
            assert len(decoders) > before
        with path.open("rb") as file:
            next(read_gops(file))
    assert len({decoder.name for decoder in decoders}) >= 2
    for decoder in decoders:
        assert decoder.thread_type in (ThreadType.SLICE, ThreadType.NONE)


def test_every_decoder_is_made_in_one_place():
    """So that the guard above sees them all."""
    folder = Path(container.__file__).parent
    makers = {
        file.name for file in folder.rglob("*.py") if re.search(r"CodecContext\.create|av\.open\(", file.read_text())
    }
    assert makers <= {"container.py", "encoding.py", "show.py", "convert.py", "convert_one.py"}
    for file in folder.rglob("*.py"):
        assert not re.search(r"thread_type\s*=.*(FRAME|AUTO)", file.read_text())
