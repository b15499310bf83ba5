"""Any video to the paper's format: 340x256 MPEG-4 Part 2, fixed GOP, no B-frames, frame by frame.

Formats whose vectors FFmpeg does not export (HEVC, VP9, AV1), or whose references cannot be told from them
(B-frames, several reference frames), are read through such a copy.
"""

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.container import InputContainer
from av.error import FFmpegError, PyAVCallbackError
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from hybrid_cvar.errors import CorruptVideoError, VideoError
from hybrid_cvar.video.container import open_video, read_packets
from hybrid_cvar.video.encoding import BIT_EXACT, GOP_FRAMES, add_mpeg4_stream

__all__ = ["HEIGHT", "WIDTH", "gop_length", "transcode_video"]

WIDTH, HEIGHT = 340, 256
QSCALE = 4

BYTES_IN_MEMORY = 64 << 20
MILLISECOND = Fraction(1, 1000)
LONGEST_GAP_MS = 60_000
USUAL_RATE = Fraction(25)
HIGHEST_RATE = Fraction(1000)


def gop_length(timesteps: int) -> int:
    """Frames a GOP of the copy: the paper's 12, more where `timesteps` P-frames need it."""
    return max(GOP_FRAMES, timesteps + 1)


def transcode_video(path: Path, timesteps: int) -> BinaryIO:
    """Encode a video again, keeping its frames' times.

    Packets and frames that cannot be decoded are left out. Decoded frames are held one at a time; the copy lies
    in memory up to 64 MiB and in an unnamed temporary file beyond.

    Args:
        path: the video.
        timesteps: P-frames a GOP needs.

    Returns:
        A Matroska file, open; it vanishes when closed.

    Raises:
        UnsupportedVideoError, CorruptVideoError: as `open_video`.
        CorruptVideoError: no frame can be decoded.
        VideoError: there is no room for the copy.
    """
    copy = cast(BinaryIO, tempfile.SpooledTemporaryFile(max_size=BYTES_IN_MEMORY))  # noqa: SIM115
    frames = 0
    try:
        with open_video(path) as (container, stream):
            frames = _encode(container, stream, copy, gop_length(timesteps))
    except PyAVCallbackError as error:
        # What FFmpeg reports when the copy's own write fails.
        raise _no_room(path, "writing failed") from error
    except FFmpegError as error:
        raise VideoError(
            f"{path}: its frames cannot be encoded again ({error.strerror})",
            "a video of this kind is read through a copy",
            "encode it yourself, for example `ffmpeg -i VIDEO -vf scale=340:256 -c:v mpeg4 -g 12 -bf 0 out.avi`",
        ) from error
    except OSError as error:
        raise _no_room(path, error.strerror or str(error)) from error
    finally:
        if not frames:
            copy.close()
    if not frames:
        raise CorruptVideoError(
            f"{path}: no frame can be decoded", "at least one whole GOP is needed", "copy or download it again"
        )
    return copy


def _no_room(path: Path, reason: str) -> VideoError:
    return VideoError(
        f"{path}: no room for an encoded copy ({reason})",
        "a video of this kind is read through one",
        f"free space in {tempfile.gettempdir()}, or set TMPDIR",
    )


def _encode(container: InputContainer, stream: VideoStream, copy: BinaryIO, gop: int) -> int:
    rate = stream.average_rate or stream.guessed_rate or USUAL_RATE
    rate = min(rate, HIGHEST_RATE) if rate > 0 else USUAL_RATE
    clock = _Clock(max(round(1000 / rate), 1))
    reformatter = VideoReformatter()
    frames = 0
    with av.open(copy, mode="w", format="matroska", container_options=BIT_EXACT) as target:
        out = add_mpeg4_stream(
            target, width=WIDTH, height=HEIGHT, frames_per_second=rate, gop=gop, qscale=QSCALE, time_base=MILLISECOND
        )
        for frame in _decode(container, stream):
            try:
                picture = reformatter.reformat(
                    frame,
                    WIDTH,
                    HEIGHT,
                    "yuv420p",
                    # MPEG-4 Part 2 players, and our own reading, take the colours for BT.601 in video range.
                    dst_colorspace=Colorspace.ITU601,
                    dst_color_range=ColorRange.MPEG,
                    interpolation=Interpolation.BICUBIC,
                    threads=1,
                )
            except (FFmpegError, ValueError):
                continue
            # A type left from the source would force I-frames where the source had them.
            picture.pict_type = PictureType.NONE
            picture.pts, picture.time_base = clock.tick(frame), MILLISECOND
            target.mux(out.encode(picture))
            frames += 1
        if frames:
            target.mux(out.encode(None))
    return frames


def _decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    for packet in read_packets(container, stream):
        try:
            yield from stream.codec_context.decode(packet)
        except FFmpegError:
            continue
    try:
        yield from stream.codec_context.decode(None)
    except FFmpegError:
        return


class _Clock:
    """Times in milliseconds that always rise: an encoder refuses others, and damaged files have others.

    Presentation times are taken while they rise, decoding times where those have served better so far (AVI has no
    presentation times, and FFmpeg's guess at them is out of order where there are B-frames).
    """

    def __init__(self, frame_ms: int) -> None:
        self._frame_ms = frame_ms
        self._last: dict[str, int] = {}
        self._faults = {"pts": 0, "dts": 0}
        self._offset: int | None = None
        self._now = -1

    def tick(self, frame: VideoFrame) -> int:
        """The frame's time in the copy, from 0."""
        times = {"pts": self._source_ms(frame, "pts"), "dts": self._source_ms(frame, "dts")}
        prefer_pts = times["pts"] is not None and self._faults["pts"] <= self._faults["dts"]
        source = times["pts"] if prefer_pts or times["dts"] is None else times["dts"]
        if source is None:
            self._now += self._frame_ms if self._now >= 0 else 1
            return self._now
        if self._offset is None or abs(source - self._offset - self._now) > LONGEST_GAP_MS:
            self._offset = source - self._now - (self._frame_ms if self._now >= 0 else 1)
        self._now = max(source - self._offset, self._now + 1)
        return self._now

    def _source_ms(self, frame: VideoFrame, field: str) -> int | None:
        ticks = getattr(frame, field)
        if ticks is None or not frame.time_base:
            return None
        milliseconds: int = round(ticks * frame.time_base * 1000)
        if field in self._last and milliseconds <= self._last[field]:
            self._faults[field] += 1
        self._last[field] = milliseconds
        return milliseconds
