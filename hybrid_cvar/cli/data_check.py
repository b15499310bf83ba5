"""`hybrid-cvar data check`: what of a dataset is on the disk, and what is not.

Schema `hybrid-cvar/data-check`, version 1:

    {
      "schema", "schema_version", "hybrid_cvar_version", "command",
      "root", "kind", "split", "labels": [...],
      "subsets": [{
        "subset", "error": text or null,                     why nothing of it can be used
        "videos", "classes", "smallest_class", "median_class", "largest_class",
        "missing": [{"name", "reason"}, ...],
        "probe": null or {"native", "transcode", "broken": [{"name", "reason"}, ...]}
      }, ...]
    }

`classes` counts those that have a video; the three sizes are videos a class, over all classes, 0 for one that has none.
"""

import json
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from hybrid_cvar.cli.console import hear_ctrl_c, one_line_errors, print_error, progress_bar, stderr
from hybrid_cvar.cli.options import JsonOption, json_target

if TYPE_CHECKING:
    from hybrid_cvar.records import MissingVideo, VideoDataset

__all__ = ["check_command"]

SCHEMA = "hybrid-cvar/data-check"
SCHEMA_VERSION = 1
FIRST_MISSING = 10
"""Missing videos that are listed, of a subset."""

LONGEST_SHOWN = 200
"""Characters of a name or a reason."""

TIMESTEPS = 11


class Kind(StrEnum):
    """Which dataset it is."""

    auto = "auto"
    ucf101 = "ucf101"
    hmdb51 = "hmdb51"
    kinetics = "kinetics"
    something_something_v2 = "something-something-v2"


class Subset(StrEnum):
    """Which part of it."""

    train = "train"
    validation = "validation"
    test = "test"


@dataclass(frozen=True)
class ProbeCounts:
    """How a subset's videos can be read.

    Attributes:
        native: whose own GOPs are read.
        transcode: that are encoded again, in memory.
        broken: that cannot be read, or hold no complete GOP.
    """

    native: int
    transcode: int
    broken: "tuple[MissingVideo, ...]"


@dataclass(frozen=True)
class SubsetCheck:
    """What was found of a subset.

    Attributes:
        subset: its name.
        dataset: its videos; None where there is an error.
        error: why nothing of it can be used; empty if something can.
        probe: None where the videos were not opened.
    """

    subset: str
    dataset: "VideoDataset | None"
    error: str
    probe: ProbeCounts | None

    @property
    def is_whole(self) -> bool:
        """True if nothing is missing or broken."""
        return self.dataset is not None and not self.dataset.missing and not (self.probe and self.probe.broken)


def check_command(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="The dataset's folder, in which its lists lie.")],
    kind: Annotated[Kind, typer.Option("--kind", "-k", help="auto: told by the lists that lie in ROOT.")] = Kind.auto,
    split: Annotated[int, typer.Option("--split", min=1, help="Of the official train/test splits.")] = 1,
    subsets: Annotated[
        list[Subset] | None,
        typer.Option("--subset", help="Repeatable; every one that has a list if not given."),
    ] = None,
    probe: Annotated[bool, typer.Option("--probe/--no-probe", help="Open each video and say how it is read.")] = False,
    json_file: JsonOption = None,
) -> None:
    """Count a dataset's videos on the disk, and name those that its lists have and the disk has not.

    Taken are UCF-101, HMDB-51, Kinetics-400 and -600 and Something-Something V2 as they are published, and other
    videos in one of their layouts. The exit status is 1 if a video is missing or broken.

    Example: [bold]hybrid-cvar data check UCF-101-folder --split 1 --probe[/]
    """
    with one_line_errors():
        from hybrid_cvar.atomic_file import check_writable, write_atomically
        from hybrid_cvar.data import find_kind, find_subsets

        hear_ctrl_c()
        json_path = json_target(json_file)
        if json_path is not None:
            check_writable(json_path)
        found_kind = find_kind(root) if kind is Kind.auto else kind.value
        wanted = [subset.value for subset in dict.fromkeys(subsets or ())]
        wanted = wanted or list(find_subsets(root, kind=found_kind, split=split))
        checks = _check_subsets(root, found_kind, split, wanted, probe=probe)
        console = stderr if json_file == "-" else Console()
        _print_checks(checks, found_kind, split, console)
        text = _checks_json(checks, root, found_kind, split)
        if json_file == "-":
            print(text, end="")
        elif json_path is not None:
            write_atomically(json_path, text)
            stderr.print(Text(f"wrote {json_path}"))
        for check in checks:
            if check.error:
                print_error(check.error)
    if not all(check.is_whole for check in checks):
        raise typer.Exit(1)


def _check_subsets(root: Path, kind: str, split: int, subsets: Sequence[str], *, probe: bool) -> list[SubsetCheck]:
    """Each subset by itself: one that cannot be used does not stop the others; if none can, the error is raised."""
    from hybrid_cvar.data import open_dataset
    from hybrid_cvar.errors import DatasetError

    if not subsets:
        # Names the splits that are there.
        open_dataset(root, "train", kind=kind, split=split)
    checks = []
    for subset in subsets:
        try:
            dataset = open_dataset(root, subset, kind=kind, split=split)
        except DatasetError as error:
            if len(subsets) == 1:
                raise
            checks.append(SubsetCheck(subset, None, str(error), None))
            continue
        checks.append(SubsetCheck(subset, dataset, "", _probe_videos(dataset) if probe else None))
    return checks


