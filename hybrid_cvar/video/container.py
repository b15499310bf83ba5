"""Opening a video, a file or a stream: every way it can fail, turned into one error of our tree.

FFmpeg decides by content and by name what a file is; `open_video` narrows that to formats that hold pictures, and
to what the user named: a file leads to no other file and to no network, an address to no file.
"""

import re
import stat
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO, TextIOBase
from pathlib import Path
from typing import BinaryIO

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import ExitError, FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from hybrid_cvar.errors import CorruptVideoError, UnsupportedVideoError, VideoError

SMALLEST_SIDE = 16
LARGEST_SIDE = 8192
MOST_PIXELS = 8192 * 4320

# A damaged index can make FFmpeg report the same failure for ever.
CONSECUTIVE_READ_ERRORS = 1000

# Text and playlists: FFmpeg "plays" the first as ANSI art, and the second name other files to open.
TEXT_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf", "concat", "dash", "hls", "imf", "lavfi"})
# An address may be a playlist's: what it names is fetched over the network only.
PLAYLISTS = frozenset({"hls", "dash"})

CONTAINER_SIGNATURES = (
    (0, b"RIFF"),
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (0, b"\x1aE\xdf\xa3"),
    (0, b"FLV"),
    (0, b"OggS"),
    (0, b"\x30\x26\xb2\x75"),
    (0, b"\x00\x00\x01"),
    (0, b"G@"),
)

RE_ENCODE = "encode it again, for example `ffmpeg -i VIDEO out.mp4`"


EXPORTS_VECTORS = frozenset({"mpeg1video", "mpeg2video", "mpeg4", "h263", "h264"})

STDIN = "-"
STREAM_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# What a network address may lead to. Local files are not among them: a playlist could name any.
STREAM_PROTOCOLS = "http,https,httpproxy,tcp,tls,crypto,udp,rtp,rtsp,rtsps,rtmp,rtmps,rtmpe,rtmpt,srt,srtp,mmsh,mmst"
STREAM_TIMEOUT_SECONDS = 15.0

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})
IMAGE_NUMBER = re.compile(r"%0?[0-9]*d")
IMAGES_PER_SECOND = "25"
CAMERA_FORMAT = "video4linux2"

VideoSource = str | Path | BinaryIO
"""What can be read: a file's path; a folder of images, or a name such as `frame_%04d.png` for a numbered sequence; or a
stream: `-` for stdin, an address such as rtsp://..., a camera or named pipe, an open binary file."""


def is_stream(source: VideoSource) -> bool:
    """True if a source can be read once only, from its start: stdin, an address, a device, a pipe, an open file."""
    if not isinstance(source, str | Path):
        return True
    if isinstance(source, str) and (source == STDIN or STREAM_ADDRESS.match(source)):
        return True
    try:
        mode = Path(source).stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def source_name(source: VideoSource) -> str:
    """What messages call a source."""
    if isinstance(source, str | Path):
        return "stdin" if source == STDIN else str(source)
    return str(getattr(source, "name", "") or "the open file")


