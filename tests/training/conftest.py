"""A tiny dataset of real videos in UCF-101's layout, and a recipe that learns it in seconds."""

import dataclasses
from pathlib import Path

import pytest

from hybrid_cvar.records import VideoDataset
from hybrid_cvar.video.encoding import encode_video

CLASSES = ("MoveLeft", "MoveRight")
SMALL_MODEL = {
    "name": "mini",
    "input.size": 64,
    "input.timesteps": 4,
    "stm.channels": (4, 4),
    "width": 32,
    "depth": 1,
    "heads": 2,
    "mlp_width": 32,
    "fold_width": 8,
    "fuse_width": 16,
    "rrdb_growth": 4,
}


@pytest.fixture(scope="session")
def moving_videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, six groups of one clip each; groups 1 and 2 are the test's. 170x128, three GOPs."""
    from hybrid_cvar.benchmark.moving_shapes import draw_video

    root = tmp_path_factory.mktemp("moving")
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    names = {"train": [], "test": []}
    for label, action in enumerate(("move left", "move right")):
        folder = root / "videos" / CLASSES[label]
        folder.mkdir(parents=True)
        for group in range(1, 7):
            name = f"{CLASSES[label]}/v_{CLASSES[label]}_g{group:02d}_c01.avi"
            encode_video(draw_video(action, group, 36, 170, 128), root / "videos" / name)
            names["test" if group < 3 else "train"].append((name, label + 1))
    (lists / "classInd.txt").write_text("".join(f"{i + 1} {name}\n" for i, name in enumerate(CLASSES)))
    (lists / "trainlist01.txt").write_text("".join(f"{name} {label}\n" for name, label in names["train"]))
    (lists / "testlist01.txt").write_text("".join(f"{name}\n" for name, _ in names["test"]))
    return root


@pytest.fixture
def moving_dataset(moving_videos: Path) -> VideoDataset:
    from hybrid_cvar.data import open_dataset

    return open_dataset(moving_videos, "train")


@pytest.fixture
def mini_recipe(moving_videos: Path):
    """Three epochs of three steps."""
    from hybrid_cvar.training.recipe import DataRecipe, ModelRecipe, OptimiserRecipe, Recipe, ScheduleRecipe

    return Recipe(
        name="mini",
        model=ModelRecipe(changes=SMALL_MODEL),
        data=DataRecipe(root=str(moving_videos), validation_share=0.25, clips=2),
        optimiser=OptimiserRecipe(kind="adamw", learning_rate=0.01),
        schedule=ScheduleRecipe(epochs=3, batch=2),
    )


@pytest.fixture
def changed():
    """A recipe with fields of one of its parts replaced, as in `changed(recipe, "schedule", epochs=1)`."""

    def change(recipe, part, **values):
        return dataclasses.replace(recipe, **{part: dataclasses.replace(getattr(recipe, part), **values)})

    return change
