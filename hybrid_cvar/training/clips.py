"""Batches of clips from the cache: random views for training, the centre for validation.

A training item is named by (epoch, position), and all that is random in it comes from the recipe's seed and that
name. So a run gives the same batches whatever the number of loader processes, and a resumed run those it would have
had.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from hybrid_cvar.data import mirrored_labels
from hybrid_cvar.data.gop_cache import CachedVideo, GopCache
from hybrid_cvar.data.views import CENTRE_VIEW, View, random_view, segment_positions
from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import InputSpec, graded_events
from hybrid_cvar.training.recipe import AugmentationRecipe
from hybrid_cvar.video.sampling import segment_centres

__all__ = ["CentreClips", "ClipBatch", "EpochOrder", "TrainingClips", "clip_loader"]

PREFETCHED = 4
"""Batches that each loader process keeps ready."""
SHARED_MEMORY = Path("/dev/shm")
"""Where loader processes leave their batches."""

ClipItem = tuple[torch.Tensor, torch.Tensor, torch.Tensor, int, int]


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """Clips of several videos; K of each.

    Attributes:
        iframe: uint8 (N, K, S, S, 3).
        motion: graded events, int8 (N, K, T, S, S, 2).
        residual: graded events, int8 (N, K, T, S, S, 3).
        label: int64 (N,), class of each.
        video: int64 (N,), its position among the loader's videos.
    """

    iframe: torch.Tensor
    motion: torch.Tensor
    residual: torch.Tensor
    label: torch.Tensor
    video: torch.Tensor


class TrainingClips(Dataset[ClipItem]):
    """One video a item: a clip of each segment, all with one random view.

    Args:
        cache: holds the videos.
        videos: in the cache.
        labels: class names; flipped videos of a class that names left or right get the other's label.
        augmentation: scales, flip and segments.
        seed: of all draws.
    """

    def __init__(
        self,
        cache: GopCache,
        videos: tuple[CachedVideo, ...],
        labels: tuple[str, ...],
        augmentation: AugmentationRecipe,
        seed: int,
    ) -> None:
        self.cache = cache
        self.videos = videos
        self.mirrored = mirrored_labels(labels)
        self.augmentation = augmentation
        self.seed = seed

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def item_bytes(self) -> int:
        """Memory of an item."""
        return self.augmentation.segments * _clip_bytes(self.cache.spec)

    def __getitem__(self, item: tuple[int, int]) -> ClipItem:
        """Clips of `videos[item[1]]` as epoch `item[0]` shows them."""
        epoch, position = item
        rng = np.random.default_rng([self.seed, epoch, position])
        cached = self.videos[position]
        view = random_view(rng, self.cache.spec, self.augmentation.scales, flip=self.augmentation.flip)
        gops = segment_positions(rng, cached.gops, self.augmentation.segments)
        label = cached.video.label
        return *_read(self.cache, cached, gops, view), self.mirrored[label] if view.flip else label, position


class CentreClips(Dataset[ClipItem]):
    """One clip an item, centre crop: `clips` of each video, uniformly spread.

    Args:
        cache: holds the videos.
        videos: in the cache.
        clips: of a video; fewer where it has fewer GOPs.
    """

    def __init__(self, cache: GopCache, videos: tuple[CachedVideo, ...], clips: int) -> None:
        self.cache = cache
        self.videos = videos
        self.items = [
            (index, gop) for index, cached in enumerate(videos) for gop in segment_centres(cached.gops, clips)
        ]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def item_bytes(self) -> int:
        """Memory of an item."""
        return _clip_bytes(self.cache.spec)

    def __getitem__(self, item: int) -> ClipItem:
        index, gop = self.items[item]
        cached = self.videos[index]
        return *_read(self.cache, cached, (gop,), CENTRE_VIEW), cached.video.label, index


class EpochOrder(Sampler[tuple[int, int]]):
    """Items of one epoch in a random order that the seed and the epoch fix; every device takes its own share.

    Args:
        length: videos.
        batch: videos a step, over all devices; a last, incomplete batch is left out unless it is the only one.
        seed: of the order.
        rank, world: this device's position and how many there are.
    """

    def __init__(self, length: int, batch: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.length = length
        self.batch = min(batch, length)
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0
        self.first_step = 0

    @property
    def steps(self) -> int:
        """Optimiser steps of a whole epoch."""
        return self.length // self.batch

    def set_epoch(self, epoch: int, first_step: int = 0) -> None:
        """Which epoch the next pass is, and how many of its steps are done already."""
        self.epoch = epoch
        self.first_step = first_step

    def __len__(self) -> int:
        return (self.steps - self.first_step) * len(range(self.rank, self.batch, self.world))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        for step in range(self.first_step, self.steps):
            for position in order[step * self.batch : (step + 1) * self.batch][self.rank :: self.world]:
                yield self.epoch, int(position)


def clip_loader(
    clips: TrainingClips | CentreClips, batch: int, workers: int, sampler: Sampler[tuple[int, int]] | None = None
) -> DataLoader[Any]:
    """A loader that gives `ClipBatch`.

    Args:
        clips: what it reads.
        batch: items a batch on this device.
        workers: processes that read ahead; 0 reads in this one.
        sampler: names the items; in order if None.

    Raises:
        ConfigError: the batches that the processes keep ready do not fit into shared memory.
    """
    _check_shared_memory(clips.item_bytes, batch, workers)
    return DataLoader(
        clips,
        batch_size=batch,
        sampler=sampler,
        num_workers=workers,
        collate_fn=_collate,
        persistent_workers=workers > 0,
        prefetch_factor=PREFETCHED if workers else None,
        worker_init_fn=_start_worker,
        # Named, because the first use of the default one settles it, and Lava's runtime then refuses to start.
        multiprocessing_context="fork" if workers else None,
    )


def _check_shared_memory(item_bytes: int, batch: int, workers: int) -> None:
    """A loader process that finds shared memory full dies of a bus error, and says nothing."""
    if not workers or not SHARED_MEMORY.is_dir():
        return
    needed, free = item_bytes * batch * PREFETCHED * workers, shutil.disk_usage(SHARED_MEMORY).free
    if needed > free:
        raise ConfigError(
            f"workers = {workers}: their batches take {needed / 2**20:.0f} MiB of {SHARED_MEMORY}, {free / 2**20:.0f} "
            "MiB are free",
            "they are handed over in shared memory",
            "give --workers 0, or more of it to a container: docker run --shm-size",
        )


def _start_worker(worker: int) -> None:
    """Ctrl-C is the parent's to hear; it ends its workers."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _clip_bytes(spec: InputSpec) -> int:
    """Of one clip as bytes: an I-frame of 3 channels, T steps of motion's 2 and residual's 3."""
    return spec.size**2 * (3 + 5 * spec.timesteps)


def _read(
    cache: GopCache, cached: CachedVideo, gops: tuple[int, ...], view: View
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    spec: InputSpec = cache.spec
    clips = [cache.read_clip(cached, gop, view) for gop in gops]
    return (
        torch.from_numpy(np.stack([clip.iframe for clip in clips])),
        torch.from_numpy(np.stack([graded_events(clip.motion, spec.motion_step) for clip in clips])),
        torch.from_numpy(np.stack([graded_events(clip.residual, spec.residual_step) for clip in clips])),
    )


def _collate(items: list[ClipItem]) -> ClipBatch:
    iframes, motions, residuals, labels, videos = zip(*items, strict=True)
    return ClipBatch(
        torch.stack(iframes),
        torch.stack(motions),
        torch.stack(residuals),
        torch.tensor(labels, dtype=torch.int64),
        torch.tensor(videos, dtype=torch.int64),
    )
