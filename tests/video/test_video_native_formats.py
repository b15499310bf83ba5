"""Every codec that is read natively: the identity to the last bit, and raw vectors equal to FFmpeg's."""

from itertools import islice, pairwise

import av
import numpy as np
import pytest

from hybrid_cvar.errors import UnsupportedVideoError
from hybrid_cvar.video import probe_video, read_frames, read_gops, stream_info

X264 = {"x264-params": "ref=1:bframes=0:keyint=12:min-keyint=12:scenecut=0"}
FORMATS = {
    "h264 in mp4": ("libx264", "mp4", "yuv420p", X264),
    "h264 in matroska": ("libx264", "matroska", "yuv420p", X264),
    "h264 in mpegts": ("libx264", "mpegts", "yuv420p", X264),
    "h264 raw": ("libx264", "h264", "yuv420p", X264),
    "h264 baseline": ("libx264", "mp4", "yuv420p", X264 | {"profile": "baseline"}),
    "h264 of four slices": ("libx264", "mp4", "yuv420p", {"x264-params": X264["x264-params"] + ":slices=4"}),
    "h264 of 10 bit": ("libx264", "mp4", "yuv420p10le", X264),
    "h264 4:4:4": ("libx264", "mp4", "yuv444p", X264),
    "h264 gray": ("libx264", "mp4", "gray", X264),
    "h264 lossless": ("libx264", "mp4", "yuv420p", {"x264-params": X264["x264-params"] + ":qp=0"}),
    "mpeg-2": ("mpeg2video", "mpegts", "yuv420p", {}),
    "mpeg-2 of 4:2:2": ("mpeg2video", "mpegts", "yuv422p", {}),
    "mpeg-1": ("mpeg1video", "mpeg", "yuv420p", {}),
    "h263": ("h263", "avi", "yuv420p", {}),
    "mpeg-4": ("mpeg4", "avi", "yuv420p", {}),
    "mpeg-4 of four vectors, quarter pixel": ("mpeg4", "mp4", "yuv420p", {"flags": "+mv4+qpel"}),
}
SIZES = {"h263": (176, 144)}


