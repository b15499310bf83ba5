"""Every bad file gives one error of our tree, or what can still be read of it; never anything else."""

import io
import random

import av
import numpy as np
import pytest
from PIL import Image

from hybrid_cvar.errors import (
    ConfigError,
    CorruptVideoError,
    ShortVideoError,
    UnsupportedVideoError,
    VideoError,
)
from hybrid_cvar.records import InputSpec
from hybrid_cvar.video import probe_video, read_clips, read_frames, read_gops
from hybrid_cvar.video.container import open_video, read_packets


@pytest.fixture
def write(tmp_path):
    def to_file(content, name="clip.avi"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return to_file


def refuse(path, error, message):
    """All three entries refuse it in the same words, in one line."""
    for read in (probe_video, lambda p: list(read_gops(p)), lambda p: read_clips(p, InputSpec(size=32))):
        with pytest.raises(error, match=message) as caught:
            read(path)
        assert type(caught.value) is error and str(path) in str(caught.value) and "\n" not in str(caught.value)
        assert caught.value.found and caught.value.rule and caught.value.remedy


def test_missing_file(tmp_path):
    refuse(tmp_path / "none.avi", UnsupportedVideoError, "no such file")


@pytest.mark.parametrize("source", [None, 3, b"clip.avi", io.StringIO("text")])
def test_what_is_neither_a_path_nor_a_file(source):
    refuse_source = pytest.raises(
        UnsupportedVideoError, match=rf"{type(source).__name__} .*a path, an address or an open"
    )
    for read in (probe_video, lambda given: list(read_gops(given)), lambda given: list(read_frames(given))):
        with refuse_source:
            read(source)


def test_name_with_a_null(tmp_path):
    with pytest.raises(VideoError):
        probe_video(tmp_path / "a\0b.avi")


def test_directory(tmp_path):
    refuse(tmp_path, UnsupportedVideoError, "a directory")


def test_device(tmp_path):
    with pytest.raises(UnsupportedVideoError, match="a stream that FFmpeg can open is needed"):
        next(read_gops("/dev/null"))


def test_unreadable_file(write, monkeypatch):
    """Root may read everything, so the refusal is simulated."""
    path = write(b"RIFF")

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refused)
    refuse(path, UnsupportedVideoError, "Permission denied; the file must be readable")


def test_empty_file(write):
    refuse(write(b""), UnsupportedVideoError, "empty file")


@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "notes.nfo", "notes.avi", "notes"])
def test_text_file(write, name):
    """FFmpeg plays a .txt as ANSI art."""
    refuse(write(b"a line of text\n" * 500, name), UnsupportedVideoError, "text file|can open")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.ffconcat", b"ffconcat version 1.0\nfile other.avi\n"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nother.ts\n#EXT-X-ENDLIST\n"),
    ],
)
def test_playlist_does_not_open_other_files(write, encode, pictures, name, content):
    write(encode(pictures), "other.avi")
    write(encode(pictures, container="mpegts"), "other.ts")
    with pytest.raises(VideoError):
        list(read_gops(write(content, name)))


def test_noise(write):
    with pytest.raises(VideoError):
        list(read_gops(write(np.random.default_rng(0).bytes(50_000))))


def test_picture(write, pictures):
    file = io.BytesIO()
    Image.fromarray(pictures[0]).save(file, "PNG")
    with pytest.raises(ShortVideoError, match="1 frames; a GOP needs 12"):
        list(read_gops(write(file.getvalue(), "one.png")))


def test_audio_only(write):
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as target:
        stream = target.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    refuse(write(file.getvalue(), "sound.wav"), UnsupportedVideoError, r"no video stream \(holds audio\)")


@pytest.mark.parametrize(("width", "height"), [(8, 64), (64, 8), (8208, 16)])
def test_sizes_out_of_range(write, encode, width, height):
    frames = [np.zeros((height, width, 3), np.uint8)] * 12
    path = write(encode(frames, codec="ffv1", container="matroska"))
    refuse(path, UnsupportedVideoError, f"frames of {width}x{height}; sides must be 16 to 8192")


