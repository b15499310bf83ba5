"""Checkpoints: round trip, and nothing in them is trusted."""

import dataclasses
import pickle

import pytest
import torch

from hybrid_cvar.errors import CheckpointError, OutputError
from hybrid_cvar.model import Checkpoint, HybridCvarModel, load_checkpoint, save_checkpoint

pytestmark = pytest.mark.needs_compile


def content_of(path):
    return torch.load(path, weights_only=True)


def test_round_trip(small_checkpoint, tmp_path):
    loaded = load_checkpoint(small_checkpoint)
    copy = tmp_path / "copy.pt"
    save_checkpoint(loaded, copy)
    again = load_checkpoint(copy)
    assert (again.config, again.labels, again.trained, again.notice) == (
        loaded.config,
        loaded.labels,
        loaded.trained,
        loaded.notice,
    )
    assert again.state_dict.keys() == loaded.state_dict.keys()
    assert all(torch.equal(tensor, again.state_dict[name]) for name, tensor in loaded.state_dict.items())
    assert [file.name for file in tmp_path.iterdir()] == ["copy.pt"]


def test_a_checkpoint_of_before_there_was_a_choice_has_one_soft_threshold_a_layer(small_checkpoint, tmp_path):
    content = content_of(small_checkpoint)
    for name in ("neuron_parameters", "reset"):
        del content["config"]["stm"][name]
    path = tmp_path / "old.pt"
    torch.save(content, path)
    assert load_checkpoint(path).config == load_checkpoint(small_checkpoint).config
    neuron = load_checkpoint(path).build_model().stm["motion"].blocks[0].neuron
    assert (neuron.reset, neuron.threshold_value.shape) == ("soft", (1,))


def test_thresholds_and_leaks_of_channels_are_saved(small_checkpoint, tmp_path):
    old = load_checkpoint(small_checkpoint)
    config = dataclasses.replace(
        old.config, stm=dataclasses.replace(old.config.stm, neuron_parameters="channel", reset="hard")
    )
    model = HybridCvarModel(config, len(old.labels))
    with torch.no_grad():
        model.stm["residual"].blocks[1].neuron.threshold_value.copy_(torch.tensor([0.5, 1.0, 2.0, 4.0]))
    path = tmp_path / "channels.pt"
    save_checkpoint(Checkpoint(config, old.labels, model.state_dict(), trained=False), path)
    neuron = load_checkpoint(path).build_model().stm["residual"].blocks[1].neuron
    assert neuron.reset == "hard"
    assert neuron.threshold_integer.tolist() == [32, 64, 128, 256]
    with pytest.raises(CheckpointError, match="do not fit"):
        Checkpoint(old.config, old.labels, model.state_dict(), trained=False).build_model()


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_that_would_execute_code_is_refused_unread(tmp_path, zipped):
    marker, path = tmp_path / "executed", tmp_path / "evil.pt"
    if zipped:
        torch.save({"format": "hybrid-cvar/checkpoint", "version": 1, "config": Payload(marker)}, path)
    else:
        path.write_bytes(pickle.dumps(Payload(marker), protocol=2))
    with pytest.raises(CheckpointError, match="execute code"):
        load_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(version=99), "version 99"),
        (lambda c: c.update(format="other"), "format 'other'"),
        (lambda c: c.pop("labels"), "labels is missing"),
        (lambda c: c.update(labels=["a", "b"]), "2 labels for 3 classes"),
        (lambda c: c.update(labels=["a", "a", "b"]), "occurs twice"),
        (lambda c: c.update(labels="abc"), "list of names"),
        (lambda c: c["config"].update(width=17), "heads must divide"),
        (lambda c: c["config"].update(gain=1), "unknown field"),
        (
            lambda c: c["state_dict"].update({"ann.classifier.bias": torch.tensor([0.0, float("nan"), 0.0])}),
            "not finite",
        ),
        (lambda c: c["state_dict"].update({"ann.classifier.bias": "text"}), "only tensors"),
        (lambda c: c["state_dict"].update({3: torch.zeros(1)}), "only tensors"),
        (lambda c: c["state_dict"].update({"x": torch.zeros(2, 2).to_sparse()}), "only tensors"),
    ],
)
def test_refusals(small_checkpoint, tmp_path, change, words):
    content = content_of(small_checkpoint)
    change(content)
    path = tmp_path / "changed.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "change", [lambda s: s.pop("ann.context.position.place"), lambda s: s.update(extra=torch.zeros(1))]
)
def test_tensors_that_do_not_fit_are_refused(small_checkpoint, change):
    loaded = load_checkpoint(small_checkpoint)
    state = dict(loaded.state_dict)
    change(state)
    with pytest.raises(CheckpointError, match="do not fit"):
        Checkpoint(loaded.config, loaded.labels, state, False).build_model()


def test_a_config_too_large_for_its_tensors_takes_no_memory(small_checkpoint):
    import resource

    loaded = load_checkpoint(small_checkpoint)
    config = dataclasses.replace(loaded.config, width=8192, depth=400)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match="do not fit"):
        Checkpoint(config, loaded.labels, loaded.state_dict, False).build_model()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


@pytest.mark.parametrize("content", [b"", b"plain text", b"PK\x03\x04 cut off", b"(lp0\n.", b"ustar tar", b"\x80"])
def test_files_that_are_no_checkpoint(tmp_path, content):
    path = tmp_path / "no.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_checkpoint(tmp_path / "none.pt")
    with pytest.raises(CheckpointError, match="directory"):
        load_checkpoint(tmp_path)


def test_truncated_file(small_checkpoint, tmp_path):
    path = tmp_path / "cut.pt"
    path.write_bytes(small_checkpoint.read_bytes()[:-4000])
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_a_folder_that_cannot_be_written(small_checkpoint, tmp_path):
    with pytest.raises(OutputError):
        save_checkpoint(load_checkpoint(small_checkpoint), tmp_path / "none" / "x.pt")