@contextmanager
def open_video(source: VideoSource) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video and its first picture stream, checked and ready to decode with motion vectors.

    Args:
        source: a file or a stream.

    Yields:
        The container and the stream, whose decoder exports motion vectors and has no frame threads.

    Raises:
        UnsupportedVideoError: not a readable regular file, not a video, no decoder, or a size out of range; a stream
            that does not answer.
        CorruptVideoError: the file is of a known format but its headers are damaged.
    """
    name = source_name(source)
    with ExitStack() as opened:
        container = opened.enter_context(_open_source(source, name, opened))
        stream = _picture_stream(name, container, is_stream(source))
        _export_vectors(stream.codec_context)
        yield container, stream


def _open_source(source: VideoSource, name: str, opened: ExitStack) -> InputContainer:
    if not isinstance(source, str | Path) and (not hasattr(source, "read") or isinstance(source, TextIOBase)):
        raise UnsupportedVideoError(
            f"{type(source).__name__} {source!r}"[:100],
            "a video is a path, an address or an open binary file",
            "give its path, or open it with mode 'rb'",
        )
    try:
        return _open_stream(source, opened) if is_stream(source) else _open_file(Path(str(source)))
    except _PipeInterrupted:
        raise KeyboardInterrupt from None
    except ExitError as error:
        raise UnsupportedVideoError(
            f"{name}: no answer within {STREAM_TIMEOUT_SECONDS:g} s",
            "a stream that is sending is needed",
            "check the address, and that it is sending",
        ) from error
    except (FFmpegError, OSError, ValueError) as error:
        raise _open_failure(source, error) from error


def vector_decoder(codec: str, like: VideoCodecContext | None = None) -> VideoCodecContext:
    """A decoder without a container that exports motion vectors.

    Args:
        codec: FFmpeg's name.
        like: a decoder of the same stream, whose headers are taken over.
    """
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, VideoCodecContext)
    if like is not None:
        decoder.extradata, decoder.codec_tag = like.extradata, like.codec_tag
    _export_vectors(decoder)
    return decoder


def _export_vectors(decoder: VideoCodecContext) -> None:
    # Options count only if set before the first decode; those given to av.open are dropped in silence.
    decoder.options = {"flags2": "+export_mvs", "max_pixels": str(MOST_PIXELS)}
    # With frame threads FFmpeg hands out the vectors of other frames; with slice threads, what it shows of damaged
    # pictures changes from run to run.
    decoder.thread_type = ThreadType.SLICE
    if decoder.name in EXPORTS_VECTORS:
        decoder.thread_count = 1


def _open_file(path: Path) -> InputContainer:
    pattern = _image_pattern(path)
    if pattern:
        kind = "glob" if path.is_dir() else "sequence"
        return _open(pattern, "file", format="image2", pattern_type=kind, framerate=IMAGES_PER_SECOND)
    _check_file(path)
    # "file:" keeps a colon in a file's name from being read as a protocol.
    return _open(f"file:{path.absolute()}", "file")


def _image_pattern(path: Path) -> str:
    """FFmpeg's pattern for a folder of images, or for a name such as `frame_%04d.png`; empty for anything else."""
    try:
        if path.is_dir():
            suffixes = Counter(entry.suffix for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES)
            if not suffixes:
                return ""
            folder = re.sub(r"([\\*?\[\]{}])", r"\\\1", str(path.absolute()))
            return f"{folder}/*{suffixes.most_common(1)[0][0]}"
        if IMAGE_NUMBER.search(path.name) and not path.exists():
            return str(path.absolute())
    except (OSError, ValueError):
        pass
    return ""


def _open_stream(source: VideoSource, opened: ExitStack) -> InputContainer:
    if not isinstance(source, str | Path):
        return _open(source, "file")
    if source == STDIN:
        # Python's own reading answers Ctrl-C, where FFmpeg's would go on waiting.
        return _open(_Pipe(opened.enter_context(open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))), "file")
    if isinstance(source, str) and STREAM_ADDRESS.match(source):
        return _open(source, STREAM_PROTOCOLS, timeout=STREAM_TIMEOUT_SECONDS)
    path = Path(source)
    if stat.S_ISCHR(path.stat().st_mode):
        return _open(str(path.absolute()), "file", format=CAMERA_FORMAT)
    return _open(_Pipe(opened.enter_context(path.open("rb", buffering=0))), "file")


class _PipeInterrupted(Exception):
    """Ctrl-C came while a pipe was waited for."""


class _Pipe:
    """A pipe as PyAV reads it. PyAV drops what is no Exception, and FFmpeg would read on: so Ctrl-C becomes one."""

    def __init__(self, pipe: FileIO) -> None:
        self._pipe = pipe

    def read(self, size: int) -> bytes:
        try:
            return self._pipe.read(size) or b""
        except KeyboardInterrupt as error:
            raise _PipeInterrupted from error


def _open(
    source: "str | BinaryIO | _Pipe",
    protocols: str,
    *,
    format: str | None = None,
    timeout: float | None = None,
    **options: str,
) -> InputContainer:
    """Open with nothing but the named protocols, and with no frame larger than is read.

    FFmpeg decodes a little already while it opens; what that may allocate is limited by stream options alone.
    """
    return av.open(
        source,
        mode="r",
        format=format,
        timeout=timeout,
        options={"max_pixels": str(MOST_PIXELS)},
        container_options={"protocol_whitelist": protocols} | options,
    )


