from pathlib import Path

import pytest

from hybrid_cvar.energy import EnergyConstant, load_profile, profile_names
from hybrid_cvar.errors import ConfigError

GOOD = """
name = "mine"
description = "a test"
not_priced = ["memory"]
[constants.mac]
value = 4600
unit = "fJ"
conditions = "none"
source = "a book"
[constants.ac]
value = 0.9
unit = "pJ"
conditions = "none"
source = "a paper"
"""


def test_every_shipped_profile_loads_under_its_own_name() -> None:
    assert "paper-45nm" in profile_names()
    for name in profile_names():
        profile = load_profile(name)
        assert profile.name == name
        assert profile.mac.source and profile.ac.source


def test_the_default_is_the_papers() -> None:
    profile = load_profile()
    assert (profile.mac.picojoules, profile.ac.picojoules) == (4.6, 0.9)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    profile = load_profile(str(path))
    assert profile.mac.picojoules == pytest.approx(4.6)
    assert profile.source == "a book; a paper"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="loihi-9.*paper-45nm") as caught:
        load_profile("loihi-9")
    assert caught.value.found and caught.value.rule and caught.value.remedy


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        load_profile(name)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("value = 0.9\n", "", r"constants\.ac has no value"),
        ("value = 0.9", "value = -0.9", r"constants\.ac\.value = -0\.9"),
        ("value = 0.9", "value = nan", r"constants\.ac\.value = nan"),
        ("value = 0.9", "value = inf", r"constants\.ac\.value = inf"),
        ("value = 0.9", "value = true", "must be a number"),
        ("value = 0.9", 'value = "0.9"', "must be a number"),
        ("value = 0.9", "value = 1" + "0" * 400, "must be finite"),
        ('unit = "pJ"', 'unit = "kWh"', "'kWh'.*fJ, pJ, nJ"),
        ('unit = "pJ"', 'unit = ["pJ"]', "must be one of"),
        ('source = "a paper"', 'source = ""', "source"),
        ('source = "a paper"', 'sauce = "a paper"', "source"),
        ('source = "a paper"', 'source = "a paper"\nyear = 2014', "'year'"),
        ("[constants.ac]", "[constants.add]", "has no ac"),
        ('name = "mine"', 'name = "mine"\nversion = 1', "'version'"),
        ('name = "mine"', "name = 3", "name = 3"),
        ('name = "mine"\n', "", "has no name"),
        ('not_priced = ["memory"]', "not_priced = []", "not_priced"),
        ('not_priced = ["memory"]', 'not_priced = "memory"', "not_priced"),
        ('not_priced = ["memory"]', "not_priced = [1]", "not_priced"),
        ("[constants.ac]", "[constants.ac", "valid TOML"),
    ],
)
def test_a_bad_profile_says_what_where_and_what_to_do(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    path = tmp_path / "mine.toml"
    head, _, tail = GOOD.rpartition(old)
    path.write_text(head + new + tail)
    with pytest.raises(ConfigError, match=says) as caught:
        load_profile(str(path))
    error = caught.value
    assert "mine.toml" in error.found and error.rule and error.remedy


def test_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(ConfigError, match="UTF-8"):
        load_profile(str(path))


def test_constants_made_in_code_are_checked_too() -> None:
    with pytest.raises(ConfigError):
        EnergyConstant(value=float("nan"), unit="pJ", conditions="c", source="s")
