"""A video as a stream of GOPs: I-frame, motion and residual of each, one GOP in memory at a time.

Three ways lead to them. A file whose own vectors can be used is read GOP by GOP; any other file frame by frame, through
the encoder of `transcode`; a stream (stdin, a camera, an address) in either way, as it comes.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from av.video.frame import VideoFrame

from hybrid_cvar.errors import CorruptVideoError, ShortVideoError
from hybrid_cvar.records import Gop, VideoInfo
from hybrid_cvar.video.background import in_background
from hybrid_cvar.video.container import VideoSource, is_stream
from hybrid_cvar.video.decoding import decode_gop, decode_what_can_be
from hybrid_cvar.video.gop_builder import GopBuilder, GopTimes
from hybrid_cvar.video.live import read_live_gops
from hybrid_cvar.video.packet_cursor import PacketCursor
from hybrid_cvar.video.packet_scan import GopSpan, PacketScan
from hybrid_cvar.video.read_meter import ReadMeter
from hybrid_cvar.video.reencoder import Reencoder
from hybrid_cvar.video.stream_info import check_request, inspect_video, most_bytes

__all__ = ["GopSource", "decode_gops", "locate_gops", "no_readable_gop", "read_gops"]

Wanted = Callable[[int], bool]


@dataclass(frozen=True, eq=False)
class GopSource:
    """A file whose GOPs are located, not yet decoded.

    Attributes:
        path: the file.
        info: its probe.
        scan: its packets.
        timesteps: P-frames that are taken of each.
        domain: that was asked for.
        gops: GOPs and pieces of longer ones that `decode_gops` gives if nothing is damaged.
    """

    path: Path
    info: VideoInfo
    scan: PacketScan
    timesteps: int
    domain: str
    gops: int


def read_gops(
    source: VideoSource, *, timesteps: int = 11, accumulated: bool = True, domain: str = "auto"
) -> Iterator[Gop]:
    """Read a video's GOPs in order.

    A GOP of more frames is cut into pieces of `timesteps` + 1; a later piece begins with a decoded P-frame in the place
    of the I-frame. What is left over is skipped, such as a last GOP cut short, and so is what follows a damaged
    frame in its GOP. A GOP of a file is decoded on its own, so what is yielded does not depend on what was read before.

    Args:
        source: a video of any format that FFmpeg decodes: a file, a folder of images, a numbered sequence
            (`frame_%04d.png`); or a stream: `-` for stdin, an address such as rtsp://..., a camera (/dev/video0), an
            open binary file. See `probe_video`.
        timesteps: P-frames a GOP (T).
        accumulated: True for motion and residual against the I-frame (paper Eq. 2), False for those against
            the previous frame.
        domain: `native` reads the video's own vectors, `transcode` encodes it again to the paper's format, `auto`
            decides.

    Yields:
        GOPs, `motion[..., 0]` being x and `motion[..., 1]` y: pixel (y, x) of P-frame t came from pixel
        (y - motion[t, y, x, 1], x - motion[t, y, x, 0]) of the reference. Memory is about one GOP, whatever
        the video's length.

    Raises:
        UnsupportedVideoError: it cannot be opened, or holds no usable video stream; `domain` is `native` and its own
            vectors cannot be used.
        CorruptVideoError: its headers, or all of its GOPs, are damaged.
        ShortVideoError: it has too few frames.
        ConfigError: `timesteps` or `domain` is out of range.
    """
    check_request(timesteps, domain)
    if is_stream(source):
        yield from read_live_gops(source, timesteps, accumulated=accumulated, domain=domain)
        return
    located = locate_gops(Path(str(source)), timesteps, domain)
    found = False
    for gop in decode_gops(located, accumulated=accumulated):
        found = True
        yield gop
    if not found:
        raise no_readable_gop(located)


def locate_gops(path: Path, timesteps: int, domain: str = "auto") -> GopSource:
    """Find the GOPs of a file.

    Args:
        path: the video.
        timesteps: P-frames a GOP needs.
        domain: as in `read_gops`.

    Returns:
        The source, with at least one GOP.

    Raises:
        As `read_gops`.
    """
    info, scan = inspect_video(path, timesteps, domain, structure=False)
    length = timesteps + 1
    gops = scan.shown // length if info.transcoded else sum(gop.frames // length for gop in scan.gops)
    if not gops:
        raise ShortVideoError(
            f"{path}: {scan.pictures} frames",
            f"a GOP needs {length} (an I-frame and {timesteps} P-frames)",
            "give a longer video, or copy it again if it was cut off",
        )
    return GopSource(path, info, scan, timesteps, domain, gops)


def no_readable_gop(source: GopSource) -> CorruptVideoError:
    """The error for a video of whose GOPs none could be decoded."""
    return CorruptVideoError(
        f"{source.path}: none of its {source.gops} GOPs can be decoded",
        "at least one must be whole",
        "copy or download it again",
    )


def decode_gops(
    source: GopSource,
    *,
    accumulated: bool = True,
    wanted: Wanted | None = None,
    meter: ReadMeter | None = None,
) -> Generator[Gop, None, None]:
    """Decode located GOPs in order, damaged ones left out.

    Args:
        source: from `locate_gops`.
        accumulated: as in `read_gops`.
        wanted: asked for positions from 0 to `source.gops` - 1, rising, just before they are decoded; all if None.
            Once it has wanted a position it must want the later ones too, until a GOP is yielded. The file is sought
            through for what is wanted; little else is decoded.
        meter: told of frames, vectors and the accumulation's time.

    Yields:
        GOPs of `source.timesteps` P-frames.
    """
    builder = GopBuilder(
        str(source.path),
        source.timesteps,
        accumulated=accumulated,
        most_bytes=most_bytes("native" if source.info.transcoded else source.domain),
        upright=not source.info.transcoded,
        meter=meter,
    )
    if not source.info.transcoded:
        yield from _native_gops(source, builder, wanted or _everything, meter)
    elif wanted is None:
        yield from _all_transcoded_gops(source, builder, meter)
    elif source.scan.presentation:
        yield from _sought_transcoded_gops(source, builder, wanted, meter)
    else:
        yield from _counted_transcoded_gops(source, builder, wanted, meter)


def _everything(position: int) -> bool:
    return True


def _native_gops(source: GopSource, builder: GopBuilder, wanted: Wanted, meter: ReadMeter | None) -> Iterator[Gop]:
    scan, length = source.scan, source.timesteps + 1
    position = 0
    with PacketCursor(source.path) as cursor:
        for span in scan.gops:
            first, position = position, position + span.frames // length
            # Later positions are wanted if earlier ones are: the last one answers for the GOP.
            if first == position or not wanted(position - 1):
                continue
            cursor.go_to(span.keyframe)
            times = GopTimes(scan.first_seconds, span.seconds, source.info.frames_per_second)
            pieces = map(wanted, range(first, position))
            yield from builder.cut(_decode_span(cursor, span, meter), span.index, times, pieces)


def _decode_span(cursor: PacketCursor, span: GopSpan, meter: ReadMeter | None) -> Iterator[VideoFrame]:
    """The frames of a GOP, fewer if a packet cannot be decoded or one is missing."""
    return islice(decode_gop(cursor.decoder, cursor.read(span.last_packet), meter=meter), span.frames)


def _all_transcoded_gops(source: GopSource, builder: GopBuilder, meter: ReadMeter | None) -> Iterator[Gop]:
    """Frame after frame; every T + 1 that can be decoded are a GOP."""
    reencoder = _reencoder(source, builder, meter)
    with PacketCursor(source.path) as cursor:
        frames = reencoder.scale(_frames_from_first_keyframe(cursor, source.scan, meter))
        with closing(in_background(frames, reencoder.length)) as ahead:
            for position in count():
                gop = reencoder.next_gop(ahead, position)
                if gop is None:
                    return
                yield gop


def _frames_from_first_keyframe(
    cursor: PacketCursor, scan: PacketScan, meter: ReadMeter | None
) -> Iterator[VideoFrame]:
    """All that can be decoded; not what needs pictures from before the file's beginning."""
    if scan.entries:
        cursor.go_to(scan.entries[0])
    frames = decode_what_can_be(cursor.decoder, cursor.read(), meter)
    if scan.presentation:
        return (frame for frame in frames if _shown_from(frame, scan.presentation[0]))
    return frames


