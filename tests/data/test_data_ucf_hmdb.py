"""UCF-101 and HMDB-51 in their official layouts, and their traps."""

import pytest

from hybrid_cvar.data import find_kind, find_subsets, mirrored_labels, open_dataset
from hybrid_cvar.errors import ConfigError, DatasetError


def named(dataset) -> dict[str, str]:
    """Label by name, in order."""
    return {video.name: dataset.labels[video.label] for video in dataset.videos}


def reasons(dataset) -> dict[str, str]:
    return {video.name: video.reason for video in dataset.missing}


def test_ucf_labels_are_in_the_order_of_class_ind(ucf):
    dataset = open_dataset(ucf, "train")
    assert (dataset.kind, dataset.subset, dataset.split) == ("ucf101", "train", 1)
    assert dataset.labels == ("YoYo", "HandstandPushups", "Archery")
    assert [(video.name, video.label) for video in dataset.videos] == [
        ("YoYo/v_YoYo_g08_c01.avi", 0),
        ("YoYo/v_YoYo_g08_c02.avi", 0),
        ("HandstandPushups/v_HandStandPushups_g08_c01.avi", 1),
        ("Archery/v_Archery_g08_c01.avi", 2),
    ]
    assert dataset.missing == ()
    assert all(video.path == ucf / "UCF-101" / video.name for video in dataset.videos)


def test_ucf_test_lists_take_the_label_of_the_folder(ucf):
    dataset = open_dataset(ucf, "test")
    assert [video.label for video in dataset.videos] == [0, 1, 2]


@pytest.mark.parametrize("place", ["videos", ".", "UCF101"])
@pytest.mark.parametrize("lists", ["ucfTrainTestlist", "UCF101TrainTestSplits-RecognitionTask/ucfTrainTestlist"])
def test_ucf_places(ucf, place, lists):
    (ucf / "ucfTrainTestlist").rename(ucf / "lists")
    (ucf / lists).parent.mkdir(exist_ok=True)
    (ucf / "lists").rename(ucf / lists)
    if place == ".":
        for folder in list((ucf / "UCF-101").iterdir()):
            folder.rename(ucf / folder.name)
    else:
        (ucf / "UCF-101").rename(ucf / place)
    assert find_kind(ucf) == "ucf101"
    assert len(open_dataset(ucf, "train").videos) == 4


def test_ucf_splits_that_are_there_are_named(ucf):
    assert find_subsets(ucf) == ("train", "test")
    assert find_subsets(ucf, split=3) == ("train",)
    assert find_subsets(ucf, split=2) == ()
    assert named(open_dataset(ucf, "train", split=3)) == {"Archery/v_Archery_g01_c01.avi": "Archery"}
    with pytest.raises(DatasetError, match=r"no trainlist02\.txt; splits there: 1, 3; "):
        open_dataset(ucf, "train", split=2)


def test_ucf_has_no_validation(ucf):
    with pytest.raises(ConfigError, match=r"'validation' of ucf101; .*train and test alone; take test, or hold out"):
        open_dataset(ucf, "validation")


def test_ucf_folder_in_another_case_and_another_extension(ucf):
    """Copies spell the folder as its files; `video convert` keeps names and writes .avi."""
    videos = ucf / "UCF-101"
    (videos / "HandstandPushups").rename(videos / "HandStandPushups")
    (videos / "YoYo/v_YoYo_g08_c01.avi").rename(videos / "YoYo/v_YoYo_g08_c01.mp4")
    dataset = open_dataset(ucf, "train")
    assert [video.label for video in dataset.videos] == [0, 0, 1, 2]
    assert dataset.videos[0].path.suffix == ".mp4"
    assert dataset.videos[2].path.parent.name == "HandStandPushups"


