"""A model's logits for whole videos: the mean over their clips (paper Sec. 4.1)."""

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from hybrid_cvar.data.gop_cache import CachedVideo, GopCache
from hybrid_cvar.model import HybridCvarModel
from hybrid_cvar.training.clips import CentreClips, clip_loader

__all__ = ["video_logits"]

VALIDATION_BATCH = 32


@torch.no_grad()
def video_logits(
    fabric: Fabric,
    model: HybridCvarModel,
    cache: GopCache,
    videos: tuple[CachedVideo, ...],
    clips: int,
    workers: int,
) -> NDArray[np.float32]:
    """Runs every video's clips, shared out over the devices.

    Args:
        fabric: the devices.
        model: not wrapped: a wrapped one would wait for the other devices in every batch. Left in its mode.
        cache: holds the videos.
        videos: in it.
        clips: of a video, centre crops.
        workers: loader processes.

    Returns:
        float32 (V, classes), the same on every device.
    """
    own = videos[fabric.global_rank :: fabric.world_size]
    training = model.training
    model.eval()
    classes = model.ann.classifier.out_features
    sums = torch.zeros((-(-len(videos) // fabric.world_size), classes), dtype=torch.float64, device=fabric.device)
    counts = torch.zeros((len(sums), 1), dtype=torch.float64, device=fabric.device)
    for batch in clip_loader(CentreClips(cache, own, clips), VALIDATION_BATCH, workers):
        given = (values.flatten(0, 1).to(fabric.device) for values in (batch.iframe, batch.motion, batch.residual))
        with fabric.autocast():
            logits = model(*given)
        at = batch.video.to(fabric.device)
        sums.index_add_(0, at, logits.double())
        counts.index_add_(0, at, torch.ones((len(at), 1), dtype=torch.float64, device=fabric.device))
    model.train(training)
    means = sums / counts.clamp(min=1)
    together = fabric.all_gather(means)
    assert isinstance(together, torch.Tensor)
    gathered = together.reshape(fabric.world_size, len(sums), classes)
    # Video v is row v // world of device v % world.
    return gathered.transpose(0, 1).reshape(-1, classes)[: len(videos)].float().cpu().numpy()
