"""Kinetics and Something-Something V2 in their official layouts, and their traps."""

import json

import pytest

from hybrid_cvar.data import find_kind, find_subsets, open_dataset
from hybrid_cvar.errors import ConfigError, DatasetError
from hybrid_cvar.records import InputSpec
from hybrid_cvar.video import probe_video, read_clips


def reasons(dataset) -> dict[str, str]:
    return {video.name: video.reason for video in dataset.missing}


LABELS = ("abseiling", "massaging person's head", "shaking hands", "zumba")


def test_kinetics_train(kinetics):
    assert find_kind(kinetics) == "kinetics"
    assert find_subsets(kinetics) == ("train", "validation", "test")
    dataset = open_dataset(kinetics, "train")
    assert dataset.labels == LABELS
    assert [(video.name, video.label) for video in dataset.videos] == [
        ("-Axx_Yzz012_000005_000015", 3),
        ("bbbbbbbbbbb_000010_000020", 2),
        ("ccccccccccc_000000_000010", 0),
        ("ddddddddddd_000007_000017", 1),
    ]
    assert reasons(dataset) == {"gonegonegon_000001_000011": "not found"}


def test_kinetics_labels_are_those_of_train_in_every_subset(kinetics):
    validation = open_dataset(kinetics, "validation")
    assert validation.labels == LABELS
    assert [(video.name, video.label) for video in validation.videos] == [("eeeeeeeeeee_000003_000013", 2)]
    assert reasons(validation) == {
        "fffffffffff_000003_000013": "unknown label: 'surfing' is not in the list of train",
    }
    test = open_dataset(kinetics, "test")
    assert test.labels == LABELS
    assert [(video.name, video.label, video.path.name) for video in test.videos] == [("h_000002_000012", 3, "h.webm")]
    assert reasons(test) == {"ggggggggggg_000001_000011": "no label"}
    (kinetics / "train.csv").unlink()
    for subset in ("validation", "test"):
        assert open_dataset(kinetics, subset).labels == ("shaking hands", "surfing", "zumba")


@pytest.mark.parametrize(
    ("name", "subset", "source"),
    [
        ("kinetics-400_train.csv", "train", "train.csv"),
        ("kinetics_600_val.csv", "validation", "validate.csv"),
        ("annotations/val.csv", "validation", "validate.csv"),
        ("annotations/kinetics400_test.csv", "test", "test.csv"),
        ("k600_validate.csv", "validation", "validate.csv"),
    ],
)
def test_kinetics_names_of_lists(kinetics, name, subset, source):
    expected = open_dataset(kinetics, subset)
    (kinetics / "annotations").mkdir()
    (kinetics / source).rename(kinetics / name)
    assert open_dataset(kinetics, subset) == expected


def test_kinetics_two_lists_of_one_subset(kinetics):
    (kinetics / "val.csv").write_bytes((kinetics / "validate.csv").read_bytes())
    with pytest.raises(DatasetError, match=r"several lists of validation, val\.csv, validate\.csv"):
        open_dataset(kinetics, "validation")


