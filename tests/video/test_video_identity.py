"""The identity of the contract, to the last bit, against frames that PyAV alone decoded."""

from dataclasses import replace

import numpy as np
import pytest

from hybrid_cvar.records import InputSpec
from hybrid_cvar.video import probe_video, read_clips, read_gops
from hybrid_cvar.video.gop_reader import decode_gops, locate_gops


@pytest.mark.parametrize("accumulated", [True, False])
def test_dancer(dancer, check_identity, decode_plainly, accumulated):
    source = locate_gops(dancer, 11)
    assert source.gops == 130 and not source.info.transcoded
    some = decode_gops(source, accumulated=accumulated, wanted=lambda position: position % 26 == 3)
    assert check_identity(some, decode_plainly(dancer), range(0, 1571, 12)) == 5


@pytest.mark.parametrize("accumulated", [True, False])
def test_bikes_through_its_copy(bikes, paper_copy, check_identity, decode_plainly, accumulated):
    """The copy is never whole; one file of the same frames, encoded in one go, decodes to the same."""
    source = locate_gops(bikes, 11)
    assert source.info.transcoded
    gops = list(decode_gops(source, accumulated=accumulated))
    assert [gop.index for gop in gops] == list(range(20)) and gops[0].iframe.shape == (256, 340, 3)
    assert check_identity(gops, decode_plainly(paper_copy(bikes)), range(0, 250, 12)) == 20


def test_sample(sample, check_identity, decode_plainly):
    frames = decode_plainly(sample)
    assert check_identity(read_gops(sample), frames, range(0, 96, 12)) == 8


@pytest.mark.parametrize(("width", "height"), [(66, 50), (98, 66), (340, 256), (17, 31), (16, 16)])
@pytest.mark.parametrize("flags", ["", "+mv4", "+mv4+qpel"])
def test_sizes_and_vector_kinds(tmp_path, encode, check_identity, decode_plainly, width, height, flags):
    rng = np.random.default_rng(3)
    texture = rng.integers(0, 256, (height + 60, width + 60, 3)).astype(np.uint8)
    texture = np.repeat(np.repeat(texture[::4, ::4], 4, 0), 4, 1)
    still = [texture[30 + t : 30 + t + height, 50 - 2 * t : 50 - 2 * t + width] for t in range(24)]
    path = tmp_path / "clip.avi"
    path.write_bytes(encode(still, flags="+bitexact" + flags))
    frames = list(decode_plainly(path))
    for accumulated in (True, False):
        gops = list(read_gops(path, accumulated=accumulated))
        assert check_identity(gops, frames, (0, 12)) == 2
        assert any(gop.motion.any() for gop in gops), "the clip must have motion, or the test shows nothing"


@pytest.mark.parametrize("timesteps", [1, 5, 11])
def test_longer_gops_are_cut(tmp_path, encode, pictures, check_identity, decode_plainly, timesteps):
    path = tmp_path / "clip.avi"
    path.write_bytes(encode(pictures, g="20"))
    gops = list(read_gops(path, timesteps=timesteps))
    length = timesteps + 1
    places = [(index, start) for index in (0, 1) for start in range(0, 20 - length + 1, length)]
    assert [(gop.index, gop.first_frame) for gop in gops] == places
    assert all(len(gop.motion) == timesteps for gop in gops)
    assert check_identity(gops, decode_plainly(path), (0, 20)) == len(places)


def test_accumulation_is_the_sum_of_equation_2(sample):
    """Delta[t](i) = sum over j of delta[j] at the trace of i in frame j, and Pi[t](i) = i - Gamma[t](i), as printed."""
    raw = next(read_gops(sample, accumulated=False))
    accumulated = next(read_gops(sample, accumulated=True))
    steps, height, width = raw.motion.shape[:3]
    start_y, start_x = np.mgrid[:height, :width]
    for t in range(steps):
        x, y = start_x, start_y
        total = np.zeros((height, width, 3), np.int64)
        for j in range(t, -1, -1):
            total += raw.residual[j, y, x]
            tau = raw.motion[j, y, x]
            x, y = x - tau[..., 0], y - tau[..., 1]
        np.testing.assert_array_equal(accumulated.motion[t], np.stack([start_x - x, start_y - y], axis=-1))
        np.testing.assert_array_equal(accumulated.residual[t], total)


def test_motion_is_destination_minus_source(tmp_path, encode):
    """A square that moves right by 4 pixels a frame has x motion +4, up by 2 has y motion -2."""
    rng = np.random.default_rng(5)
    square = np.repeat(np.repeat(rng.integers(0, 256, (6, 6, 3)), 8, 0), 8, 1).astype(np.uint8)
    frames = []
    for t in range(12):
        frame = np.full((128, 160, 3), 128, np.uint8)
        frame[64 - 2 * t : 112 - 2 * t, 16 + 4 * t : 64 + 4 * t] = square
        frames.append(frame)
    path = tmp_path / "square.avi"
    path.write_bytes(encode(frames, flags="+qscale", global_quality="236"))
    raw, accumulated = next(read_gops(path, accumulated=False)), next(read_gops(path))
    for t in range(11):
        top, left = 64 - 2 * (t + 1), 16 + 4 * (t + 1)
        inner = np.s_[top + 16 : top + 32, left + 16 : left + 32]
        np.testing.assert_array_equal(np.median(raw.motion[t][inner], axis=(0, 1)), [4, -2])
        np.testing.assert_array_equal(np.median(accumulated.motion[t][inner], axis=(0, 1)), [4 * (t + 1), -2 * (t + 1)])


def test_frames_held_back_by_the_decoder_are_not_lost(tmp_path, encode, pictures):
    """A stream that does not say low_delay comes out of the decoder one frame late."""
    content = encode(pictures, container="mp4")
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    assert [gop.index for gop in read_gops(path)] == [0, 1, 2]


def test_a_gop_does_not_depend_on_those_before_it(dancer):
    source = locate_gops(dancer, 11)
    alone = next(decode_gops(source, wanted=lambda position: position == 60))
    after = list(decode_gops(source, wanted=lambda position: 58 <= position <= 60))[-1]
    assert alone.index == after.index == 60
    np.testing.assert_array_equal(alone.iframe, after.iframe)
    np.testing.assert_array_equal(alone.motion, after.motion)
    np.testing.assert_array_equal(alone.residual, after.residual)


def test_two_readings_are_the_same(bikes):
    first, second = read_clips(bikes, InputSpec(size=56)), read_clips(bikes, InputSpec(size=56))
    assert first.info == second.info == replace(probe_video(bikes), structure=None)
    for a, b in zip(first.clips, second.clips, strict=True):
        np.testing.assert_array_equal(a.iframe, b.iframe)
        np.testing.assert_array_equal(a.motion, b.motion)
        np.testing.assert_array_equal(a.residual, b.residual)