def test_ucf_lines_that_give_no_video(ucf, write, tmp_path, put):
    put(tmp_path / "outside", "v_out.avi", "Archery/v_in.avi")
    archery = ucf / "UCF-101/Archery"
    (archery / "v_link.avi").symlink_to(tmp_path / "outside/v_out.avi")
    (archery / "v_dangling.avi").symlink_to(archery / "v_nothing.avi")
    (archery / "v_inside.avi").symlink_to(ucf / "UCF-101/YoYo/v_YoYo_g01_c01.avi")
    (archery / "v_empty.avi").touch()
    (archery / "v_folder.avi").mkdir()
    write(
        ucf / "ucfTrainTestlist/trainlist01.txt",
        [
            "Archery/v_Archery_g08_c01.avi 3",
            "",
            "Archery/v_Archery_g08_c01.avi 3",
            "Archery/./v_Archery_g08_c01.avi 3",
            "Archery/v_gone.avi 3",
            "Archery/v_empty.avi 3",
            "Archery/v_folder.avi 3",
            "Archery/v_link.avi 3",
            "Archery/v_dangling.avi 3",
            "Archery/v_inside.avi 3",
            "Archery/../../../outside/v_out.avi 3",
            f"{tmp_path}/outside/v_out.avi 3",
            "C:\\outside\\v_out.avi 3",
            "Swimming/v_1.avi 4",
            "YoYo/v_YoYo_g01_c01.avi 3",
            "nonsense",
        ],
    )
    dataset = open_dataset(ucf, "train")
    assert named(dataset) == {"Archery/v_Archery_g08_c01.avi": "Archery", "Archery/v_inside.avi": "Archery"}
    assert reasons(dataset) == {
        "Archery/v_Archery_g08_c01.avi": "listed twice",
        "Archery/./v_Archery_g08_c01.avi": "its file is another line's",
        "Archery/v_gone.avi": "not found",
        "Archery/v_empty.avi": "empty file",
        "Archery/v_folder.avi": "no plain file",
        "Archery/v_link.avi": "link leads out of the dataset",
        "Archery/v_dangling.avi": "not found",
        "Archery/../../../outside/v_out.avi": "path leads out of the dataset",
        f"{tmp_path}/outside/v_out.avi": "path leads out of the dataset",
        "C:\\outside\\v_out.avi": "path leads out of the dataset",
        "Swimming/v_1.avi": "unknown label: 'Swimming' is not in classInd.txt",
        "YoYo/v_YoYo_g01_c01.avi": "class number is not its folder's: 3, where YoYo is 1",
        "trainlist01.txt, line 16": "broken line: must be Class/video.avi and, in train lists, a number",
    }


def test_a_class_folder_that_links_out_is_not_followed_but_the_videos_folder_may_be_a_link(ucf, tmp_path):
    (ucf / "UCF-101").rename(tmp_path / "store")
    (ucf / "UCF-101").symlink_to(tmp_path / "store")
    assert len(open_dataset(ucf, "train").videos) == 4
    (tmp_path / "store/Archery").rename(tmp_path / "elsewhere")
    (tmp_path / "store/Archery").symlink_to(tmp_path / "elsewhere")
    dataset = open_dataset(ucf, "train")
    assert reasons(dataset) == {"Archery/v_Archery_g08_c01.avi": "link leads out of the dataset"}


