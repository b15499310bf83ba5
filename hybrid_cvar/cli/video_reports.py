"""What the `video` commands print, and their JSON.

Schemas `hybrid-cvar/video-probe` and `hybrid-cvar/video-convert`, version 1: the fields of the dataclasses
`SurveyedVideo` and `ConversionResult`, under their own names, paths as text.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hybrid_cvar.records import VideoInfo
from hybrid_cvar.reporting.units import duration, exact, shown, si
from hybrid_cvar.version import __version__
from hybrid_cvar.video.convert import ConversionResult
from hybrid_cvar.video.survey import GopRun, SurveyedVideo, SurveyResult

__all__ = ["conversion_json", "gop_pattern", "print_conversion", "print_survey", "print_video", "survey_json"]

SCHEMA_VERSION = 1
LETTERS = 16
"""Frames of a GOP that are spelt out; longer ones are counted."""

RUNS = 4
PLAIN_WIDTH = 200
"""Columns of a table that goes to a file or a pipe, where lines that wrap cannot be searched."""
STYLES = {"native": "green", "transcode": "yellow"}


def print_video(video: SurveyedVideo, timesteps: int, console: Console) -> None:
    """One video: the verdict, then all that is known of it."""
    info = video.info
    console.print(Text(shown(info.path), style="bold"), soft_wrap=True)
    verdict = Text(info.domain, style=f"bold {STYLES[info.domain]}").append(f": {info.reason}", style="default")
    console.print(verdict, highlight=False)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in _facts(video, timesteps):
        if value:
            grid.add_row(f"  {name}", Text(value))
    console.print(grid, highlight=False)


def print_survey(result: SurveyResult, console: Console) -> None:
    """A line for each video that can be read."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for heading in ("video", "read", "codec", "size", "length", "GOP", "why"):
        right = heading in ("length", "GOP")
        wraps = heading in ("video", "why")
        table.add_column(heading, justify="right" if right else "left", overflow="fold", no_wrap=not wraps)
    for video in result.videos:
        info = video.info
        table.add_row(
            Text(shown(info.path)),
            Text(info.domain, style=STYLES[info.domain]),
            info.codec,
            f"{info.width}x{info.height}",
            duration(info.duration_seconds) if info.duration_seconds else "",
            _lengths(video),
            Text(_short_reason(info)),
        )
    if not console.is_terminal:
        console.width = max(console.width, PLAIN_WIDTH)
    console.print(table, highlight=False)


def _short_reason(info: VideoInfo) -> str:
    """Why it is encoded again, and what is wrong with it."""
    why, _, rest = info.reason.partition(":")
    wrong = rest.partition("; ")[2]
    return "; ".join(part for part in (why if info.transcoded else "", wrong) if part)


def gop_pattern(runs: Sequence[GopRun], has_b_frames: bool) -> str:
    """GOPs in words, such as `IPPPPPPPPPPP x 130, then IPPPPPPPPPP`; empty where types within a GOP are not known."""
    if not runs or has_b_frames:
        return ""
    if len(runs) > RUNS:
        return ""
    parts = []
    for run in runs:
        p_frames = run.frames - 1
        text = "I" + "P" * p_frames if run.frames <= LETTERS else f"I and {p_frames:,} P"
        parts.append(f"{text} x {run.gops:,}" if run.gops > 1 else text)
    return ", then ".join(parts)


def _facts(video: SurveyedVideo, timesteps: int) -> list[tuple[str, str]]:
    info, structure = video.info, video.info.structure
    picture = f"{info.width}x{info.height}"
    if info.pixel_format:
        picture += f", {info.pixel_format}"
    if info.sample_aspect_ratio != 1.0:
        picture += f", pixels {info.sample_aspect_ratio:.4g} times as wide as high"
    if info.rotation_degrees:
        picture += f", shown turned by {info.rotation_degrees} degrees"
    picture += ", interlaced" if info.interlaced else ", progressive" if structure else ""
    facts = [
        ("container", info.container + (f", {si(video.size_bytes, 'B')}" if video.size_bytes else "")),
        ("codec", info.codec + (f", {info.profile}" if info.profile else "")),
        ("picture", picture),
        ("rate", f"{info.frames_per_second:.6g} frames/s" if info.frames_per_second else ""),
        ("length", duration(info.duration_seconds) if info.duration_seconds else ""),
    ]
    if structure is None:
        return facts
    counted = structure.i_frames + structure.p_frames + structure.b_frames
    kinds = f": {exact(structure.i_frames)} I, {exact(structure.p_frames)} P, {exact(structure.b_frames)} B"
    clips = info.frames // (timesteps + 1) if info.transcoded else structure.native_clips
    return [
        *facts,
        ("frames", exact(info.frames) + (kinds if counted else "")),
        ("GOPs", f"{exact(structure.gops)} of {_lengths(video)} frames, median {structure.median:g}"),
        ("pattern", gop_pattern(video.runs, structure.b_frames > 0) if counted else ""),
        ("references", f"at most {structure.reference_frames} a block" if structure.reference_frames else ""),
        ("clips", f"{exact(clips)} of {timesteps + 1} frames (T = {timesteps})"),
    ]


def _lengths(video: SurveyedVideo) -> str:
    structure = video.info.structure
    if structure is None or not structure.gops:
        return ""
    if structure.shortest == structure.longest:
        return str(structure.longest)
    return f"{structure.shortest} to {structure.longest}"


def survey_json(result: SurveyResult, command: str) -> str:
    """Every field of every probe; the domain is spelt out."""
    videos = [
        asdict(video.info)
        | {"domain": video.info.domain, "size_bytes": video.size_bytes, "gop_runs": _plain(video.runs)}
        for video in result.videos
    ]
    body = {"interrupted": result.interrupted, "videos": videos, "failures": _plain(result.failures)}
    return _json("hybrid-cvar/video-probe", command, body)


def print_conversion(result: ConversionResult, console: Console) -> None:
    """The count, what was left out, and each failure with its reason."""
    counts = [
        f"{len(result.converted)} converted",
        f"{len(result.skipped)} already done",
        f"{len(result.failures)} failed",
    ]
    if result.interrupted:
        counts.append(f"{len(result.not_reached)} not reached: interrupted; run it again to go on")
    console.print(", ".join(counts), highlight=False, soft_wrap=True)
    if result.other_files:
        console.print(f"left out for their extension (--all takes them): {result.other_files}", highlight=False)
    if result.links_left_out:
        console.print(f"links not followed: {result.links_left_out}", highlight=False)
    incomplete = [video for video in result.converted if video.is_incomplete]
    if incomplete:
        console.print("converted, but incomplete:", style="bold yellow")
        for video in incomplete:
            of = video.frames + video.frames_missing
            text = f"  {shown(str(video.source))}: {video.frames_missing} of {of} frames are damaged or missing"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
    if result.failures:
        console.print("failed:", style="bold red")
        for failure in result.failures:
            console.print(f"  {shown(failure.error)}", markup=False, highlight=False, soft_wrap=True)


def conversion_json(result: ConversionResult, command: str) -> str:
    """Every field of the result."""
    return _json("hybrid-cvar/video-convert", command, _plain(asdict(result)))


def _json(schema: str, command: str, body: dict[str, Any]) -> str:
    head = {
        "schema": schema,
        "schema_version": SCHEMA_VERSION,
        "hybrid_cvar_version": __version__,
        "command": command,
    }
    return json.dumps(head | body, indent=2, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
