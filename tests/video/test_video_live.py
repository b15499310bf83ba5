"""Streams: what cannot be looked up ahead or again gives the same GOPs as a file of the same bytes."""

import http.server
import io
import os
import signal
import subprocess
import sys
import threading
import time

import av
import numpy as np
import pytest

from hybrid_cvar.errors import ShortVideoError, UnsupportedVideoError, VideoError
from hybrid_cvar.records import InputSpec
from hybrid_cvar.video import container, probe_video, read_clips, read_frames, read_gops

X264 = {"x264-params": "ref=1:bframes=0:keyint=12:min-keyint=12:scenecut=0"}
B_FRAMES = {"x264-params": "ref=3:bframes=2:keyint=12"}
STREAMS = {
    "h264": ("libx264", X264, True),
    "h264 with B-frames": ("libx264", B_FRAMES, False),
    "mpeg4": ("mpeg4", {}, True),
    "mpeg2": ("mpeg2video", {}, True),
}


@pytest.fixture(params=STREAMS)
def stream(request, tmp_path, encode, pictures):
    """(a transport stream as a file, is it native)."""
    codec, options, native = STREAMS[request.param]
    path = tmp_path / "clip.ts"
    path.write_bytes(encode(pictures, codec=codec, container="mpegts", **options))
    return path, native


def assert_same(streamed, read):
    streamed, read = list(streamed), list(read)
    assert len(streamed) == len(read) >= 3
    for a, b in zip(streamed, read, strict=True):
        assert (a.index, a.first_frame) == (b.index, b.first_frame)
        assert a.pts_seconds == pytest.approx(b.pts_seconds, abs=1e-6)
        np.testing.assert_array_equal(a.iframe, b.iframe)
        np.testing.assert_array_equal(a.motion, b.motion)
        np.testing.assert_array_equal(a.residual, b.residual)


def test_an_open_file(stream):
    path, native = stream
    assert probe_video(path).domain == ("native" if native else "transcode")
    with path.open("rb") as file:
        assert_same(read_gops(file), read_gops(path))
    for domain in ("native", "transcode") if native else ("transcode",):
        assert_same(read_gops(io.BytesIO(path.read_bytes()), domain=domain), read_gops(path, domain=domain))


def test_frames_of_a_stream(stream):
    path, _ = stream
    streamed, read = list(read_frames(io.BytesIO(path.read_bytes()))), list(read_frames(path))
    assert [frame.type for frame in streamed] == [frame.type for frame in read]
    for a, b in zip(streamed[:-1], read[:-1], strict=True):
        np.testing.assert_array_equal(a.picture, b.picture)
        np.testing.assert_array_equal(a.vectors, b.vectors)


def test_a_named_pipe(stream, tmp_path):
    path, _ = stream
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()), daemon=True)
    writer.start()
    assert_same(read_gops(pipe), read_gops(path))
    writer.join()


READ_STDIN = "from hybrid_cvar import read_gops; print([(g.index, int(g.motion.sum())) for g in read_gops('-')])"


def test_standard_input(stream):
    path, _ = stream
    run = subprocess.run(
        [sys.executable, "-c", READ_STDIN], input=path.read_bytes(), capture_output=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout.decode().strip() == str([(gop.index, int(gop.motion.sum())) for gop in read_gops(path)])


def test_an_address(stream):
    path, _ = stream
    content = path.read_bytes()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/clip"
        assert_same(read_gops(address), read_gops(path))
        assert probe_video(address).codec == probe_video(path).codec
        server.shutdown()


def test_a_live_sender(tmp_path, pictures):
    """UDP in real time: a GOP is there before the sender has ended."""
    port = 20000 + os.getpid() % 20000
    sent = threading.Event()

    def send():
        with av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts") as target:
            out = target.add_stream("libx264", rate=25)
            out.width, out.height, out.pix_fmt = 98, 66, "yuv420p"
            out.codec_context.options = X264 | {"tune": "zerolatency"}
            out.codec_context.thread_count = 1
            while not sent.is_set():
                for array in pictures[:24]:
                    target.mux(out.encode(av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format="yuv420p")))
                    time.sleep(0.005)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    try:
        gops = read_gops(f"udp://127.0.0.1:{port}?timeout=20000000&fifo_size=100000&overrun_nonfatal=1")
        first, second = next(gops), next(gops)
        assert sender.is_alive() and first.iframe.shape == (66, 98, 3)
        assert second.pts_seconds > first.pts_seconds >= 0
        gops.close()
    finally:
        sent.set()
        sender.join(10)


def test_clips_of_a_stream_are_its_first(stream):
    path, native = stream
    sampled = read_clips(io.BytesIO(path.read_bytes()), InputSpec(size=32), 2)
    assert [clip.gop_index for clip in sampled.clips] == [0, 1]
    assert (sampled.info.width, sampled.info.height, sampled.info.frames) == (98, 66, 0)
    probed = probe_video(io.BytesIO(path.read_bytes()))
    assert sampled.info == probed and probed.domain == ("native" if native else "transcode")
    assert ("encoded again" in probed.reason) != native


