"""GOPs decoded once and kept on the disk at the size that the model's crops need.

An epoch that decodes every video again is bound by decoding. The cache keeps each GOP as I-frame, motion and residual
of the frame scaled so that the centre crop is the model's input pixel for pixel (170x128 for an input of 112), one
HDF5 file a video, compressed with Zstandard. The centre crop of a cached GOP is to the bit the clip that
`read_clips` cuts from the video, where the frame's sides scale to whole pixels.
"""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.atomic_file import write_atomically
from hybrid_cvar.data.views import View
from hybrid_cvar.errors import ConfigError, HybridCvarError, MissingPartError, VideoError
from hybrid_cvar.records import Clip, Gop, InputSpec, LabelledVideo
from hybrid_cvar.video import cut_clip, open_gops, scale_gop

__all__ = ["CachedVideo", "GopCache"]

CACHE_VERSION = 1
PARTS = ("iframe", "motion", "residual")
INSTALL_CACHE = "pip install hdf5plugin"


@dataclass(frozen=True)
class CachedVideo:
    """A video's GOPs in the cache.

    Attributes:
        video: which.
        file: the HDF5 file.
        gops: how many it holds, at least 1.
    """

    video: LabelledVideo
    file: Path
    gops: int


class GopCache:
    """The cache of one folder for one model input.

    Args:
        folder: made if it is not there; may be shared by models of any input.
        spec: the model's input; size, timesteps and form decide what is kept, event steps do not.
        most_gops: GOPs kept of a video, taken uniformly from longer ones.

    Raises:
        ConfigError: `most_gops` is not positive.
        MissingPartError: hdf5plugin is not installed.
    """

    def __init__(self, folder: Path, spec: InputSpec, most_gops: int = 32) -> None:
        if most_gops < 1:
            raise ConfigError(f"most_gops = {most_gops}", "must be at least 1")
        try:
            import hdf5plugin  # noqa: F401  (registers Zstandard with HDF5)
        except ImportError as error:
            raise MissingPartError(
                "hdf5plugin is not installed", "cached GOPs are compressed with it", f"install it: {INSTALL_CACHE}"
            ) from error
        self.folder = folder
        self.spec = spec
        self.most_gops = most_gops
        self.width = -(-spec.frame_width * spec.size // spec.crop)
        self.height = -(-spec.frame_height * spec.size // spec.crop)

    def look_up(self, video: LabelledVideo) -> CachedVideo | None:
        """The video's entry, None if it is not there or its file changed since.

        Raises:
            VideoError: the video was found unreadable before, and its file is the same.
        """
        file = self._file(video)
        broken = file.with_suffix(".json")
        if error := _read_marker(broken):
            raise VideoError(f"{error} (found before, and its file is the same)", "", f"remove {broken} to try again")
        if not file.exists():
            return None
        try:
            with h5py.File(file, "r") as stored:
                return CachedVideo(video, file, len(stored["iframe"]))
        except (OSError, KeyError):  # not written by this class, or damaged since: made again
            return None

    def store(self, video: LabelledVideo) -> CachedVideo:
        """Decodes a video into the cache, if it is not there yet.

        Raises:
            VideoError: it cannot be read; kept, so that the next call says it at once.
            OutputError: the cache cannot be written.
        """
        found = self.look_up(video)
        if found is not None:
            return found
        file = self._file(video)
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            gops = self._decode(video.path)
        except VideoError as error:
            if isinstance(error.__cause__, OSError):
                raise  # of this machine, at this moment, not of the video
            write_atomically(file.with_suffix(".json"), json.dumps({"video": str(video.path), "error": str(error)}))
            raise
        write_atomically(file, _as_hdf5(gops))
        return CachedVideo(video, file, len(gops))

    def read(self, cached: CachedVideo, position: int) -> Gop:
        """One GOP, in frames of (`height`, `width`).

        Args:
            cached: an entry of this cache.
            position: 0 to `cached.gops - 1`.

        Raises:
            HybridCvarError: the entry was damaged or removed since it was looked up.
        """
        iframe, motion, residual = self._read_parts(cached, position, PARTS)
        return Gop(
            iframe, motion.astype(np.int16), residual.astype(np.int16), self.spec.accumulated, position, pts_seconds=0.0
        )

    def read_iframe(self, cached: CachedVideo, position: int) -> NDArray[np.uint8]:
        """The I-frame alone of one GOP, uint8 (`height`, `width`, 3); as `read`."""
        (iframe,) = self._read_parts(cached, position, ("iframe",))
        return iframe

    def read_clip(self, cached: CachedVideo, position: int, view: View) -> Clip:
        """One GOP cut to the model's input."""
        return cut_clip(self.read(cached, position), self.spec, crop=view.crop, flip=view.flip)

    def _read_parts(self, cached: CachedVideo, position: int, parts: tuple[str, ...]) -> list[NDArray[Any]]:
        try:
            with h5py.File(cached.file, "r") as stored:
                return [stored[part][position] for part in parts]
        except (OSError, KeyError) as error:
            raise HybridCvarError(
                f"{cached.file}: cannot be read ({error})",
                "a cache must not change while it is used",
                f"remove {self.folder} and start again",
            ) from error

    def _decode(self, path: Path) -> list[Clip]:
        stream = open_gops(path, self.spec.timesteps, self.most_gops, accumulated=self.spec.accumulated)
        return [scale_gop(gop, self.width, self.height) for gop in stream.sampled]

    def _file(self, video: LabelledVideo) -> Path:
        state = video.path.stat()
        identity = json.dumps(
            [
                CACHE_VERSION,
                str(video.path.resolve()),
                state.st_size,
                state.st_mtime_ns,
                self.width,
                self.height,
                self.spec.timesteps,
                self.spec.accumulated,
                self.most_gops,
            ]
        )
        key = hashlib.sha256(identity.encode()).hexdigest()[:32]
        return self.folder / key[:2] / f"{key}.h5"


def _read_marker(path: Path) -> str:
    """Why a video could not be read; empty if there is no marker, or one that was cut off."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _as_hdf5(clips: list[Clip]) -> bytes:
    import hdf5plugin

    stored = io.BytesIO()
    with h5py.File(stored, "w") as file:
        for part in PARTS:
            values = _narrowed(np.stack([getattr(clip, part) for clip in clips]))
            file.create_dataset(part, data=values, chunks=(1, *values.shape[1:]), **hdf5plugin.Zstd(clevel=1))
    return stored.getvalue()


def _narrowed(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """int16 as int8 where that loses nothing: a third less to read."""
    narrow = values.astype(np.int8)
    return narrow if values.dtype == np.int16 and bool((narrow == values).all()) else values
