"""Damaged videos, each made from a seed and a number alone: real clips and fresh encodings, then one or two wounds."""

import hashlib
import io
import random
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.stream import VideoStream
from numpy.typing import NDArray

from hybrid_cvar.assets import SAMPLE_VIDEO
from hybrid_cvar.benchmark.moving_shapes import draw_video
from hybrid_cvar.benchmark.real_clips import find_real_clips
from hybrid_cvar.errors import MissingPartError

__all__ = ["DAMAGES", "HostileFile", "Material", "damage_bytes", "gather_material", "make_file"]

FRAMES = 28
"""Frames of a fresh encoding: two GOPs and a rest."""

CUT_FRAMES = 40
HEADER_BYTES = 1024
MOST_FLIPS = 1000
SECOND_WOUND = 0.2
EXTREMES = (0, 1, 0x7F, 0xFF, 0xFFFF, 60000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
AVI_TAGS = b"avih strh strf LIST idx1 movi"
MP4_TAGS = b"tkhd mdhd stsd stsz stco stsc stts ctts moov mdat avc1 avcC hvc1 hvcC esds elst"

X264 = {"qp": "24", "b-adapt": "0"}
"""Without these x264's choices, and so the bits, differ from run to run where there are B-frames."""

# (label, encoder, container, suffix, width, height, options): what the reader meets, small enough to be quick.
_RECIPES: tuple[tuple[str, str, str, str, int, int, dict[str, str]], ...] = (
    ("mpeg4", "mpeg4", "avi", "avi", 98, 66, {}),
    ("mpeg4", "mpeg4", "mp4", "mp4", 98, 66, {}),
    ("mpeg4", "mpeg4", "matroska", "mkv", 98, 66, {"flags": "+mv4"}),
    ("mpeg4", "mpeg4", "mpegts", "ts", 98, 66, {}),
    ("mpeg4", "mpeg4", "m4v", "m4v", 98, 66, {"flags": "+mv4+qpel"}),
    ("mpeg4-b", "mpeg4", "avi", "avi", 98, 66, {"bf": "2"}),
    ("h264", "libx264", "mp4", "mp4", 98, 66, {**X264, "refs": "1"}),
    ("h264", "libx264", "matroska", "mkv", 98, 66, {**X264, "refs": "1", "profile": "baseline"}),
    ("h264", "libx264", "mpegts", "ts", 98, 66, {**X264, "refs": "1"}),
    ("h264", "libx264", "h264", "h264", 98, 66, {**X264, "refs": "1"}),
    ("h264-refs", "libx264", "mp4", "mp4", 98, 66, {**X264, "refs": "3"}),
    ("h264-b", "libx264", "mp4", "mp4", 98, 66, {**X264, "bf": "2", "refs": "3"}),
    ("mpeg2", "mpeg2video", "mpegts", "ts", 98, 66, {}),
    ("mpeg2", "mpeg2video", "mpeg", "mpg", 98, 66, {}),
    ("mpeg2-b", "mpeg2video", "mpeg", "mpg", 98, 66, {"bf": "2"}),
    ("h263", "h263", "avi", "avi", 176, 144, {}),
    ("h263", "h263", "h263", "h263", 176, 144, {}),
    ("hevc", "libx265", "mp4", "mp4", 98, 66, {"x265-params": "log-level=none:pools=none"}),
    ("vp9", "libvpx-vp9", "webm", "webm", 98, 66, {"cpu-used": "8", "deadline": "realtime"}),
)


@dataclass(frozen=True)
class Material:
    """A whole video that damaged ones are made from.

    Attributes:
        label: codec and what is special about it (`h264-b`: with B-frames), or the real clip's name.
        suffix: of its file name, which FFmpeg goes by too.
        content: the file.
    """

    label: str
    suffix: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Of the content; another encoder makes other files, and then a seed does not mean the same."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class HostileFile:
    """A damaged video.

    Attributes:
        number: its place in the run.
        label: the material's. damage: what was done to it, `+` between two wounds.
        suffix: of its file name.
        content: the file.
    """

    number: int
    label: str
    damage: str
    suffix: str
    content: bytes


def gather_material() -> tuple[Material, ...]:
    """Real clips cut short by stream copy, and fresh encodings with every encoder that this FFmpeg has.

    Real clips that are not installed are left out, and so are encoders that are missing: what is there is told by the
    labels.
    """
    found = [Material("sample", "avi", _cut(SAMPLE_VIDEO, "avi"))]
    try:
        clips = find_real_clips()
    except MissingPartError:
        pass
    else:
        found.append(Material("dancer", "avi", _cut(clips.dancer, "avi")))
        found.append(Material("bikes", "mp4", _cut(clips.bikes, "mp4")))
    drawn: dict[tuple[int, int], list[NDArray[np.uint8]]] = {}
    for label, encoder, container, suffix, width, height, options in _RECIPES:
        pictures = drawn.setdefault((width, height), list(draw_video("grow", 1, FRAMES, width, height)))
        try:
            content = _encode(pictures, encoder, container, options)
        except (FFmpegError, ValueError):
            continue
        found.append(Material(label, suffix, content))
    return tuple(found)


def _cut(path: Path, container: str) -> bytes:
    file = io.BytesIO()
    with av.open(path) as source, av.open(file, "w", format=container, options={"fflags": "+bitexact"}) as target:
        stream = source.streams.video[0]
        out = target.add_stream_from_template(stream)
        for number, packet in enumerate(source.demux(stream)):
            if number == CUT_FRAMES:
                break
            if packet.size:
                packet.stream = out
                target.mux(packet)
    return file.getvalue()


def _encode(pictures: Sequence[NDArray[np.uint8]], encoder: str, container: str, options: Mapping[str, str]) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container, options={"fflags": "+bitexact"}) as target:
        stream = target.add_stream(encoder, rate=25)
        if not isinstance(stream, VideoStream):
            raise ValueError(f"{encoder} encodes no pictures")
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        # One thread: the bits must not depend on the machine.
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"g": "12", "bf": "0"} | dict(options)
        for picture in pictures:
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        target.mux(stream.encode(None))
    return file.getvalue()