def _counted_transcoded_gops(
    source: GopSource, builder: GopBuilder, wanted: Wanted, meter: ReadMeter | None
) -> Iterator[Gop]:
    """The wanted ones of these, where the frames' times cannot be believed: all are decoded."""
    reencoder = _reencoder(source, builder, meter)
    with PacketCursor(source.path) as cursor:
        frames = _frames_from_first_keyframe(cursor, source.scan, meter)
        for position in range(source.gops):
            if wanted(position):
                gop = reencoder.next_gop(reencoder.scale(frames), position)
                if gop is None:
                    return
                yield gop
            elif sum(1 for _ in islice(frames, reencoder.length)) < reencoder.length:
                return


def _sought_transcoded_gops(
    source: GopSource, builder: GopBuilder, wanted: Wanted, meter: ReadMeter | None
) -> Iterator[Gop]:
    """Only the frames of the wanted GOPs, each reached from the keyframe before it by its presentation time.

    Where every packet gives a frame, the GOPs are those of `_all_transcoded_gops`, to the bit.
    """
    scan = source.scan
    reencoder = _reencoder(source, builder, meter)
    with PacketCursor(source.path) as cursor:
        frames = decode_what_can_be(cursor.decoder, cursor.read(), meter)
        for position in range(source.gops):
            if not wanted(position):
                continue
            start = scan.presentation[position * reencoder.length]
            keyframe = scan.entry_before(start)
            if keyframe is not None and keyframe.position > cursor.position:
                cursor.go_to(keyframe)
                cursor.decoder.flush_buffers()
                frames = decode_what_can_be(cursor.decoder, cursor.read(), meter)
            due = (frame for frame in frames if _shown_from(frame, start))
            gop = reencoder.next_gop(reencoder.scale(due), position)
            if gop is not None:
                yield gop


def _shown_from(frame: VideoFrame, start: int) -> bool:
    return frame.pts is not None and frame.pts >= start


def _reencoder(source: GopSource, builder: GopBuilder, meter: ReadMeter | None) -> Reencoder:
    scan, rate = source.scan, source.info.frames_per_second
    first_seconds = scan.first_seconds if scan.presentation or not rate else None
    return Reencoder(str(source.path), builder, source.timesteps, first_seconds, rate, meter)
