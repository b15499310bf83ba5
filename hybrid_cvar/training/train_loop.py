"""The training loop: recipe and dataset in, checkpoint and measured curves out.

    recipe.toml + dataset -> cache of GOPs -> epochs of random views -> checkpoint.pt, training.json

The forward pass of the spiking partition is SLAYER's fixed-point one, so what is trained is what is compiled; its
gradient is that of an inverse tangent of width 100 (paper Sec. 4.1).
"""

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from hybrid_cvar.data.metrics import score_answers
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.model import Checkpoint, save_checkpoint
from hybrid_cvar.records import EpochRow, TrainingRun, VideoDataset
from hybrid_cvar.training.clips import ClipBatch, EpochOrder, TrainingClips, clip_loader
from hybrid_cvar.training.diagnosis import check_gradients, check_loss, record_spike_rates
from hybrid_cvar.training.held_interrupt import HeldInterrupt
from hybrid_cvar.training.new_model import build_start, check_start, model_config
from hybrid_cvar.training.optimisation import build_optimiser, learning_rate_at, set_learning_rate
from hybrid_cvar.training.options import HALF, TrainObserver, TrainOptions
from hybrid_cvar.training.preparation import Material, gather_material, start_devices
from hybrid_cvar.training.recipe import Recipe
from hybrid_cvar.training.train_log import LOG_FILE, TrainLog
from hybrid_cvar.training.train_state import STATE_FILE, TrainState, load_state, run_identity, save_state
from hybrid_cvar.training.validation import video_logits

__all__ = ["CHECKPOINT_FILE", "RUN_FILES", "train"]

CHECKPOINT_FILE = "checkpoint.pt"
RUN_FILES = (CHECKPOINT_FILE, STATE_FILE, LOG_FILE, "training.json", "curves.png")
"""All that a run leaves in its folder, beside TensorBoard's."""
SAVE_SECONDS = 120.0
CALIBRATION_VIDEOS = 32


def train(
    recipe: Recipe, dataset: VideoDataset, options: TrainOptions, machine: str, observer: TrainObserver | None = None
) -> TrainingRun:
    """Runs a recipe to its end, or goes on with the run in `options.out`.

    The folder then holds `checkpoint.pt` (the best epoch's weights by validation, or the last's without one),
    `log.jsonl` (one line a step), `tensorboard/` and `state.pt`.

    Args:
        recipe: what to do.
        dataset: its training videos.
        options: the machine.
        machine: its description, for the record.
        observer: told of progress.

    Returns:
        What was measured.

    Raises:
        TrainingError: no usable videos, a loss or gradient that is no number, or a run of another recipe in the folder.
        ConfigError, CheckpointError: the recipe's model does not fit.
        OutputError: the folder cannot be written.
        KeyboardInterrupt: after the state was saved; at a second Ctrl-C at once, with the state of the last save.
    """
    check_start(recipe.model, recipe.folder)
    fabric = start_devices(options)
    watch = observer if observer is not None and fabric.is_global_zero else TrainObserver()
    material = gather_material(fabric, recipe, dataset, options, watch)
    run = _Run(fabric, recipe, dataset, options, material, watch)
    return run.to_the_end(machine)


