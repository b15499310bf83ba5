"""A set of puppet videos as files: names, groups, lists and settings, laid out as UCF-101 is.

DIR/puppets.json                                 what the set was made with
DIR/videos/<Class>/v_<Class>_gNN_cNN.avi         gNN is one person
DIR/ucfTrainTestlist/{classInd,trainlist01,testlist01}.txt
"""

import json
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.puppets.actions import ACTIONS
from hybrid_cvar.records import DRAWN_MARK

__all__ = [
    "GENERATOR_VERSION",
    "LISTS",
    "SETTINGS",
    "VIDEOS",
    "PuppetOptions",
    "PuppetVideo",
    "check_set",
    "class_index",
    "list_texts",
    "plan_videos",
    "read_settings",
    "settings_text",
]

GENERATOR_VERSION = 1
"""Goes up whenever the same seed gives other videos."""
SETTINGS = DRAWN_MARK
VIDEOS = "videos"
LISTS = "ucfTrainTestlist"
TEST_GROUPS = range(1, 8)
TRAIN_GROUPS = range(8, 26)
MOST_VIDEOS = 1_000_000


@dataclass(frozen=True)
class PuppetOptions:
    """What to make.

    Attributes:
        folder: of the set; made if it is missing.
        videos: for training, all classes together.
        test_videos: for testing; a quarter of `videos` if None.
        seed: of everything, 0 or more.
        frames: of a video, at 25 a second; a GOP is 12 of them.
        workers: processes; the usable cores if None.
        overwrite: replace a set that was made with other settings, and make all of it again.

    Raises:
        ConfigError: a number is out of range.
    """

    folder: Path
    videos: int
    test_videos: int | None = None
    seed: int = 0
    frames: int = 96
    workers: int | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        limits = (
            ("videos", self.videos, len(ACTIONS), MOST_VIDEOS),
            ("test_videos", self.tests, 0, MOST_VIDEOS),
            ("seed", self.seed, 0, 2**63 - 1),
            ("frames", self.frames, 12, 1200),
            ("workers", 1 if self.workers is None else self.workers, 1, 1024),
        )
        for name, value, least, most in limits:
            if not least <= value <= most:
                raise ConfigError(f"{name} = {value}", f"must be {least} to {most}")

    @property
    def tests(self) -> int:
        """Videos for testing."""
        return self.videos // 4 if self.test_videos is None else self.test_videos

    @property
    def fixed(self) -> dict[str, int]:
        """What must stay the same while a set grows."""
        return {"generator_version": GENERATOR_VERSION, "seed": self.seed, "frames": self.frames}


@dataclass(frozen=True)
class PuppetVideo:
    """One video of a set.

    Attributes:
        action: one of `ACTIONS`.
        name: path below the folder of videos, with slashes.
        is_test: True if it is for testing.
        group: number of its person.
        seed: all numbers that it is drawn from.
        person_seed: those of its person.
    """

    action: str
    name: str
    is_test: bool
    group: int
    seed: tuple[int, ...]
    person_seed: tuple[int, ...]


def plan_videos(options: PuppetOptions) -> tuple[PuppetVideo, ...]:
    """All videos of a set, those for training first, one of each class by turns.

    A class's first videos are the same however many there are, and none depends on another one.
    """
    return (*_subset(options.seed, options.videos, False), *_subset(options.seed, options.tests, True))


def _subset(seed: int, videos: int, is_test: bool) -> list[PuppetVideo]:
    groups = TEST_GROUPS if is_test else TRAIN_GROUPS
    planned = []
    for number in range(videos):
        index, label = divmod(number, len(ACTIONS))
        action = ACTIONS[label]
        group, clip = groups[index % len(groups)], 1 + index // len(groups)
        name = f"{action}/v_{action}_g{group:02d}_c{clip:02d}.avi"
        subset = int(is_test)
        planned.append(
            PuppetVideo(action, name, is_test, group, (seed, subset, label, index), (seed, 2 + subset, group))
        )
    return planned


def class_index() -> str:
    """The text of `classInd.txt`."""
    return "".join(f"{number} {action}\n" for number, action in enumerate(ACTIONS, 1))


def list_texts(videos: tuple[PuppetVideo, ...]) -> dict[str, str]:
    """File name to text of the three lists."""
    ordered = sorted(videos, key=lambda video: (ACTIONS.index(video.action), video.group, len(video.name), video.name))
    return {
        "classInd.txt": class_index(),
        "trainlist01.txt": "".join(
            f"{video.name} {ACTIONS.index(video.action) + 1}\n" for video in ordered if not video.is_test
        ),
        "testlist01.txt": "".join(f"{video.name}\n" for video in ordered if video.is_test),
    }


def settings_text(options: PuppetOptions) -> str:
    """The text of `puppets.json`."""
    settings = options.fixed | {"train_videos": options.videos, "test_videos": options.tests}
    return json.dumps(settings, indent=2) + "\n"


def read_settings(folder: Path) -> dict[str, int] | None:
    """What the set in a folder was made with; None if no set lies there.

    Raises:
        ConfigError: the file is damaged.
    """
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        return {name: int(settings[name]) for name in ("generator_version", "seed", "frames")}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{path}: {type(error).__name__}: {error}",
            "it says what the set was made with",
            "restore it, or choose another folder",
        ) from error


def check_set(folder: Path, *, videos: int, test_videos: int, seed: int) -> None:
    """Looks whether the set that lies in a folder is the one that was asked for.

    Args:
        folder: of the set. A folder without settings is of another kind, and passes.
        videos, test_videos, seed: as of `PuppetOptions`.

    Raises:
        ConfigError: it is another set, or its settings are damaged.
    """
    found = read_settings(folder)
    if found is None:
        return
    asked = {"generator_version": GENERATOR_VERSION, "seed": seed}
    counts = {"train_videos": videos, "test_videos": test_videos}
    settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    wrong = {
        name: (settings.get(name), value) for name, value in (asked | counts).items() if settings.get(name) != value
    }
    if wrong:
        raise ConfigError(
            f"{folder}: " + ", ".join(f"{name} is {has}, not {value}" for name, (has, value) in wrong.items()),
            "a recipe's puppets are those that it describes",
            f"name the folder to take it as it is (--data {folder}), or draw it anew: hybrid-cvar data puppet "
            f"--out {folder} --videos {videos} --test-videos {test_videos} --seed {seed} --overwrite",
        )
