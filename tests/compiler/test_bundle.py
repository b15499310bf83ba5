"""Bundles: whole or absent, and every byte checked."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from hybrid_cvar.assets import SAMPLE_VIDEO
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.compiler.bundle import file_sha256, manifest_sha256
from hybrid_cvar.errors import BundleError, CheckpointError, CompileError, OutputError, ParityError

pytestmark = [pytest.mark.needs_compile, pytest.mark.needs_lava]


@pytest.fixture
def copy(small_bundle, tmp_path):
    path = tmp_path / "copy.bundle"
    shutil.copytree(small_bundle, path)
    return path


def take_clips(loaded):
    from hybrid_cvar.video import read_clips

    return read_clips(SAMPLE_VIDEO, loaded.config.input, 1).clips


def compile_it(checkpoint, output, **options):
    from hybrid_cvar.compiler.compile import compile_checkpoint

    return compile_checkpoint(checkpoint, output, options.pop("take_clips", take_clips), **options)


def edit_manifest(bundle, change):
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    manifest["manifest_sha256"] = manifest_sha256(manifest)
    path.write_text(json.dumps(manifest))


def edit_spiking(bundle, change):
    with h5py.File(bundle / "spiking.h5", "r+") as file:
        change(file)
    edit_manifest(bundle, lambda m: m["sha256"].update({"spiking.h5": file_sha256(bundle / "spiking.h5")}))


def test_reads_back_what_was_compiled(small_bundle, small_checkpoint):
    from hybrid_cvar.compiler.partition import partition_model
    from hybrid_cvar.model import load_checkpoint

    checkpoint = load_checkpoint(small_checkpoint)
    bundle = load_bundle(small_bundle)
    assert (bundle.name, bundle.labels, bundle.trained, bundle.input) == (
        "small-test",
        checkpoint.labels,
        False,
        checkpoint.config.input,
    )
    partitions = partition_model(checkpoint.build_model())
    for left, right in zip(partitions.stm.streams, bundle.stm.streams, strict=True):
        for a, b in zip(left.layers, right.layers, strict=True):
            np.testing.assert_array_equal(a.weight, b.weight)
            assert (a.name, a.threshold, a.decay, a.stride, a.padding, a.reset, a.graded_input) == (
                b.name,
                b.threshold,
                b.decay,
                b.stride,
                b.padding,
                b.reset,
                b.graded_input,
            )


def test_manifest_keeps_the_map_the_parity_and_the_hashes(small_bundle, small_checkpoint):
    manifest = json.loads((small_bundle / "manifest.json").read_text())
    assert [layer["name"] for layer in manifest["spiking"]["layers"]] == [
        "motion.0",
        "motion.1",
        "residual.0",
        "residual.1",
    ]
    assert all(row["passed"] for row in manifest["parity"]["rows"])
    assert manifest["checkpoint_sha256"] == file_sha256(small_checkpoint)
    assert {file.name for file in small_bundle.iterdir()} == {"manifest.json", "spiking.h5", "ann.onnx"}


@pytest.mark.parametrize("name", ["spiking.h5", "ann.onnx"])
def test_a_changed_byte_is_found(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} has changed"):
        load_bundle(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["input"].update(motion_step=9),
        lambda m: m["labels"].reverse(),
        lambda m: m.update(trained=True),
        lambda m: m.update(notice="Perfect."),
    ],
)
def test_a_changed_manifest_is_found(copy, change):
    path = copy / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"manifest\.json has changed"):
        load_bundle(copy)


def test_a_file_that_compile_did_not_write_is_refused(copy):
    (copy / "weights.bin").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"weights\.bin"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(format_version=99), "bundle version 99"),
        (lambda m: m.update(format="zip"), "not a bundle"),
        (lambda m: m.pop("labels"), "labels"),
        (lambda m: m.update(labels=[]), "different names"),
        (lambda m: m.update(labels=["a", "a", "b"]), "different names"),
        (lambda m: m.update(labels=["", "a", "b"]), "different names"),
        (lambda m: m.update(trained="false"), "'trained' is str"),
        (lambda m: m["input"].pop("crop"), "'crop' is unknown or missing"),
        (lambda m: m["input"].update(size=4096, timesteps=4096), "at most"),
        (lambda m: m["input"].update(size=64), "stream takes"),
        (lambda m: m["input"].update(gain=2), "'gain' is unknown"),
        (lambda m: m["input"].update(timesteps=0), "timesteps = 0"),
        (lambda m: m["sha256"].pop("ann.onnx"), "no hash"),
        (lambda m: m.update(sha256="none"), "no hash"),
    ],
)
def test_a_manifest_that_breaks_a_rule(copy, change, words):
    edit_manifest(copy, change)
    with pytest.raises(BundleError, match=words):
        load_bundle(copy)


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000])
def test_a_manifest_that_is_no_json_table(copy, text):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(BundleError):
        load_bundle(copy)


@pytest.mark.parametrize("name", ["manifest.json", "spiking.h5", "ann.onnx"])
def test_a_missing_file(copy, name):
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        load_bundle(copy)


def test_a_missing_bundle_and_a_file(tmp_path):
    with pytest.raises(BundleError, match="no such bundle"):
        load_bundle(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="is a file"):
        load_bundle(tmp_path / "file")


def replace(file, name, value):
    del file[name]
    file.create_dataset(name, data=value)


def as_group(file, name):
    del file[name]
    file.create_group(name)


def huge(file, name):
    """A terabyte that takes no room on disk."""
    del file[name]
    file.create_dataset(name, shape=(2**20, 2**20), dtype="u1", chunks=(2**10, 2**10))


def link(file, name):
    del file[name]
    file[name] = h5py.ExternalLink("/etc/passwd", "/weight")


def elsewhere(file, name):
    del file[name]
    file.create_dataset(name, shape=(2,), dtype="u1", external=[("/etc/hostname", 0, 2)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: replace(f, "motion/layer/1/neuron/vThMant", 2**17), "17 bit"),
        (lambda f: replace(f, "motion/layer/1/neuron/vDecay", 5000), "12 bit"),
        (lambda f: replace(f, "motion/layer/1/neuron/type", "SDNN"), "SDNN"),
        (lambda f: replace(f, "residual/layer/2/stride", [3, 0]), "at least 1"),
        (lambda f: replace(f, "residual/layer/2/groups", 2), "groups"),
        (lambda f: f.__delitem__("residual/layer"), "residual"),
        (lambda f: f["motion/layer/1/weight"].__setitem__((0, 0, 0, 0), 3), "even"),
        (lambda f: f["motion/layer/1/weight"].__setitem__((0, 0, 0, 0), 2.5), "whole numbers"),
        (lambda f: f["motion/layer/1/weight"].__setitem__((0, 0, 0, 0), float("nan")), "whole numbers"),
        (lambda f: replace(f, "motion/layer/1/neuron/vThMant", 3.7), "whole number"),
        (lambda f: replace(f, "motion/layer/1/neuron/vThMant", float("inf")), "vThMant"),
        (lambda f: replace(f, "motion/layer/1/neuron/vDecay", [1, 2]), "4 whole number"),
        (lambda f: as_group(f, "motion/layer/1/weight"), "not an array"),
        (lambda f: huge(f, "motion/layer/1/stride"), "at most 2"),
        (lambda f: huge(f, "motion/layer/1/weight"), "at most"),
        (lambda f: link(f, "motion/layer/1/weight"), "link"),
        (lambda f: elsewhere(f, "motion/layer/1/stride"), "another file"),
    ],
)
def test_a_spiking_file_that_no_engine_could_run(copy, change, words):
    edit_spiking(copy, change)
    with pytest.raises(BundleError, match=words):
        load_bundle(copy)


def test_a_parity_mismatch_fails_the_compile_and_leaves_nothing(small_checkpoint, tmp_path, monkeypatch):
    from hybrid_cvar.neuromorphic.conv_lif_core import ConvLifCore

    whole = ConvLifCore.run

    def off_by_one(self, events):
        spikes = whole(self, events)
        self.membrane += 1
        return spikes

    monkeypatch.setattr(ConvLifCore, "run", off_by_one)
    seen = []
    with pytest.raises(ParityError, match="SLAYER quantised -> native"):
        compile_it(small_checkpoint, tmp_path / "b", on_parity=seen.append)
    assert any(not row.passed for row in seen[0])
    assert list(tmp_path.iterdir()) == []


def test_an_onnx_mismatch_fails_the_compile(small_checkpoint, tmp_path, monkeypatch):
    from hybrid_cvar.compiler import compile as compile_module
    from hybrid_cvar.model import DeployedAnn

    export, forward = compile_module.export_ann, DeployedAnn.forward

    def export_then_change(*given):
        export(*given)
        monkeypatch.setattr(DeployedAnn, "forward", lambda self, *inputs: forward(self, *inputs) * 1.001)

    monkeypatch.setattr(compile_module, "export_ann", export_then_change)
    with pytest.raises(ParityError, match="torch ANN -> ONNX Runtime"):
        compile_it(small_checkpoint, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_at_any_stage_leaves_nothing(small_checkpoint, tmp_path):
    stages = []
    compile_it(small_checkpoint, tmp_path / "whole", on_stage=stages.append)
    assert len(stages) == 6
    for stage in stages:

        def stop_at(name, stage=stage):
            if name == stage:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            compile_it(small_checkpoint, tmp_path / "broken", on_stage=stop_at)
        assert [file.name for file in tmp_path.iterdir()] == ["whole"]


def test_no_clips_is_an_error(small_checkpoint, tmp_path):
    with pytest.raises(CompileError, match="no sample clips"):
        compile_it(small_checkpoint, tmp_path / "b", take_clips=lambda loaded: [])


def test_only_a_bundle_is_replaced_and_only_when_asked(small_checkpoint, copy, tmp_path):
    with pytest.raises(OutputError, match="--overwrite"):
        compile_it(small_checkpoint, copy)
    before = (copy / "manifest.json").read_text()
    with pytest.raises(CheckpointError):
        compile_it(tmp_path / "none.pt", copy, overwrite=True)
    assert (copy / "manifest.json").read_text() == before
    other = tmp_path / "precious"
    other.mkdir()
    (other / "thesis.tex").write_text("x")
    with pytest.raises(OutputError, match="no bundle"):
        compile_it(small_checkpoint, other, overwrite=True)
    assert (other / "thesis.tex").exists()
    compile_it(small_checkpoint, copy, overwrite=True)
    load_bundle(copy)


@pytest.mark.parametrize("parent", ["file", "none"])
def test_a_parent_that_is_no_folder(small_checkpoint, tmp_path, parent):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="no folder"):
        compile_it(small_checkpoint, tmp_path / parent / "b")


def test_a_folder_that_takes_no_files(small_checkpoint, tmp_path):
    with pytest.raises(OutputError, match="writable"):
        compile_it(small_checkpoint, Path("/proc/self/b"))


def test_a_file_with_stock_neurons_resets_hard(copy):
    edit_spiking(
        copy,
        lambda f: [replace(f, f"{s}/layer/{i}/neuron/type", "CUBA") for s in ("motion", "residual") for i in (1, 2)],
    )
    assert {layer.reset for stream in load_bundle(copy).stm.streams for layer in stream.layers} == {"hard"}


def test_a_failed_rename_brings_the_old_bundle_back(small_checkpoint, copy, monkeypatch):
    import os

    before = (copy / "manifest.json").read_bytes()
    rename = os.rename

    def refuse(source, target):
        if str(target) == str(copy) and "replaced" not in str(source):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr("hybrid_cvar.compiler.bundle_folder.os.rename", refuse)
    with pytest.raises(OutputError, match="No space"):
        compile_it(small_checkpoint, copy, overwrite=True)
    assert (copy / "manifest.json").read_bytes() == before
    assert [file.name for file in copy.parent.iterdir()] == [copy.name]
