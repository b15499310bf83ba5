"""`hybrid-cvar data check` as a user meets it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from hybrid_cvar.cli.data_check import check_command


def check(*arguments):
    app = typer.Typer(rich_markup_mode="rich")
    app.command("check")(check_command)
    done = CliRunner(env={"COLUMNS": "160", "NO_COLOR": "1", "TERMINAL_WIDTH": "160"}).invoke(
        app, [*map(str, arguments)]
    )
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_a_whole_dataset(ucf):
    done = check(ucf)
    assert done.exit_code == 0, done.stderr
    said = squeezed(done.stdout)
    assert "ucf101, split 1, 3 classes" in said
    assert "train 4 3 1 to 2, median 1 0" in said
    assert "test 3 3 1 to 1, median 1 0" in said


def test_missing_videos_are_counted_listed_and_fail(kinetics, tmp_path):
    target = tmp_path / "check.json"
    done = check(kinetics, "--json", target)
    assert done.exit_code == 1
    said = squeezed(done.stdout)
    assert "train 4 4 1 to 1, median 1 1 1 not found" in said
    assert "validation 1 1 0 to 1, median 0 1 1 unknown label" in said
    assert "train, missing: gonegonegon_000001_000011: not found" in said
    report = json.loads(target.read_text())
    assert (report["schema"], report["schema_version"], report["kind"]) == ("hybrid-cvar/data-check", 1, "kinetics")
    assert [part["subset"] for part in report["subsets"]] == ["train", "validation", "test"]
    train = report["subsets"][0]
    assert train["missing"] == [{"name": "gonegonegon_000001_000011", "reason": "not found"}]
    assert (train["videos"], train["classes"], train["error"], train["probe"]) == (4, 4, None, None)
    sizes = (train["smallest_class"], train["median_class"], train["largest_class"])
    assert sizes == (1, 1, 1)


def test_probe_counts_how_videos_are_read(ucf, put, sources):
    videos = ucf / "UCF-101"
    (videos / "YoYo/v_YoYo_g08_c01.avi").unlink()
    put(videos, "YoYo/v_YoYo_g08_c01.webm")
    (videos / "Archery/v_Archery_g08_c01.avi").unlink()
    (videos / "Archery/v_Archery_g08_c01.avi").write_text("no video")
    done = check(ucf, "--probe", "--subset", "train", "--json", "-")
    assert done.exit_code == 1
    (part,) = json.loads(done.stdout)["subsets"]
    assert (part["probe"]["native"], part["probe"]["transcode"]) == (2, 1)
    assert [video["name"] for video in part["probe"]["broken"]] == ["Archery/v_Archery_g08_c01.avi"]
    assert "train, broken: Archery/v_Archery_g08_c01.avi: " in squeezed(done.stderr)


def test_probe_counts_a_video_without_a_gop_as_broken(ucf, sources):
    import av

    short = ucf / "UCF-101/Archery/v_Archery_g01_c01.avi"
    short.unlink()
    with av.open(str(sources[".avi"])) as whole, av.open(str(short), "w") as cut:
        stream = cut.add_stream_from_template(whole.streams.video[0])
        for number, packet in enumerate(whole.demux(video=0)):
            if number < 5 and packet.dts is not None:
                packet.stream = stream
                cut.mux(packet)
    done = check(ucf, "--probe", "--subset", "test")
    assert done.exit_code == 1
    assert "v_Archery_g01_c01.avi: 5 frames, where a GOP needs 12" in squeezed(done.stdout)


def test_a_subset_that_cannot_be_used_does_not_stop_the_others(kinetics, tmp_path):
    (kinetics / "test").rename(tmp_path / "away")
    done = check(kinetics)
    assert done.exit_code == 1
    assert "test none can be used" in squeezed(done.stdout)
    assert "train 4 4" in squeezed(done.stdout)
    assert "error:" in done.stderr
    assert "no folder test" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--split", "2"), "splits there: 1, 3"),
        (("--kind", "hmdb51"), "no testTrainMulti_7030_splits"),
        (("--subset", "validation"), "take test, or hold out a part of train"),
    ],
)
def test_errors_are_one_line(ucf, arguments, message):
    done = check(ucf, *arguments)
    assert done.exit_code == 1
    assert message in squeezed(done.stderr)
    assert "Traceback" not in done.stderr


def test_long_lists_are_cut_on_the_terminal_alone(ucf, write):
    lines = ["Archery/v_Archery_g08_c01.avi 3", *(f"Archery/gone_{number}.avi 3" for number in range(14))]
    write(ucf / "ucfTrainTestlist/trainlist01.txt", [*lines, "Archery/\x1b[31mred.avi 3"])
    done = check(ucf, "--subset", "train", "--json", "-")
    assert len(json.loads(done.stdout)["subsets"][0]["missing"]) == 15
    assert "and 5 more (--json lists all)" in done.stderr
    assert "\x1b" not in done.stderr


def test_help_has_an_example():
    done = check("--help")
    assert done.exit_code == 0
    assert "hybrid-cvar data check" in squeezed(done.stdout)
