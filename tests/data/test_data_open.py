"""Telling datasets apart, values out of range, and lists that try to leave the folder."""

import os
import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hybrid_cvar.data import DATASET_KINDS, find_kind, find_subsets, open_dataset
from hybrid_cvar.errors import ConfigError, DatasetError


def test_kinds():
    assert DATASET_KINDS == ("ucf101", "hmdb51", "kinetics", "something-something-v2")


def test_a_folder_without_lists_says_what_was_looked_for(tmp_path):
    with pytest.raises(DatasetError) as raised:
        open_dataset(tmp_path, "train")
    for sought in (
        "ucfTrainTestlist/classInd.txt (ucf101)",
        "testTrainMulti_7030_splits/<class>_test_split1.txt (hmdb51)",
        "train.csv, validate.csv, val.csv or test.csv",
        "labels/labels.json (something-something-v2)",
    ):
        assert sought in str(raised.value)
    with pytest.raises(DatasetError, match="gone: no folder"):
        open_dataset(tmp_path / "gone", "train")


@pytest.mark.parametrize("kind", DATASET_KINDS)
def test_a_kind_whose_lists_are_not_there(tmp_path, kind):
    with pytest.raises(DatasetError, match="no "):
        open_dataset(tmp_path, "train", kind=kind)


def test_lists_of_two_datasets(ucf, kinetics):
    (ucf / "train.csv").write_bytes((kinetics / "train.csv").read_bytes())
    with pytest.raises(DatasetError, match="lists of ucf101 and kinetics; .*; give the kind"):
        find_kind(ucf)
    assert len(open_dataset(ucf, "train", kind="ucf101").videos) == 4


def test_values_out_of_range(ucf):
    with pytest.raises(ConfigError, match="subset 'val'; must be one of train, validation, test"):
        open_dataset(ucf, "val")
    with pytest.raises(ConfigError, match="kind 'ucf'; must be one of auto, ucf101"):
        open_dataset(ucf, "train", kind="ucf")
    for split in (0, -1, True, 1.5):
        with pytest.raises(ConfigError, match="split = "):
            open_dataset(ucf, "train", split=split)
        with pytest.raises(ConfigError, match="split = "):
            find_subsets(ucf, split=split)


@pytest.fixture
def locked(monkeypatch):
    """Folders of that name cannot be listed; permissions do not stop a superuser, who may run these tests."""

    def locked(name):
        scan = os.scandir

        def refuse(folder):
            if Path(folder).name == name:
                raise PermissionError(13, "Permission denied", str(folder))
            return scan(folder)

        monkeypatch.setattr(os, "scandir", refuse)

    return locked


def test_a_class_folder_that_cannot_be_listed(ucf, locked):
    locked("Archery")
    dataset = open_dataset(ucf, "train")
    assert len(dataset.videos) == 3
    assert [video.reason for video in dataset.missing] == ["folder cannot be listed"]


def test_a_videos_folder_that_cannot_be_listed(ucf, locked):
    locked("UCF-101")
    with pytest.raises(DatasetError, match=r"UCF-101: cannot be (read|listed) \(Permission denied\)"):
        open_dataset(ucf, "train")


def test_a_list_that_is_no_plain_file(ucf):
    path = ucf / "ucfTrainTestlist/trainlist01.txt"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DatasetError, match=r"trainlist01\.txt is no plain file"):
        open_dataset(ucf, "train")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, put, write) -> Path:
    """A dataset beside files that no list may reach: above, by an absolute path, behind links."""
    folder = tmp_path_factory.mktemp("guarded")
    root = folder / "root"
    put(folder, "secret.avi", "Archery/secret.avi")
    put(root / "UCF-101", "Archery/in.avi")
    put(root, "secret.avi")
    (root / "UCF-101/Archery/link.avi").symlink_to(folder / "secret.avi")
    (root / "UCF-101/Bowling").symlink_to(folder / "Archery")
    (root / "UCF-101/Archery/up").symlink_to(folder)
    write(root / "ucfTrainTestlist/classInd.txt", ["1 Archery", "2 Bowling"])
    return root


PARTS = st.sampled_from(
    ["..", ".", "", "Archery", "Bowling", "ARCHERY", "in.avi", "link.avi", "up", "secret.avi", "UCF-101", "root", "~"]
) | st.text(string.printable, max_size=4)


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lines=st.lists(
        st.builds(
            lambda start, parts, separator, end: start + separator.join(parts) + end,
            st.sampled_from(["", "/", "\\", "C:\\", "{folder}/", "//", "file://"]),
            st.lists(PARTS, min_size=1, max_size=6),
            st.sampled_from(["/", "/", "\\", "//"]),
            st.sampled_from(["", " 1", " 2", "\t1", "\0", "\r"]),
        ),
        max_size=6,
    )
)
def test_no_line_leaves_the_folder(guarded, lines):
    """Only files of the class folders come out, whatever the lines say; and no line stops the others."""
    text = "\n".join([*lines, "Archery/in.avi 1"]).replace("{folder}", str(guarded.parent))
    (guarded / "ucfTrainTestlist/trainlist01.txt").write_text(text, encoding="utf-8", newline="")
    dataset = open_dataset(guarded, "train")
    assert [video.path.resolve() for video in dataset.videos] == [guarded / "UCF-101/Archery/in.avi"]
    assert len(dataset.videos) + len(dataset.missing) == sum(bool(line.strip()) for line in text.split("\n"))
