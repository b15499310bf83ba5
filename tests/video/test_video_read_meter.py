"""What the reader tells of itself: counts that can be had in another way too, and the time of accumulation."""

import io
import subprocess
import sys
import time

import av
import pytest

from hybrid_cvar.records import InputSpec, ReadCounts
from hybrid_cvar.video import ReadMeter, gop_builder, open_clips, open_gops, read_frames, sampling
from hybrid_cvar.video.gop_reader import decode_gops, locate_gops


def read_sampled(source, count, meter=None, **options):
    return list(open_gops(source, 11, count, meter=meter, **options).sampled)


def same(left, right):
    return all(getattr(left, name).tobytes() == getattr(right, name).tobytes() for name in ("motion", "residual"))


def test_vectors_and_pixels_are_those_of_the_sampled_gops(sample):
    meter = ReadMeter()
    gops = read_sampled(sample, 3, meter)
    vectors = [len(frame.vectors) for frame in read_frames(sample)]
    assert len(vectors) == 96
    expected = sum(sum(vectors[12 * gop.index : 12 * gop.index + 12]) for gop in gops)
    assert 0 < expected < sum(vectors)
    # 340x256 pixels, 11 P-frames, 3 GOPs; each of them sought, so that nothing else is decoded.
    assert meter.counts == ReadCounts(36, expected, 3 * 11 * 340 * 256)


def test_frames_on_the_way_to_a_gop_count(tmp_path, encode, pictures):
    """A GOP of 40 frames is three pieces; the way to the middle one leads through the first."""
    path = tmp_path / "long.avi"
    path.write_bytes(encode(pictures, g="40"))
    meter = ReadMeter()
    (gop,) = read_sampled(path, 1, meter)
    assert gop.first_frame == 12
    assert meter.counts.frames_decoded == 24
    assert meter.counts.accumulated_pixels == 11 * 98 * 66


def test_a_transcoded_video_counts_both_decodes(tmp_path, encode, pictures):
    path = tmp_path / "vp9.webm"
    path.write_bytes(encode(pictures, codec="libvpx-vp9", container="webm"))
    meter = ReadMeter()
    source = locate_gops(path, 11)
    assert source.info.transcoded
    # All of them: 40 frames decoded (on a thread of their own), and 12 of the copy for each of 3 GOPs.
    assert len(list(decode_gops(source, meter=meter))) == 3
    assert meter.counts.frames_decoded == 40 + 3 * 12
    assert meter.counts.accumulated_pixels == 3 * 11 * 340 * 256


def test_a_stream_counts_what_a_file_does(sample):
    of_file, of_stream = ReadMeter(), ReadMeter()
    read_sampled(sample, 8, of_file)
    read_sampled(io.BytesIO(sample.read_bytes()), 8, of_stream)
    assert of_stream.counts == of_file.counts


@pytest.mark.parametrize("domain", ["native", "transcode"])
def test_nothing_changes_what_is_read(sample, domain):
    meter = ReadMeter()
    plain = read_sampled(sample, 4, domain=domain)
    metered = read_sampled(sample, 4, meter, domain=domain)
    assert len(plain) == 4 and all(map(same, plain, metered))
    assert meter.counts.frames_decoded >= (48 if domain == "native" else 96)


def test_accumulation_is_its_own_time(sample, monkeypatch):
    """Sleeps in the accumulator and in the cut are accumulation; those in the conversion to RGB are not."""

    def slowed(function, seconds):
        def slow(*arguments, **options):
            time.sleep(seconds)
            return function(*arguments, **options)

        return slow

    def read():
        meter, begin = ReadMeter(), time.perf_counter()
        clips = list(open_clips(sample, InputSpec(), 2, meter=meter).clips)
        assert len(clips) == 2
        return meter.accumulate_seconds, time.perf_counter() - begin

    read()  # compiles
    accumulate, whole = read()
    assert 0 < accumulate < whole
    slow_array = slowed(gop_builder.RgbConverter.array, 0.01)  # 24 times
    monkeypatch.setattr(gop_builder.RgbConverter, "array", slow_array)
    decoding, slow_decoding = read()
    assert slow_decoding - decoding > 0.24
    monkeypatch.undo()
    monkeypatch.setattr(gop_builder.Accumulator, "add", slowed(gop_builder.Accumulator.add, 0.01))  # 22 times
    monkeypatch.setattr(sampling, "cut_clip", slowed(sampling.cut_clip, 0.05))  # twice
    assert read()[0] > 0.32 > accumulate


def test_a_damaged_gop_counts_its_frames_but_no_vectors(tmp_path, sample):
    """Frame 6 of the third GOP is overwritten, but for its header: it and those before it are decoded for nothing."""
    with av.open(sample) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][30]
        position, size = packet.pos + 16, packet.size - 16
    data = sample.read_bytes()
    path = tmp_path / "damaged.avi"
    path.write_bytes(data[:position] + bytes([255]) * size + data[position + size :])
    meter = ReadMeter()
    gops = read_sampled(path, 8, meter)
    assert [gop.index for gop in gops] == [0, 1, 3, 4, 5, 6, 7]
    assert meter.counts.accumulated_pixels == 7 * 11 * 340 * 256
    assert meter.counts.frames_decoded == 7 * 12 + 7


def test_nothing_is_compiled_after_the_warm_up():
    """Else a program's first video would be told the seconds of the compiler as its own."""
    program = """
from numba.core.dispatcher import Dispatcher
from hybrid_cvar.assets import SAMPLE_VIDEO
from hybrid_cvar.video import accumulation, geometry, motion_field, read_clips, warm_up

def compiled():
    return {(name, str(each)) for module in (accumulation, geometry, motion_field)
            for name, kernel in vars(module).items() if isinstance(kernel, Dispatcher) for each in kernel.signatures}

warm_up.compile_reader_kernels()
before = compiled()
read_clips(SAMPLE_VIDEO, None, 2)
print(len(before) > 2, compiled() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=250, check=False)
    assert (done.returncode, done.stdout) == (0, "True set()\n"), done.stderr + done.stdout