def read_packets(container: InputContainer, stream: VideoStream) -> "Iterator[Packet[VideoStream]]":
    """The stream's packets that hold data, in file order, past read errors where FFmpeg can go on.

    Empty packets (a frame the recorder dropped) are left out: a decoder takes one for the end of the stream.

    Args:
        container, stream: from `open_video`.

    Yields:
        Packets, the same ones in the same order each time a file is read.
    """
    packets = container.demux(stream)
    errors = 0
    while errors < CONSECUTIVE_READ_ERRORS:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except _PipeInterrupted:
            raise KeyboardInterrupt from None
        except ExitError as error:
            # What FFmpeg reports when a time limit has passed; files have none.
            raise VideoError(
                f"{container.name}: no data for {STREAM_TIMEOUT_SECONDS:g} s",
                "a stream must go on sending",
                "check that it is sending",
            ) from error
        except (FFmpegError, IndexError):
            # PyAV answers a packet of a stream that only appears later in the file with an IndexError.
            errors += 1
            packets = container.demux(stream)
            continue
        errors = 0
        if packet.size:
            yield packet


def _check_file(path: Path) -> None:
    try:
        if not path.exists():
            raise UnsupportedVideoError(f"{path}: no such file", "a video file is needed", "check the path")
        if not path.is_file():
            kind = "a directory" if path.is_dir() else "not a regular file"
            raise UnsupportedVideoError(
                f"{path}: {kind}", "a video file, or a folder of images, is needed", "name the video itself"
            )
        with path.open("rb") as file:
            empty = not file.read(1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnsupportedVideoError(
            f"{path}: {reason}", "the file must be readable", "check its permissions"
        ) from error
    if empty:
        raise UnsupportedVideoError(f"{path}: empty file", "a video file is needed", "copy or download it again")


def _open_failure(source: VideoSource, error: Exception) -> VideoError:
    name = source_name(source)
    reason = getattr(error, "strerror", None) or str(error)
    if is_stream(source):
        return UnsupportedVideoError(
            f"{name}: {reason}", "a stream that FFmpeg can open is needed", "check the address, and that it is sending"
        )
    try:
        with Path(str(source)).open("rb") as file:
            head = file.read(16)
    except OSError:
        head = b""
    if any(head[at : at + len(mark)] == mark for at, mark in CONTAINER_SIGNATURES):
        return CorruptVideoError(f"{name}: {reason}", "the container's headers must be whole", "copy it again")
    return UnsupportedVideoError(
        f"{name}: {reason}", "a video that FFmpeg can open is needed", "check that it is a video file"
    )


def _picture_stream(path: str, container: InputContainer, live: bool) -> VideoStream:
    name = container.format.name
    refused = TEXT_FORMATS - PLAYLISTS if live else TEXT_FORMATS
    if not refused.isdisjoint(name.split(",")):
        raise UnsupportedVideoError(f"{path}: a text file or playlist ({name})", "a video file is needed", RE_ENCODE)
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise UnsupportedVideoError(
            f"{path}: no video stream (holds {kinds})", "a video stream is needed", "give a file with pictures"
        )
    stream = streams[0]
    if stream.codec_context is None:
        raise UnsupportedVideoError(f"{path}: no decoder for its video stream", "FFmpeg must know the codec", RE_ENCODE)
    width, height = stream.codec_context.width, stream.codec_context.height
    if width <= 0 or height <= 0:
        raise CorruptVideoError(f"{path}: no frame size in its headers", "the headers must be whole", "copy it again")
    if not fits_limits(width, height):
        raise UnsupportedVideoError(
            f"{path}: frames of {width}x{height}",
            f"sides must be {SMALLEST_SIDE} to {LARGEST_SIDE} pixels, and {MOST_PIXELS} pixels at most in all",
            "scale it first, for example `ffmpeg -i VIDEO -vf scale=340:256 out.mp4`",
        )
    return stream


def fits_limits(width: int, height: int) -> bool:
    """True if a frame of `width` x `height` pixels is within the sizes that are read."""
    return min(width, height) >= SMALLEST_SIDE and max(width, height) <= LARGEST_SIDE and width * height <= MOST_PIXELS
