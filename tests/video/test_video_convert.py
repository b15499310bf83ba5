"""Conversion to the paper's format: native afterwards, resumable, never a half file, nothing lost or replaced."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import psutil
import pytest
from av.video.frame import PictureType

from hybrid_cvar.errors import ConfigError, CorruptVideoError, OutputError, UnsupportedVideoError
from hybrid_cvar.video import probe_video
from hybrid_cvar.video.convert import convert_tree, convert_video
from hybrid_cvar.video.convert_plan import plan_conversion
from hybrid_cvar.video.partial_file import remove_leftovers, whole_file

COMMAND = [sys.executable, "-m", "hybrid_cvar", "video", "convert"]


@pytest.fixture(scope="session")
def h264(encode, pictures) -> bytes:
    """40 frames with B-frames: never native."""
    return encode(pictures, codec="libx264", container="mp4", bf="2")


@pytest.fixture(scope="session")
def long_video(encode, pictures) -> bytes:
    """800 frames: long enough to be met half done."""
    return encode(pictures * 20, codec="mpeg4", container="avi")


def frames_of(path):
    with av.open(str(path)) as container:
        return [(PictureType(frame.pict_type).name, frame.width, frame.height) for frame in container.decode(video=0)]


def partial_files(folder):
    return sorted(path.name for path in Path(folder).rglob(".*"))


def write(folder, **files):
    """Files by name, `__` standing for a slash and a last `_` for the dot before the extension."""
    for name, content in files.items():
        path = folder / Path(*name.split("__"))
        path = path.with_name(".".join(path.name.rsplit("_", 1)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def planned(source, target, **options):
    plan = plan_conversion(source, target, **options)
    return {str(v.source.relative_to(source)): str(v.target.relative_to(target)) for v in plan.videos}, plan


# One video


def test_a_converted_video_is_native_and_whole(tmp_path, h264):
    write(tmp_path, a_mp4=h264)
    assert probe_video(tmp_path / "a.mp4").transcoded
    done = convert_video(tmp_path / "a.mp4", tmp_path / "new" / "a.avi")
    assert done.frames == 40
    assert done.size_bytes == done.target.stat().st_size
    info = probe_video(done.target)
    assert info.domain == "native"
    assert info.frames_per_second == 25.0
    assert (info.structure.gops, info.structure.longest, info.structure.b_frames) == (4, 12, 0)
    types = frames_of(done.target)
    assert {entry[1:] for entry in types} == {(340, 256)}
    assert "".join(entry[0] for entry in types) == ("I" + "P" * 11) * 3 + "IPPP"
    assert partial_files(tmp_path) == []


def test_the_bits_depend_on_the_frames_and_the_settings_only(tmp_path, h264):
    write(tmp_path, a_mp4=h264)
    settings = {"one": {}, "two": {}, "coarse": {"qscale": 20}, "short": {"gop": 5}}
    made = {
        name: convert_video(tmp_path / "a.mp4", tmp_path / f"{name}.avi", **options).target
        for name, options in settings.items()
    }
    assert made["one"].read_bytes() == made["two"].read_bytes()
    assert made["coarse"].stat().st_size < 0.8 * made["one"].stat().st_size
    assert [entry[0] for entry in frames_of(made["short"])].count("I") == 8


@pytest.mark.parametrize("rate", ["30000/1001", "359/12", "10000000/333667", "1"])
def test_the_rate_is_kept(tmp_path, pictures, rate):
    from fractions import Fraction

    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate))
        stream.width, stream.height, stream.pix_fmt = 98, 66, "yuv420p"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    convert_video(tmp_path / "a.mkv", tmp_path / "a.avi")
    source, target = (probe_video(tmp_path / name).frames_per_second for name in ("a.mkv", "a.avi"))
    assert target == pytest.approx(source, rel=1e-4)
    assert target == pytest.approx(float(Fraction(rate)), rel=0.05)


def test_a_failure_leaves_the_old_target_and_nothing_else(tmp_path):
    write(tmp_path, bad_mp4=b"\x00\x00\x00\x18ftypmp42" + bytes(200), a_avi=b"what was there")
    with pytest.raises((CorruptVideoError, UnsupportedVideoError)):
        convert_video(tmp_path / "bad.mp4", tmp_path / "a.avi")
    assert (tmp_path / "a.avi").read_bytes() == b"what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.avi", "bad.mp4"]


def test_an_interrupt_leaves_nothing(tmp_path, h264):
    write(tmp_path, a_mp4=h264)

    def interrupt(fraction):
        assert len(partial_files(tmp_path)) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_video(tmp_path / "a.mp4", tmp_path / "a.avi", on_fraction=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("settings", [{"gop": 0}, {"gop": 5000}, {"qscale": 0}, {"qscale": 32}, {"qscale": True}])
def test_settings_out_of_range_are_refused(tmp_path, h264, settings):
    write(tmp_path, a_mp4=h264)
    with pytest.raises(ConfigError, match=next(iter(settings))):
        convert_video(tmp_path / "a.mp4", tmp_path / "a.avi", **settings)
    assert not (tmp_path / "a.avi").exists()


def test_a_source_is_never_its_own_target(tmp_path, h264):
    write(tmp_path, a_avi=h264)
    os.link(tmp_path / "a.avi", tmp_path / "same.avi")
    with pytest.raises(ConfigError, match="source"):
        convert_video(tmp_path / "a.avi", tmp_path / "same.avi")
    assert (tmp_path / "a.avi").read_bytes() == h264


def test_a_target_that_cannot_be_written_is_one_error(tmp_path, h264):
    write(tmp_path, a_mp4=h264, file_txt=b"")
    with pytest.raises(OutputError, match=r"file\.txt"):
        convert_video(tmp_path / "a.mp4", tmp_path / "file.txt" / "a.avi")
    (tmp_path / "folder.avi").mkdir()
    with pytest.raises(OutputError, match=r"folder\.avi"):
        convert_video(tmp_path / "a.mp4", tmp_path / "folder.avi")
    assert partial_files(tmp_path) == []


# Which files, and their names


def test_names_keep_the_tree_and_clashes_keep_their_extension(tmp_path):
    empty = dict.fromkeys(
        ["a_mp4", "a_avi", "b_MKV", "sub__a_mp4", "sub__x.y_webm", "a.mp4_mkv", "c.mkv_mp4", "c_mkv"], b""
    )
    write(tmp_path / "src", **empty)
    names, _ = planned(tmp_path / "src", tmp_path / "dst")
    assert names == {
        "a.mp4": "a.mp4.avi",
        "a.avi": "a.avi.avi",
        "a.mp4.mkv": "a.mp4.mkv.avi",
        "b.MKV": "b.avi",
        "c.mkv": "c.avi",
        "c.mkv.mp4": "c.mkv.avi",
        "sub/a.mp4": "sub/a.avi",
        "sub/x.y.webm": "sub/x.y.avi",
    }


def test_other_files_links_out_and_hidden_ones_are_left_out(tmp_path):
    source, outside = tmp_path / "src", tmp_path / "outside"
    write(source, a_mp4=b"", text_txt=b"", picture_jpg=b"", sound_mp3=b"", noext_=b"")
    write(source, **{"._a_mp4": b"", ".git__b_mp4": b"", "deep__d_mp4": b""})
    write(outside, z_mp4=b"")
    (source / "out.mp4").symlink_to(outside / "z.mp4")
    (source / "inside.mp4").symlink_to("a.mp4")
    (source / "folder").symlink_to(outside)
    (source / "loop").symlink_to(source)
    names, plan = planned(source, tmp_path / "dst")
    assert list(names) == ["a.mp4", "inside.mp4", "deep/d.mp4"]
    assert (plan.other_files, plan.links_left_out) == (4, 3)
    everything, plan = planned(source, tmp_path / "dst", every_file=True)
    assert {"text.txt", "picture.jpg", "sound.mp3"} < set(everything)
    assert "out.mp4" not in everything
    assert plan.other_files == 0


def test_a_target_folder_inside_the_source_is_not_searched(tmp_path):
    write(tmp_path / "src", a_mp4=b"", out__a_avi=b"", out__deep__b_avi=b"")
    (tmp_path / "alias").symlink_to(tmp_path / "src" / "out")
    for target in (tmp_path / "src" / "out", tmp_path / "alias"):
        assert list(planned(tmp_path / "src", target)[0]) == ["a.mp4"]


def test_a_target_that_would_replace_a_source_is_refused(tmp_path):
    source = tmp_path / "all" / "src"
    write(source, a_avi=b"", src__a_mp4=b"")
    # Into the folder itself; and into the one above, where all/src/a.avi would come from all/src/src/a.mp4.
    for folder, target in ((source, source), (source, tmp_path / "all"), (source / "a.avi", source)):
        with pytest.raises(ConfigError, match="never replaced"):
            plan_conversion(folder, target)


def test_one_file_goes_to_a_name_or_a_folder(tmp_path):
    write(tmp_path, a_mp4=b"", odd_data=b"")
    for target, wanted in (("new.avi", "new.avi"), ("folder", "folder/a.avi"), (".", "a.avi")):
        assert plan_conversion(tmp_path / "a.mp4", tmp_path / target).videos[0].target == tmp_path / wanted
    assert len(plan_conversion(tmp_path / "odd.data", tmp_path / "new.avi").videos) == 1
    with pytest.raises(ConfigError, match=r"\.mp4"):
        plan_conversion(tmp_path / "a.mp4", tmp_path / "new.mp4")
    with pytest.raises(ConfigError, match="folder"):
        plan_conversion(tmp_path, tmp_path / "a.mp4")
    with pytest.raises(UnsupportedVideoError, match="no such"):
        plan_conversion(tmp_path / "none", tmp_path / "new")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnsupportedVideoError, match="no video"):
        plan_conversion(tmp_path / "empty", tmp_path / "new")


# Leftovers


def test_leftovers_go_and_files_being_written_stay(tmp_path):
    (tmp_path / ".hybrid-cvar-0123456789ab.part").write_bytes(b"half")
    (tmp_path / ".other.part").write_bytes(b"not ours")
    with whole_file(tmp_path / "a.avi") as partial:
        partial.write_bytes(b"whole")
        remove_leftovers(tmp_path)
        assert partial_files(tmp_path) == sorted([partial.name, ".other.part"])
    assert (tmp_path / "a.avi").read_bytes() == b"whole"
    assert partial_files(tmp_path) == [".other.part"]


# A folder


def test_a_tree_is_converted_once_and_then_only_what_changed(tmp_path, h264):
    source, target = tmp_path / "src", tmp_path / "dst"
    write(source, a_mp4=h264, sub__b_mp4=h264, bad_mp4=b"no video")
    first = convert_tree(source, target, workers=2)
    assert sorted(str(one.target.relative_to(target)) for one in first.converted) == ["a.avi", "sub/b.avi"]
    assert [failure.source.name for failure in first.failures] == ["bad.mp4"]
    assert first.failures[0].error.count(";") >= 1
    assert not first.interrupted
    before = (target / "a.avi").stat().st_ino
    (source / "bad.mp4").unlink()
    again = convert_tree(source, target, workers=2)
    assert (len(again.converted), len(again.skipped), len(again.failures)) == (0, 2, 0)
    assert (target / "a.avi").stat().st_ino == before
    later = time.time() + 60
    os.utime(source / "a.mp4", (later, later))
    assert [one.source.name for one in convert_tree(source, target).converted] == ["a.mp4"]
    assert len(convert_tree(source, target).skipped) == 2
    assert len(convert_tree(source, target, overwrite=True, workers=1).converted) == 2
    assert partial_files(tmp_path) == []


def test_a_process_that_dies_fails_its_own_video_only(tmp_path, h264, long_video):
    write(tmp_path / "src", a_avi=long_video, b_mp4=h264, c_mp4=h264)
    killed = []
    # Earlier tests may have left children of their own kind, such as multiprocessing's resource tracker.
    others = set(psutil.Process().children())

    def kill_first(done):
        if not killed:
            (worker,) = set(psutil.Process().children()) - others
            killed.append(worker.pid)
            worker.kill()

    from hybrid_cvar.video.convert import ConvertObserver

    result = convert_tree(tmp_path / "src", tmp_path / "dst", workers=1, observer=ConvertObserver(on_bytes=kill_first))
    assert [failure.source.name for failure in result.failures] == ["a.avi"]
    assert "signal 9" in result.failures[0].error
    assert [one.source.name for one in result.converted] == ["b.mp4", "c.mp4"]
    assert sorted(path.name for path in (tmp_path / "dst").iterdir()) == ["b.avi", "c.avi"]
    assert set(psutil.Process().children()) <= others


def start(*arguments):
    return subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def await_file(folder, pattern, run):
    deadline = time.monotonic() + 30
    while not (found := list(folder.rglob(pattern))):
        assert time.monotonic() < deadline and run.poll() is None, "the conversion must be under way"
        time.sleep(0.02)
    return found


def test_kill_9_leaves_no_half_target_and_the_next_run_completes(tmp_path, long_video):
    source, target = tmp_path / "src", tmp_path / "dst"
    write(source, **{f"v{number}_avi": long_video for number in range(2)})
    with start(source, target, "--workers", 2) as run:
        await_file(target, "*.part", run)
        workers = psutil.Process(run.pid).children(recursive=True)
        run.kill()
        run.communicate()
    assert psutil.wait_procs(workers, timeout=5)[1] == []
    for whole in target.glob("*.avi"):
        assert len(frames_of(whole)) == 800
    assert len(list(target.glob("*.avi"))) < 2
    assert partial_files(target) != []
    with start(source, target, "--workers", 2) as run:
        output = run.communicate(timeout=60)
    assert run.returncode == 0, output
    assert sorted(path.name for path in target.iterdir()) == ["v0.avi", "v1.avi"]
    assert [len(frames_of(path)) for path in target.iterdir()] == [800] * 2


def test_ctrl_c_keeps_what_is_done(tmp_path, h264, long_video):
    source, target, report = tmp_path / "src", tmp_path / "dst", tmp_path / "r.json"
    write(source, a_mp4=h264, **{f"v{number}_avi": long_video for number in range(4)})
    with start(source, target, "--workers", 1, "--json", report) as run:
        await_file(target, "a.avi", run)
        await_file(target, "*.part", run)
        workers = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGINT)
        stdout, stderr = run.communicate(timeout=30)
    assert run.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "error: interrupted"
    assert "Traceback" not in stderr
    assert "not reached" in stdout
    assert workers and psutil.wait_procs(workers, timeout=5)[1] == []
    assert partial_files(target) == []
    result = json.loads(report.read_text())
    done = sorted(Path(one["target"]).name for one in result["converted"])
    assert done == sorted(path.name for path in target.iterdir())
    assert "a.avi" in done
    assert len(result["converted"]) + len(result["not_reached"]) == 5
    assert result["interrupted"]


def test_a_full_disk_is_an_error_and_no_file(tmp_path, h264):
    write(tmp_path / "src", a_mp4=h264)
    command = [*COMMAND, str(tmp_path / "src"), str(tmp_path / "dst")]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 1
    assert "a.avi: File too large" in done.stdout
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "dst").iterdir()) == []