def make_file(material: Sequence[Material], seed: int, number: int) -> HostileFile:
    """File `number` of run `seed`: the same bytes whenever it is made from the same material."""
    chance = random.Random(f"{seed}:{number}")
    base = chance.choice(material)
    content = bytearray(base.content)
    wounds = [chance.choice(list(DAMAGES))]
    if chance.random() < SECOND_WOUND:
        wounds.append(chance.choice(list(DAMAGES)))
    for wound in wounds:
        content = damage_bytes(content, wound, chance, chance.choice(material).content)
    return HostileFile(number, base.label, "+".join(wounds), base.suffix, bytes(content))


def damage_bytes(content: bytearray, damage: str, chance: random.Random, other: bytes) -> bytearray:
    """One wound.

    Args:
        content: the file; it may be changed.
        damage: a key of `DAMAGES`.
        chance: where and how much.
        other: another file, for splices.

    Returns:
        The damaged file, never empty.
    """
    return DAMAGES[damage](content, chance, other) or bytearray(b"\0")


def _flip(content: bytearray, chance: random.Random, other: bytes) -> bytearray:
    for _ in range(int(MOST_FLIPS ** chance.random())):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return content


def _truncate(content: bytearray, chance: random.Random, other: bytes) -> bytearray:
    return content[: chance.randrange(1, len(content) + 1)]


def _splice(content: bytearray, chance: random.Random, other: bytes) -> bytearray:
    return content[: chance.randrange(len(content))] + other[chance.randrange(len(other)) :]


def _range(content: bytearray, chance: random.Random) -> tuple[int, int]:
    begin = chance.randrange(len(content))
    return begin, min(begin + int(len(content) ** chance.random()), len(content))


def _zero(content: bytearray, chance: random.Random, other: bytes) -> bytearray:
    begin, end = _range(content, chance)
    content[begin:end] = bytes(end - begin)
    return content


def _delete(content: bytearray, chance: random.Random, other: bytes) -> bytearray:
    begin, end = _range(content, chance)
    return content[:begin] + content[end:]


def _duplicate(content: bytearray, chance: random.Random, other: bytes) -> bytearray:
    begin, end = _range(content, chance)
    return content[:end] + content[begin:end] * chance.randint(1, 3) + content[end:]


def _header(content: bytearray, chance: random.Random, other: bytes) -> bytearray:
    for _ in range(chance.randint(1, 16)):
        content[chance.randrange(min(HEADER_BYTES, len(content)))] = chance.randrange(256)
    return content


def _sizes(content: bytearray, chance: random.Random, other: bytes) -> bytearray:
    """Fields of four bytes beside a container's tags, or anywhere in the header, become extreme."""
    places = [at for tag in (*AVI_TAGS.split(), *MP4_TAGS.split()) if (at := content.find(tag)) >= 0]
    for _ in range(chance.randint(1, 3)):
        if places and chance.random() < 0.7:
            at = chance.choice(places) + 4 * chance.choice((-1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
        else:
            at = chance.randrange(min(HEADER_BYTES, len(content)))
        at = min(max(at, 0), max(len(content) - 4, 0))
        field = struct.pack(chance.choice("<>") + "I", chance.choice(EXTREMES))
        content[at : at + 4] = field[: len(content) - at]
    return content


DAMAGES: Mapping[str, Callable[[bytearray, random.Random, bytes], bytearray]] = {
    "flip": _flip,
    "truncate": _truncate,
    "splice": _splice,
    "zero": _zero,
    "delete": _delete,
    "duplicate": _duplicate,
    "header": _header,
    "sizes": _sizes,
}
