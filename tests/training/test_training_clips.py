"""From the cache to batches: the same bits as the reader, views in their bounds, order fixed by seed and epoch."""

import dataclasses
import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from hybrid_cvar.data.gop_cache import GopCache
from hybrid_cvar.data.hold_out import hold_out
from hybrid_cvar.data.views import CENTRE_VIEW, TSN_SCALES, View, random_view, segment_positions
from hybrid_cvar.errors import ConfigError, HybridCvarError, OutputError, VideoError
from hybrid_cvar.records import InputSpec, LabelledVideo, graded_events
from hybrid_cvar.video import Crop, read_clips

pytestmark = pytest.mark.needs_compile
SPEC = InputSpec(size=112, timesteps=4)


def _full_of_files(*given, **options):
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def assert_same_clip(left, right):
    for part in ("iframe", "motion", "residual"):
        np.testing.assert_array_equal(getattr(left, part), getattr(right, part))


@pytest.mark.parametrize("accumulated", [True, False])
def test_centre_crop_of_a_cached_gop_is_the_clip_that_is_read(moving_dataset, tmp_path, accumulated):
    spec = dataclasses.replace(SPEC, accumulated=accumulated)
    cache = GopCache(tmp_path, spec)
    cached = cache.store(moving_dataset.videos[0])
    clips = read_clips(moving_dataset.videos[0].path, spec, 100).clips
    assert cached.gops == len(clips)
    assert any(clip.motion.any() for clip in clips)
    for position, clip in enumerate(clips):
        assert_same_clip(cache.read_clip(cached, position, CENTRE_VIEW), clip)


def test_centre_crop_is_the_clip_also_where_the_frame_has_another_shape(dancer, tmp_path):
    cache = GopCache(tmp_path, SPEC, most_gops=3)
    cached = cache.store(LabelledVideo("dancer", dancer, 0))
    clips = read_clips(dancer, SPEC, 3).clips
    assert cached.gops == 3
    for position, clip in enumerate(clips):
        assert_same_clip(cache.read_clip(cached, position, CENTRE_VIEW), clip)


def test_values_beyond_eight_bits_are_kept(moving_dataset, tmp_path, monkeypatch):
    from hybrid_cvar.data import gop_cache

    cache = GopCache(tmp_path, SPEC)
    clip = read_clips(moving_dataset.videos[0].path, SPEC, 1).clips[0]
    large = dataclasses.replace(clip, residual=clip.residual * 9)
    assert np.abs(large.residual).max() > 127
    monkeypatch.setattr(cache, "_decode", lambda path: [large])
    read = cache.read(cache.store(moving_dataset.videos[0]), 0)
    np.testing.assert_array_equal(read.residual, large.residual)
    assert gop_cache._narrowed(clip.motion).dtype == np.int8


def test_an_entry_is_used_until_its_video_changes(moving_dataset, tmp_path):
    path = shutil.copy(moving_dataset.videos[0].path, tmp_path / "video.avi")
    video = LabelledVideo("video", path, 0)
    cache = GopCache(tmp_path / "cache", SPEC)
    assert cache.look_up(video) is None
    stored = cache.store(video)
    assert cache.look_up(video) == stored
    assert GopCache(tmp_path / "cache", dataclasses.replace(SPEC, timesteps=3)).look_up(video) is None
    os.utime(path, ns=(1, 1))
    assert cache.look_up(video) is None


def test_a_broken_video_is_remembered_and_a_damaged_entry_made_again(moving_dataset, tmp_path, monkeypatch):
    cache = GopCache(tmp_path / "cache", SPEC)
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"no video at all")
    video = LabelledVideo("broken", broken, 0)
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", _full_of_files)
        patch.setattr(Path, "open", _full_of_files)
        with pytest.raises(VideoError, match="Too many open files"):
            cache.store(video)
    assert not list((tmp_path / "cache").rglob("*.json"))  # that was the machine's fault
    with pytest.raises(VideoError):
        cache.store(video)
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_decode", lambda path: pytest.fail("read again"))
        with pytest.raises(VideoError, match=r"broken\.avi"):
            cache.store(video)
    (marker,) = (tmp_path / "cache").rglob("*.json")
    marker.write_text("")
    assert cache.look_up(video) is None
    stored = cache.store(moving_dataset.videos[0])
    stored.file.write_bytes(stored.file.read_bytes()[:1000])
    assert cache.look_up(moving_dataset.videos[0]) is None
    with pytest.raises(HybridCvarError, match="a cache must not change"):
        cache.read(stored, 0)
    assert cache.store(moving_dataset.videos[0]).gops == stored.gops


