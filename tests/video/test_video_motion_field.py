"""Painting of blocks, and the guard on how vectors are decoded."""

import gc

import numpy as np
import pytest
from av.codec.context import ThreadType
from av.video.frame import VideoFrame

from hybrid_cvar.video import gop_reader, read_gops
from hybrid_cvar.video.container import open_video
from hybrid_cvar.video.motion_field import dense_motion, motion_vectors


def block(width, height, motion, centre):
    return [width, height, centre[0] - motion[0], centre[1] - motion[1], *centre]


def test_blocks_become_pixels_and_the_rest_is_zero():
    field = dense_motion(np.array([block(16, 8, (3, -2), (24, 20))], np.int32), 48, 64)
    expected = np.zeros((48, 64, 2), np.int16)
    expected[16:24, 16:32] = (3, -2)
    assert field.dtype == np.int16
    np.testing.assert_array_equal(field, expected)


def test_sources_outside_the_frame_are_moved_to_its_edge():
    field = dense_motion(np.array([block(16, 16, (5, 0), (8, 8)), block(16, 16, (0, -9), (24, 24))], np.int32), 30, 40)
    np.testing.assert_array_equal(field[0, :8, 0], [0, 1, 2, 3, 4, 5, 5, 5])
    np.testing.assert_array_equal(field[18:30, 20, 1], [-9, -9, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0])


def test_blocks_may_pass_the_frames_edge():
    field = dense_motion(np.array([block(16, 16, (1, 2), (40, 24))], np.int32), 26, 42)
    assert (field[16:26, 32:42] == (1, 2)).all() and np.count_nonzero(field) == 2 * 10 * 10


def test_a_later_block_covers_an_earlier_one():
    field = dense_motion(np.array([block(16, 16, (4, 4), (24, 24)), block(8, 8, (0, 1), (20, 20))], np.int32), 48, 48)
    assert (field[16:24, 16:24] == (0, 1)).all() and (field[24:32, 24:32] == (4, 4)).all()


@pytest.mark.parametrize("seed", range(4))
def test_references_stay_in_the_frame(seed):
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-40, 140, (200, 6)).astype(np.int32)
    vectors[:, :2] = rng.choice([8, 16], (200, 2))
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
        assert sum(isinstance(thing, VideoFrame) for thing in gc.get_objects()) <= 2
    finally:
        gc.enable()


def test_no_frame_threads(dancer, bikes, monkeypatch):
    """With frame threads FFmpeg hands out other frames' vectors."""
    decoders = []
    plain = gop_reader.open_video

    def watched(*arguments):
        opened = plain(*arguments)
        container, stream = opened.__enter__()
        decoders.append(stream.codec_context)
        return _Reopened(opened, container, stream)

    monkeypatch.setattr(gop_reader, "open_video", watched)
    for path in (dancer, bikes):
        next(read_gops(path))
    assert len(decoders) >= 2
    for decoder in decoders:
        assert decoder.thread_type in (ThreadType.SLICE, ThreadType.NONE)


class _Reopened:
    def __init__(self, opened, container, stream):
        self.opened, self.pair = opened, (container, stream)

    def __enter__(self):
        return self.pair

    def __exit__(self, *error):
        return self.opened.__exit__(*error)
