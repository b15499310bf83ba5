"""Profiles as files: what they hold, and what is refused."""

from pathlib import Path

import pytest

from hybrid_cvar.energy import EnergyConstant, load_profile, profile_names
from hybrid_cvar.energy.profile import Chip, Quantity
from hybrid_cvar.errors import ConfigError

GOOD = """
format_version = 2
name = "mine"
description = "a test"
notice = "two books"
not_priced = ["memory"]
not_priced_unless_strict = ["products"]
[[spiking]]
operation = "AC"
counted_from = "synaptic_operations"
energy = { value = 0.9, unit = "pJ" }
time = { value = 3.5, unit = "us" }
conditions = "none"
source = "a paper"
[[spiking]]
operation = "update"
counted_from = "neuron_updates"
energy = { value = 2, unit = "nJ" }
conditions = "none"
source = "a paper"
[mac]
energy = { value = 4600, unit = "fJ" }
conditions = "none"
source = "a book"
[graded_mac]
counted_from = "synaptic_operations"
energy = { value = 1, unit = "pJ" }
conditions = "none"
source = "a paper"
[chip]
name = "a chip"
cores_a_tile = 4
barrier = [{ tiles = 1, value = 113, unit = "ns" }, { tiles = 32, value = 465000, unit = "ps" }]
conditions = "none"
source = "a third"
"""


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_the_shipped_profiles_load_under_their_own_names() -> None:
    assert profile_names() == (
        *("paper-45nm", "horowitz-45nm-fp16", "horowitz-45nm-int8", "loihi1-davies2018", "loihi1-sanafe"),
    )
    for name in profile_names():
        profile = load_profile(name)
        assert profile.name == name
        assert all(constant.source and constant.conditions for constant in profile.constants)


def test_the_default_is_the_papers() -> None:
    profile = load_profile()
    (accumulate,) = profile.spiking
    assert (profile.mac.picojoules, accumulate.picojoules) == (4.6, 0.9)
    assert (accumulate.operation, accumulate.counted_from) == ("AC", "synaptic_operations")
    assert profile.chip is None and profile.graded_mac is not None


# Horowitz's table (ISSCC 2014), 45 nm, pJ: FP32 add 0.9, mult 3.7; FP16 0.4, 1.1; INT32 add 0.1; INT8 mult 0.2.
@pytest.mark.parametrize(
    ("name", "multiply", "add"),
    [("paper-45nm", 3.7, 0.9), ("horowitz-45nm-fp16", 1.1, 0.4), ("horowitz-45nm-int8", 0.2, 0.1)],
)
def test_a_mac_is_a_multiplication_and_an_addition(name: str, multiply: float, add: float) -> None:
    profile = load_profile(name)
    assert profile.mac.picojoules == pytest.approx(multiply + add)
    assert profile.graded_mac is not None and profile.graded_mac.picojoules == profile.mac.picojoules
    assert [constant.picojoules for constant in profile.spiking] == [add]
    for words in (f"{multiply} pJ", f"{add} pJ", "45 nm"):
        assert words in profile.mac.conditions


@pytest.mark.parametrize(
    ("name", "constants", "barrier"),
    [
        (
            "loihi1-davies2018",
            {
                "stored_operations": (23.6, 3.5),
                "active_updates": (81, 8.4),
                "inactive_updates": (52, 5.3),
                "spikes_sent": (1.7, 2.1),
            },
            {1: 113, 32: 465},
        ),
        (
            "loihi1-sanafe",
            {
                "stored_operations": (24.0, 3.1),
                "neuron_updates": (51.2, 6.0),
                "active_updates": (21.6, 3.7),
                "spikes_out": (69.3, 30),
                "spikes_sent": (111, 5.1),
            },
            {1: 600, 2: 1000, 4: 1400, 29: 1800},
        ),
    ],
)
def test_the_loihi_profiles_hold_their_sources_numbers(
    name: str, constants: dict[str, tuple[float, float]], barrier: dict[int, float]
) -> None:
    profile = load_profile(name)
    found = {constant.counted_from: (constant.picojoules, constant.nanoseconds) for constant in profile.spiking}
    assert found == constants
    assert profile.mac.picojoules == 4.6 and "host" in profile.mac.conditions
    assert profile.chip is not None and profile.chip.name == "Loihi 1" and profile.chip.cores_a_tile == 4
    assert {tiles: time.nanoseconds for tiles, time in profile.chip.barrier} == pytest.approx(barrier)
    assert len({constant.source for constant in profile.spiking} | {profile.chip.source}) == 1


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    profile = load_profile(write(tmp_path, GOOD))
    assert profile.mac.picojoules == pytest.approx(4.6)
    assert profile.source == "a paper; a book"
    assert [(c.operation, c.picojoules, c.nanoseconds) for c in profile.spiking] == [
        ("AC", 0.9, 3500.0),
        ("update", 2000.0, None),
    ]
    assert profile.chip is not None
    assert [profile.chip.barrier_nanoseconds(tiles) for tiles in (1, 2, 32, 33)] == pytest.approx([113, 465, 465, 465])