def test_a_random_view_lies_in_the_frame_and_all_places_come():
    rng = np.random.default_rng(0)
    views = [random_view(rng, SPEC, TSN_SCALES, flip=True) for _ in range(2000)]
    crops = [view.crop for view in views]
    assert all(crop.left >= 0 and crop.left + crop.width <= 340 + 1e-6 for crop in crops)
    assert all(crop.top >= 0 and crop.top + crop.height <= 256 + 1e-6 for crop in crops)
    shares = {(round(crop.width / 256, 3), round(crop.height / 256, 3)) for crop in crops}
    assert len(shares) == 10  # four equal pairs, three neighbouring ones in either order
    assert (1.0, 0.75) not in shares
    places = {(crop.left, crop.top) for crop in crops if crop.width == crop.height == 256 * 0.75}
    assert len(places) == 13
    assert 0.45 < np.mean([view.flip for view in views]) < 0.55
    assert not any(random_view(rng, SPEC, TSN_SCALES, flip=False).flip for _ in range(50))
    for scales in ((), (1.5,), (0.0,)):
        with pytest.raises(ConfigError, match="scales"):
            random_view(rng, SPEC, scales, flip=True)


def test_all_parts_of_a_clip_share_the_view(moving_dataset, tmp_path):
    cache = GopCache(tmp_path, SPEC)
    cached = cache.store(moving_dataset.videos[0])
    crop = Crop(20.0, 12.0, 192.0, 168.0)
    plain = cache.read_clip(cached, 0, View(crop, False))
    flipped = cache.read_clip(cached, 0, View(crop, True))
    np.testing.assert_array_equal(flipped.iframe, plain.iframe[:, ::-1])
    np.testing.assert_array_equal(flipped.residual, plain.residual[:, :, ::-1])
    np.testing.assert_array_equal(flipped.motion[..., 0], -plain.motion[:, :, ::-1, 0])
    np.testing.assert_array_equal(flipped.motion[..., 1], plain.motion[:, :, ::-1, 1])


def test_segments_each_give_a_position():
    rng = np.random.default_rng(1)
    drawn = np.array([segment_positions(rng, 9, 3) for _ in range(300)])
    for segment in range(3):
        assert set(drawn[:, segment]) == {3 * segment, 3 * segment + 1, 3 * segment + 2}
    assert segment_positions(rng, 1, 3) == (0, 0, 0)
    assert all(0 <= position < 2 for position in segment_positions(rng, 2, 5))


def test_held_out_groups_are_whole(moving_dataset):
    training, validation = hold_out(moving_dataset, 0.25, seed=3)
    assert len(training.videos) == 6
    assert len(validation.videos) == 2
    groups = {video.name.split("_g")[1][:2] for video in validation.videos}
    assert len(groups) == 1
    assert not groups & {video.name.split("_g")[1][:2] for video in training.videos}
    assert hold_out(moving_dataset, 0.25, seed=3) == (training, validation)
    assert hold_out(moving_dataset, 0.0, seed=3)[1].videos == ()
    uneven = dataclasses.replace(moving_dataset, videos=moving_dataset.videos[:-1])
    groups = [{video.name.split("_g")[1][:2] for video in part.videos} for part in hold_out(uneven, 0.25, seed=3)]
    assert groups[0].isdisjoint(groups[1])
    few = dataclasses.replace(moving_dataset, videos=moving_dataset.videos[:1])
    assert len(hold_out(few, 0.5, seed=3)[0].videos) == 1


def test_order_is_that_of_seed_and_epoch_and_devices_share_each_batch():
    from hybrid_cvar.training.clips import EpochOrder

    whole = EpochOrder(10, 4, seed=5)
    whole.set_epoch(2)
    order = list(whole)
    assert len(order) == len(whole) == 8  # two full batches
    assert len(set(order)) == 8 and {epoch for epoch, _ in order} == {2}
    whole.set_epoch(3)
    assert [at for _, at in whole] != [at for _, at in order]
    whole.set_epoch(2, first_step=1)
    assert list(whole) == order[4:]
    shares = [EpochOrder(10, 4, 5, rank, 2) for rank in range(2)]
    for share in shares:
        share.set_epoch(2)
    assert [item for pair in zip(*shares, strict=True) for item in pair] == order
    assert EpochOrder(3, 4, 0).steps == 1


def test_an_item_depends_on_seed_epoch_and_position_alone(moving_dataset, tmp_path):
    import torch

    from hybrid_cvar.training.clips import EpochOrder, TrainingClips, clip_loader
    from hybrid_cvar.training.recipe import AugmentationRecipe

    cache = GopCache(tmp_path, SPEC)
    videos = tuple(cache.store(video) for video in moving_dataset.videos[:4])
    clips = TrainingClips(cache, videos, moving_dataset.labels, AugmentationRecipe(segments=2), seed=1)

    def batches(workers):
        order = EpochOrder(4, 2, seed=1)
        order.set_epoch(1)
        return list(clip_loader(clips, 2, workers, order))

    alone, helped = batches(0), batches(2)
    assert len(alone) == 2
    for left, right in zip(alone, helped, strict=True):
        assert left.iframe.shape == (2, 2, 112, 112, 3) and left.motion.shape == (2, 2, 4, 112, 112, 2)
        for part in ("iframe", "motion", "residual", "label", "video"):
            assert torch.equal(getattr(left, part), getattr(right, part))
    assert not torch.equal(clips[1, 0][1], clips[2, 0][1])


