"""What a video file is, and whether its own GOPs can be read or it must be encoded again first."""

from dataclasses import replace
from pathlib import Path
from statistics import median

from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from hybrid_cvar.errors import ConfigError, UnsupportedVideoError
from hybrid_cvar.records import GopStructure, VideoInfo
from hybrid_cvar.video.bitstream import PictureType, header_reader
from hybrid_cvar.video.container import VideoSource, is_stream, open_video, read_packets, source_name
from hybrid_cvar.video.gop_builder import BYTES_PER_PIXEL_AND_STEP
from hybrid_cvar.video.orientation import UPRIGHT, Orientation, frame_orientation
from hybrid_cvar.video.packet_scan import PacketScan, look_ahead, scan_packets
from hybrid_cvar.video.transcode import HEIGHT, WIDTH

__all__ = [
    "DOMAINS",
    "MOST_BYTES_ASKED_FOR",
    "MOST_BYTES_BY_ITSELF",
    "check_request",
    "codec_obstacle",
    "describe_stream",
    "inspect_video",
    "most_bytes",
    "native_refused",
    "probe_video",
    "transcode_reason",
]

DOMAINS = ("auto", "native", "transcode")
MOST_TIMESTEPS = 4096
FEW_FRAMES = 2
FIRST_PACKETS = 64
"""Packets that a first frame is looked for in."""

MOST_BYTES_BY_ITSELF = 256 << 20
"""Of motion and residual of a GOP that is read natively unless asked otherwise: 1920x1088 at T = 11 takes 230 MB."""

MOST_BYTES_ASKED_FOR = 4 << 30


def probe_video(source: VideoSource, *, timesteps: int = 11, domain: str = "auto") -> VideoInfo:
    """Check a video and tell how it will be read; of its frames only the first is decoded.

    Its own GOPs are read (native) if FFmpeg exports its vectors and each of its P-frames refers to the frame before
    alone, as the headers of every picture say: MPEG-4 Part 2, H.264, MPEG-2, MPEG-1 and H.263, progressive, without
    B-frames, without long-term or several reference frames, with at least one GOP of `timesteps` P-frames, and with
    frames whose GOP takes at most 256 MB. Anything else is encoded again, in memory, to the paper's format (transcode).

    Args:
        source: a file, a folder of images or a numbered sequence; of a stream the first GOP is read.
        timesteps: P-frames a GOP needs.
        domain: `auto` decides as above; `native` and `transcode` ask for one.

    Returns:
        The probe; `reason` says which of the two and why.

    Raises:
        UnsupportedVideoError: it cannot be opened, or holds no usable video stream; `domain` is `native` and its own
            vectors cannot be used.
        CorruptVideoError: its headers are damaged.
        ConfigError: `timesteps` or `domain` is out of range.
    """
    check_request(timesteps, domain)
    if not is_stream(source):
        return inspect_video(Path(str(source)), timesteps, domain)[0]
    name = source_name(source)
    with open_video(source) as (container, stream):
        codec = stream.codec.canonical_name
        obstacle = codec_obstacle(stream, timesteps, domain)
        reader = header_reader(codec, stream.codec_context.extradata)
        if not obstacle and reader is not None:
            _, found = look_ahead(read_packets(container, stream), reader, timesteps + 1)
            obstacle = f"{codec} with {found}" if found else ""
        return describe_stream(name, container, stream, obstacle, timesteps, domain)


def describe_stream(
    name: str, container: InputContainer, stream: VideoStream, obstacle: str, timesteps: int, domain: str
) -> VideoInfo:
    """What a stream is, and how it is read.

    Args:
        obstacle: why it cannot be read natively, empty if it can.
        timesteps, domain: as in `probe_video`.

    Raises:
        UnsupportedVideoError: `domain` is `native` and there is an obstacle.
    """
    if obstacle and domain == "native":
        raise native_refused(name, obstacle)
    transcoded = bool(obstacle) or domain == "transcode"
    native_reason = f"{stream.codec.canonical_name}, a stream: its own GOPs are read"
    reason = transcode_reason(obstacle, timesteps) if transcoded else native_reason
    return _describe(name, container, stream, transcoded=transcoded, reason=reason)


def check_request(timesteps: int, domain: str) -> None:
    """Raises ConfigError unless both are in range."""
    if not isinstance(timesteps, int) or isinstance(timesteps, bool) or not 1 <= timesteps <= MOST_TIMESTEPS:
        raise ConfigError(f"timesteps = {timesteps!r}", f"must be a whole number from 1 to {MOST_TIMESTEPS}")
    if domain not in DOMAINS:
        raise ConfigError(f"domain = {domain!r}", f"must be one of {', '.join(DOMAINS)}")


def inspect_video(path: Path, timesteps: int, domain: str, *, structure: bool = True) -> tuple[VideoInfo, PacketScan]:
    """As `probe_video` for a file; with the scan of its packets. Sooner done without the structure of the GOPs."""
    check_request(timesteps, domain)
    with open_video(path) as (container, stream):
        codec = stream.codec.canonical_name
        reader = header_reader(codec, stream.codec_context.extradata)
        reorders = bool(stream.codec_context.has_b_frames)
        scan = scan_packets(
            read_packets(container, stream), reader, _rate(stream), reorders=reorders, to_the_end=structure
        )
        obstacle = codec_obstacle(stream, timesteps, domain) or _scan_obstacle(codec, scan, timesteps)
        promised_frames = stream.frames
        info = _describe(str(path), container, stream, transcoded=False, reason="")
    if obstacle and domain == "native":
        raise native_refused(str(path), obstacle)
    if obstacle or domain == "transcode":
        reason = transcode_reason(obstacle, timesteps)
    else:
        kind = "without B-frames" if codec != "h264" else "with one reference frame and no B-frames"
        reason = f"{codec} {kind}: its own GOPs are read"
    orientation, interlaced = _first_frame(path)
    missing = _missing_at_end(scan, promised_frames, info)
    info = replace(info, frames_missing=missing)
    if missing:
        reason += f"; {missing} of {promised_frames} frames are missing, it was cut off"
    if scan.pictures <= timesteps:
        reason += f"; too short: {scan.pictures} frames, where a GOP needs {timesteps + 1}"
    transcoded = bool(obstacle) or domain == "transcode"
    info = _extend(info, scan, transcoded, reason, orientation, interlaced, timesteps)
    return info if structure else replace(info, structure=None), scan