def test_short_gops_are_encoded_again(encode, pictures):
    content = encode(pictures, container="mpegts", g="4")
    assert next(read_gops(io.BytesIO(content))).iframe.shape == (256, 340, 3)
    assert len(list(read_gops(io.BytesIO(content), timesteps=3))) == 10


def test_joining_in_the_middle_waits_for_an_iframe(encode, pictures, tmp_path):
    content = encode(pictures, codec="libx264", container="h264", **X264)
    second = [at for at in range(len(content)) if content[at : at + 5] == b"\0\0\1\x65\x88"][1:]
    headers = content[: content.index(b"\0\0\1\x65")]
    joined = headers + content[content.index(b"\0\0\1\x41") - 1 :]
    gops = list(read_gops(io.BytesIO(joined)))
    assert second and len(gops) == 2


def test_pictures_of_another_kind_end_a_native_stream(encode, pictures):
    sound = encode(pictures, container="m4v")
    mixed = sound + encode(pictures, container="m4v", bf="2")
    gops = read_gops(io.BytesIO(mixed))
    with pytest.raises(UnsupportedVideoError, match="B-frames appeared in mid-stream.*domain transcode"):
        list(gops)
    assert len(list(read_gops(io.BytesIO(mixed), domain="transcode"))) >= 5


def test_native_is_refused_where_it_cannot_be(encode, pictures):
    content = encode(pictures, container="mpegts", bf="2")
    with pytest.raises(UnsupportedVideoError, match="mpeg4 with B-frames; the native domain needs"):
        next(read_gops(io.BytesIO(content), domain="native"))
    content = encode(pictures, codec="mjpeg", container="matroska", pixels="yuvj420p")
    with pytest.raises(UnsupportedVideoError, match="mjpeg; the native domain needs"):
        next(read_gops(io.BytesIO(content), domain="native"))


def test_a_stream_that_ends_early(encode, pictures):
    with pytest.raises(ShortVideoError, match="ended before a whole GOP; a GOP needs 12 frames"):
        list(read_gops(io.BytesIO(encode(pictures[:7], container="mpegts"))))


def test_an_address_that_does_not_answer():
    with pytest.raises(UnsupportedVideoError, match="check the address"):
        next(read_gops("http://127.0.0.1:9/none"))


def test_an_address_does_not_lead_to_files(tmp_path, encode, pictures):
    """A playlist from the network may name a file of this machine; it is not opened."""
    secret = tmp_path / "secret.ts"
    secret.write_bytes(encode(pictures, container="mpegts"))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile://{secret}\n#EXT-X-ENDLIST\n".encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.apple.mpegurl")
            self.end_headers()
            self.wfile.write(playlist)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(VideoError):
            list(read_gops(f"http://127.0.0.1:{server.server_port}/list.m3u8"))
        server.shutdown()


@pytest.mark.parametrize(
    ("codec", "container", "options"),
    [("libx264", "h264", X264), ("libx264", "h264", B_FRAMES), ("libx264", "avi", B_FRAMES), ("mpeg4", "m4v", {})],
)
def test_times_where_the_stream_carries_none(tmp_path, encode, pictures, codec, container, options):
    path = tmp_path / "clip"
    path.write_bytes(encode(pictures, codec=codec, container=container, **options))
    streamed = [gop.pts_seconds for gop in read_gops(io.BytesIO(path.read_bytes()))]
    assert streamed == pytest.approx([0, 0.48, 0.96])
    assert [gop.pts_seconds for gop in read_gops(path)] == pytest.approx(streamed)


def test_a_stream_that_falls_silent_says_so(stream, monkeypatch):
    path, _ = stream
    content = path.read_bytes()
    silent = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)
            self.wfile.flush()
            silent.wait(20)

        def log_message(self, *_):
            pass

    monkeypatch.setattr(container, "STREAM_TIMEOUT_SECONDS", 2.0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        gops = read_gops(f"http://127.0.0.1:{server.server_port}/clip")
        try:
            assert next(gops).iframe.any()
            with pytest.raises(VideoError, match="no data for 2 s; a stream must go on sending"):
                list(gops)
        finally:
            silent.set()
            server.shutdown()


def test_an_mp4_whose_index_is_at_its_end(encode, pictures):
    class Pipe(io.RawIOBase):
        def __init__(self, content):
            self.rest = io.BytesIO(content)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.rest.readinto(buffer)

    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (256, 340, 3)).astype(np.uint8) for _ in range(36)]
    content = encode(noise, codec="libx264", container="mp4", **X264)
    assert len(content) > 1_000_000
    with pytest.raises(ShortVideoError, match="ended before a whole GOP.*faststart"):
        list(read_gops(Pipe(content)))


@pytest.mark.parametrize("command", [["run", "-", "--engine", "native"], ["video", "probe", "-"]])
def test_ctrl_c_ends_the_wait_for_a_silent_pipe(command):
    run = subprocess.Popen(
        [sys.executable, "-m", "hybrid_cvar", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        time.sleep(6)
        assert run.poll() is None
        run.send_signal(signal.SIGINT)
        assert run.wait(15) == 130
    finally:
        run.kill()
        run.communicate()