def test_the_least_that_a_file_must_hold(tmp_path: Path) -> None:
    head, _, _ = GOOD.partition("[graded_mac]")
    profile = load_profile(write(tmp_path, head.replace('not_priced_unless_strict = ["products"]\n', "")))
    assert profile.graded_mac is None and profile.chip is None and profile.not_priced_unless_strict == ()
    with pytest.raises(ConfigError, match="strict"):
        profile.check_strict()


def test_a_notice_is_needed_where_sources_differ(tmp_path: Path) -> None:
    text = GOOD.replace('notice = "two books"\n', "")
    with pytest.raises(ConfigError, match="notice.*different sources"):
        load_profile(write(tmp_path, text))
    assert load_profile(write(tmp_path, text.replace('"a book"', '"a paper"'))).notice == ""


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="loihi-9.*paper-45nm") as caught:
        load_profile("loihi-9")
    assert caught.value.found and caught.value.rule and caught.value.remedy
    assert all(name in str(caught.value) for name in profile_names())


@pytest.mark.parametrize("name", ["loihi2", "loihi-2", "Loihi 2", "LOIHI_2", "loihi2-davies"])
def test_there_is_no_loihi_2_and_the_error_says_why(name: str) -> None:
    with pytest.raises(ConfigError, match="no sourced energy or time of an operation is public") as caught:
        load_profile(name)
    assert "loihi1-sanafe" in caught.value.remedy


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        load_profile(name)


