"""Which classes are which, and which videos a limit leaves."""

from collections import Counter
from pathlib import Path

import pytest

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.evaluation import match_labels, select_videos
from hybrid_cvar.records import LabelledVideo, VideoDataset


def test_labels_are_found_by_name_in_any_order_and_spelling():
    model = ("ApplyEyeMakeup", "pull ups", "Wall_Pushups")
    assert match_labels(model, ("wall pushups", "apply_eye_makeup", "PullUps")) == (2, 0, 1)
    assert match_labels(("a b", "ab"), ("ab", "a b")) == (1, 0), "names that are the same need no tolerance"


@pytest.mark.parametrize(
    ("model", "dataset", "words"),
    [
        (("clap", "wave"), ("clap", "wink"), "'wink' of the dataset is none of the model's"),
        (("clap", "wave", "walk"), ("wave", "clap"), "'walk' of the model is none of the dataset's"),
        (("clap", "Clap"), ("clap", "wave"), "'clap' and 'Clap' of the model are alike"),
    ],
)
def test_labels_that_do_not_fit_are_one_error_that_names_the_first(model, dataset, words):
    with pytest.raises(ConfigError) as caught:
        match_labels(model, dataset)
    assert words in str(caught.value)


def dataset_of(*sizes: int) -> VideoDataset:
    videos = [
        LabelledVideo(f"{label}/{number}", Path("x"), label)
        for label, size in enumerate(sizes)
        for number in range(size)
    ]
    return VideoDataset("ucf101", "test", 1, tuple(map(str, range(len(sizes)))), tuple(videos), ())


@pytest.mark.parametrize(
    ("sizes", "limit", "wanted"),
    [
        ((10, 10, 10), 7, [2, 2, 3]),
        ((10, 1, 10), 9, [4, 1, 4]),
        ((5, 5, 5, 5), 2, [0, 0, 1, 1]),
        ((3, 3), 6, [3, 3]),
        ((3, 3), 60, [3, 3]),
    ],
)
def test_a_limit_takes_the_same_share_of_every_class(sizes, limit, wanted):
    dataset = dataset_of(*sizes)
    chosen = select_videos(dataset, limit)
    counts = Counter(video.label for video in chosen)
    assert sorted(counts[label] for label in range(len(sizes))) == sorted(wanted)
    assert list(chosen) == [video for video in dataset.videos if video in chosen], "in the dataset's order"
    assert chosen == select_videos(dataset, limit)


def test_a_limit_spreads_over_a_class_and_over_the_classes():
    names = [video.name for video in select_videos(dataset_of(9, 9, 9), 3)]
    assert names == ["0/4", "1/4", "2/4"]
    assert [video.label for video in select_videos(dataset_of(*[2] * 6), 3)] == [1, 3, 5]


def test_no_limit_and_a_wrong_one():
    dataset = dataset_of(2, 2)
    assert select_videos(dataset) == dataset.videos
    with pytest.raises(ConfigError, match="limit = 0"):
        select_videos(dataset, 0)
