"""The command as a user meets it: exit status, one clear line, no traceback, whole files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from hybrid_cvar.assets import DEFAULT_BUNDLE, DEFAULT_CHECKPOINT, SAMPLE_VIDEO
from hybrid_cvar.compiler.bundle import MANIFEST_FILE, manifest_sha256
from hybrid_cvar.onnx_session import PROVIDERS, install_command, supports_bf16

COMMAND = [sys.executable, "-c", "from hybrid_cvar.__main__ import main; main()"]


def hybrid_cvar(*arguments, cwd=None, **environment):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "100", "NO_COLOR": "1"} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def native(*arguments, **options):
    return hybrid_cvar("run", "--engine", "native", "--clips", "2", *arguments, **options)


@pytest.fixture(scope="module")
def bad_videos(tmp_path_factory):
    """Name to (file, words of its one line)."""
    folder = tmp_path_factory.mktemp("bad")
    whole = SAMPLE_VIDEO.read_bytes()
    files = {
        "missing": (folder / "missing.avi", "no such file"),
        "folder": (folder / "folder.avi", "director"),
        "empty": (folder / "empty.avi", "empty"),
        "text": (folder / "text.avi", ""),
        "audio": (folder / "audio.wav", "video"),
        "truncated": (folder / "truncated.avi", ""),
        "short": (folder / "short.avi", "GOP"),
    }
    files["folder"][0].mkdir()
    files["empty"][0].write_bytes(b"")
    files["text"][0].write_text("to be or not to be\n" * 100)
    files["truncated"][0].write_bytes(whole[:6000])
    with av.open(str(files["audio"][0]), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), dtype=np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(files["short"][0]), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 48
        for value in range(5):
            picture = np.full((48, 64, 3), value * 20, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return files


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "audio", "truncated", "short"])
def test_a_bad_video_is_one_clear_line(bad_videos, kind):
    path, words = bad_videos[kind]
    done = native(path)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, done.stderr
    assert path.name in lines[0]
    assert words in lines[0]
    assert lines[0].count(";") >= 1, "a message says what, rule and remedy"
    assert "Traceback" not in done.stderr + done.stdout


def test_a_bit_flipped_video_ends_in_a_report_or_one_line(tmp_path):
    rng = np.random.default_rng(5)
    whole = SAMPLE_VIDEO.read_bytes()
    for number in range(4):
        damaged = bytearray(whole)
        for position in rng.integers(200, len(whole), 60):
            damaged[position] ^= 1 << int(rng.integers(8))
        (tmp_path / f"flip{number}.avi").write_bytes(damaged)
    done = native(*sorted(tmp_path.glob("flip*.avi")), "--json", tmp_path / "r.json")
    result = json.loads((tmp_path / "r.json").read_text())
    assert len(result["videos"]) + len(result["failures"]) == 4
    assert done.returncode == (1 if result["failures"] else 0)
    assert "Traceback" not in done.stderr + done.stdout


def test_one_bad_video_does_not_stop_the_others(bad_videos, tmp_path):
    good = tmp_path / "good.avi"
    good.write_bytes(SAMPLE_VIDEO.read_bytes())
    outputs = ["--json", tmp_path / "r.json", "--report", tmp_path / "r.html"]
    done = native(SAMPLE_VIDEO, bad_videos["text"][0], good, bad_videos["missing"][0], *outputs)
    assert done.returncode == 1
    result = json.loads((tmp_path / "r.json").read_text())
    assert len(result["videos"]) == 2
    assert [Path(failure["video"]).name for failure in result["failures"]] == ["text.avi", "missing.avi"]
    # Said once for all of them, since a video's line has no room for it.
    assert done.stderr.count("recognises nothing of real people") == 1
    page = (tmp_path / "r.html").read_text()
    assert "good.avi" in page
    assert "text.avi" in page


@pytest.mark.needs_lava
def test_the_default_run_is_the_sample_on_lava_and_equals_native(tmp_path):
    outputs = {engine: tmp_path / f"{engine}.json" for engine in ("lava", "native")}
    for engine, path in outputs.items():
        done = hybrid_cvar("run", "--engine", engine, "--json", path)
        assert done.returncode == 0, done.stderr
        assert "sample.avi" in done.stdout
    lava, native_run = (json.loads(path.read_text())["videos"][0] for path in outputs.values())
    assert hybrid_cvar("run", "--clips", "1").stdout.count("lava") == 1
    for key in lava:
        if "time" not in key and "engine" not in key and "stage" not in key:
            assert lava[key] == native_run[key] or key in ("model",), key


def test_json_to_stdout_is_pure_json():
    done = native("--json", "-", "--top", "3")
    assert done.returncode == 0
    result = json.loads(done.stdout)
    assert result["schema"] == "hybrid-cvar/run"
    assert len(result["videos"]) == 1
    assert "clips" in done.stderr


def test_transcoding_is_said(tmp_path):
    path = tmp_path / "other.mp4"
    with av.open(str(SAMPLE_VIDEO)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 340, 256, "yuv420p"
        for frame in source.decode(video=0):
            target.mux(stream.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24")))
        target.mux(stream.encode(None))
    done = native(path)
    assert done.returncode == 0, done.stderr
    assert "340x256" in done.stdout
    assert "GOP 12" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--clips", "0"],
        ["run", "--clips", "many"],
        ["run", "--engine", "loihi"],
        ["run", "--provider", "gpu"],
        ["run", "--threads", "-1"],
        ["run", "--top", "0"],
        ["run", "--unknown"],
        ["compile", "a.pt", "b.pt"],
        ["fly"],
    ],
)
def test_wrong_usage_is_status_2(arguments):
    done = hybrid_cvar(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_output_never_replaces_a_video_or_another_output(tmp_path):
    video = tmp_path / "v.avi"
    video.write_bytes(SAMPLE_VIDEO.read_bytes())
    for arguments in ([video, "--json", video], [video, "--report", tmp_path / "o", "--json", tmp_path / "o"]):
        done = native(*arguments)
        assert done.returncode == 2
        assert "used twice" in " ".join(done.stderr.replace("│", " ").split())
    assert video.read_bytes() == SAMPLE_VIDEO.read_bytes()
    assert [file.name for file in tmp_path.iterdir()] == ["v.avi"]


@pytest.mark.parametrize("option", ["--json", "--report"])
def test_an_output_that_cannot_be_written_is_said_before_the_run(tmp_path, option):
    done = native(option, tmp_path / "none" / "out")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "clips" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_bad_bundle_and_profile_are_one_line(tmp_path):
    for arguments, words in (
        (["--bundle", tmp_path / "none"], "no such bundle"),
        (["--profile", "loihi9"], "loihi9"),
        (["--profile", "loihi-2"], "no sourced energy or time of an operation is public"),
        (["--strict", "--profile", "loihi1-sanafe"], "spikes carry no value"),
    ):
        done = native(*arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_run_needs_neither_torch_nor_lava(tmp_path):
    """The base installation: both are made unimportable, and the native engine runs."""
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'lava', 'onnx', 'scipy', 'PIL'])); "
        "from hybrid_cvar.__main__ import main; main()"
    )
    command = [sys.executable, "-c", program, "run", "--engine", "native", "--clips", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def native_without(provider_parts, *arguments, command="run"):
    """`native` in a Python where these modules and providers of ONNX Runtime are not installed."""
    program = (
        "import importlib.util as u, onnxruntime as o; found = u.find_spec; names = o.get_available_providers(); "
        f"gone = {provider_parts!r}; "
        "u.find_spec = lambda name, *a: None if name in gone else found(name, *a); "
        "o.get_available_providers = lambda: [name for name in names if name not in gone]; "
        "from hybrid_cvar.__main__ import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", program, command, *map(str, arguments)],
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


NO_PROVIDERS = ["onnxruntime_ep_openvino", "CUDAExecutionProvider", "TensorrtExecutionProvider"]


@pytest.mark.parametrize("provider", ["openvino", "cuda", "tensorrt"])
def test_a_missing_provider_is_one_line_before_anything_runs(provider):
    done = native_without(NO_PROVIDERS, "--engine", "native", "--provider", provider)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"error: the {provider} provider is not installed; ")
    assert "install it: pip " in line


@pytest.fixture
def bf16_bundle(tmp_path):
    """The shipped bundle as though compiled to BF16, whose graph is that of FP32."""
    bundle = tmp_path / "bf16.bundle"
    shutil.copytree(DEFAULT_BUNDLE, bundle)
    manifest = json.loads((bundle / MANIFEST_FILE).read_text())
    manifest["dense"]["precision"] = "bf16"
    (bundle / MANIFEST_FILE).write_text(json.dumps(manifest | {"manifest_sha256": manifest_sha256(manifest)}))
    return bundle


def test_a_bf16_bundle_without_a_provider_that_computes_in_it(bf16_bundle):
    for arguments, words in (([], "pip install onnxruntime-ep-openvino"), (["-p", "cpu"], "give --provider openvino")):
        done = native_without(NO_PROVIDERS, "--engine", "native", "--bundle", bf16_bundle, *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith("error: ") and words in line


@pytest.mark.needs_openvino
def test_openvino_gives_the_cpus_answer_and_its_own_name(bf16_bundle, tmp_path):
    outputs = ["--report", tmp_path / "r.html", "--json", tmp_path / "r.json"]
    done = native("--provider", "openvino", "--threads", "1", "--no-arena", *outputs)
    assert done.returncode == 0, done.stderr
    assert "native; ANN on openvino in fp32" in done.stdout
    assert "ANN on openvino in fp32" in (tmp_path / "r.html").read_text()
    (video,) = json.loads((tmp_path / "r.json").read_text())["videos"]
    assert (video["model"]["provider"], video["model"]["precision"]) == ("openvino", "fp32")
    (on_cpu,) = json.loads(native("--json", "-").stdout)["videos"]
    assert video["operations"] == on_cpu["operations"]
    assert [one["label"] for one in video["predictions"]["top"]] == [
        one["label"] for one in on_cpu["predictions"]["top"]
    ]
    if supports_bf16():
        assert "native; ANN on openvino in bf16" in native("--bundle", bf16_bundle).stdout


def test_the_providers_of_the_command_are_those_of_the_sessions():
    from hybrid_cvar.cli.run import Provider

    assert tuple(Provider) == PROVIDERS


@pytest.mark.parametrize("arguments", [["run"], ["compile"]])
def test_a_missing_part_names_its_command(tmp_path, arguments):
    program = (
        "import sys, importlib.util as u; found = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name.split('.')[0] in ('lava', 'torch') else found(name, *a); "
        "from hybrid_cvar.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "install it: pip install" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.needs_compile
@pytest.mark.needs_lava
def test_compile_then_run(small_checkpoint, tmp_path):
    done = hybrid_cvar("compile", small_checkpoint, "--clips", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "small.bundle" / "manifest.json").exists()
    for words in ("native -> Lava fixed_pt", "torch ANN -> ONNX Runtime", "equal", "theta"):
        assert words in done.stdout
    done = native("--bundle", tmp_path / "small.bundle")
    assert done.returncode == 0, done.stderr
    assert "not trained" in done.stdout
    again = hybrid_cvar("compile", small_checkpoint, cwd=tmp_path)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr


@pytest.mark.needs_compile
def test_a_dry_run_prints_the_map_and_the_resources_and_writes_nothing(small_checkpoint, tmp_path):
    done = hybrid_cvar("compile", small_checkpoint, "--dry-run", "--chip", "loihi-2", "--strict", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("Float to integer", "Cores on Loihi 2", "not checked", "nothing was written"):
        assert words in done.stdout
    assert "Loihi 1" not in done.stdout
    strict = hybrid_cvar("compile", small_checkpoint, "--strict", cwd=tmp_path)
    assert strict.returncode == 1
    assert "Cores on Loihi 1" in strict.stdout
    assert "2 broken limit(s), the first of Loihi 1: motion.0" in strict.stderr
    assert "loihi-3" in hybrid_cvar("compile", small_checkpoint, "--chip", "loihi-3", cwd=tmp_path).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.needs_compile
def test_compile_refuses_a_bad_checkpoint_and_leaves_nothing(tmp_path):
    (tmp_path / "bad.pt").write_text("no checkpoint")
    done = hybrid_cvar("compile", "bad.pt", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: bad.pt")
    assert "Traceback" not in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["bad.pt"]


def test_doctor_says_what_is_there():
    done = hybrid_cvar("doctor")
    assert done.returncode == 0, done.stdout
    for part in ("Python", "onnxruntime", "lava-nc", "torch", "motion vectors", "shipped bundle", "shared memory"):
        assert part in done.stdout
    assert "energy profiles" in done.stdout and "paper-45nm" in done.stdout


def test_doctor_tries_the_providers_and_needs_none():
    done = native_without(NO_PROVIDERS, command="doctor")
    assert done.returncode == 0, done.stdout
    rows = [line for line in done.stdout.splitlines() if " provider " in line]
    assert len(rows) == 3 and all("not installed" in row for row in rows)
    for provider in PROVIDERS[1:]:
        assert install_command(provider).partition(" && ")[0] in done.stdout


@pytest.mark.needs_openvino
def test_doctor_runs_openvino():
    (row,) = (line for line in hybrid_cvar("doctor").stdout.splitlines() if "openvino provider" in line)
    assert "runs the shipped" in row


def test_doctor_speaks_without_onnx_runtime():
    """As where the installation is broken: nothing of ours may import it unguarded."""
    program = "import sys; sys.modules['onnxruntime'] = None; from hybrid_cvar.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "doctor"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "shipped bundle" in done.stdout and "Traceback" not in done.stderr


def test_help_teaches():
    for arguments, words in (
        (["--help"], ["compile", "run", "doctor", "Exit status", "bundle"]),
        (
            ["run", "--help"],
            ["--engine", "--provider", "--threads", "--no-arena", "--clips", "--json", "--report", "Example"],
        ),
        (["compile", "--help"], ["--output", "--overwrite", "--strict", "--dry-run", "Example"]),
    ):
        shown = hybrid_cvar(*arguments).stdout
        assert [word for word in words if word not in shown] == []
    assert hybrid_cvar("--version").stdout.startswith("hybrid-cvar ")


def test_the_help_of_profile_names_those_that_ship():
    from hybrid_cvar.cli.options import ProfileOption
    from hybrid_cvar.energy import profile_names

    (option,) = ProfileOption.__metadata__
    head, _, rest = option.help.partition(": ")
    assert tuple(rest.split(", "))[:-1] == profile_names() and rest.endswith("TOML file of your own.")
    for command in ("run", "eval"):
        assert head in " ".join(hybrid_cvar(command, "--help").stdout.split())


def test_the_shipped_files_are_small():
    assert DEFAULT_CHECKPOINT.stat().st_size < 5e6
    assert sum(file.stat().st_size for file in DEFAULT_BUNDLE.iterdir()) < 6e6
