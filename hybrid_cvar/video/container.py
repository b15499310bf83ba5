"""Opening a video file: every way it can fail, turned into one error of our tree.

FFmpeg decides by content and by name what a file is; `open_video` narrows that to regular files on this
machine, and to formats that hold pictures.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from hybrid_cvar.errors import CorruptVideoError, UnsupportedVideoError, VideoError

SMALLEST_SIDE = 16
LARGEST_SIDE = 8192
MOST_PIXELS = 8192 * 4320

# A damaged index can make FFmpeg report the same failure for ever.
CONSECUTIVE_READ_ERRORS = 1000

# Text and playlists: FFmpeg "plays" the first as ANSI art, and the second name other files to open.
TEXT_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf", "concat", "dash", "hls", "imf", "lavfi"})

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


@contextmanager
def open_video(path: Path, content: BinaryIO | None = None) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a video and its first picture stream, checked and ready to decode with motion vectors.

    Args:
        path: the file; with `content`, only its name in messages.
        content: an encoded copy to read instead of the file.

    Yields:
        The container and the stream. Threading is by slice: with frame threads FFmpeg hands out the motion
        vectors of other frames.

    Raises:
        UnsupportedVideoError: not a readable regular file, not a video, no decoder, or a size out of range.
        CorruptVideoError: the file is of a known format but its headers are damaged.
    """
    if content is None:
        _check_file(path)
    else:
        content.seek(0)
    # "file:" keeps a colon in a file's name from being read as a protocol.
    source = f"file:{path.absolute()}" if content is None else content
    try:
        container = av.open(source, mode="r", container_options={"protocol_whitelist": "file"})
    except (FFmpegError, OSError, ValueError) as error:
        raise _open_failure(path, error) from error
    with container:
        stream = _picture_stream(path, container)
        decoder = stream.codec_context
        # Only options set before the first decode count; those given to av.open are dropped without a word.
        decoder.options = {"flags2": "+export_mvs", "max_pixels": str(MOST_PIXELS)}
        decoder.thread_type = ThreadType.SLICE
        yield container, stream


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
            raise UnsupportedVideoError(f"{path}: {kind}", "a video file is needed", "name the video itself")
        with path.open("rb") as file:
            empty = not file.read(1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnsupportedVideoError(
            f"{path}: {reason}", "the file must be readable", "check its permissions"
        ) from error
    if empty:
        raise UnsupportedVideoError(f"{path}: empty file", "a video file is needed", "copy or download it again")


def _open_failure(path: Path, error: Exception) -> VideoError:
    reason = getattr(error, "strerror", None) or str(error)
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        head = b""
    if any(head[at : at + len(mark)] == mark for at, mark in CONTAINER_SIGNATURES):
        return CorruptVideoError(f"{path}: {reason}", "the container's headers must be whole", "copy it again")
    return UnsupportedVideoError(
        f"{path}: {reason}", "a video that FFmpeg can open is needed", "check that it is a video file"
    )


def _picture_stream(path: Path, container: InputContainer) -> VideoStream:
    name = container.format.name
    if not TEXT_FORMATS.isdisjoint(name.split(",")):
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