def test_a_flipped_video_of_a_left_class_is_one_of_the_right_class(moving_dataset, tmp_path):
    from hybrid_cvar.training.clips import TrainingClips
    from hybrid_cvar.training.recipe import AugmentationRecipe

    cache = GopCache(tmp_path, SPEC)
    cached = cache.store(moving_dataset.videos[0])
    clips = TrainingClips(cache, (cached,), moving_dataset.labels, AugmentationRecipe(scales=(1.0,)), seed=0)
    seen = set()
    for epoch in range(20):
        _, motion, residual, label, _ = clips[epoch, 0]
        rightward = float(motion[0, -1, ..., 0].float().sum())
        # The figure moves left where the label says so: motion is destination - source.
        assert (rightward < 0) == (moving_dataset.labels[label] == "MoveLeft")
        seen.add(label)
        assert residual.dtype == motion.dtype
    assert seen == {0, 1}


def test_events_are_those_that_a_bundle_gets(moving_dataset, tmp_path):
    from hybrid_cvar.training.clips import CentreClips

    cache = GopCache(tmp_path, SPEC)
    video = moving_dataset.videos[0]
    clips = CentreClips(cache, (cache.store(video),), 2)
    read = read_clips(video.path, SPEC, 2).clips
    assert len(clips) == 2
    for index, clip in enumerate(read):
        iframe, motion, residual, label, at = clips[index]
        np.testing.assert_array_equal(iframe[0], clip.iframe)
        np.testing.assert_array_equal(motion[0], graded_events(clip.motion, SPEC.motion_step))
        np.testing.assert_array_equal(residual[0], graded_events(clip.residual, SPEC.residual_step))
        assert (label, at) == (video.label, 0)


def test_several_processes_fill_the_cache_as_one_does(moving_dataset, tmp_path):
    from hybrid_cvar.data.fill_cache import WORTH_PROCESSES, fill_cache

    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"RIFF")
    videos = [LabelledVideo("broken", broken, 0)]
    for index in range(WORTH_PROCESSES):
        path = tmp_path / f"{index:02d}.avi"
        path.symlink_to(moving_dataset.videos[index % len(moving_dataset.videos)].path)
        videos.append(LabelledVideo(f"video {index}", path, 0))
    done = []
    results = [
        fill_cache(GopCache(tmp_path / name, SPEC), videos, workers, lambda: done.append(1))
        for name, workers in (("alone", 1), ("shared", 2))
    ]
    assert len(done) == 2 * len(videos)
    for usable, missing in results:
        assert [each.video.name for each in usable] == [each.name for each in videos[1:]]
        assert [(each.name, "broken.avi" in each.reason) for each in missing] == [("broken", True)]
    alone, shared = ([each.gops for each in usable] for usable, _ in results)
    assert alone == shared


def test_a_disk_that_will_be_full_is_foreseen(moving_dataset, tmp_path, monkeypatch):
    from collections import namedtuple

    from hybrid_cvar.data import fill_cache as filling

    videos = []
    for index in range(6):
        path = tmp_path / f"{index}.avi"
        shutil.copy(moving_dataset.videos[0].path, path)
        videos.append(LabelledVideo(f"video {index}", path, 0))
    asked = []

    def disk(free):
        usage = namedtuple("usage", "total used free")
        return lambda folder: asked.append(folder) or usage(free, 0, free)

    monkeypatch.setattr(filling, "ENOUGH_TO_FORESEE", 2)
    cache = GopCache(tmp_path / "cache", SPEC)
    size = cache.store(moving_dataset.videos[0]).file.stat().st_size
    monkeypatch.setattr(filling.shutil, "disk_usage", disk(3 * size))
    with pytest.raises(OutputError, match=r"will take about .* GB.*--cache"):
        filling.fill_cache(cache, videos, 1)
    assert len(asked) == 1
    monkeypatch.setattr(filling.shutil, "disk_usage", disk(4 * size))
    usable, _ = filling.fill_cache(cache, videos, 1)
    assert len(usable) == 6


def test_shared_memory_that_does_not_hold_the_batches_is_one_clear_error(moving_dataset, tmp_path, monkeypatch):
    from collections import namedtuple

    from hybrid_cvar.training import clips as clips_module

    cache = GopCache(tmp_path, SPEC)
    clips = clips_module.CentreClips(cache, (cache.store(moving_dataset.videos[0]),), 1)
    item = sum(values.numel() * values.element_size() for values in clips[0][:3])
    assert clips.item_bytes == item
    needed = item * 2 * clips_module.PREFETCHED * 3
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(clips_module.shutil, "disk_usage", lambda folder: usage(0, 0, needed - 1))
    with pytest.raises(ConfigError, match=r"workers = 3.*--workers 0.*--shm-size"):
        clips_module.clip_loader(clips, 2, 3)
    clips_module.clip_loader(clips, 2, 0)
    monkeypatch.setattr(clips_module.shutil, "disk_usage", lambda folder: usage(0, 0, needed))
    clips_module.clip_loader(clips, 2, 3)
