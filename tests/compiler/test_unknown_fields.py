"""A field that this release does not know is refused, never swallowed."""

import json
import shutil

import h5py
import pytest

from hybrid_cvar.assets import DEFAULT_BUNDLE
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.compiler.bundle import file_sha256, manifest_sha256
from hybrid_cvar.errors import BundleError, CheckpointError, ConfigError

TABLES = (
    *("", "spiking", "spiking.layers", "dense", "parity", "parity.rows", "alarms", "sha256"),
    *("resources", "resources.layers", "resources.chips", "resources.chips.layers", "resources.chips.violations"),
)


def edit(bundle, change):
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    manifest["manifest_sha256"] = manifest_sha256(manifest)
    path.write_text(json.dumps(manifest))


@pytest.fixture
def copy(small_bundle, tmp_path):
    path = tmp_path / "copy.bundle"
    shutil.copytree(small_bundle, path)
    return path


@pytest.mark.needs_compile
@pytest.mark.needs_lava
@pytest.mark.parametrize("where", TABLES)
def test_an_unknown_manifest_field(copy, where):
    def add(manifest):
        if where in ("alarms", "resources.chips.violations"):
            manifest["alarms"] = [{}]
        table = manifest
        for step in where.split(".") if where else ():
            table = table[step]
            if isinstance(table, list):
                table = table[0]
        table["gain"] = 2

    load_bundle(copy)
    edit(copy, add)
    name = f"{where}.gain".removeprefix(".")
    with pytest.raises(BundleError, match=f"manifest field '{name}' is unknown; nothing is ignored; compile"):
        load_bundle(copy)


def test_the_shipped_bundle_has_none():
    load_bundle(DEFAULT_BUNDLE)


H5_GROUPS = ("/", "motion", "motion/layer", "motion/layer/0", "residual/layer/2", "residual/layer/1/neuron")


@pytest.mark.needs_compile
@pytest.mark.needs_lava
@pytest.mark.parametrize("kind", ["dataset", "attribute"])
@pytest.mark.parametrize("group", H5_GROUPS)
def test_an_unknown_entry_of_the_spiking_file(copy, group, kind):
    with h5py.File(copy / "spiking.h5", "r+") as file:
        if kind == "dataset":
            file[group]["gain"] = 2
        else:
            file[group].attrs["gain"] = 2
    edit(copy, lambda manifest: manifest["sha256"].update({"spiking.h5": file_sha256(copy / "spiking.h5")}))
    with pytest.raises(BundleError, match="'gain', which is unknown; nothing is ignored"):
        load_bundle(copy)


@pytest.mark.needs_compile
def test_an_unknown_field_of_the_checkpoint(small_checkpoint, tmp_path):
    import torch

    from hybrid_cvar.model import load_checkpoint

    path = tmp_path / "more.pt"
    torch.save({**torch.load(small_checkpoint, weights_only=True), "gain": 2}, path)
    with pytest.raises(CheckpointError, match="field 'gain' is unknown"):
        load_checkpoint(path)


@pytest.mark.needs_compile
def test_an_unknown_tensor(small_checkpoint):
    import torch

    from hybrid_cvar.model import load_checkpoint

    checkpoint = load_checkpoint(small_checkpoint)
    checkpoint.state_dict["stm.motion.layers.0.neuron.gain"] = torch.ones(1)
    with pytest.raises(CheckpointError, match=r"stm\.motion\.layers\.0\.neuron\.gain"):
        checkpoint.build_model()


@pytest.mark.needs_compile
@pytest.mark.parametrize(("table", "words"), [((), "model config"), (("stm",), "stm config"), (("input",), "input")])
def test_an_unknown_config_field(small_checkpoint, table, words):
    from hybrid_cvar.model import load_checkpoint
    from hybrid_cvar.model.config import config_from_dict, config_to_dict

    plain = config_to_dict(load_checkpoint(small_checkpoint).config)
    place = plain
    for step in table:
        place = place[step]
    place["gain"] = 2
    with pytest.raises(ConfigError, match=f"{words}.*'gain'"):
        config_from_dict(plain)