def test_kinetics_lines_that_give_no_video(kinetics, write, tmp_path, put):
    put(tmp_path, "out_000000_000010.mp4", "elsewhere/q_000000_000010.mp4")
    (kinetics / "train/out_000000_000010.mp4").symlink_to(tmp_path / "out_000000_000010.mp4")
    (kinetics / "train/juggling_balls").symlink_to(tmp_path / "elsewhere")
    (kinetics / "train/empty_000000_000010.mp4").touch()
    put(kinetics / "train", "bare.mp4", "wrong/double_000000_000010.mp4", "zumba/double_000000_000010.mp4")
    (kinetics / "train/abseiling/half_000000_000010.mp4").touch()
    put(kinetics / "train", "half_000000_000010.mp4")
    write(
        kinetics / "train.csv",
        [
            "label,youtube_id,time_start,time_end,split",
            "zumba,../../out,0,10,train",
            "zumba,out,0,10,train",
            "zumba,empty,0,10,train",
            "juggling balls,q,0,10,train",
            "zumba,bare,0,10,train",
            "zumba,bare,20,30,train",
            "zumba,double,0.0,10.0,train",
            "abseiling,half,0,10,train",
            "zumba,double,0,10,train",
            "zumba,short",
            "zumba,odd,a,b,train",
            "zumba,,0,10,train",
            "",
        ],
    )
    dataset = open_dataset(kinetics, "train")
    assert {video.name: str(video.path.relative_to(kinetics / "train")) for video in dataset.videos} == {
        "bare_000000_000010": "bare.mp4",
        "double_000000_000010": "zumba/double_000000_000010.mp4",
        "half_000000_000010": "half_000000_000010.mp4",
    }
    assert dataset.labels == ("abseiling", "juggling balls", "zumba")
    broken = "broken line: must have an id, and a start and an end in whole seconds"
    assert reasons(dataset) == {
        "../../out_000000_000010": "path leads out of the dataset",
        "out_000000_000010": "link leads out of the dataset",
        "empty_000000_000010": "empty file",
        "q_000000_000010": "link leads out of the dataset",
        "bare_000020_000030": "its file is another line's",
        "double_000000_000010": "listed twice",
        "train.csv, line 11": "broken line: 2 fields, where 4 are needed",
        "train.csv, line 12": broken,
        "train.csv, line 13": broken,
    }


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a,b,c"], r"train\.csv, line 1: columns a, b, c, where youtube_id, time_start, time_end are needed"),
        ([], r"columns none"),
        (["youtube_id,time_start,time_end,label", "a,1,2,x", 'b,1,2,"y"z', "c,1,2,x"], r"train\.csv, line 3: "),
        (["youtube_id,time_start,time_end,label", "a,1,2,x", 'b,1,2,"y'], r"train\.csv, line \d: unexpected end"),
    ],
)
def test_a_damaged_csv_says_where(kinetics, write, lines, message):
    write(kinetics / "train.csv", lines)
    with pytest.raises(DatasetError, match=message):
        open_dataset(kinetics, "train")


def test_kinetics_says_where_it_looked(kinetics, tmp_path):
    (kinetics / "val").rename(tmp_path / "away")
    with pytest.raises(DatasetError, match=r"no folder val, videos_val, .*validate"):
        open_dataset(kinetics, "validation")
    (kinetics / "videos_val").mkdir()
    with pytest.raises(DatasetError, match=r"none of 2 lines of validation .*looked for in .*videos_val"):
        open_dataset(kinetics, "validation")
    (kinetics / "validate.csv").unlink()
    with pytest.raises(DatasetError, match="no list of validation"):
        open_dataset(kinetics, "validation")
    with pytest.raises(ConfigError, match="split 2 of kinetics; it has one split"):
        open_dataset(kinetics, "train", split=2)


KEYS = ("Holding something next to something", "Pushing something from left to right", "Dropping something")


@pytest.fixture
def something(tmp_path, put):
    root = tmp_path / "ssv2"
    put(root / "20bn-something-something-v2", *(f"{number}.webm" for number in (1, 2, 3, 4)))
    labels = root / "labels"
    labels.mkdir()
    # Neither in the alphabet's order nor in that of the file.
    numbers = dict(zip(KEYS, ("1", "2", "0"), strict=True))
    (labels / "labels.json").write_text(json.dumps(numbers))
    train = [
        {"id": "2", "label": "holding cup next to pen", "template": "Holding [something] next to [something]"},
        {"id": "1", "label": "pushing a box", "template": "Pushing [something] from left to right"},
        {"id": "77", "label": "dropping a box", "template": "Dropping [something]"},
    ]
    (labels / "train.json").write_text(json.dumps(train))
    (labels / "validation.json").write_text(json.dumps([{"id": "3", "template": "Dropping [something]"}]))
    (labels / "test.json").write_text(json.dumps([{"id": "4"}, {"id": "1"}]))
    return root