def test_byte_order_mark_and_windows_line_ends(ucf):
    for path in (ucf / "ucfTrainTestlist").iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(open_dataset(ucf, "train").videos) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 YoYo\nArchery\n", r"line 2: 'Archery' is not a number and a class"),
        (b"1 YoYo\n1 Archery\n", r"line 2: '1 Archery' has the number or the name of another class"),
        (b"1 YoYo\n3 Archery\n", r"2 classes, numbered 1 to 3; numbers must run from 1"),
        (b"", r"0 classes"),
        (b"1 YoYo\n2 Arch\xe9ry\n", r"line 2: byte 0xe9 is not UTF-8"),
    ],
)
def test_a_damaged_class_list_says_where(ucf, content, message):
    (ucf / "ucfTrainTestlist/classInd.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        open_dataset(ucf, "train")


def test_a_list_of_excessive_size_is_not_read(ucf):
    with (ucf / "ucfTrainTestlist/trainlist01.txt").open("r+b") as file:
        file.truncate((512 << 20) + 1)
    with pytest.raises(DatasetError, match="536870913 bytes; a list has at most 536870912"):
        open_dataset(ucf, "train")


def test_nothing_there_says_where_it_looked(ucf, tmp_path):
    (ucf / "UCF-101").rename(tmp_path / "away")
    with pytest.raises(DatasetError, match=r"no folder of a class, such as YoYo; .*UCF-101/<Class>, .* or <Class>"):
        open_dataset(ucf, "train")
    (ucf / "videos/Archery").mkdir(parents=True)
    with pytest.raises(DatasetError) as raised:
        open_dataset(ucf, "train")
    assert "none of 4 lines of train gives a video: not found (4)" in str(raised.value)
    assert f"looked for in {ucf / 'videos'};" in str(raised.value)
    (ucf / "ucfTrainTestlist/trainlist01.txt").write_text("\n")
    with pytest.raises(DatasetError, match="no line of train"):
        open_dataset(ucf, "train")


NAMES = (
    "#20_Rhythm_clap_u_nm_np1_fr_goo_0.avi",
    "Blade;(a)!_clap_f_cm_np1_ba_med_3.avi",
    "plain_clap_1.avi",
    "plain_clap_2.avi",
)


@pytest.fixture
def hmdb(tmp_path, put, write):
    root = tmp_path / "hmdb"
    put(root / "hmdb51_org", *(f"clap/{name}" for name in NAMES), "wave/w_1.avi", "wave/w_2.avi", "brush_hair/b.avi")
    flags = {1: (1, 2, 1, 0), 2: (2, 1, 0, 1), 3: (0, 0, 2, 2)}
    for split, own in flags.items():
        lists = root / "testTrainMulti_7030_splits"
        lines = [f"{name} {flag} " for name, flag in zip(NAMES, own, strict=True)]
        write(lists / f"clap_test_split{split}.txt", lines)
        write(lists / f"wave_test_split{split}.txt", ["w_1.avi 1 ", "w_2.avi 2 "])
        write(lists / f"brush_hair_test_split{split}.txt", ["b.avi 1 "])
    return root


def test_hmdb_names_flags_and_labels(hmdb):
    assert find_kind(hmdb) == "hmdb51"
    assert find_subsets(hmdb, split=3) == ("train", "test")
    train = open_dataset(hmdb, "train")
    assert train.labels == ("brush_hair", "clap", "wave")
    assert named(train) == {
        "brush_hair/b.avi": "brush_hair",
        f"clap/{NAMES[0]}": "clap",
        f"clap/{NAMES[2]}": "clap",
        "wave/w_1.avi": "wave",
    }
    assert named(open_dataset(hmdb, "test")) == {f"clap/{NAMES[1]}": "clap", "wave/w_2.avi": "wave"}
    assert list(named(open_dataset(hmdb, "test", split=3))) == [f"clap/{NAMES[2]}", f"clap/{NAMES[3]}", "wave/w_2.avi"]
    assert train.missing == ()
    with pytest.raises(DatasetError, match=r"no <class>_test_split4\.txt; splits there: 1, 2, 3"):
        open_dataset(hmdb, "train", split=4)
    with pytest.raises(ConfigError, match="'validation' of hmdb51"):
        open_dataset(hmdb, "validation")


def test_hmdb_other_places_and_lines_that_give_no_video(hmdb, write):
    for folder in list((hmdb / "hmdb51_org").iterdir()):
        folder.rename(hmdb / folder.name)
    (hmdb / "testTrainMulti_7030_splits").rename(hmdb / "splits")
    (hmdb / "splits/wave_test_split1.txt").unlink()
    write(
        hmdb / "splits/clap_test_split1.txt",
        ["../wave/w_1.avi 1", "a/b.avi 1", "odd.avi 3", "plain_clap_1.avi 1", "gone.avi 1", "gone2.avi 0"],
    )
    dataset = open_dataset(hmdb, "train")
    assert named(dataset) == {"brush_hair/b.avi": "brush_hair", "clap/plain_clap_1.avi": "clap"}
    assert dataset.labels == ("brush_hair", "clap", "wave")
    assert reasons(dataset) == {
        "clap/../wave/w_1.avi": "path leads out of the dataset",
        "clap/a/b.avi": "path leads out of the dataset",
        "clap_test_split1.txt, line 3": "broken line: must be a name and 0, 1 or 2",
        "clap/gone.avi": "not found",
        "wave_test_split1.txt": "its list is not there",
    }


def test_mirrored_labels():
    puppets = ("Wave", "StepLeft", "Push", "StepRight", "TurnLeft")
    assert mirrored_labels(puppets) == (0, 3, 2, 1, 4)
    keys = (
        "Pushing [something] from left to right",
        "Pushing something from left to right",
        "Pushing [something] from right to left",
        "Pushing something from right to left",
        "Turning the camera left while filming something",
        "Turning the camera right while filming something",
        "Turning the camera upwards while filming something",
    )
    assert mirrored_labels(keys) == (2, 3, 0, 1, 5, 4, 6)
    assert mirrored_labels(("ApplyEyeMakeup", "BrushingTeeth", "UnevenBars", "YoYo")) == (0, 1, 2, 3)
    assert mirrored_labels(("upright", "upleft", "Bright", "Bleft", "UpRight", "UpLeft")) == (0, 1, 2, 3, 5, 4)
    assert mirrored_labels(("move_LEFT", "move_RIGHT", "move_left", "HTMLLeft", "HTMLRight")) == (1, 0, 2, 4, 3)
    assert mirrored_labels(()) == ()
    assert mirrored_labels(("a", "a")) == (0, 1)