def scene(width, height, count=24):
    """Texture that slides over the frame's edges, a square of its own, and new texture that no vector explains."""
    rng = np.random.default_rng(11)

    def texture(rows, columns):
        coarse = rng.integers(0, 256, (rows // 4 + 1, columns // 4 + 1, 3))
        return np.repeat(np.repeat(coarse, 4, 0), 4, 1).astype(np.uint8)

    far = texture(height + count, width + 3 * count)
    near, new = texture(24, 24), texture(height + count, width + count)
    frames = []
    for t in range(count):
        left = 3 * (count - t)
        frame = far[t : t + height, left : left + width].copy()
        top, left = height // 4 + t % 7, width // 4 + t
        part = frame[top : top + 24, left : left + 24]
        part[:] = near[: part.shape[0], : part.shape[1]]
        if t % 12 >= 7:
            frame[: height // 3, : width // 3] = new[t : t + height // 3, t : t + width // 3]
        frames.append(frame)
    return frames


def paint(vectors, height, width):
    """int (H, W, 2): the plain rule, block by block, pixel by pixel."""
    field = np.zeros((height, width, 2), int)
    for v in vectors:
        top, left = int(v["dst_y"]) - v["h"] // 2, int(v["dst_x"]) - v["w"] // 2
        for y in range(max(top, 0), min(top + v["h"], height)):
            for x in range(max(left, 0), min(left + v["w"], width)):
                source_x = min(max(x - int(v["dst_x"]) + int(v["src_x"]), 0), width - 1)
                source_y = min(max(y - int(v["dst_y"]) + int(v["src_y"]), 0), height - 1)
                field[y, x] = x - source_x, y - source_y
    return field


def exported(path):
    """By PyAV alone: each frame's RGB and FFmpeg's own vectors, up to the third I-frame.

    (Of the very last frame of a stream FFmpeg's MPEG decoders give out no vectors.)
    """
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"flags2": "+export_mvs"}
        stream.codec_context.thread_type = "NONE"
        for frame in islice(container.decode(stream), 24):
            vectors = frame.side_data.get("MOTION_VECTORS")
            yield frame.to_ndarray(format="rgb24"), None if vectors is None else vectors.to_ndarray().copy()


@pytest.fixture(params=FORMATS)
def video(request, tmp_path, encode):
    codec, container, pixels, options = FORMATS[request.param]
    width, height = SIZES.get(codec, (98, 66))
    path = tmp_path / "clip"
    path.write_bytes(encode(scene(width, height, 36), codec=codec, container=container, pixels=pixels, **options))
    return path


def test_identity_and_raw_vectors(video, check_identity):
    info = probe_video(video)
    assert not info.transcoded and info.domain == "native" and "its own GOPs are read" in info.reason
    assert (info.structure.gops, info.structure.shortest, info.structure.longest) == (3, 12, 12)
    assert (info.structure.i_frames, info.structure.p_frames, info.structure.b_frames) == (3, 33, 0)
    assert info.structure.reference_frames == 1 and info.frames == 36
    plain = list(exported(video))
    frames = [frame for frame, _ in plain]
    assert check_identity(islice(read_gops(video), 2), frames, (0, 12)) == 2
    raw = list(read_gops(video, accumulated=False))
    assert len(raw) == 3 and raw[2].motion[-1].any()
    assert check_identity(raw[:2], frames, (0, 12)) == 2
    outside = 0
    for number, (frame, vectors) in enumerate(plain):
        gop, step = divmod(number, 12)
        if step == 0:
            assert vectors is None or not len(vectors)
            continue
        assert len(vectors) and (vectors["source"] == -1).all()
        np.testing.assert_array_equal(raw[gop].motion[step - 1], paint(vectors, *frame.shape[:2]))
        outside += (vectors["src_x"] < vectors["w"] // 2).sum()
    # The vectors of MPEG-1, MPEG-2 and plain H.263 stay inside.
    assert outside or info.codec not in ("h264", "mpeg4"), "no source outside the frame: the clip shows too little"
    assert any(gop.motion.any() for gop in raw)


def test_frames_carry_ffmpegs_vectors(video):
    plain = list(exported(video))
    for workers in (1, 2):
        read = list(read_frames(video, workers=workers))
        assert "".join(frame.type for frame in read) == "IPPPPPPPPPPP" * 3 and len(read[-1].vectors)
        for (pixels, vectors), frame in zip(plain, read, strict=False):
            np.testing.assert_array_equal(frame.picture, pixels)
            assert len(frame.vectors) == (0 if vectors is None else len(vectors))
            for field in frame.vectors.dtype.names if vectors is not None else ():
                np.testing.assert_array_equal(frame.vectors[field], vectors[field])


def test_fractions_are_cut_toward_zero(video):
    """FFmpeg's rule for the source of a sub-pel vector, whose scale is 2 (half) or 4 (quarter)."""
    scales, fractions = set(), 0
    for _, vectors in exported(video):
        if vectors is None or not len(vectors):
            continue
        for axis in ("x", "y"):
            quotient = vectors[f"motion_{axis}"] / vectors["motion_scale"]
            np.testing.assert_array_equal(vectors[f"src_{axis}"], vectors[f"dst_{axis}"] + np.trunc(quotient))
            fractions += np.count_nonzero(quotient % 1)
        scales |= set(vectors["motion_scale"].tolist())
    assert len(scales) == 1 and fractions


def test_intra_blocks_stay_where_they_are(video):
    """No vector: tau is 0 there, and the residual is the difference to the same place of the frame before."""
    intra = 0
    frames = list(read_frames(video))
    raw = list(read_gops(video, accumulated=False))
    for number, (before, frame) in enumerate(pairwise(frames), start=1):
        if number % 12 == 0:
            continue
        height, width = frame.picture.shape[:2]
        free = np.ones((height, width), bool)
        for v in frame.vectors:
            top, left = max(v["dst_y"] - v["h"] // 2, 0), max(v["dst_x"] - v["w"] // 2, 0)
            free[top : v["dst_y"] + v["h"] // 2, left : v["dst_x"] + v["w"] // 2] = False
        gop, step = divmod(number, 12)
        assert not raw[gop].motion[step - 1][free].any()
        difference = frame.picture.astype(int) - before.picture
        np.testing.assert_array_equal(raw[gop].residual[step - 1][free], difference[free])
        intra += free.sum()
    assert intra, "no intra block: the clip shows too little"


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video", "libx264"])
def test_p_frames_with_no_vectors(tmp_path, encode, check_identity, codec):
    """Frames that have nothing in common are coded without any vector."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (64, 96, 3)).astype(np.uint8) for _ in range(12)]
    path = tmp_path / "noise"
    options = X264 if codec == "libx264" else {"sc_threshold": "1000000000"}
    path.write_bytes(encode(frames, codec=codec, container="matroska", **options))
    read = list(read_frames(path))
    assert any(frame.type == "P" and not len(frame.vectors) for frame in read) or codec != "libx264"
    gops = list(read_gops(path))
    assert check_identity(gops, [frame.picture for frame in read], (0,)) == 1
    empty = [t for t, frame in enumerate(read[1:]) if not len(frame.vectors)]
    for t in empty:
        before = gops[0].motion[t - 1] if t else np.zeros_like(gops[0].motion[0])
        np.testing.assert_array_equal(gops[0].motion[t], before)


@pytest.mark.parametrize(("width", "height"), [(34, 50), (66, 18), (130, 98)])
def test_h264_of_odd_sizes(tmp_path, encode, check_identity, decode_plainly, width, height):
    path = tmp_path / "clip.mp4"
    path.write_bytes(encode(scene(width, height), codec="libx264", container="mp4", **X264))
    assert check_identity(read_gops(path), decode_plainly(path), (0, 12)) == 2


def test_truly_odd_sizes(tmp_path, encode, check_identity, decode_plainly):
    """4:4:4 and gray allow odd sides; 4:2:0 of MPEG-4 does with a half chroma sample more."""
    for codec, pixels, options in (("libx264", "yuv444p", X264), ("libx264", "gray", X264), ("mpeg4", "yuv420p", {})):
        path = tmp_path / "clip.mkv"
        path.write_bytes(encode(scene(97, 65), codec=codec, container="matroska", pixels=pixels, **options))
        assert next(read_gops(path)).iframe.shape == (65, 97, 3)
        assert check_identity(read_gops(path), decode_plainly(path), (0, 12)) == 2


def test_scene_cuts_inside_a_gop_are_p_frames_without_vectors(tmp_path, encode, check_identity, decode_plainly):
    """x264 codes a cut as an I-frame; where it is no IDR, decoding cannot start there and the GOP goes on."""
    frames = scene(98, 66, 12)[:6] + [255 - frame[::-1] for frame in scene(98, 66, 12)[6:]]
    path = tmp_path / "cut.mp4"
    options = {"x264-params": "ref=1:bframes=0:keyint=250:min-keyint=100:scenecut=100"}
    path.write_bytes(encode(frames, codec="libx264", container="mp4", **options))
    assert [frame.type for frame in read_frames(path)].count("I") == 2
    assert probe_video(path).structure.gops == 1
    assert check_identity(read_gops(path), decode_plainly(path), (0,)) == 1


@pytest.mark.parametrize(
    ("reason", "codec", "container", "options"),
    [
        ("h264 with several reference frames", "libx264", "mp4", {"x264-params": "ref=3:bframes=0:keyint=12"}),
        ("h264 with B-frames", "libx264", "mp4", {"x264-params": "ref=1:bframes=2:b-adapt=0"}),
        (
            "h264 with interlaced coding",
            "libx264",
            "mp4",
            {"flags": "+ildct+ilme", "x264-params": "ref=1:bframes=0:tff=1"},
        ),
        ("mpeg4 with B-frames", "mpeg4", "avi", {"bf": "2"}),
        ("mpeg4 with interlaced coding", "mpeg4", "avi", {"flags": "+ilme+ildct"}),
        ("mpeg2video with B-frames", "mpeg2video", "mpegts", {"bf": "2"}),
        ("mpeg2video with interlaced coding", "mpeg2video", "mpegts", {"flags": "+ilme+ildct"}),
        ("hevc", "libx265", "mp4", {"x265-params": "log-level=none"}),
        ("vp9", "libvpx-vp9", "webm", {}),
        ("mjpeg", "mjpeg", "avi", {}),
    ],
)
def test_what_is_not_native_says_why(tmp_path, encode, pictures, reason, codec, container, options):
    path = tmp_path / "clip"
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    # H.264 fields need a height that 4 divides.
    content = encode([picture[:64] for picture in pictures], codec=codec, container=container, pixels=pixels, **options)
    path.write_bytes(content)
    info = probe_video(path)
    assert info.domain == "transcode" and info.reason.startswith(f"{reason}: encoded again")
    assert next(read_gops(path)).iframe.shape == (256, 340, 3)
    for read in (probe_video, lambda path, **options: list(read_gops(path, **options))):
        with pytest.raises(UnsupportedVideoError, match=f"{reason}; the native domain needs.*use the domain auto"):
            read(path, domain="native")


def test_the_domain_can_be_asked_for(dancer, sample):
    assert probe_video(sample, domain="native").domain == "native"
    info = probe_video(dancer, domain="transcode")
    assert info.transcoded and info.reason.startswith("asked for: encoded again to 340x256")
    assert next(read_gops(dancer, domain="native")).iframe.shape == (496, 518, 3)
    assert next(read_gops(dancer, domain="transcode")).iframe.shape == (256, 340, 3)


def test_gops_that_outgrow_the_limit_in_mid_stream_are_left_out(tmp_path, encode, pictures, monkeypatch):
    """The probe sees the header's size; frames may become larger."""
    monkeypatch.setattr(stream_info, "MOST_BYTES_BY_ITSELF", 98 * 66 * 11 * 10)
    large = [np.tile(picture, (3, 3, 1)) for picture in pictures[:24]]
    path = tmp_path / "grows.m4v"
    path.write_bytes(encode(pictures[:24], container="m4v") + encode(large, container="m4v"))
    assert probe_video(path).domain == "native"
    assert [gop.iframe.shape for gop in read_gops(path)] == [(66, 98, 3)] * 2
    assert [gop.iframe.shape for gop in read_gops(path, domain="native")] == [(66, 98, 3)] * 2 + [(198, 294, 3)] * 2


def test_what_follows_a_mended_frame_is_left_out(tmp_path, encode):
    """FFmpeg hides damage in H.264; the frames after it inherit it."""
    options = {"x264-params": "ref=1:bframes=0:keyint=48:min-keyint=48:scenecut=0"}
    content = bytearray(encode(scene(162, 130, 96), codec="libx264", container="h264", **options))
    path = tmp_path / "damaged.h264"
    path.write_bytes(content)
    whole = list(read_gops(path))
    assert [(gop.index, gop.first_frame) for gop in whole] == [(g, f) for g in (0, 1) for f in (0, 12, 24, 36)]
    slices = [at for at in range(len(content) - 4) if content[at : at + 4] == b"\0\0\1\x41"]
    # In the 19th frame of the first 48.
    start = slices[18 * len(slices) // 94] + 30
    content[start : start + 170] = bytes(value ^ 0x55 for value in content[start : start + 170])
    path.write_bytes(content)
    read = list(read_gops(path))
    assert [(gop.index, gop.first_frame) for gop in read] == [(0, 0), (1, 0), (1, 12), (1, 24), (1, 36)]
    for gop, sound in zip(read, [whole[0], *whole[4:]], strict=True):
        np.testing.assert_array_equal(gop.residual, sound.residual)