class _Run:
    """One run, from its start or its saved state to its end."""

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        dataset: VideoDataset,
        options: TrainOptions,
        material: Material,
        watch: TrainObserver,
    ) -> None:
        self.fabric, self.recipe, self.dataset, self.options = fabric, recipe, dataset, options
        self.material, self.watch = material, watch
        self.config = model_config(recipe.model)
        self.clips = TrainingClips(material.cache, material.training, dataset.labels, recipe.augmentation, recipe.seed)
        self.order = EpochOrder(
            len(material.training), recipe.schedule.batch, recipe.seed, fabric.global_rank, fabric.world_size
        )
        if self.order.batch % fabric.world_size:
            raise ConfigError(
                f"{self.order.batch} videos a step on {fabric.world_size} devices",
                "all must take the same share",
                "choose schedule.batch or --devices so that one divides the other",
            )
        self.identity = run_identity(recipe, (each.video for each in material.training))
        self.model = build_start(recipe, self.config, dataset.labels, self._sample())
        if fabric.world_size > 1 and fabric.device.type == "cuda":
            torch.nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        optimiser = build_optimiser(self.model, recipe.optimiser)
        options.out.mkdir(parents=True, exist_ok=True)
        self.wrapped, self.optimiser = fabric.setup(self.model, optimiser)
        # After the set-up, so that the optimiser's moments go to the parameters' device.
        stored = load_state(options.out, self.identity, self.model, optimiser, fabric.strategy.precision)
        self.state = stored or TrainState(cache_seconds=material.seconds)
        if not fabric.is_global_zero:
            self.state.loss_sum, self.state.right = 0.0, 0  # the first device's hold all devices' until now
        self.is_between_steps = True
        self.log = TrainLog(options.out, self.state.step, enabled=fabric.is_global_zero)
        self.loss = torch.nn.CrossEntropyLoss(label_smoothing=recipe.optimiser.label_smoothing)
        self.started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Wall clock of the run, this session included."""
        return self.state.seconds + time.perf_counter() - self.started

    def to_the_end(self, machine: str) -> TrainingRun:
        """All epochs that are left."""
        schedule = self.recipe.schedule
        per_device = len(range(self.fabric.global_rank, self.order.batch, self.fabric.world_size))
        loader = clip_loader(self.clips, per_device, self.options.workers, self.order)
        self.watch.on_start(self.material.missing, self.state.epoch - 1, schedule.epochs, self.order.steps)
        ended = "finished"
        with self.log, HeldInterrupt(self.watch.on_interrupt) as self.interrupt:
            try:
                while self.state.epoch <= schedule.epochs:
                    if 0 < schedule.patience <= self.state.worse:
                        ended = f"stopped early: {self.state.worse} validations without a better one"
                        break
                    self._train_epoch(loader)
            except KeyboardInterrupt:
                # A half-done step would be done again: then the last saved state is the one to go on from.
                if self.is_between_steps:
                    self._save()
                raise
        return self._record(machine, ended)

    def _train_epoch(self, loader: DataLoader[ClipBatch]) -> None:
        state, schedule, settings = self.state, self.recipe.schedule, self.recipe.optimiser
        epoch_started = time.perf_counter()
        last_saved = epoch_started
        self.order.set_epoch(state.epoch, state.epoch_step)
        self.model.train()
        for batch in loader:
            self.interrupt.heed()
            self.is_between_steps = False
            rate = settings.learning_rate * learning_rate_at(state.step, self.order.steps, schedule)
            set_learning_rate(self.optimiser, rate)
            is_last = state.epoch_step == self.order.steps - 1
            with record_spike_rates(self.model, enabled=is_last) as recorded:
                logits = self._logits(self.wrapped, batch)
            label = batch.label.to(self.fabric.device)
            loss = self.loss(logits, label)
            value = float(loss.detach())
            if not math.isfinite(value):
                with self.fabric.autocast():
                    check_loss(self.model, self._inputs(batch), value, state.epoch, state.epoch_step + 1)
            self.optimiser.zero_grad()
            self.fabric.backward(loss)
            if self.options.precision != HALF:
                check_gradients(self.model, state.epoch, state.epoch_step + 1)
            if settings.clip_norm:
                self.fabric.clip_gradients(
                    self.wrapped, self.optimiser, max_norm=settings.clip_norm, error_if_nonfinite=False
                )
            self.optimiser.step()
            state.learning_rate = rate
            if recorded:
                state.spike_rates = tuple(recorded)
            state.loss_sum += value
            state.right += int((logits.argmax(dim=1) == label).sum())
            state.epoch_step += 1
            state.step += 1
            self.log.step(state.step, state.epoch, value, rate)
            self.is_between_steps = True
            self.watch.on_step(state.epoch, state.epoch_step, value)
            if time.perf_counter() - last_saved > SAVE_SECONDS:
                self._save()
                last_saved = time.perf_counter()
        self.interrupt.heed()
        self.is_between_steps = False
        self._end_epoch(epoch_started)
        self.is_between_steps = True

    def _end_epoch(self, epoch_started: float) -> None:
        state, schedule = self.state, self.recipe.schedule
        top1 = None
        if self.material.validation and (state.epoch % schedule.validate_every == 0 or state.epoch == schedule.epochs):
            self.watch.on_validation()
            top1 = self._validate()
        totals = self.fabric.all_reduce(
            torch.tensor([state.loss_sum, float(state.right)], dtype=torch.float64), reduce_op="sum"
        )
        row = EpochRow(
            epoch=state.epoch,
            steps=state.step,
            train_loss=float(totals[0]) / self.order.steps / self.fabric.world_size,
            train_top1=float(totals[1]) / (self.order.steps * self.order.batch),
            validation_top1=top1,
            learning_rate=state.learning_rate,
            spike_rates=state.spike_rates,
            seconds=time.perf_counter() - epoch_started,
        )
        # Of equal ones the later: its learning rate was smaller.
        best = not self.material.validation or (top1 is not None and top1 >= state.best_top1)
        if best:
            state.best_top1, state.best_epoch, state.worse = -1.0 if top1 is None else top1, state.epoch, 0
            self._keep_checkpoint(top1)
        elif top1 is not None:
            state.worse += 1
        self.log.epoch(row)
        state.rows.append(row)
        state.epoch += 1
        state.epoch_step, state.loss_sum, state.right, state.spike_rates = 0, 0.0, 0, ()
        self._save()
        self.watch.on_epoch(row, best)

    def _validate(self) -> float:
        videos = self.material.validation
        logits = video_logits(
            self.fabric, self.model, self.material.cache, videos, self.recipe.data.clips, self.options.workers
        )
        return score_answers(logits, [each.video.label for each in videos], self.dataset.labels).top1

    def _inputs(self, batch: ClipBatch) -> tuple[torch.Tensor, ...]:
        parts = (batch.iframe, batch.motion, batch.residual)
        return tuple(values.flatten(0, 1).to(self.fabric.device) for values in parts)

    def _logits(self, model: Callable[..., Any], batch: ClipBatch) -> torch.Tensor:
        """The mean over each video's segments, float32 (N, classes)."""
        logits: torch.Tensor = model(*self._inputs(batch)).float()
        return logits.unflatten(0, batch.iframe.shape[:2]).mean(dim=1)

    def _sample(self) -> ClipBatch:
        """Training clips spread over the classes, the same on every device."""
        step = max(1, len(self.clips) // CALIBRATION_VIDEOS)
        positions: Iterable[tuple[int, int]] = [(0, at) for at in range(0, len(self.clips), step)][:CALIBRATION_VIDEOS]
        return next(iter(clip_loader(self.clips, CALIBRATION_VIDEOS, 0, positions)))  # type: ignore[arg-type]

    def _keep_checkpoint(self, top1: float | None) -> None:
        if self.fabric.is_global_zero:
            save_checkpoint(self._checkpoint(top1), self.options.out / CHECKPOINT_FILE)

    def _checkpoint(self, top1: float | None) -> Checkpoint:
        kind = "drawn puppets" if self._is_drawn else self.dataset.kind
        seen = f"Trained on {len(self.material.training)} videos ({kind}) by recipe {self.recipe.name}"
        checked = (
            f"; top-1 on {len(self.material.validation)} held-out validation videos {top1:.1%} (measured)"
            if top1 is not None
            else ""
        )
        drawn = " It has seen drawn figures only and recognises nothing of real people." if self._is_drawn else ""
        return Checkpoint(
            self.config, self.dataset.labels, self.model.state_dict(), trained=True, notice=f"{seen}{checked}.{drawn}"
        )

    @property
    def _is_drawn(self) -> bool:
        return self.recipe.data.puppets is not None or self.dataset.is_drawn

    def _save(self) -> None:
        if self.fabric.is_global_zero:
            self.log.flush()
            state = dataclasses.replace(self.state, seconds=self.seconds)
            save_state(
                self.options.out, self.identity, state, self.model, self.optimiser, self.fabric.strategy.precision
            )

    def _record(self, machine: str, ended: str) -> TrainingRun:
        self.fabric.barrier()  # the first device writes the checkpoint that all read here
        device = self.fabric.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        content = (self.options.out / CHECKPOINT_FILE).read_bytes()
        return TrainingRun(
            recipe=self.recipe.name,
            model=self.config.name,
            parameters=sum(each.numel() for each in self.model.parameters()),
            dataset=self.dataset.kind,
            labels=self.dataset.labels,
            train_videos=len(self.material.training),
            validation_videos=len(self.material.validation),
            missing_videos=len(self.material.missing),
            seed=self.recipe.seed,
            batch=self.order.batch,
            segments=self.recipe.augmentation.segments,
            epochs=tuple(self.state.rows),
            best_epoch=self.state.best_epoch,
            ended=ended,
            seconds=self.seconds,
            cache_seconds=self.state.cache_seconds,
            machine=machine,
            device=f"{self.fabric.world_size} x {name}",
            precision=self.options.precision,
            checkpoint_sha256=hashlib.sha256(content).hexdigest(),
        )
