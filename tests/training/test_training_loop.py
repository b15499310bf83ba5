"""The loop: it learns, goes on to the same losses, stops early, and says why a number stopped being one."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hybrid_cvar.errors import ConfigError, TrainingError
from hybrid_cvar.records import LabelledVideo, MissingVideo

pytestmark = pytest.mark.needs_compile


def losses(folder: Path) -> list[float]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["step"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["loss"] for row in rows]


@pytest.fixture
def start(tmp_path):
    """A function that runs a recipe in tmp_path/<name>; keywords are fields of `TrainObserver`."""
    from hybrid_cvar.training import TrainObserver, TrainOptions, train

    def begin(recipe, dataset, name="run", workers=0, **observed):
        options = TrainOptions(tmp_path / name, tmp_path / "cache", "cpu", workers=workers)
        return train(recipe, dataset, options, "this machine", TrainObserver(**observed))

    begin.folder = tmp_path
    return begin


def interrupt_at(wanted_epoch, wanted_step):
    def on_step(epoch, step, loss):
        if (epoch, step) == (wanted_epoch, wanted_step):
            raise KeyboardInterrupt

    return on_step


def test_a_run_leaves_a_checkpoint_that_compiles_and_a_true_record(mini_recipe, moving_dataset, start, tmp_path):
    import hashlib

    from hybrid_cvar.model import load_checkpoint

    seen = []
    run = start(mini_recipe, moving_dataset, on_epoch=lambda row, best: seen.append((row, best)))
    path = tmp_path / "run" / "checkpoint.pt"
    checkpoint = load_checkpoint(path)
    assert checkpoint.trained and checkpoint.labels == ("MoveLeft", "MoveRight")
    assert "6 videos (ucf101)" in checkpoint.notice and "2 held-out validation videos" in checkpoint.notice
    checkpoint.build_model()
    assert run.checkpoint_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (run.train_videos, run.validation_videos, run.missing_videos, run.batch) == (6, 2, 0, 2)
    assert [row.steps for row in run.epochs] == [3, 6, 9]
    assert run.epochs == tuple(row for row, _ in seen)
    assert run.best_epoch == max(row.epoch for row, best in seen if best)
    assert run.ended == "finished"
    values = losses(tmp_path / "run")
    for row in run.epochs:
        assert row.train_loss == pytest.approx(sum(values[row.steps - 3 : row.steps]) / 3)
        assert {name for name, _ in row.spike_rates} == {"motion.0", "motion.1", "residual.0", "residual.1"}
        assert all(0 < rate < 0.5 for _, rate in row.spike_rates)
    assert any((tmp_path / "run" / "tensorboard").iterdir())


def test_it_learns_the_direction(mini_recipe, moving_dataset, start, changed):
    recipe = changed(mini_recipe, "schedule", epochs=25, batch=6)
    run = start(changed(recipe, "augmentation", scales=(1.0,)), moving_dataset)
    assert run.epochs[0].train_loss > 0.5
    assert run.epochs[-1].train_loss < 0.2
    assert run.epochs[-1].validation_top1 == 1.0


@pytest.mark.parametrize("at", [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_an_interrupted_run_goes_on_to_the_same_losses(mini_recipe, moving_dataset, start, tmp_path, at):
    import torch

    whole = start(mini_recipe, moving_dataset, "whole")
    with pytest.raises(KeyboardInterrupt):
        start(mini_recipe, moving_dataset, "cut", on_step=interrupt_at(*at))
    started = []
    cut = start(mini_recipe, moving_dataset, "cut", on_start=lambda missing, done, *rest: started.append(done))
    assert started == [at[0] - 1]
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    same = [dataclasses.replace(row, seconds=0.0) for row in whole.epochs]
    if at[1] < 3:  # spike rates are those of the epoch's last step, which the second part has run
        assert [dataclasses.replace(row, seconds=0.0) for row in cut.epochs] == same
    left, right = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("cut", "whole"))
    assert all(torch.equal(left["state_dict"][name], right["state_dict"][name]) for name in left["state_dict"])


@pytest.mark.parametrize("inside", ["backward", "step", "validate", "keep"])
def test_a_run_cut_off_in_the_middle_of_a_step_goes_on_to_the_same_losses(
    mini_recipe, moving_dataset, start, tmp_path, monkeypatch, inside
):
    """As by a second Ctrl-C, or a kill: the state of the last whole step counts."""
    import torch

    from hybrid_cvar.training import train_loop

    whole = start(mini_recipe, moving_dataset, "whole")
    place, name = {
        "backward": (torch.Tensor, "backward"),
        "step": (torch.optim.AdamW, "step"),
        "validate": (train_loop._Run, "_validate"),
        "keep": (train_loop._Run, "_keep_checkpoint"),
    }[inside]
    plain, calls = getattr(place, name), []

    def cut_off(*given, **options):
        result = plain(*given, **options)
        calls.append(1)
        if len(calls) == (4 if inside in ("backward", "step") else 1):
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(train_loop, "SAVE_SECONDS", 0.0)
        patch.setattr(place, name, cut_off)
        with pytest.raises(KeyboardInterrupt):
            start(mini_recipe, moving_dataset, "cut")
    cut = start(mini_recipe, moving_dataset, "cut")
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    rows = [[dataclasses.replace(row, seconds=0.0) for row in run.epochs] for run in (cut, whole)]
    assert rows[0] == rows[1]
    left, right = (torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("cut", "whole"))
    assert all(torch.equal(left["state_dict"][name], right["state_dict"][name]) for name in left["state_dict"])


def test_ctrl_c_waits_for_the_end_of_the_step_and_keeps_it(mini_recipe, moving_dataset, start, tmp_path, monkeypatch):
    import signal

    import torch

    heard = []
    plain = torch.Tensor.backward
    handler = signal.getsignal(signal.SIGINT)

    def backward(*given, **options):
        if not heard:
            signal.raise_signal(signal.SIGINT)
        return plain(*given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "backward", backward)
        with pytest.raises(KeyboardInterrupt):
            start(mini_recipe, moving_dataset, on_interrupt=lambda: heard.append(True))
    assert len(losses(tmp_path / "run")) == 1 and heard == [True]
    assert signal.getsignal(signal.SIGINT) is handler
    steps = []
    start(mini_recipe, moving_dataset, on_step=lambda epoch, step, loss: steps.append((epoch, step)))
    assert steps[0] == (1, 2)


def test_losses_do_not_depend_on_the_loader_processes(mini_recipe, moving_dataset, start, tmp_path, changed):
    recipe = changed(mini_recipe, "schedule", epochs=1)
    start(recipe, moving_dataset, "alone")
    start(recipe, moving_dataset, "helped", workers=2)
    assert losses(tmp_path / "alone") == losses(tmp_path / "helped")


def test_a_finished_run_is_not_run_again(mini_recipe, moving_dataset, start, changed):
    recipe = changed(mini_recipe, "schedule", epochs=1)
    first = start(recipe, moving_dataset)
    again = start(recipe, moving_dataset, on_step=lambda *step: pytest.fail("trained"))
    assert again.epochs == first.epochs


def test_a_run_of_another_recipe_is_not_gone_on_with(mini_recipe, moving_dataset, start, tmp_path, changed):
    start(changed(mini_recipe, "schedule", epochs=1), moving_dataset)
    with pytest.raises(TrainingError, match="of another recipe.*--restart"):
        start(changed(mini_recipe, "schedule", epochs=2), moving_dataset)
    state = tmp_path / "run" / "state.pt"
    state.write_bytes(state.read_bytes()[:500])
    with pytest.raises(TrainingError, match=r"state\.pt: cannot be read"):
        start(changed(mini_recipe, "schedule", epochs=1), moving_dataset)


def test_patience_ends_a_run_and_the_best_weights_are_kept(mini_recipe, moving_dataset, start, changed, monkeypatch):
    from hybrid_cvar.training import train_loop

    given = iter([0.5, 1.0, 0.5, 0.5, 0.5])
    monkeypatch.setattr(train_loop._Run, "_validate", lambda run: next(given))
    run = start(changed(mini_recipe, "schedule", epochs=9, patience=2), moving_dataset)
    again = start(changed(mini_recipe, "schedule", epochs=9, patience=2), moving_dataset)
    for each in (run, again):
        assert [row.epoch for row in each.epochs] == [1, 2, 3, 4]
        assert each.best_epoch == 2
        assert each.ended == "stopped early: 2 validations without a better one"


def test_without_validation_videos_the_last_weights_are_kept(mini_recipe, moving_dataset, start, changed):
    run = start(changed(mini_recipe, "data", validation_share=0.0), moving_dataset)
    assert run.best_epoch == 3
    assert all(row.validation_top1 is None for row in run.epochs)


def test_broken_videos_are_left_out_and_listed(mini_recipe, moving_dataset, start, tmp_path, changed):
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"RIFF")
    dataset = dataclasses.replace(
        moving_dataset,
        videos=(*moving_dataset.videos, LabelledVideo("broken", broken, 0)),
        missing=(MissingVideo("gone", "no file"),),
    )
    listed = []
    run = start(
        changed(mini_recipe, "schedule", epochs=1), dataset, on_start=lambda missing, *rest: listed.extend(missing)
    )
    assert run.missing_videos == 2
    assert [each.name for each in listed] == ["gone", "broken"]
    assert "broken.avi" in listed[1].reason


def test_no_usable_video_is_one_clear_error(mini_recipe, moving_dataset, start):
    with pytest.raises(TrainingError, match="0 usable training videos, 0 missing"):
        start(mini_recipe, dataclasses.replace(moving_dataset, videos=()))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            "weight",
            r"step 2: the loss is nan: ann\.classifier\.bias is not finite; .*smaller learning rate.*--restart",
        ),
        ("output", r"epoch 1, step 2: the loss is nan: the output of ann\.pool"),
        ("gradient", r"epoch 1, step 2: the gradient of ann\.classifier\.weight is not finite"),
    ],
)
def test_a_number_that_is_none_stops_with_its_cause(
    mini_recipe, moving_dataset, start, monkeypatch, tmp_path, spoil, message
):
    import torch

    from hybrid_cvar.training import train_loop

    models = []
    build = train_loop.build_start
    monkeypatch.setattr(train_loop, "build_start", lambda *given: models.append(build(*given)) or models[0])

    def on_step(epoch, step, loss):
        ann = models[0].ann
        if spoil == "weight":
            with torch.no_grad():
                ann.classifier.bias[0] = float("nan")
        elif spoil == "output":
            ann.pool.register_forward_hook(lambda module, given, result: result * float("nan"))
        else:
            ann.classifier.weight.register_hook(lambda gradient: gradient * float("inf"))

    with pytest.raises(TrainingError, match=message):
        start(mini_recipe, moving_dataset, on_step=on_step)


def test_a_recipe_can_start_from_weights_of_other_classes(mini_recipe, moving_dataset, start, tmp_path, changed):
    import torch

    from hybrid_cvar.model import Checkpoint, HybridCvarModel, save_checkpoint
    from hybrid_cvar.training.new_model import model_config

    config = model_config(mini_recipe.model)
    torch.manual_seed(3)
    other = HybridCvarModel(config, 5)
    labels = tuple("abcde")
    save_checkpoint(Checkpoint(config, labels, other.state_dict(), trained=True), tmp_path / "other.pt")
    recipe = dataclasses.replace(changed(mini_recipe, "model", weights="other.pt"), folder=tmp_path)
    recipe = changed(recipe, "schedule", epochs=1)
    first = []

    def on_start(*given):
        first.append(True)

    run = start(changed(recipe, "optimiser", learning_rate=1e-9), moving_dataset, on_start=on_start)
    kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["state_dict"]
    name = "stm.motion.layers.0.synapse.weight"
    assert torch.allclose(kept[name], other.state_dict()[name], atol=1e-6)
    assert kept["ann.classifier.bias"].shape == (2,) and run.labels == moving_dataset.labels
    wider = changed(recipe, "model", changes={**mini_recipe.model.changes, "width": 64})
    with pytest.raises(ConfigError, match=r"model\.weights = .*other\.pt: tensor ann\..* does not fit"):
        start(wider, moving_dataset, "wider")


def test_weights_that_are_not_there_are_told_before_any_video_is_read(mini_recipe, moving_dataset, start, changed):
    from hybrid_cvar.errors import CheckpointError

    with pytest.raises(CheckpointError, match=r"none\.pt: no such file"):
        start(
            changed(mini_recipe, "model", weights="none.pt"),
            moving_dataset,
            on_cache=lambda videos: pytest.fail("decoded"),
        )


def test_a_classifier_of_the_same_number_of_other_classes_starts_anew(mini_recipe, moving_dataset, start, changed):
    import torch

    from hybrid_cvar.model import Checkpoint, HybridCvarModel, save_checkpoint
    from hybrid_cvar.training.new_model import _load_weights, model_config

    config = model_config(mini_recipe.model)
    stored, model = HybridCvarModel(config, 2), HybridCvarModel(config, 2)
    own = model.ann.classifier.weight.detach().clone()
    path = start.folder / "stored.pt"
    save_checkpoint(Checkpoint(config, ("a", "b"), stored.state_dict(), trained=True), path)
    _load_weights(model, path, ("b", "a"))
    assert torch.equal(model.ann.classifier.weight, own)
    _load_weights(model, path, ("a", "b"))
    assert torch.equal(model.ann.classifier.weight, stored.ann.classifier.weight)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"accelerator": "cuda", "devices": 999}, "accelerator = cuda, devices = 999: .*; the machine must have them"),
        ({"accelerator": "cpu", "precision": "16-mixed"}, "16-mixed on a CPU; float16 is for GPUs"),
    ],
)
def test_devices_that_cannot_be_are_one_clear_error(mini_recipe, moving_dataset, tmp_path, options, message):
    from hybrid_cvar.training import TrainOptions, train

    with pytest.raises(ConfigError, match=message):
        train(mini_recipe, moving_dataset, TrainOptions(tmp_path / "run", tmp_path / "cache", **options), "here")


def test_segments_are_averaged_before_the_loss(mini_recipe, moving_dataset, start, changed):
    recipe = changed(changed(mini_recipe, "augmentation", segments=2), "schedule", epochs=1)
    assert start(recipe, moving_dataset).segments == 2


def test_two_processes_share_each_batch(mini_recipe, moving_videos, tmp_path):
    """Under torchrun, on two CPU processes: one log, one checkpoint, and the losses of a common model."""
    recipe = tmp_path / "two" / "recipe.toml"
    recipe.parent.mkdir()
    changes = ", ".join(
        f"{json.dumps(name)} = {json.dumps(value)}" for name, value in mini_recipe.model.changes.items()
    )
    recipe.write_text(
        f"[model]\nchanges = {{ {changes} }}\n[data]\nroot = {json.dumps(str(moving_videos))}\nclips = 2\n"
        "validation_share = 0.25\n[schedule]\nepochs = 2\nbatch = 4\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "hybrid_cvar", "train"]
    options = ["--out", "run", "--cache", "cache", "--accelerator", "cpu", "--devices", "2", "--workers", "0"]
    result = subprocess.run(
        [*command, str(recipe), *options],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("finished: 2 epochs") == 1
    assert len(losses(tmp_path / "run")) == 2
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert "2 x cpu" in json.dumps(record)
    shutil.rmtree(tmp_path / "cache")
