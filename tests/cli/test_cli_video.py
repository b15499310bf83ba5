"""`hybrid-cvar video` and `run --domain` as a user meets them."""

import contextlib
import json
from types import SimpleNamespace

import av
import pytest
from PIL import Image
from typer.testing import CliRunner

from hybrid_cvar.assets import SAMPLE_VIDEO
from hybrid_cvar.benchmark.moving_shapes import draw_video
from hybrid_cvar.cli import app


def hybrid_cvar(*arguments, cwd=".", columns=100):
    """In this process: a new one for each call would take most of the tests' time."""
    environment = {"COLUMNS": str(columns), "NO_COLOR": "1", "TERMINAL_WIDTH": "100"}
    with contextlib.chdir(cwd):
        done = CliRunner(env=environment).invoke(app, [*map(str, arguments)], prog_name="hybrid-cvar")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """native.avi (MPEG-4, GOP 12, 30 frames), b-frames.mp4 (H.264), text.mp4."""
    folder = tmp_path_factory.mktemp("videos")
    pictures = list(draw_video("grow", 1, 30, 96, 64))
    for name, codec, options in (
        ("native.avi", "mpeg4", {"g": "12", "bf": "0"}),
        ("b-frames.mp4", "libx264", {"g": "12", "bf": "2"}),
    ):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            stream.codec_context.options = options
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
    (folder / "text.mp4").write_text("no video")
    return folder


def test_probe_says_the_verdict_first_and_then_the_rest(folder):
    done = hybrid_cvar("video", "probe", folder / "native.avi")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].endswith("native.avi")
    assert lines[1].startswith("native: ")
    assert "its own GOPs are read" in lines[1]
    said = " ".join(done.stdout.split())
    for words in (
        "container avi",
        "codec mpeg4",
        "96x64, yuv420p, progressive",
        "25 frames/s",
        "1.20 s",
        "30: 3 I, 27 P, 0 B",
        "3 of 6 to 12 frames, median 12",
        "IPPPPPPPPPPP x 2, then IPPPPP",
        "2 of 12 frames (T = 11)",
    ):
        assert words in said, words
    other = hybrid_cvar("video", "probe", folder / "b-frames.mp4").stdout
    assert "transcode: h264 with B-frames" in other
    assert "pattern" not in other, "the order of types within a GOP is not known"


