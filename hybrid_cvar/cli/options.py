"""Options that several commands have, and the checks on their values."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["Domain", "DomainOption", "JsonOption", "ProfileOption", "TimestepsOption", "json_target", "refuse_overlap"]


class Domain(StrEnum):
    """Whose GOPs are read."""

    auto = "auto"
    native = "native"
    transcode = "transcode"


DomainOption = Annotated[
    Domain,
    typer.Option(
        "--domain",
        "-d",
        help="auto: the video's own GOPs if they serve; native: those or an error; transcode: a 340x256 copy's.",
    ),
]
JsonOption = Annotated[str | None, typer.Option("--json", metavar="FILE|-", help="Write all as JSON; - is stdout.")]
ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile",
        help="Energy profile: paper-45nm, horowitz-45nm-fp16, horowitz-45nm-int8, loihi1-davies2018, loihi1-sanafe, "
        "or a TOML file of your own.",
    ),
]
TimestepsOption = Annotated[
    int, typer.Option("--timesteps", "-t", min=1, max=4096, help="P-frames a GOP needs (T; 11 in the paper).")
]


def json_target(json_file: str | None) -> Path | None:
    """The file that `--json` names; None for stdout and for no JSON at all."""
    return None if json_file in (None, "-") else Path(str(json_file))


def refuse_overlap(videos: Sequence[Path], outputs: Sequence[Path]) -> None:
    """An output must not replace a video that is read, nor another output."""
    taken = {video.resolve() for video in videos}
    for output in outputs:
        if output.resolve() in taken:
            raise typer.BadParameter(f"{output} is used twice; give every output a file of its own")
        taken.add(output.resolve())
