"""Which part of the package may import which: data flows one way."""

import ast
from pathlib import Path

import pytest

import hybrid_cvar

ROOT = Path(hybrid_cvar.__file__).parent
BASE = {
    *("errors", "version", "jit", "fixed_point", "atomic_file", "clip_colours", "lava_compat", "onnx_session"),
    *("record_values", "child_process"),
}
EVERYONE = BASE | {"records"}
ALLOWED = {
    "records": {"errors", "fixed_point"},
    "errors": set(),
    "version": set(),
    "jit": set(),
    "fixed_point": set(),
    "atomic_file": {"errors"},
    "clip_colours": set(),
    "lava_compat": {"errors"},
    "onnx_session": {"errors"},
    "record_values": {"errors"},
    "child_process": set(),
    "video": EVERYONE,
    "model": EVERYONE,
    "neuromorphic": EVERYONE,
    "data": EVERYONE | {"video"},
    "puppets": EVERYONE | {"video"},
    "pictures": EVERYONE | {"video", "model"},
    "training": EVERYONE | {"video", "model", "data"},
    "evaluation": EVERYONE | {"video", "model", "data", "energy", "compiler", "runtime"},
    "energy": EVERYONE,
    "reporting": EVERYONE,
    "compiler": EVERYONE | {"model", "neuromorphic"},
    "runtime": EVERYONE | {"video", "neuromorphic", "compiler"},
}
ON_TOP = {"assets", "batch", "benchmark", "cli", "doctor", "__init__", "__main__", "__pycache__", "py.typed"}
NO_TORCH = {"records", "errors", "video", "data", "puppets", "neuromorphic", "energy", "reporting", "runtime"}


def imports(file: Path) -> list[tuple[str, int]]:
    """(imported module, line) of every import in a file, also inside functions."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} uses a relative import"
            found += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
    return found


def part_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def test_every_part_has_a_row():
    assert {entry.name.removesuffix(".py") for entry in ROOT.iterdir()} - ON_TOP == set(ALLOWED)


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_part_imports_only_what_it_may(part):
    files = [file for file in ROOT.rglob("*.py") if part_of(file) == part]
    assert files
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in files
        for module, line in imports(file)
        if module.startswith("hybrid_cvar.") and module.split(".")[1] not in ALLOWED[part] | {part}
    ]
    assert not wrong


def test_torch_is_imported_only_where_models_are_made():
    wrong = [
        f"{file.relative_to(ROOT)}:{line}"
        for file in ROOT.rglob("*.py")
        for module, line in imports(file)
        if module.split(".")[0] == "torch" and part_of(file) in NO_TORCH
    ]
    assert not wrong


def test_nobody_imports_what_sits_on_top():
    top = {"cli", "batch", "benchmark", "doctor", "assets"}
    wrong = [
        f"{file.relative_to(ROOT)}:{line} imports {module}"
        for file in ROOT.rglob("*.py")
        for module, line in imports(file)
        if module.startswith("hybrid_cvar.") and module.split(".")[1] in top and part_of(file) not in ON_TOP
    ]
    assert not wrong
