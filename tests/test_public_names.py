"""`__all__` of every package is what a user sees, and no more."""

import importlib
import pkgutil

import pytest

import hybrid_cvar

PACKAGES = ["hybrid_cvar"] + [
    f"hybrid_cvar.{part}"
    for part in (
        "assets",
        "benchmark",
        "compiler",
        "data",
        "puppets",
        "training",
        "evaluation",
        "pictures",
        "energy",
        "model",
        "neuromorphic",
        "records",
        "reporting",
        "runtime",
        "video",
    )
]


@pytest.mark.needs_compile
@pytest.mark.parametrize("name", PACKAGES)
def test_all_names_exist_and_are_sorted(name):
    package = importlib.import_module(name)
    assert sorted(package.__all__) == sorted(set(package.__all__))
    for public in package.__all__:
        assert hasattr(package, public), f"{name}.{public} is listed but missing"


@pytest.mark.needs_compile
@pytest.mark.parametrize("name", PACKAGES)
def test_visible_names_are_listed(name):
    package = importlib.import_module(name)
    submodules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    visible = {public for public in dir(package) if not public.startswith("_")}
    helpers = {"prepare_slayer", "Path"}
    assert visible - submodules - helpers == {public for public in package.__all__ if not public.startswith("_")}


@pytest.mark.parametrize("name", PACKAGES)
def test_no_name_is_both_module_and_function(name):
    package = importlib.import_module(name)
    for module in pkgutil.iter_modules(package.__path__):
        assert not callable(getattr(package, module.name, None)), f"{name}.{module.name} is a module and a function"


def test_flow_lines_are_the_same_everywhere():
    from pathlib import Path

    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    lines = [line.strip() for line in hybrid_cvar.__doc__.splitlines() if "->" in line]
    assert len(lines) == 2
    from hybrid_cvar.cli import EPILOG

    for line in lines:
        assert line in readme
        assert line in EPILOG