def _probe_videos(dataset: "VideoDataset") -> ProbeCounts:
    columns = (TextColumn("probe {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with progress_bar(*columns) as progress:
        task = progress.add_task(dataset.subset, total=len(dataset.videos))
        return _count_domains(dataset, lambda: progress.advance(task))


def _count_domains(dataset: "VideoDataset", on_video: Callable[[], None]) -> ProbeCounts:
    from hybrid_cvar.errors import HybridCvarError
    from hybrid_cvar.records import MissingVideo
    from hybrid_cvar.video import probe_video

    domains: Counter[str] = Counter()
    broken = []
    for video in dataset.videos:
        try:
            info = probe_video(video.path, timesteps=TIMESTEPS)
        except HybridCvarError as error:
            broken.append(MissingVideo(video.name, str(error)))
        else:
            if info.frames <= TIMESTEPS:
                broken.append(MissingVideo(video.name, f"{info.frames} frames, where a GOP needs {TIMESTEPS + 1}"))
            else:
                domains[info.domain] += 1
        on_video()
    return ProbeCounts(domains["native"], domains["transcode"], tuple(broken))


def _class_sizes(dataset: "VideoDataset") -> list[int]:
    counted = Counter(video.label for video in dataset.videos)
    return [counted[label] for label in range(len(dataset.labels))]


def _print_checks(checks: Sequence[SubsetCheck], kind: str, split: int, console: Console) -> None:
    from hybrid_cvar.reporting.units import exact

    known = next((check.dataset for check in checks if check.dataset), None)
    name, classes = (known.name, len(known.labels)) if known else (kind, 0)
    console.print(Text(f"{name}, split {split}, {exact(classes)} classes"), highlight=False)
    probed = any(check.probe for check in checks)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    table.add_column("subset")
    headings = ["videos", "classes", "a class", *(("native", "transcode", "broken") if probed else ()), "missing"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("of these", overflow="fold")
    for check in checks:
        if check.dataset is None:
            table.add_row(check.subset, Text("none can be used", style="red"))
            continue
        sizes, missing = _class_sizes(check.dataset), check.dataset.missing
        cells = [
            exact(len(check.dataset.videos)),
            exact(sum(size > 0 for size in sizes)),
            f"{min(sizes)} to {max(sizes)}, median {median(sizes):g}",
        ]
        if check.probe:
            cells += [exact(count) for count in (check.probe.native, check.probe.transcode, len(check.probe.broken))]
        elif probed:
            cells += [""] * 3
        reasons = Counter(video.reason.partition(":")[0] for video in missing)
        said = ", ".join(f"{exact(count)} {reason}" for reason, count in reasons.most_common())
        table.add_row(check.subset, *cells, Text(exact(len(missing)), style="red" if missing else ""), said)
    if not console.is_terminal:
        console.width = max(console.width, 200)
    console.print(table, highlight=False)
    for check in checks:
        _print_list(f"{check.subset}, missing", check.dataset.missing if check.dataset else (), console)
        _print_list(f"{check.subset}, broken", check.probe.broken if check.probe else (), console)


def _print_list(heading: str, videos: "Sequence[MissingVideo]", console: Console) -> None:
    if not videos:
        return
    console.print(Text(f"{heading}:", style="bold red"))
    for video in videos[:FIRST_MISSING]:
        line = Text(f"  {_short(video.name)}: {_short(video.reason)}")
        console.print(line, highlight=False, soft_wrap=True)
    if len(videos) > FIRST_MISSING:
        console.print(f"  and {len(videos) - FIRST_MISSING:,} more (--json lists all)", highlight=False)


def _short(text: str) -> str:
    from hybrid_cvar.reporting.units import shown

    return shown(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}...")


def _checks_json(checks: Sequence[SubsetCheck], root: Path, kind: str, split: int) -> str:
    from hybrid_cvar.version import __version__

    labels = next((check.dataset.labels for check in checks if check.dataset), ())
    body = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "hybrid_cvar_version": __version__,
        "command": f"hybrid-cvar {shlex.join(sys.argv[1:])}",
        "root": str(root),
        "kind": kind,
        "split": split,
        "labels": list(labels),
        "subsets": [_subset_json(check) for check in checks],
    }
    return json.dumps(body, indent=2, allow_nan=False) + "\n"


def _subset_json(check: SubsetCheck) -> dict[str, object]:
    dataset = check.dataset
    sizes = (_class_sizes(dataset) if dataset else []) or [0]
    return {
        "subset": check.subset,
        "error": check.error or None,
        "videos": len(dataset.videos) if dataset else 0,
        "classes": sum(size > 0 for size in sizes),
        "smallest_class": min(sizes),
        "median_class": median(sizes),
        "largest_class": max(sizes),
        "missing": [asdict(video) for video in dataset.missing] if dataset else [],
        "probe": asdict(check.probe) if check.probe else None,
    }
