"""A file's packets by their position in the scan, reached by seeking where that is proven to lead there."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from hybrid_cvar.video.container import open_video, read_packets
from hybrid_cvar.video.packet_scan import Keyframe, fingerprint

__all__ = ["PacketCursor"]

WORTH_A_SEEK = 64
"""Packets; fewer are read past sooner than a seek is done."""

LONGEST_SEARCH = 2048
"""Packets read after a seek until the keyframe must have come."""


class PacketCursor:
    """Reads a file forward from keyframe to keyframe. Use as a context manager.

    A container's index may be missing or wrong. So after a seek packets are read until the keyframe itself comes,
    known by time, size and checksum; if it does not, the file is read from its start, and no more seeks are tried.
    To a keyframe that is not alone in these, packets are read from where the file stands.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seekable = True
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    @property
    def decoder(self) -> VideoCodecContext:
        """The open file's decoder."""
        return self._stream.codec_context

    @property
    def position(self) -> int:
        """Of the next packet."""
        return self._position

    def go_to(self, keyframe: Keyframe) -> None:
        """Make a keyframe the next packet; it must not lie behind."""
        known = keyframe.pts is not None and keyframe.fingerprint is not None
        far = keyframe.position - self._position > WORTH_A_SEEK
        if known and far and self._seekable and not self._seek(keyframe):
            self._seekable = False
            self._opened.close()
            self._open()
        while self._position < keyframe.position and self._next() is not None:
            pass

    def read(self, last: int | None = None) -> "Iterator[Packet[VideoStream]]":
        """Packets from here to the one at position `last`, or to the end."""
        while last is None or self._position <= last:
            packet = self._next()
            if packet is None:
                return
            yield packet

    def _open(self) -> None:
        self._opened = ExitStack()
        pair: tuple[InputContainer, VideoStream] = self._opened.enter_context(open_video(self._path))
        self._container, self._stream = pair
        self._packets = read_packets(*pair)
        self._position = 0
        self._kept: Packet[VideoStream] | None = None

    def _next(self) -> "Packet[VideoStream] | None":
        packet, self._kept = self._kept, None
        if packet is None:
            packet = next(self._packets, None)
        if packet is not None:
            self._position += 1
        return packet

    def _seek(self, keyframe: Keyframe) -> bool:
        try:
            self._container.seek(keyframe.pts or 0, stream=self._stream, backward=True)
        except FFmpegError:
            return False
        self._packets = read_packets(self._container, self._stream)
        for packet, _ in zip(self._packets, range(LONGEST_SEARCH), strict=False):
            if fingerprint(packet) == keyframe.fingerprint:
                self._kept, self._position = packet, keyframe.position
                return True
        return False
