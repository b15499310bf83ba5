"""Decoded frames to RGB pixels."""

from fractions import Fraction

import numpy as np
from av.error import FFmpegError
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

__all__ = ["RgbConverter"]

DIRECTLY_CONVERTED = frozenset({"yuv420p", "yuvj420p"})
"""At an even height. What FFmpeg's filters make of others depends on more of the frame than what PyAV looks at."""

SOME_TIME_BASE = Fraction(1, 1000)
"""A filter graph asks for one; times play no part."""


class RgbConverter:
    """Converts the frames of one video, on one thread, to the values that VideoFrame.to_ndarray gives.

    Frames like the first go through a filter graph, which writes new ones into the memory of those that nobody holds
    any more. Memory that is freed and taken again for each frame is zeroed by the system, page after page, which takes
    longer than to convert. What a graph does not take, PyAV converts.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._graph: _DirectGraph | None = None
        self._is_first = True

    def view(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """A frame's pixels, uint8 (H, W, 3); rows may be followed by padding, and memory is FFmpeg's.

        Raises:
            FFmpegError, ValueError: the pixel format cannot be converted.
        """
        converted = self._through_graph(frame)
        if converted is None:
            converted = self._reformatter.reformat(frame, format="rgb24", threads=1)
        plane = converted.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        return rows[:, : 3 * plane.width].reshape(plane.height, plane.width, 3)

    def array(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """A frame's pixels, uint8 (H, W, 3), C-contiguous; errors as `view`."""
        return np.ascontiguousarray(self.view(frame))

    def _through_graph(self, frame: VideoFrame) -> VideoFrame | None:
        try:
            if self._is_first:
                self._is_first = False
                if frame.format.name in DIRECTLY_CONVERTED and frame.height % 2 == 0:
                    self._graph = _DirectGraph(frame)
            if self._graph is not None and self._graph.kind == _kind(frame):
                return self._graph.convert(frame)
        except (FFmpegError, ValueError):
            # Filters refuse colour primaries and transfers that play no part here; and one that failed may hold frames.
            self._graph = None
        return None


class _DirectGraph:
    """A filter graph for frames that are like one.

    Attributes:
        kind: what they have in common.
    """

    def __init__(self, like: VideoFrame) -> None:
        self.kind = _kind(like)
        self._graph = Graph()
        self._graph.threads = 1
        self._source: FilterContext = self._graph.add_buffer(
            width=like.width, height=like.height, format=like.format, time_base=SOME_TIME_BASE
        )
        self._sink: FilterContext = self._graph.add("buffersink")
        self._graph.link_nodes(
            self._source, self._graph.add("scale", "flags=bilinear"), self._graph.add("format", "rgb24"), self._sink
        ).configure()

    def convert(self, frame: VideoFrame) -> VideoFrame:
        """As rgb24."""
        self._source.push(frame)
        converted = self._sink.pull()
        assert isinstance(converted, VideoFrame)
        return converted


def _kind(frame: VideoFrame) -> tuple[object, ...]:
    return frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range
