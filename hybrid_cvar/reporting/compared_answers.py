"""Which videos of two runs are the same, and whether their answers are."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Protocol

__all__ = ["Answers", "same_videos", "shared_answers", "told_apart"]

Answers = tuple[tuple[str, str], ...]
"""(video, answer)"""


class _Answered(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def answers(self) -> Answers: ...


def told_apart(files: Sequence[Answers]) -> list[Answers]:
    """Answers by names that are as short as they can be.

    A name is the end of a path, of so many parts that within every file different paths have different names: files of
    the same videos in other folders still meet. A path that one file has twice is numbered.

    Args:
        files: of each, (path, answer).
    """
    most = max((len(PurePath(path).parts) for answers in files for path, _ in answers), default=1)
    depth = next((depth for depth in range(1, most + 1) if all(_distinct(answers, depth) for answers in files)), most)
    return [_numbered(tuple((_tail(path, depth), answer) for path, answer in answers)) for answers in files]


def shared_answers(files: Sequence[Answers]) -> tuple[float | None, ...]:
    """Per cent of the first file's videos that every file answers as it does; empty where there are none."""
    first = dict(files[0])
    if not first:
        return ()
    shares: list[float | None] = []
    for answers in files:
        theirs = dict(answers)
        both = [name for name in first if name in theirs]
        shares.append(100 * sum(first[name] == theirs[name] for name in both) / len(both) if both else None)
    return tuple(shares)


def same_videos(files: Sequence[_Answered], named: Sequence[Answers]) -> list[str]:
    """What a reader must know of the videos that the files hold.

    Args:
        files: with their labels and their answers by path.
        named: their answers by the names that they are compared by.
    """
    notices = []
    if len({tuple(sorted(name for name, _ in answers)) for answers in named}) > 1:
        notices.append("The files are not of the same videos.")
    elif len({tuple(sorted(path for path, _ in file.answers)) for file in files}) > 1:
        notices.append("The videos are told by their names: the files have them in different folders.")
    for file in files:
        twice = [path for path, times in Counter(path for path, _ in file.answers).items() if times > 1]
        if twice:
            more = f" and {len(twice) - 1} more" if len(twice) > 1 else ""
            notices.append(f"{file.label} has a video more than once, matched in order: {twice[0]}{more}.")
    return notices


def _tail(path: str, depth: int) -> str:
    return "/".join(PurePath(path).parts[-depth:]) or path


def _distinct(answers: Answers, depth: int) -> bool:
    paths = {path for path, _ in answers}
    return len({_tail(path, depth) for path in paths}) == len({PurePath(path) for path in paths})


def _numbered(answers: Answers) -> Answers:
    seen: Counter[str] = Counter()
    found = []
    for name, answer in answers:
        seen[name] += 1
        found.append((name if seen[name] == 1 else f"{name} ({seen[name]})", answer))
    return tuple(found)
