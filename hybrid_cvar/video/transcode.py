"""Any video to the paper's format: 340x256 MPEG-4 Part 2, fixed GOP, no B-frames, frame by frame.

Formats whose vectors FFmpeg does not export (HEVC, VP9, AV1), or whose references cannot be told from them
(B-frames, several reference frames), are read through such a copy. The copy is never whole: every T + 1 frames are
encoded to one GOP and decoded again at once, in memory.
"""

from collections.abc import Generator, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from av.error import FFmpegError
from av.filter import Graph
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from hybrid_cvar.errors import CorruptVideoError, VideoError
from hybrid_cvar.video.container import fits_limits, open_video, read_packets, vector_decoder
from hybrid_cvar.video.decoding import decode_what_can_be
from hybrid_cvar.video.encoding import mpeg4_encoder
from hybrid_cvar.video.orientation import UPRIGHT, Orientation, frame_orientation
from hybrid_cvar.video.read_meter import ReadMeter

__all__ = ["HEIGHT", "WIDTH", "PaperScaler", "paper_frames", "reencode_gop"]

WIDTH, HEIGHT = 340, 256

TURNS = ((), (("transpose", "dir=cclock"),), (("hflip", ""), ("vflip", "")), (("transpose", "dir=clock"),))


def paper_frames(path: Path) -> Generator[tuple[VideoFrame, float], None, None]:
    """Every frame of a video that can be decoded, as the paper's format has it.

    Args:
        path: the video.

    Yields:
        The frame, upright, progressive, 340x256 yuv420p, free to be encoded; and its time, seconds from the first
        frame, never falling.

    Raises:
        UnsupportedVideoError, CorruptVideoError: as `open_video`.
        CorruptVideoError: no frame can be decoded.
    """
    scaler = PaperScaler(str(path))
    first: float | None = None
    seconds = 0.0
    with open_video(path) as (container, stream):
        for frame in decode_what_can_be(stream.codec_context, read_packets(container, stream)):
            picture = scaler.scale(frame)
            if picture is None:
                continue
            now = frame.time if frame.time is not None else seconds
            first = now if first is None else first
            seconds = max(now - first, seconds)
            yield picture, seconds
    if first is None:
        raise CorruptVideoError(
            f"{path}: no frame can be decoded", "at least one whole GOP is needed", "copy or download it again"
        )


def reencode_gop(pictures: Sequence[VideoFrame], name: str, meter: ReadMeter | None = None) -> Iterator[VideoFrame]:
    """Encode frames to one GOP of the paper's format, and decode it with motion vectors.

    Args:
        pictures: at least one, from `PaperScaler`, all 340x256.
        name: the video, for the message.
        meter: told of the copy's frames.

    Yields:
        As many frames as went in: an I-frame and P-frames.

    Raises:
        VideoError: FFmpeg refuses to encode them.
    """
    encoder = mpeg4_encoder(width=WIDTH, height=HEIGHT, gop=len(pictures))
    decoder = vector_decoder("mpeg4")

    def decode(packet: "Packet[VideoStream] | None") -> list[VideoFrame]:
        frames = decoder.decode(packet)
        if meter is not None:
            meter.add_frames(len(frames))
        return frames

    try:
        for time, picture in enumerate(pictures):
            picture.pts, picture.time_base = time, encoder.time_base
            for packet in encoder.encode(picture):
                yield from decode(packet)
        for packet in encoder.encode(None):
            yield from decode(packet)
        yield from decode(None)
    except FFmpegError as error:
        raise VideoError(
            f"{name}: its frames cannot be encoded again ({error.strerror})",
            "a video of this kind is read through a copy",
            "encode it yourself, for example `ffmpeg -i VIDEO -vf scale=340:256 -c:v mpeg4 -g 12 -bf 0 out.avi`",
        ) from error


class PaperScaler:
    """Brings frames of one video to 340x256 yuv420p: upright, one field of interlaced ones, whatever their aspect.

    Of an interlaced frame the top field is kept: 288 or 540 lines are more than the 256 that remain, and a frame then
    depends on no other.

    Args:
        name: the video, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._reformatter = VideoReformatter()
        self._graph: Graph | None = None
        self._graph_key: tuple[object, ...] = ()

    def scale(self, frame: VideoFrame) -> VideoFrame | None:
        """Scale a decoded frame.

        Args:
            frame: of any size and pixel format.

        Returns:
            A new frame; None if FFmpeg cannot convert it (damage), or its size is out of range.

        Raises:
            UnsupportedVideoError: it is to be shown at an odd angle.
        """
        if not fits_limits(frame.width, frame.height):
            return None
        orientation = frame_orientation(frame, self._name)
        try:
            if frame.interlaced_frame or orientation != UPRIGHT:
                frame = self._filter(frame, orientation)
            picture = self._reformatter.reformat(
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
            return None
        # A type left from the source would force I-frames where the source had them.
        picture.pict_type = PictureType.NONE
        return picture

    def _filter(self, frame: VideoFrame, orientation: Orientation) -> VideoFrame:
        key = (frame.width, frame.height, frame.format.name, frame.interlaced_frame, orientation)
        if self._graph is None or key != self._graph_key:
            self._graph, self._graph_key = _build_graph(frame, orientation), key
        self._graph.push(frame)
        result = self._graph.pull()
        assert isinstance(result, VideoFrame)
        return result


def _build_graph(frame: VideoFrame, orientation: Orientation) -> Graph:
    steps: list[tuple[str, str]] = [("field", "type=top")] if frame.interlaced_frame else []
    steps += TURNS[orientation.quarter_turns]
    steps += [("hflip", "")] if orientation.mirrored else []
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1)
    )
    graph.link_nodes(
        source, *(graph.add(name, options or None) for name, options in steps), graph.add("buffersink")
    ).configure()
    return graph
