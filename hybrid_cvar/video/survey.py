"""Several videos probed one after the other; one that fails does not stop the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from hybrid_cvar.errors import HybridCvarError
from hybrid_cvar.records import VideoInfo
from hybrid_cvar.video.container import is_stream
from hybrid_cvar.video.stream_info import check_request, inspect_video, probe_video

__all__ = ["GopRun", "SurveyFailure", "SurveyResult", "SurveyedVideo", "survey_videos"]


@dataclass(frozen=True)
class GopRun:
    """GOPs of one length that follow each other.

    Attributes:
        frames: of each, the I-frame counted.
        gops: how many.
    """

    frames: int
    gops: int


@dataclass(frozen=True)
class SurveyedVideo:
    """A video's probe.

    Attributes:
        info: what it is and how it is read.
        runs: its GOPs' lengths, in file order; empty for a stream.
        size_bytes: of the file; 0 where there is not one file.
    """

    info: VideoInfo
    runs: tuple[GopRun, ...]
    size_bytes: int


@dataclass(frozen=True)
class SurveyFailure:
    """A video that cannot be read.

    Attributes:
        video: as the user named it.
        error: what was found, the rule it breaks and the remedy.
    """

    video: str
    error: str


@dataclass(frozen=True)
class SurveyResult:
    """What became of the videos.

    Attributes:
        videos: those that can be read, in order.
        failures: those that cannot.
        interrupted: True if Ctrl-C ended the survey early.
    """

    videos: tuple[SurveyedVideo, ...]
    failures: tuple[SurveyFailure, ...]
    interrupted: bool


def survey_videos(
    videos: Sequence[str],
    *,
    timesteps: int = 11,
    domain: str = "auto",
    on_video: Callable[[], None] = lambda: None,
) -> SurveyResult:
    """Probe videos.

    Args:
        videos: files, folders of images, or streams' addresses; see `probe_video`.
        timesteps, domain: as `probe_video`.
        on_video: called after each.

    Raises:
        ConfigError: `timesteps` or `domain` is out of range.
    """
    check_request(timesteps, domain)
    found: list[SurveyedVideo] = []
    failures: list[SurveyFailure] = []
    interrupted = False
    try:
        for video in videos:
            try:
                found.append(_survey(video, timesteps, domain))
            except HybridCvarError as error:
                failures.append(SurveyFailure(video, str(error)))
            on_video()
    except KeyboardInterrupt:
        interrupted = True
    return SurveyResult(tuple(found), tuple(failures), interrupted)


def _survey(video: str, timesteps: int, domain: str) -> SurveyedVideo:
    if is_stream(video):
        return SurveyedVideo(probe_video(video, timesteps=timesteps, domain=domain), (), 0)
    path = Path(video)
    info, scan = inspect_video(path, timesteps, domain)
    runs = tuple(GopRun(frames, len(list(gops))) for frames, gops in groupby(scan.gop_frames))
    return SurveyedVideo(info, runs, path.stat().st_size if path.is_file() else 0)
