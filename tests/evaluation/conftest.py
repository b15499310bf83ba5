from pathlib import Path

import numpy as np
import pytest

from hybrid_cvar.records import LabelledVideo, MissingVideo, VideoDataset
from hybrid_cvar.video.encoding import encode_video


def moving_square(seed: int, frames: int = 36):
    """Textured frames, uint8 (48, 64, 3), of a square that moves by a step of its own."""
    rng = np.random.default_rng(seed)
    ground = rng.integers(40, 120, (48, 64, 3), dtype=np.uint8)
    figure = rng.integers(130, 255, (16, 16, 3), dtype=np.uint8)
    across, down = rng.integers(-2, 3, 2)
    for t in range(frames):
        picture = ground.copy()
        x, y = (int(24 + across * t) % 48, int(16 + down * t) % 32)
        picture[y : y + 16, x : x + 16] = figure
        yield picture


@pytest.fixture(scope="session")
def draw_dataset(tmp_path_factory):
    """(labels, videos a class) to a test subset of that many drawn videos of each class, its last label first."""

    def draw(labels: tuple[str, ...], each: int) -> VideoDataset:
        folder = tmp_path_factory.mktemp("drawn")
        turned = labels[::-1]
        videos = []
        for label, name in enumerate(turned):
            for number in range(each):
                path = folder / f"{label}_{number}.avi"
                encode_video(moving_square(100 * label + number), path)
                videos.append(LabelledVideo(f"{name}/{number}.avi", path, label))
        gone = (MissingVideo("gone.avi", "not found"),)
        return VideoDataset("ucf101", "test", 1, turned, tuple(videos), gone)

    return draw


@pytest.fixture
def broken_video(tmp_path: Path) -> Path:
    path = tmp_path / "broken.avi"
    path.write_bytes(b"RIFF, and no more than that")
    return path
