"""What an installation brings, and what it must not."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_wheel_holds_only_the_package(wheel):
    roots = {name.split("/")[0] for name in wheel.namelist()}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"hybrid_cvar"}


def test_wheel_holds_every_data_file(wheel):
    names = set(wheel.namelist())
    wanted = [
        path.relative_to(ROOT).as_posix()
        for pattern in (
            "energy/profiles/*.toml",
            "neuromorphic/*.md",
            "neuromorphic/*.toml",
            "reporting/templates/*",
            "assets/**/*",
        )
        for path in (ROOT / "hybrid_cvar").glob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert "hybrid_cvar/assets/sample.avi" in wanted
    assert "hybrid_cvar/assets/default.bundle/ann.onnx" in wanted
    assert sorted(name for name in wanted if name not in names) == []


def test_base_install_needs_neither_torch_nor_lava(wheel):
    metadata = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    required = [
        line.removeprefix("Requires-Dist: ")
        for line in wheel.read(metadata).decode().splitlines()
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    ]
    assert required
    assert not [one for one in required if one.startswith(("torch", "lava", "onnx>", "onnx=", "onnxscript"))]


@pytest.mark.parametrize("folder", ["models", "deploy", "tests", "benchmarks"])
def test_other_folders_do_not_become_importable(wheel, folder):
    assert not [name for name in wheel.namelist() if name.startswith(f"{folder}/")]