def test_something_something_labels(something):
    assert find_kind(something) == "something-something-v2"
    assert find_subsets(something) == ("train", "validation", "test")
    dataset = open_dataset(something, "train")
    assert dataset.labels == (KEYS[2], KEYS[0], KEYS[1])
    assert [(video.name, video.label) for video in dataset.videos] == [("2", 1), ("1", 2)]
    assert dataset.videos[0].path == something / "20bn-something-something-v2/2.webm"
    assert reasons(dataset) == {"77": "not found"}
    assert [(video.name, video.label) for video in open_dataset(something, "validation").videos] == [("3", 0)]


def test_something_something_test_needs_its_answers(something):
    with pytest.raises(DatasetError, match=r"none of 2 lines of test .*no label \(2\).*take another subset"):
        open_dataset(something, "test")
    (something / "labels/test-answers.csv").write_text("4;Pushing something from left to right\n")
    dataset = open_dataset(something, "test")
    assert [(video.name, video.label) for video in dataset.videos] == [("4", 2)]
    assert reasons(dataset) == {"1": "no label"}


def test_something_something_is_encoded_again_when_read(something):
    video = open_dataset(something, "validation").videos[0]
    info = probe_video(video.path)
    assert (info.codec, info.domain) == ("vp9", "transcode")
    clips = read_clips(video.path, InputSpec(size=32), 1).clips
    assert clips[0].motion.shape == (11, 32, 32, 2)
    assert clips[0].motion.any()


def test_something_something_converted_copy_and_older_names(something):
    folder = something / "20bn-something-something-v2"
    (folder / "3.webm").rename(folder / "3.avi")
    for path in list((something / "labels").iterdir()):
        path.rename(something / f"something-something-v2-{path.name}")
    assert open_dataset(something, "validation").videos[0].path.name == "3.avi"


def test_of_files_that_differ_in_their_extension_the_converted_one_is_taken(something, put):
    folder = something / "20bn-something-something-v2"
    put(folder, *(f"{number}{extension}" for number in (1, 2) for extension in (".mp4", ".avi")))
    (folder / "2.AVI.part").touch()
    videos = open_dataset(something, "train").videos
    assert [video.path.name for video in videos] == ["2.avi", "1.avi"]


def test_something_something_items_that_give_no_video(something, tmp_path, put):
    put(tmp_path, "9.webm")
    items = [
        {"id": 1, "template": "Dropping [something]"},
        {"id": "../../9", "template": "Dropping [something]"},
        {"id": "8", "template": "Baking [something]"},
        {"template": "Dropping [something]"},
        ["id"],
        {"id": "3"},
    ]
    (something / "labels/train.json").write_text(json.dumps(items))
    dataset = open_dataset(something, "train")
    assert [video.name for video in dataset.videos] == ["1"]
    assert reasons(dataset) == {
        "../../9": "path leads out of the dataset",
        "8": "unknown label: 'Baking something' is not in labels.json",
        "train.json, item 4": "broken line: must be an object with an id",
        "train.json, item 5": "broken line: must be an object with an id",
        "3": "no label",
    }


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.json", '[\n{"id": "1"},\n{"id"}]', r"train\.json, line 3: column 6: "),
        ("train.json", "{}", r"a JSON dict; must be a list of videos"),
        ("train.json", "[" * 100_000, r"recursion"),
        ("train.json", "[" + "9" * 5000 + "]", r"must be JSON of this dataset"),
        ("labels.json", '{"a": "0", "b": "2"}', r"2 classes with a number; must be"),
        ("labels.json", '{"a": "0", "b": "x"}', r"1 classes with a number; must be"),
        ("labels.json", "[]", r"0 classes with a number; must be"),
    ],
)
def test_damaged_json_says_where(something, name, content, message):
    (something / "labels" / name).write_text(content)
    with pytest.raises(DatasetError, match=message):
        open_dataset(something, "train")