def test_probe_of_several_names_the_failures_and_does_the_rest(folder, tmp_path):
    files = [folder / name for name in ("native.avi", "text.mp4", "b-frames.mp4", "none.avi")]
    done = hybrid_cvar("video", "probe", *files, "--json", tmp_path / "r.json", columns=160)
    assert done.returncode == 1
    rows = [line.split() for line in done.stdout.splitlines() if folder.name in line]
    assert [row[1] for row in rows] == ["native", "transcode"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert ["text.mp4" in errors[0], "none.avi" in errors[1], len(errors)] == [True, True, 2]
    assert "2 of 4 videos can be read" in done.stderr
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["schema"] == "hybrid-cvar/video-probe"
    assert [video["domain"] for video in result["videos"]] == ["native", "transcode"]
    assert [failure["video"] for failure in result["failures"]] == [str(files[1]), str(files[3])]
    assert "Traceback" not in done.stderr


def test_probe_json_on_stdout_is_pure_and_has_every_field(folder):
    done = hybrid_cvar("video", "probe", folder / "native.avi", "--json", "-", "--timesteps", "5")
    (video,) = json.loads(done.stdout)["videos"]
    assert video["structure"]["native_clips"] == 5
    assert video["gop_runs"] == [{"frames": 12, "gops": 2}, {"frames": 6, "gops": 1}]
    assert video["size_bytes"] == (folder / "native.avi").stat().st_size
    for field in ("container", "profile", "pixel_format", "sample_aspect_ratio", "rotation_degrees", "interlaced"):
        assert field in video
    assert "native" in done.stderr


def test_the_domain_can_be_asked_for(folder):
    refused = hybrid_cvar("video", "probe", folder / "b-frames.mp4", "--domain", "native")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert "B-frames" in refused.stderr
    copied = hybrid_cvar("video", "probe", folder / "native.avi", "-d", "transcode")
    assert copied.stdout.splitlines()[1].startswith("transcode: asked for")


def test_run_takes_the_domain(folder):
    common = ["run", "--engine", "native", "--clips", "1"]
    for domain, status, words in (("native", 0, "native:"), ("transcode", 0, "transcoded: asked for")):
        done = hybrid_cvar(*common, "--domain", domain, SAMPLE_VIDEO)
        assert done.returncode == status, done.stderr
        assert words in done.stdout
    done = hybrid_cvar(*common, "--domain", "native", folder / "b-frames.mp4")
    assert done.returncode == 1
    assert "b-frames.mp4" in done.stderr


def test_show_writes_a_sheet_and_a_film(folder, tmp_path):
    done = hybrid_cvar("video", "show", folder / "native.avi", "-o", "a.png", "--width", "640", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("wrote a.png: ")
    with Image.open(tmp_path / "a.png") as image:
        assert f"{image.width}x{image.height}" in done.stdout
    film = ["--at", "0", "--gops", "1", "-d", "transcode", "-w", "480", "--slow", "2"]
    done = hybrid_cvar("video", "show", folder / "native.avi", "-o", "a.mp4", *film, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert float(container.streams.video[0].average_rate) == 12.5
        assert sum(1 for _ in container.decode(video=0)) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "a.png"]


@pytest.mark.parametrize(("option", "words"), [(["-o", "a.gif"], "gif"), (["-o", "a.png", "--at", "99"], "99")])
def test_show_refuses_in_one_line(folder, tmp_path, option, words):
    done = hybrid_cvar("video", "show", folder / "native.avi", *option, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_convert_keeps_the_tree_and_lists_what_failed(folder, tmp_path):
    done = hybrid_cvar("video", "convert", folder, tmp_path / "dst", "--json", tmp_path / "r.json", "-j", "1")
    assert done.returncode == 1
    assert "2 converted, 0 already done, 1 failed" in done.stdout
    assert "text.mp4: " in done.stdout.partition("failed:")[2]
    assert sorted(path.name for path in (tmp_path / "dst").iterdir()) == ["b-frames.avi", "native.avi"]
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["schema"] == "hybrid-cvar/video-convert"
    assert [one["frames"] for one in result["converted"]] == [30, 30]
    assert result["failures"][0]["source"] == str(folder / "text.mp4")
    again = hybrid_cvar("video", "convert", folder, tmp_path / "dst")
    assert "0 converted, 2 already done, 1 failed" in again.stdout
    one = hybrid_cvar("video", "convert", folder / "native.avi", tmp_path / "one.avi", "--gop", "6", "--qscale", "8")
    assert one.returncode == 0, one.stderr
    assert "IPPPPP x 5" in hybrid_cvar("video", "probe", tmp_path / "one.avi").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["probe"],
        ["probe", "a", "--domain", "other"],
        ["probe", "a", "-t", "0"],
        ["show", "a"],
        ["convert", "a"],
        ["convert", "a", "b", "--qscale", "32"],
        ["convert", "a", "b", "--workers", "0"],
        ["fly"],
    ],
)
def test_wrong_usage_is_status_2(arguments, tmp_path):
    done = hybrid_cvar("video", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_an_output_never_replaces_the_video(folder, tmp_path):
    video = tmp_path / "v.png"
    video.write_bytes((folder / "native.avi").read_bytes())
    for arguments in (["probe", video, "--json", video], ["show", video, "-o", video]):
        assert hybrid_cvar("video", *arguments).returncode == 2
    assert hybrid_cvar("video", "convert", video, tmp_path / "d.avi", "--json", video).returncode == 2
    assert video.read_bytes() == (folder / "native.avi").read_bytes()


def test_help_teaches():
    for command, words in (
        ([], ["probe", "show", "convert"]),
        (["probe"], ["--json", "--domain", "--timesteps", "Example"]),
        (["show"], ["--at", "--gops", "--width", "--slow", "most motion", "Example"]),
        (["convert"], ["--workers", "--overwrite", "--all", "--qscale", "skipped", "Example"]),
    ):
        shown = hybrid_cvar("video", *command, "--help").stdout
        assert [word for word in words if word not in shown] == []
    assert "--domain" in hybrid_cvar("run", "--help").stdout


def test_what_was_cut_off_is_converted_and_named(tmp_path):
    content = SAMPLE_VIDEO.read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "cut.avi").write_bytes(content[: len(content) // 2])
    (tmp_path / "in" / "whole.avi").write_bytes(content)
    done = hybrid_cvar("video", "convert", tmp_path / "in", tmp_path / "out", "--json", tmp_path / "r.json")
    assert done.returncode == 1 and "2 converted" in done.stdout
    assert "converted, but incomplete:" in done.stdout and "cut.avi: " in done.stdout
    assert "whole.avi: " not in done.stdout
    converted = json.loads((tmp_path / "r.json").read_text())["converted"]
    cut, whole = sorted(converted, key=lambda video: video["source"])
    assert whole["frames_missing"] == 0 and cut["frames"] + cut["frames_missing"] == whole["frames"]
    again = hybrid_cvar("video", "convert", tmp_path / "in", tmp_path / "out")
    assert again.returncode == 1 and "1 converted" in again.stdout and "cut.avi: " in again.stdout
    (tmp_path / "in" / "cut.avi").write_bytes(content)
    mended = hybrid_cvar("video", "convert", tmp_path / "in", tmp_path / "out")
    assert mended.returncode == 0 and "1 converted" in mended.stdout
    (tmp_path / "in" / "cut.avi").write_bytes(content[: len(content) // 2])
    probe = hybrid_cvar("video", "probe", tmp_path / "in" / "cut.avi", tmp_path / "in" / "whole.avi", columns=160)
    assert "frames are missing, it was cut off" in probe.stdout


@pytest.mark.parametrize("stream", ["-", "rtsp://127.0.0.1:9/x"])
def test_show_takes_no_streams(tmp_path, stream):
    done = hybrid_cvar("video", "show", stream, "-o", tmp_path / "x.png")
    assert done.returncode == 1 and "a stream; a figure looks through a file" in done.stderr


def test_probe_of_a_video_that_is_too_short_says_so(tmp_path):
    content = SAMPLE_VIDEO.read_bytes()
    (tmp_path / "short.avi").write_bytes(content[: len(content) // 20])
    done = hybrid_cvar("video", "probe", tmp_path / "short.avi")
    assert "too short: " in done.stdout and "where a GOP needs 12" in " ".join(done.stdout.split())