def _describe(name: str, container: InputContainer, stream: VideoStream, *, transcoded: bool, reason: str) -> VideoInfo:
    """What the container says of its video stream."""
    decoder = stream.codec_context
    aspect = stream.sample_aspect_ratio or decoder.sample_aspect_ratio
    return VideoInfo(
        path=name,
        codec=stream.codec.canonical_name,
        width=decoder.width,
        height=decoder.height,
        frames_per_second=_rate(stream),
        duration_seconds=_duration_seconds(stream, container.duration),
        transcoded=transcoded,
        reason=reason,
        container=container.format.name,
        profile=decoder.profile or "",
        pixel_format=decoder.pix_fmt or "",
        sample_aspect_ratio=float(aspect) if aspect else 1.0,
    )


def codec_obstacle(stream: VideoStream, timesteps: int, domain: str) -> str:
    """Why a stream cannot be read natively, as far as its codec and size say; empty if they do not."""
    codec, decoder = stream.codec.canonical_name, stream.codec_context
    if header_reader(codec, decoder.extradata) is None:
        return codec
    most = most_bytes(domain)
    needed = decoder.width * decoder.height * timesteps * BYTES_PER_PIXEL_AND_STEP
    if needed > most:
        return f"{codec} of {decoder.width}x{decoder.height}, whose GOPs take {needed >> 20} MB ({most >> 20} at most)"
    return ""


def most_bytes(domain: str) -> int:
    """Of motion and residual of one GOP that is read natively."""
    return MOST_BYTES_ASKED_FOR if domain == "native" else MOST_BYTES_BY_ITSELF


def native_refused(name: str, obstacle: str) -> UnsupportedVideoError:
    """The error for a video that is to be read natively and cannot be."""
    return UnsupportedVideoError(
        f"{name}: {obstacle}",
        "the native domain needs exported vectors, and P-frames that refer to the frame before alone",
        "use the domain auto or transcode",
    )


def transcode_reason(obstacle: str, timesteps: int) -> str:
    """One phrase: why, and to what."""
    why = obstacle or "asked for"
    return f"{why}: encoded again to {WIDTH}x{HEIGHT} MPEG-4, GOP {timesteps + 1}, no B-frames"


def _scan_obstacle(codec: str, scan: PacketScan, timesteps: int) -> str:
    if scan.obstacle:
        return f"{codec} with {scan.obstacle}"
    # With too few frames in all, a second encoding would not help.
    if scan.longest_gop <= timesteps < scan.pictures:
        return f"{codec} GOPs of at most {max(scan.longest_gop - 1, 0)} P-frames where {timesteps} are needed"
    return ""


def _extend(
    info: VideoInfo,
    scan: PacketScan,
    transcoded: bool,
    reason: str,
    orientation: Orientation,
    interlaced: bool,
    timesteps: int,
) -> VideoInfo:
    lengths = scan.gop_frames or [0]
    structure = GopStructure(
        gops=len(scan.gop_frames),
        shortest=min(lengths),
        median=float(median(lengths)),
        longest=max(lengths),
        i_frames=scan.types[PictureType.INTRA],
        p_frames=scan.types[PictureType.PREDICTED],
        b_frames=scan.types[PictureType.BIDIRECTIONAL],
        reference_frames=scan.reference_frames,
        native_clips=sum(length // (timesteps + 1) for length in lengths),
    )
    return replace(
        info,
        transcoded=transcoded,
        reason=reason,
        rotation_degrees=orientation.degrees,
        interlaced=interlaced,
        frames=scan.pictures,
        structure=structure,
    )


def _first_frame(path: Path) -> tuple[Orientation, bool]:
    """Orientation of the first frame that can be decoded, and whether it is interlaced."""
    with open_video(path) as (container, stream):
        for packet, _ in zip(read_packets(container, stream), range(FIRST_PACKETS), strict=False):
            try:
                frames: list[VideoFrame] = stream.codec_context.decode(packet)
            except FFmpegError:
                continue
            for frame in frames:
                return frame_orientation(frame, str(path)), bool(frame.interlaced_frame)
    return UPRIGHT, False


def _missing_at_end(scan: PacketScan, promised_frames: int, info: VideoInfo) -> int:
    """Frames that a header promises and that the file, ending sooner, does not have; 0 if few.

    A header's own count is often off by one or two; and frames that a recorder dropped are missing without an end.
    """
    missing = promised_frames - scan.pictures
    early = promised_frames - scan.seconds * info.frames_per_second
    return missing if min(missing, early) > FEW_FRAMES else 0


def _rate(stream: VideoStream) -> float:
    return max(float(stream.average_rate or stream.guessed_rate or 0), 0.0)


def _duration_seconds(stream: VideoStream, container_microseconds: int | None) -> float:
    if stream.duration and stream.time_base:
        return max(float(stream.duration * stream.time_base), 0.0)
    return max((container_microseconds or 0) / 1e6, 0.0)
