"""A video's GOPs as a PNG sheet or an MP4 film: raw beside accumulated motion and residual."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from hybrid_cvar.atomic_file import check_writable, write_atomically
from hybrid_cvar.errors import ConfigError, OutputError, UnsupportedVideoError
from hybrid_cvar.records import Gop, VideoInfo
from hybrid_cvar.video.container import is_stream, open_video, source_name
from hybrid_cvar.video.figure import accumulate, figure_scale
from hybrid_cvar.video.figure_sheet import SMALLEST_WIDTH, FigureTitle, compose_instant, compose_sheet
from hybrid_cvar.video.gop_reader import GopSource, decode_gops, locate_gops, no_readable_gop
from hybrid_cvar.video.partial_file import whole_file
from hybrid_cvar.video.sampling import segment_centres

__all__ = ["FORMATS", "Shown", "show_video"]

FORMATS = (".png", ".mp4")
COLUMNS = 4
LOOKED_AT = 16
"""GOPs among which the one with most motion is sought."""

MEASURED = 6
"""GOPs of a film that its scale is taken from, spread evenly over it."""

SHEET_WIDTH, FILM_WIDTH, LARGEST_WIDTH = 1600, 1280, 4096
FILM_SECONDS = 10.0
USUAL_RATE = 25.0
BT709 = 1
PLAYS_WHILE_LOADING = {"movflags": "+faststart"}


@dataclass(frozen=True)
class Shown:
    """What a figure shows.

    Attributes:
        info: the video's probe.
        pts_seconds: time of the first I-frame shown.
        gops: GOPs shown.
        frames: 1 for a sheet, else the film's frames.
        width, height: of the figure, pixels.
    """

    info: VideoInfo
    pts_seconds: float
    gops: int
    frames: int
    width: int
    height: int


def show_video(
    video: Path | str,
    output: Path,
    *,
    at_seconds: float | None = None,
    gops: int | None = None,
    timesteps: int = 11,
    domain: str = "auto",
    width: int | None = None,
    slow: float = 1.0,
    on_frame: Callable[[int, int], None] = lambda done, of: None,
) -> Shown:
    """Draw a GOP as a sheet, or several as a film; the file appears when it is complete.

    Args:
        video: the file.
        output: ends in `.png` (one GOP) or `.mp4` (H.264; each GOP's I-frame and its `timesteps` P-frames).
        at_seconds: the GOP that is shown, or the first one, holds this time. If None, the sheet shows the GOP with
            most accumulated motion of 16 spread evenly over the video, and the film lies around it.
        gops: GOPs of a film; about 10 seconds if None.
        timesteps: P-frames a GOP.
        domain: `auto`, `native` or `transcode`; see `probe_video`.
        width: of the figure at most, pixels, 480 to 4096; 1600 for a sheet and 1280 for a film if None.
        slow: a film runs so many times slower than the video.
        on_frame: (frames drawn, frames in all) of a film.

    Raises:
        UnsupportedVideoError, CorruptVideoError, ShortVideoError: as `read_gops`.
        ConfigError: a value is out of range, or the output has another ending.
        OutputError: the output cannot be written.
    """
    if is_stream(video):
        raise UnsupportedVideoError(
            f"{source_name(video)}: a stream", "a figure looks through a file", "save some of the stream to one first"
        )
    path = Path(video)
    kind = output.suffix.lower()
    if kind not in FORMATS:
        raise ConfigError(f"{output} ends in {output.suffix or 'nothing'}", f"a figure is a {' or a '.join(FORMATS)}")
    width = width or (SHEET_WIDTH if kind == ".png" else FILM_WIDTH)
    if not SMALLEST_WIDTH <= width <= LARGEST_WIDTH:
        raise ConfigError(f"width = {width}", f"must be {SMALLEST_WIDTH} to {LARGEST_WIDTH} pixels")
    if not 0.1 <= slow <= 100:
        raise ConfigError(f"slow = {slow:g}", "must be 0.1 to 100")
    if gops is not None and gops < 1:
        raise ConfigError(f"gops = {gops}", "must be at least 1")
    check_writable(output)
    source = locate_gops(path, timesteps, domain)
    if kind == ".png":
        start = _liveliest(source) if at_seconds is None else _position_at(source, at_seconds)
        return _write_sheet(source, output, start, width)
    wanted = min(gops or max(round(FILM_SECONDS * _rate(source) / (timesteps + 1)), 1), source.gops)
    if at_seconds is not None:
        start = _position_at(source, at_seconds)
    elif wanted == source.gops:
        start = 0
    else:
        start = max(min(_liveliest(source) - wanted // 2, source.gops - wanted), 0)
    return _write_film(source, output, start, wanted, width, slow, on_frame)


def _write_sheet(source: GopSource, output: Path, start: int, width: int) -> Shown:
    raw = next(_read_from(source, start, 1))
    accumulated, frames = accumulate(raw)
    steps = tuple(dict.fromkeys(np.linspace(1, source.timesteps, COLUMNS).round().astype(int).tolist()))
    picture = compose_sheet(
        raw,
        accumulated,
        frames,
        steps,
        figure_scale([(raw, accumulated)]),
        _title(source, raw),
        width=width,
        pixel_aspect=_pixel_aspect(source.info, raw),
    )
    content = BytesIO()
    Image.fromarray(picture).save(content, "png", optimize=True)
    write_atomically(output, content.getvalue())
    return Shown(source.info, raw.pts_seconds, 1, 1, picture.shape[1], picture.shape[0])


def _write_film(
    source: GopSource,
    output: Path,
    start: int,
    wanted: int,
    width: int,
    slow: float,
    on_frame: Callable[[int, int], None],
) -> Shown:
    # Read twice: one scale for the whole film, with the memory of one GOP.
    measured = islice(_read_from(source, start, wanted), 0, None, -(-wanted // MEASURED))
    scale = figure_scale((raw, accumulate(raw)[0]) for raw in measured)
    rate = Fraction(_rate(source) / slow).limit_denominator(1001)
    expected = min(wanted, source.gops - start) * (source.timesteps + 1)
    starts: list[float] = []
    frames = 0
    try:
        with whole_file(output) as partial, _Film(partial, rate) as film:
            for raw in _read_from(source, start, wanted):
                starts.append(raw.pts_seconds)
                accumulated, pictures = accumulate(raw)
                for step in range(source.timesteps + 1):
                    film.add(
                        compose_instant(
                            raw,
                            accumulated,
                            pictures,
                            step,
                            scale,
                            _title(source, raw),
                            width=width,
                            pixel_aspect=_pixel_aspect(source.info, raw),
                        )
                    )
                    frames += 1
                    on_frame(frames, expected)
    except (OSError, FFmpegError) as error:
        raise OutputError(
            f"{output}: {getattr(error, 'strerror', None) or error}",
            "the file must be writable, with room left, and FFmpeg must have libx264",
            "choose another place, or draw a .png",
        ) from error
    return Shown(source.info, starts[0], len(starts), frames, film.width, film.height)


class _Film:
    """An H.264 file that plays everywhere; its size is that of the first picture.

    Args:
        path: the file.
        rate: frames a second.
    """

    def __init__(self, path: Path, rate: Fraction) -> None:
        self._container = av.open(f"file:{path}", "w", format="mp4", container_options=PLAYS_WHILE_LOADING)
        self._rate = rate
        self._stream: VideoStream | None = None
        self._frames = 0
        self.width = self.height = 0

    def __enter__(self) -> "_Film":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with self._container:
            if error is None and self._stream is not None:
                self._container.mux(self._stream.encode(None))

    def add(self, picture: NDArray[np.uint8]) -> None:
        """The next picture: uint8 (H, W, 3), RGB, even sides."""
        if self._stream is None:
            self._stream = self._add_stream(picture)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv420p",
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            dst_colorspace=Colorspace.ITU709,
        )
        frame.pts, frame.time_base = self._frames, 1 / self._rate
        self._container.mux(self._stream.encode(frame))
        self._frames += 1

    def _add_stream(self, picture: NDArray[np.uint8]) -> VideoStream:
        stream = self._container.add_stream("libx264", rate=self._rate)
        self.height, self.width = picture.shape[:2]
        stream.width, stream.height, stream.pix_fmt = self.width, self.height, "yuv420p"
        encoder = stream.codec_context
        encoder.options = {"crf": "16", "preset": "fast"}
        encoder.colorspace = encoder.color_primaries = encoder.color_trc = BT709
        encoder.color_range = ColorRange.MPEG
        return stream


def _read_from(source: GopSource, start: int, count: int) -> Iterator[Gop]:
    """The first `count` whole GOPs from position `start` on, raw; at least one, or an error."""
    with closing(decode_gops(source, accumulated=False, wanted=lambda position: position >= start)) as gops:
        first = next(gops, None)
        if first is None:
            raise no_readable_gop(source)
        yield first
        yield from islice(gops, count - 1)


def _liveliest(source: GopSource) -> int:
    """The position whose raw vectors are longest on average, of some spread evenly over the video."""
    targets = segment_centres(source.gops, LOOKED_AT)
    if len(targets) == 1:
        return 0
    lengths: dict[int, float] = {}
    asked = -1

    def is_due(position: int) -> bool:
        nonlocal asked
        asked = position
        return len(lengths) < bisect_right(targets, position)

    with closing(decode_gops(source, accumulated=False, wanted=is_due)) as gops:
        for gop in gops:
            some = gop.motion[:, ::4, ::4].astype(np.float32)
            lengths[asked] = float(np.hypot(some[..., 0], some[..., 1]).mean())
            if len(lengths) == len(targets):
                break
    return max(lengths, key=lambda position: lengths[position], default=0)


def _position_at(source: GopSource, seconds: float) -> int:
    length = source.info.duration_seconds
    if not (seconds >= 0 and (seconds <= length or not length)):
        raise ConfigError(f"at = {seconds:g} s", f"must lie in the video, which is {length:.2f} s long")
    return max(bisect_right(_start_seconds(source), seconds) - 1, 0)


def _start_seconds(source: GopSource) -> list[float]:
    """Time of the first frame at each position, from the video's first frame."""
    scan, length, rate = source.scan, source.timesteps + 1, _rate(source)
    if not source.info.transcoded:
        return [
            gop.seconds - scan.first_seconds + piece * length / rate
            for gop in scan.gops
            for piece in range(gop.frames // length)
        ]
    if not scan.presentation:
        return [position * length / rate for position in range(source.gops)]
    with open_video(source.path) as (_, stream):
        unit = float(stream.time_base or 1 / rate)
    return [(ticks - scan.presentation[0]) * unit for ticks in scan.presentation[::length]][: source.gops]


def _rate(source: GopSource) -> float:
    return source.info.frames_per_second or USUAL_RATE


def _title(source: GopSource, gop: Gop) -> FigureTitle:
    info = source.info
    vectors = "vectors of a 340x256 MPEG-4 copy" if info.transcoded else "its own vectors"
    facts = f"{info.codec}, {info.width}x{info.height}; GOP {gop.index} at {gop.pts_seconds:.2f} s; {vectors}"
    return FigureTitle(Path(info.path).name, facts)


def _pixel_aspect(info: VideoInfo, gop: Gop) -> float:
    """Of the GOP's pixels, such that it is shown in the shape of the video."""
    height, width = gop.iframe.shape[:2]
    shape = info.width * info.sample_aspect_ratio / info.height
    if info.rotation_degrees % 180:
        shape = 1 / shape
    return shape * height / width
