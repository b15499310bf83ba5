"""What a video file is, and whether its own GOPs can be read or it must be encoded again first."""

from pathlib import Path

from av.video.stream import VideoStream

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import VideoInfo
from hybrid_cvar.video.container import open_video, read_packets
from hybrid_cvar.video.packet_scan import PacketScan, scan_packets
from hybrid_cvar.video.transcode import HEIGHT, WIDTH, gop_length

__all__ = ["inspect_video", "probe_video"]

MOST_TIMESTEPS = 4096
FEW_FRAMES = 2

# A GOP of this size takes 240 MB (11 steps); larger frames are read through the 340x256 copy.
MOST_NATIVE_PIXELS = 1920 * 1088


def probe_video(path: Path | str, *, timesteps: int = 11) -> VideoInfo:
    """Check a video and tell how it will be read; nothing is decoded.

    Its own GOPs are read if it is MPEG-4 Part 2 without B-frames, at most 1920x1088, with at least one GOP of
    `timesteps` P-frames; anything else is encoded again, in memory, to the paper's format.

    Args:
        path: the video.
        timesteps: P-frames a GOP needs.

    Returns:
        The probe; `reason` says which of the two and why.

    Raises:
        UnsupportedVideoError: it cannot be opened, or holds no usable video stream.
        CorruptVideoError: its headers are damaged.
        ConfigError: `timesteps` is out of range.
    """
    return inspect_video(Path(path), timesteps)[0]


def inspect_video(path: Path, timesteps: int) -> tuple[VideoInfo, PacketScan | None]:
    """As `probe_video`; with the packets' scan where the file's own GOPs are read, else None."""
    if not isinstance(timesteps, int) or not 1 <= timesteps <= MOST_TIMESTEPS:
        raise ConfigError(f"timesteps = {timesteps!r}", f"must be a whole number from 1 to {MOST_TIMESTEPS}")
    with open_video(path) as (container, stream):
        decoder = stream.codec_context
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        rate = rate if rate > 0 else 0.0
        codec, width, height = stream.codec.canonical_name, decoder.width, decoder.height
        promised_frames = stream.frames
        seconds = _duration_seconds(stream, container.duration)
        scan = None
        if codec != "mpeg4":
            obstacle = f"{codec} with B-frames" if decoder.has_b_frames else codec
        elif width * height > MOST_NATIVE_PIXELS:
            obstacle = f"mpeg4 of {width}x{height}"
        else:
            scan = scan_packets(read_packets(container, stream), rate)
            obstacle = _obstacle(scan, timesteps)
    if obstacle:
        scan = None
        reason = f"{obstacle}: encoded again to {WIDTH}x{HEIGHT} MPEG-4, GOP {gop_length(timesteps)}, no B-frames"
    else:
        reason = "mpeg4 without B-frames: its own GOPs are read" + _cut_off(scan, promised_frames)
    return VideoInfo(str(path), codec, width, height, rate, seconds, bool(obstacle), reason), scan


def _obstacle(scan: PacketScan, timesteps: int) -> str:
    if scan.has_b_frames:
        return "mpeg4 with B-frames"
    # With too few frames in all, a second encoding would not help.
    if not scan.qualifying(timesteps) and scan.frames > timesteps:
        return f"mpeg4 GOPs of at most {scan.longest_gop} P-frames where {timesteps} are needed"
    return ""


def _cut_off(scan: PacketScan | None, promised_frames: int) -> str:
    """What to say of a file with fewer frames than its header promises; empty if none or few are missing."""
    missing = promised_frames - scan.frames if scan is not None else 0
    # A header's own count is often off by one or two.
    return f"; {missing} of {promised_frames} frames are missing, it was cut off" if missing > FEW_FRAMES else ""


def _duration_seconds(stream: VideoStream, container_microseconds: int | None) -> float:
    if stream.duration and stream.time_base:
        return max(float(stream.duration * stream.time_base), 0.0)
    return max((container_microseconds or 0) / 1e6, 0.0)
