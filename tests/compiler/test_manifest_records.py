"""What compile wrote into a manifest is read back as it was; what is damaged is a BundleError that names the field."""

import copy
from dataclasses import replace

import pytest

from hybrid_cvar.assets import DEFAULT_BUNDLE, SAMPLE_VIDEO
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.compiler.manifest_records import read_parity, read_resources
from hybrid_cvar.errors import BundleError
from hybrid_cvar.neuromorphic.capacities import load_capacities
from hybrid_cvar.neuromorphic.resources import report_resources


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(DEFAULT_BUNDLE)


def test_the_shipped_bundles_resources_are_those_of_its_layers(bundle):
    read = read_resources(bundle)
    assert read == report_resources(bundle.stm, [load_capacities(chip) for chip in ("loihi-1", "loihi-2")])
    assert hash(read)  # tuples all the way down, no lists


def test_the_shipped_bundles_parity_has_passed(bundle):
    rows = read_parity(bundle)
    assert rows and all(row.passed for row in rows)
    assert "native -> Lava fixed_pt" in {row.compared for row in rows}


@pytest.mark.needs_compile
@pytest.mark.needs_lava
def test_what_compile_returns_is_what_is_read(small_checkpoint, tmp_path):
    from hybrid_cvar.compiler.compile import compile_checkpoint
    from hybrid_cvar.video import read_clips

    path = tmp_path / "small.bundle"
    result = compile_checkpoint(
        small_checkpoint, path, lambda loaded: read_clips(SAMPLE_VIDEO, loaded.config.input, 1).clips
    )
    back = load_bundle(path)
    assert read_resources(back) == result.resources
    assert read_parity(back) == result.parity


def test_a_manifest_that_does_not_say_is_no_error(bundle):
    silent = {name: value for name, value in bundle.manifest.items() if name not in ("resources", "parity")}
    assert read_resources(replace(bundle, manifest=silent)) is None
    assert read_parity(replace(bundle, manifest=silent)) == ()


def changed(bundle, change):
    manifest = copy.deepcopy(bundle.manifest)
    change(manifest)
    return replace(bundle, manifest=manifest)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(resources=None), r"resources = None; must be an object"),
        (lambda m: m["resources"]["layers"][1].pop("fan_in"), r"resources\.layers\[1\]: fan_in is missing"),
        (lambda m: m["resources"]["chips"][0].update(cores_at_least="62"), r"chips\[0\]\.cores_at_least = '62'; .*int"),
        (lambda m: m["resources"]["chips"][0]["layers"][0].update(tile=[8, 8]), r"tile: 2 values; must be 3"),
        (lambda m: m["resources"].update(assumptions="none"), r"assumptions = 'none'; must be a list"),
        (lambda m: m["resources"]["layers"][0].update(graded_input=1), r"graded_input = 1; must be bool"),
    ],
)
def test_damaged_resources_are_refused(bundle, change, words):
    with pytest.raises(BundleError, match=rf"bundle: manifest field .*{words}.*; compile the checkpoint again"):
        read_resources(changed(bundle, change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(parity=[]), "'parity' has no rows"),
        (lambda m: m["parity"].pop("rows"), "'parity' has no rows"),
        (lambda m: m["parity"].update(rows={}), r"parity\.rows = \{\}; must be a list"),
        (lambda m: m["parity"]["rows"][2].pop("rule"), r"parity\.rows\[2\]: rule is missing"),
        (lambda m: m["parity"]["rows"][0].update(passed="yes"), r"rows\[0\]\.passed = 'yes'; must be bool"),
        (lambda m: m["parity"]["rows"][0].update(largest_error=float("nan")), r"largest_error = nan; .*finite"),
    ],
)
def test_damaged_parity_is_refused(bundle, change, words):
    with pytest.raises(BundleError, match=rf"bundle: manifest field .*{words}.*; compile the checkpoint again"):
        read_parity(changed(bundle, change))
