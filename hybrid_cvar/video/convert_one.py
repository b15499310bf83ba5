"""One video to a file of the paper's format: 340x256 MPEG-4 Part 2, fixed GOP, no B-frames, fixed quantiser, AVI.

Such a file's own GOPs are read, at a quarter of the time of a video that is encoded again at each reading. Sound is
left out. AVI has one constant rate: every frame is kept, and the rate is the source's average.
"""

import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from hybrid_cvar.errors import ConfigError, CorruptVideoError, OutputError, VideoError
from hybrid_cvar.video.container import open_video
from hybrid_cvar.video.encoding import BIT_EXACT, GOP_FRAMES, QSCALE, add_mpeg4_stream
from hybrid_cvar.video.partial_file import whole_file
from hybrid_cvar.video.stream_info import probe_video
from hybrid_cvar.video.transcode import HEIGHT, WIDTH, paper_frames

__all__ = ["ConvertedVideo", "check_settings", "convert_video", "is_finished"]

HIGHEST_RATE, USUAL_RATE = Fraction(1000), Fraction(25)
MPEG4_TICKS = 65535
"""The most ticks a second that MPEG-4 Part 2 can write; 30000 / 1001 and its like fit."""

INCOMPLETE_SHARE = 0.1
"""VP8 and DivX files hold packets that give no frame, up to every tenth."""

LONGEST_GOP, COARSEST_QSCALE = 4096, 31

# File systems keep times as coarsely as 2 s (FAT).
NEWER_SECONDS = 2.0
INCOMPLETE_IS_EARLIER_BY = 60.0


@dataclass(frozen=True)
class ConvertedVideo:
    """A video that was converted.

    Attributes:
        source: the video.
        target: the AVI file.
        frames: frames written.
        frames_missing: that the source promises and that could not be decoded.
        size_bytes: size of the target.
        seconds: time it took.
    """

    source: Path
    target: Path
    frames: int
    frames_missing: int
    size_bytes: int
    seconds: float

    @property
    def is_incomplete(self) -> bool:
        """True if more frames are missing than a codec's hidden pictures explain."""
        return self.frames_missing > INCOMPLETE_SHARE * (self.frames + self.frames_missing)


def convert_video(
    source: Path,
    target: Path,
    *,
    gop: int = GOP_FRAMES,
    qscale: int = QSCALE,
    on_fraction: Callable[[float], None] = lambda fraction: None,
) -> ConvertedVideo:
    """Convert one video; the target appears when it is complete, in the place of one that was there.

    It is written under another name in the target's folder, which is made if it is missing. The target gets its
    source's time of modification, as `cp -p` gives it: a source that changes meanwhile is newer than its target. An
    incomplete one gets an earlier time, so that it does not pass for finished.

    Args:
        source: the video, of any format that FFmpeg decodes.
        target: the AVI file.
        gop: frames a GOP, 1 to 4096.
        qscale: quantiser, 1 (best) to 31.
        on_fraction: called after every frame with the share of the source's length that is done, 0.0 to 1.0; never
            called where the source does not tell its length.

    Returns:
        What was written.

    Raises:
        UnsupportedVideoError, CorruptVideoError, VideoError: the source cannot be read.
        OutputError: the target cannot be written.
        ConfigError: `gop` or `qscale` is out of range, or source and target are the same file.
    """
    check_settings(gop, qscale)
    if target.exists() and source.exists() and target.samefile(source):
        raise ConfigError(f"{target} is the source itself", "a source is never replaced", "choose another target")
    began = time.monotonic()
    rate, length_seconds = _rate_and_length(source)
    info = probe_video(source)
    modified = source.stat().st_mtime_ns
    try:
        with whole_file(target) as partial:
            frames = 0
            with av.open(f"file:{partial}", "w", format="avi", container_options=BIT_EXACT) as container:
                stream = add_mpeg4_stream(
                    container, width=WIDTH, height=HEIGHT, frames_per_second=rate, gop=gop, qscale=qscale
                )
                with closing(paper_frames(source)) as pictures:
                    for picture, seconds in pictures:
                        picture.pts, picture.time_base = frames, 1 / rate
                        container.mux(stream.encode(picture))
                        frames += 1
                        if length_seconds:
                            on_fraction(min(max(seconds / length_seconds, 0.0), 1.0))
                if frames:
                    container.mux(stream.encode(None))
            if not frames:
                raise CorruptVideoError(
                    f"{source}: no frame can be decoded", "a video holds at least one", "copy or download it again"
                )
            size = os.stat(partial).st_size
            missing = info.frames_missing + max(info.frames - frames, 0)
            converted = ConvertedVideo(source, target, frames, missing, size, time.monotonic() - began)
            earlier = INCOMPLETE_IS_EARLIER_BY if converted.is_incomplete else 0.0
            os.utime(partial, ns=(time.time_ns(), modified - int(1e9 * earlier)))
    except OSError as error:
        raise OutputError(
            f"{target}: {error.strerror or error}",
            "the file and its folder must be writable, with room left",
            "choose another place or free some",
        ) from error
    except FFmpegError as error:
        raise VideoError(
            f"{source}: its frames cannot be encoded ({error.strerror})",
            f"every frame must become a {WIDTH}x{HEIGHT} one",
            "convert it yourself, for example `ffmpeg -i VIDEO -vf scale=340:256 -c:v mpeg4 -g 12 -bf 0 out.avi`",
        ) from error
    return converted


def is_finished(source: Path, target: Path) -> bool:
    """True if the target is there, is complete, and its source has not changed since.

    Args:
        source: the video.
        target: the file that `convert_video` writes.

    Raises:
        OSError: one of them cannot be looked at.
    """
    try:
        done = target.stat()
    except FileNotFoundError:
        return False
    return done.st_size > 0 and source.stat().st_mtime - done.st_mtime <= NEWER_SECONDS


def _rate_and_length(source: Path) -> tuple[Fraction, float]:
    """Frames a second, as MPEG-4 can write it, and seconds; 0.0 seconds where the file does not say."""
    with open_video(source) as (container, stream):
        rate = stream.average_rate or stream.guessed_rate or USUAL_RATE
        if stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        else:
            seconds = (container.duration or 0) / 1e6
    rate = min(Fraction(rate), HIGHEST_RATE) if rate > 0 else USUAL_RATE
    period = (1 / rate).limit_denominator(MPEG4_TICKS)
    return 1 / period, max(seconds, 0.0)


def check_settings(gop: int, qscale: int) -> None:
    """Raises ConfigError if one of them is out of range."""
    for name, value, most in (("gop", gop, LONGEST_GOP), ("qscale", qscale, COARSEST_QSCALE)):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise ConfigError(f"{name} = {value!r}", f"must be a whole number from 1 to {most}")
