"""A trained run of an ablation, measured on the test videos."""

import time
from collections.abc import Sequence

from lightning_fabric import Fabric

from hybrid_cvar.data.direction import pair_directions
from hybrid_cvar.data.fill_cache import fill_cache
from hybrid_cvar.data.gop_cache import GopCache
from hybrid_cvar.data.metrics import score_answers
from hybrid_cvar.errors import TrainingError
from hybrid_cvar.model import load_checkpoint
from hybrid_cvar.model.describe import describe_model
from hybrid_cvar.records import AblationMeasurement, TrainingRun, VideoDataset
from hybrid_cvar.training.options import TrainObserver, TrainOptions
from hybrid_cvar.training.recipe import Recipe
from hybrid_cvar.training.train_loop import CHECKPOINT_FILE
from hybrid_cvar.training.validation import video_logits
from hybrid_cvar.video.background import usable_cores

__all__ = ["measure_run"]


def measure_run(
    fabric: Fabric,
    recipe: Recipe,
    trained: TrainingRun,
    test: VideoDataset,
    options: TrainOptions,
    pairs: Sequence[tuple[str, str]],
    observer: TrainObserver,
) -> AblationMeasurement:
    """Runs the kept weights on every test video, with the quantised forward pass of training.

    Args:
        fabric: the devices, launched.
        recipe: of the run.
        trained: its record.
        test: the videos.
        options: of the run; `out` is its own folder.
        pairs: time-reversed pairs of classes.
        observer: told of decoding and of the start of the measurement.

    Raises:
        TrainingError: no test video can be used.
        CheckpointError, ConfigError: the weights cannot be read, or are of other classes.
        OutputError: the cache cannot be written.
    """
    started = time.perf_counter()
    fabric.barrier()  # the first device alone writes the checkpoint
    checkpoint = load_checkpoint(options.out / CHECKPOINT_FILE)
    cache = GopCache(options.cache, checkpoint.config.input, recipe.data.most_gops)
    observer.on_cache(len(test.videos))
    if fabric.is_global_zero:
        fill_cache(cache, test.videos, usable_cores(), observer.on_cached)
    fabric.barrier()
    usable, broken = fill_cache(cache, test.videos, 1)
    if not usable:
        raise TrainingError(
            f"0 usable {test.subset} videos, {len(broken) + len(test.missing)} missing or broken",
            "at least one is needed",
            "check the dataset: hybrid-cvar data check ROOT --probe",
        )
    observer.on_validation()
    model = checkpoint.build_model().to(fabric.device)
    logits = video_logits(fabric, model, cache, usable, recipe.data.clips, options.workers)
    truth = [each.video.label for each in usable]
    scores = score_answers(logits, truth, test.labels)
    described = describe_model(checkpoint.config, len(test.labels))
    return AblationMeasurement(
        test_videos=scores.videos,
        missing_videos=len(test.missing) + len(broken),
        top1=scores.top1,
        top5=scores.top5,
        pairs=pair_directions(logits, truth, test.labels, pairs),
        parameters=described.parameters,
        macs=described.macs,
        dense_accumulates=described.dense_accumulates,
        train_videos=trained.train_videos,
        validation_videos=trained.validation_videos,
        epochs=len(trained.epochs),
        best_epoch=trained.best_epoch,
        steps=trained.epochs[-1].steps,
        batch=trained.batch,
        training_seconds=trained.seconds,
        test_seconds=time.perf_counter() - started,
        machine=trained.machine,
        device=trained.device,
        precision=trained.precision,
        checkpoint_sha256=trained.checkpoint_sha256,
    )