@pytest.mark.parametrize("codec", ["mpeg4", "mjpeg"])
def test_shorter_than_a_gop(write, encode, pictures, codec):
    path = write(encode(pictures[:11], codec=codec, pixels="yuv420p" if codec == "mpeg4" else "yuvj420p"))
    probe_video(path)
    for read in (lambda: list(read_gops(path)), lambda: read_clips(path, InputSpec())):
        with pytest.raises(ShortVideoError, match="11 frames; a GOP needs 12"):
            read()


@pytest.mark.parametrize("timesteps", [0, -3, 2.0, 5000])
def test_bad_timesteps(sample, timesteps):
    for read in (
        lambda: probe_video(sample, timesteps=timesteps),
        lambda: list(read_gops(sample, timesteps=timesteps)),
    ):
        with pytest.raises(ConfigError, match="timesteps"):
            read()


def test_odd_names(write, encode, pictures, tmp_path, monkeypatch):
    content = encode(pictures)
    for name in ("a:b.avi", "-.avi", "100%d.avi", "ünï código.avi", "file:x.avi", "http:clip.avi"):
        write(content, name)
        monkeypatch.chdir(tmp_path)
        assert len(list(read_gops(name))) == 3


def test_cut_off_native_file_gives_its_whole_gops(write, encode, pictures, sample):
    content = sample.read_bytes()
    path = write(content[: len(content) // 2])
    indices = [gop.index for gop in read_gops(path)]
    assert indices == list(range(len(indices))) and 3 <= len(indices) <= 6
    assert [clip.gop_index for clip in read_clips(path, InputSpec(size=32)).clips] == indices
    path = write(content[: len(content) // 20])
    with pytest.raises(ShortVideoError, match="frames; a GOP needs 12"):
        list(read_gops(path))
    refuse(write(content[:20]), CorruptVideoError, "headers must be whole")


def test_mp4_without_its_index(write, encode, pictures):
    content = encode(pictures, container="mp4")
    refuse(write(content[: len(content) // 2], "clip.mp4"), CorruptVideoError, "headers must be whole")


def test_cut_off_transcoded_file(write, encode, pictures):
    content = encode(pictures * 3, codec="libx264", container="matroska", preset="ultrafast")
    assert 1 <= len(list(read_gops(write(content[: len(content) // 2])))) <= 6


def test_gop_whose_iframe_is_gone_is_left_out(write, encode, pictures):
    path = write(encode(pictures * 3))
    with open_video(path) as (container, stream):
        size = [packet.size for packet in read_packets(container, stream)][24]
    content = bytearray(path.read_bytes())
    # The third I-frame's picture becomes zeros; the P-frames after it stay, and refer to nothing.
    third = [at for at in range(len(content)) if content[at : at + 4] == b"\0\0\1\xb6" and content[at + 4] >> 6 == 0][2]
    content[third : third + size - 60] = bytes(size - 60)
    path = write(content)
    seconds = [0.48 * k for k in range(10) if k != 2]
    np.testing.assert_allclose([gop.pts_seconds for gop in read_gops(path)], seconds, atol=1e-6)
    clips = read_clips(path, InputSpec(size=32), 20).clips
    np.testing.assert_allclose([clip.pts_seconds for clip in clips], seconds, atol=1e-6)


def test_gop_that_cannot_be_decoded_is_replaced_by_the_next(sample, monkeypatch):
    from hybrid_cvar.video import gop_reader

    plain = gop_reader._decode_span

    def damaged(cursor, span, meter):
        frames = plain(cursor, span, meter)
        yield from list(frames)[:5] if span.index in (0, 1, 4, 7) else frames

    monkeypatch.setattr(gop_reader, "_decode_span", damaged)
    assert [gop.index for gop in read_gops(sample)] == [2, 3, 5, 6]
    # Of 8 GOPs, 3 clips are due at 1, 4 and 6.
    assert [clip.gop_index for clip in read_clips(sample, InputSpec(size=32), 3).clips] == [2, 5, 6]
    monkeypatch.setattr(gop_reader, "_decode_span", lambda *_: (frame for frame in ()))
    for read in (lambda: list(read_gops(sample)), lambda: read_clips(sample, InputSpec())):
        with pytest.raises(CorruptVideoError, match="none of its 8 GOPs can be decoded"):
            read()


def test_size_change_between_gops(write, encode, pictures, rebuild):
    """Each GOP keeps the size that it is coded in."""
    small = [picture[:50, :66] for picture in pictures[:24]]
    path = write(encode(pictures[:24], container="m4v") + encode(small, container="m4v"), "clip.m4v")
    gops = list(read_gops(path))
    assert [gop.iframe.shape for gop in gops] == [(66, 98, 3)] * 2 + [(50, 66, 3)] * 2
    for gop in gops:
        assert rebuild(gop).shape == (11, *gop.iframe.shape)
    assert len(read_clips(path, InputSpec(size=32)).clips) == 4


@pytest.mark.parametrize(
    ("codec", "container", "extra", "rounds"),
    [
        ("mpeg4", "avi", {}, 40),
        ("mpeg4", "matroska", {"flags": "+mv4"}, 40),
        ("mpeg4", "mpegts", {"bf": "2"}, 12),
        ("libx264", "mp4", {}, 24),
    ],
)
def test_damage_of_any_kind(write, encode, pictures, rebuild, codec, container, extra, rounds, capfd):
    """Random damage: either an error of our tree, or GOPs for which the identity holds; and no word on stderr."""
    whole = encode(pictures, codec=codec, container=container, **extra)
    chance = random.Random(f"{codec} {container}")
    outcomes = set()
    for _ in range(rounds):
        content = bytearray(whole)
        kind = chance.choice(["cut", "flip", "zero", "drop", "head"])
        at = chance.randrange(len(content))
        if kind == "cut":
            del content[at:]
        elif kind == "flip":
            for _ in range(chance.choice([1, 20, 400])):
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        elif kind == "zero":
            content[at : at + 900] = bytes(len(content[at : at + 900]))
        elif kind == "drop":
            del content[at : at + 900]
        else:
            for _ in range(3):
                content[chance.randrange(600)] = chance.randrange(256)
        path = write(bytes(content))
        try:
            for gop in read_gops(path):
                frames = rebuild(gop)
                assert frames.min() >= 0 and frames.max() <= 255 and len(frames) == 11
            read_clips(path, InputSpec(size=32), 2)
            outcomes.add("read")
        except VideoError as error:
            outcomes.add(type(error))
            assert "\n" not in str(error)
    assert "read" in outcomes and len(outcomes) > 1
    assert capfd.readouterr().err == ""


def test_endless_read_errors_end(sample, monkeypatch):
    from hybrid_cvar.video import container

    class Stuck:
        def demux(self, stream):
            raise av.error.InvalidDataError(1, "stuck")
            yield

    assert list(container.read_packets(Stuck(), None)) == []


def test_a_file_that_was_cut_off_says_so(tmp_path, sample):
    whole = sample.read_bytes()
    path = tmp_path / "cut.avi"
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert "frames are missing, it was cut off" in probe_video(path).reason
    assert "missing" not in probe_video(sample).reason


def test_dropped_frames_are_not_missing_at_the_end(tmp_path, pictures):
    """An AVI keeps an empty place for each; its header counts them."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as target:
        stream = target.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 66, 98, "yuv420p"
        stream.codec_context.options = {"g": "12", "bf": "0"}
        for number, array in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format="yuv420p")
            frame.pts = number + 9 * (number >= 20)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    path = tmp_path / "dropped.avi"
    path.write_bytes(file.getvalue())
    assert "missing" not in probe_video(path).reason and probe_video(path).frames == 40