def test_a_file_that_does_not_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "zero.toml"
    path.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="over 1048576 bytes|more than 1048576 bytes"):
        load_profile(str(path))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        # constants: missing, negative, not finite, not numbers
        ('energy = { value = 0.9, unit = "pJ" }\n', "", r"spiking\[1\] has no energy"),
        ("{ value = 0.9, ", "{ ", r"spiking\[1\]\.energy has no value"),
        ("value = 0.9", "value = -0.9", r"spiking\[1\]\.energy\.value = -0\.9"),
        ("value = 0.9", "value = nan", r"spiking\[1\]\.energy\.value = nan"),
        ("value = 0.9", "value = inf", r"spiking\[1\]\.energy\.value = inf"),
        ("value = 0.9", "value = true", "must be a number"),
        ("value = 0.9", 'value = "0.9"', "must be a number"),
        ("value = 0.9", "value = 1" + "0" * 400, "must be finite"),
        ("value = 0.9", "value = 1e308", r"spiking\[1\]\.energy\.value = 1e\+308 pJ; must be at most 1 J"),
        ("value = 0.9", "value = 1.1e12", r"spiking\[1\]\.energy\.value = .* pJ; must be at most 1 J"),
        ("value = 4600", "value = 1100000000000000", r"mac\.energy\.value = \d+ fJ; must be at most 1 J"),
        ("value = 3.5", "value = 1.1e6", r"spiking\[1\]\.time\.value = 1100000\.0 us; must be at most 1 s"),
        ("value = 113", "value = 1.1e9", r"chip\.barrier\[1\]\.value = .* ns; must be at most 1 s"),
        ("value = 3.5", "value = -3.5", r"spiking\[1\]\.time\.value = -3\.5"),
        ("value = 465000", "value = -1", r"chip\.barrier\[2\]\.value = -1"),
        ("value = 4600", "value = -4600", r"mac\.energy\.value = -4600"),
        # units: unknown, or of the other kind
        ('0.9, unit = "pJ"', '0.9, unit = "kWh"', r"'kWh'.*fJ, pJ, nJ"),
        ('0.9, unit = "pJ"', '0.9, unit = ["pJ"]', "must be one of"),
        ('0.9, unit = "pJ"', '0.9, unit = "ns"', r"spiking\[1\]\.energy\.unit = 'ns'; must be one of fJ, pJ, nJ"),
        ('3.5, unit = "us"', '3.5, unit = "pJ"', r"spiking\[1\]\.time\.unit = 'pJ'; must be one of ps, ns, us"),
        ('0.9, unit = "pJ"', '0.9, unit = "pj"', r"energy\.unit = 'pj'; must be one of fJ, pJ, nJ; "),
        ('3.5, unit = "us"', '3.5, unit = "ms"', r"time\.unit = 'ms'; must be one of ps, ns, us; "),
        ('113, unit = "ns"', '113, unit = "pJ"', r"chip\.barrier\[1\]\.unit = 'pJ'; must be one of ps, ns, us; "),
        ('energy = { value = 0.9, unit = "pJ" }', "energy = 0.9", "must be a table.*energy = { value"),
        # conventions
        ('counted_from = "neuron_updates"', 'counted_from = "neurons"', r"spiking\[2\]\.counted_from = 'neurons'"),
        ('counted_from = "neuron_updates"', 'counted_from = ""', "counted_from of 'update'"),
        ('counted_from = "neuron_updates"', "counted_from = 3", "counted_from = 3"),
        ('counted_from = "neuron_updates"\n', "", r"spiking\[2\] has no counted_from"),
        ('operation = "update"', 'operation = "AC"', "'AC' is priced twice"),
        ('operation = "update"', 'operation = ""', "operation = ''"),
        # texts
        ('source = "a third"', 'source = ""', r"chip\.source"),
        ('source = "a book"', 'sauce = "a book"', "mac has no source"),
        ('source = "a book"', 'source = "a book"\nyear = 2014', "'year'"),
        ('source = "a book"', 'source = "a book"\ntime = { value = 1, unit = "ns" }', "mac holds 'time'"),
        # the whole
        ("[mac]", "[add]", "has no mac"),
        ("[mac]", "[[mac]]", r"mac = \[.*must be a table"),
        ("format_version = 2\n", "", "no format_version"),
        ("format_version = 2", "format_version = 1", "format_version = 1.*must be 2"),
        ("format_version = 2", "format_version = true", "format_version = True"),
        ('name = "mine"', 'name = "mine"\nversion = 1', "'version'"),
        ('name = "mine"', "name = 3", "name = 3"),
        ('name = "mine"\n', "", "has no name"),
        ('notice = "two books"', "notice = 0", "notice"),
        ('not_priced = ["memory"]', "not_priced = []", "not_priced"),
        ('not_priced = ["memory"]', 'not_priced = "memory"', "not_priced"),
        ('not_priced = ["memory"]', "not_priced = [1]", "not_priced"),
        ('["products"]', "[1]", "not_priced_unless_strict"),
        ("[chip]", "[chip", "valid TOML"),
        # the chip
        ("cores_a_tile = 4", "cores_a_tile = 0", r"chip\.cores_a_tile = 0"),
        ("cores_a_tile = 4", "cores_a_tile = 4.0", r"chip\.cores_a_tile = 4\.0"),
        ("tiles = 32", "tiles = 1", r"barrier is for \[1, 1\]"),
        ("tiles = 1,", "tiles = -1,", r"chip\.tiles = -1"),
        ('time = { value = 3.5, unit = "us" }\n', "", r"\[chip\] without a time"),
    ],
)
def test_a_bad_profile_says_what_where_and_what_to_do(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    head, _, tail = GOOD.rpartition(old)
    with pytest.raises(ConfigError, match=says) as caught:
        load_profile(write(tmp_path, head + new + tail))
    error = caught.value
    assert "mine.toml" in error.found and error.rule and error.remedy
    assert "\n" not in str(error)


def test_no_spiking_constant_is_refused(tmp_path: Path) -> None:
    head, _, rest = GOOD.partition("[[spiking]]")
    rest = rest[rest.index("[mac]") :]
    for table, says in (("spiking = []\n", r"spiking = \[\]"), ("spiking = 3\n", "must be a list"), ("", "no spiking")):
        with pytest.raises(ConfigError, match=says):
            load_profile(write(tmp_path, head + table + rest))


def test_words_for_strict_need_a_constant_for_it(tmp_path: Path) -> None:
    head, _, rest = GOOD.partition("[graded_mac]")
    with pytest.raises(ConfigError, match="not_priced_unless_strict without graded_mac"):
        load_profile(write(tmp_path, head + rest[rest.index("[chip]") :]))


def test_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b'name = "\xff"')
    with pytest.raises(ConfigError, match="UTF-8"):
        load_profile(str(path))


def test_the_largest_constants_are_taken() -> None:
    assert Quantity(1e12, "pJ").picojoules == Quantity(10**9, "nJ").picojoules == 1e12
    assert Quantity(1e9, "ns").nanoseconds == Quantity(10**6, "us").nanoseconds == 1e9


def test_constants_made_in_code_are_checked_too() -> None:
    for value, unit in ((1.1e12, "pJ"), (1.1e6, "us"), (1e308, "nJ")):
        with pytest.raises(ConfigError, match="at most 1 [Js] an operation"):
            Quantity(value, unit)
    for value in (float("nan"), -1.0):
        with pytest.raises(ConfigError):
            Quantity(value, "pJ")
    with pytest.raises(ConfigError):
        EnergyConstant("AC", "neurons", Quantity(1, "pJ"), "c", "s")
    with pytest.raises(ConfigError):
        EnergyConstant("AC", "events_in", Quantity(1, "ns"), "c", "s")
    with pytest.raises(ConfigError):
        Chip("a", 4, (), "c", "s")
    with pytest.raises(ConfigError):
        Quantity(1, "ns").picojoules
