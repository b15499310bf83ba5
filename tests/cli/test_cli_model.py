"""`hybrid-cvar model` as a user meets it."""

import contextlib
import json
import re
import signal
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from hybrid_cvar.assets import SAMPLE_VIDEO
from hybrid_cvar.cli import app

pytestmark = pytest.mark.needs_compile

MINI = [
    *("--set", "input.size=64", "--set", "input.timesteps=4", "--set", "stm.channels=[4, 6]", "--set", "width=32"),
    *("--set", "depth=2", "--set", "heads=2", "--set", "mlp_width=48", "--set", "fold_width=12"),
    *("--set", "fuse_width=16", "--set", "rrdb_growth=4"),
]


@pytest.fixture(autouse=True)
def keep_ctrl_c():
    """Commands take Ctrl-C over, for good, which in this process is pytest's."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def model(*arguments, cwd=".", columns=200):
    environment = {"COLUMNS": str(columns), "NO_COLOR": "1", "TERMINAL_WIDTH": str(columns)}
    with contextlib.chdir(cwd):
        done = CliRunner(env=environment).invoke(app, ["model", *map(str, arguments)], prog_name="hybrid-cvar")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return SimpleNamespace(returncode=done.exit_code, stdout=done.stdout, stderr=done.stderr)


def refused(*arguments, status=1, **options):
    """The one line of an error."""
    done = model(*arguments, **options)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    if status == 2:  # typer's own frame
        return " ".join(done.stderr.replace("│", " ").split())
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def words(done):
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("made") / "mini.pt"
    done = model("init", "tiny", "-o", path, "--classes", "3", *MINI)
    assert done.returncode == 0, done.stderr
    assert re.search(r"wrote .*mini\.pt \(\d\.\d MB\): Untrained weights of seed 0.*recognises nothing", done.stderr)
    return path


def test_list_shows_every_preset_and_every_variant():
    from hybrid_cvar.model import VARIANTS

    said = words(model("list"))
    for line in (
        "tiny 112x112 1.22 M 101 M",
        "small 224x224 9.74 M 2.57 G",
        "base 224x224 83.6 M 19.8 G",
        "large 224x224 156 M 37.9 G",
        "729 mJ",
        "1.40 J",
        "MACs x 4.6 pJ [modelled]",
        "--variant lstm Table 4c, STM -> LSTM: temporal=lstm",
        "--variant no-mixer Table 4d, W/o Multi-Modal Mixer: mixer=false, skips=false",
    ):
        assert line in said
    assert said.count("--variant ") == len(VARIANTS)


def test_describe_gives_the_papers_totals_of_base():
    said = words(model("describe", "base"))
    assert "base: 83.59 M parameters for 101 classes; a clip is 224x224, T = 11." in said
    assert "8 clips: 0.1584 T MACs, 729 mJ at 4.6 pJ each [modelled]" in said
    assert "RRDB 512x7x7" in said


def test_describe_takes_changes_variants_and_classes():
    said = words(model("describe", "tiny", "--variant", "class-token", "--set", "depth=2", "--classes", "7"))
    assert "tiny, class-token with pool=class-token, depth=2: " in said and "for 7 classes" in said
    assert "class token 64" in said and "global average pooling" not in said
    said = words(model("describe", "tiny", "--variant", "lstm"))
    assert "ConvLIF" not in said and "accumulates" not in said


def test_a_change_wins_over_the_variant():
    assert "global average pooling" in words(model("describe", "tiny", "--variant", "class-token", "--set", "pool=gap"))


def test_describe_of_a_checkpoint(checkpoint):
    said = words(model("describe", checkpoint))
    assert "tiny, changed: 0.0" in said and "for 3 classes; a clip is 64x64, T = 4." in said
    for change in (["--set", "depth=2"], ["--variant", "lstm"]):
        assert "a checkpoint has its own" in refused("describe", checkpoint, *change, status=2)


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ("depth=4", "depth", 4),
        ("rrdb_scale=0.5", "rrdb_scale", 0.5),
        ("stm.leak=1", "stm.leak", 1),
        ("input.accumulated=false", "input.accumulated", False),
        ("stm.reset=hard", "stm.reset", "hard"),
        ('order="LS-T-GS"', "order", "LS-T-GS"),
        ("order=LS-T-GS", "order", "LS-T-GS"),
        ("stm.strides=[1, 2]", "stm.strides", (1, 2)),
        ("stm.channels=8", "stm.channels", (8,)),
        ("modalities=iframe", "modalities", ("iframe",)),
        ("modalities=iframe,motion", "modalities", ("iframe", "motion")),
        ('modalities=["iframe", "motion"]', "modalities", ("iframe", "motion")),
        ("name=a=b", "name", "a=b"),
    ],
)
def test_changes_are_numbers_lists_or_words(change, field, value):
    from hybrid_cvar.cli.model import _parse_change

    parsed = _parse_change(change)
    assert parsed == (field, value) and type(parsed[1]) is type(value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("depth=x", "depth = 'x'; must be a whole number"),
        ("depth=1.5", "depth = 1.5; must be a whole number"),
        ("depth=[4]", "depth = (4,); must be a whole number"),
        ("depth={a = 1}", "depth = {'a': 1}; must be a whole number"),
        ("depth=" + "9" * 5000, "depth = "),
        ("depth=" + "[" * 5000, "depth = "),
        ("depht=4", "config field 'depht' is unknown; known: "),
        ("stm=4", "config field 'stm' is unknown; known: "),
        ("stm.depth=4", "config field 'stm.depth' is unknown; known: "),
        ("modalities=motion,iframe", "modalities = ('motion', 'iframe'); must be one or more of"),
        ("stm.strides=[1, [2]]", "stm.strides = (1, [2]); must be whole numbers"),
        ("order=[red]x", "order = '[red]x'; must be one of T-LS-GS"),
        ("mixer=no", "mixer = 'no'; must be true or false"),
        ("input.size=8", "input.size = 8, patch = 16; the input must hold"),
    ],
)
def test_a_bad_change_is_one_line(change, said):
    assert said in refused("describe", "tiny", "--set", change)


@pytest.mark.parametrize("change", ["depth", "depth=", "=4", ""])
def test_a_change_that_is_none(change):
    assert "must be FIELD=VALUE, as in depth=4" in refused("describe", "tiny", "--set", change, status=2)


@pytest.mark.parametrize("command", [["describe"], ["init", "-o", "x.pt"]])
def test_unknown_names_are_one_line_and_leave_nothing(tmp_path, command):
    said = refused(*command, "huge", cwd=tmp_path)
    assert "preset 'huge' does not exist; known presets: tiny, small, base, large" in said
    said = refused(*command, "tiny", "--variant", "best", cwd=tmp_path)
    assert "variant 'best' does not exist; known: no-residual" in said
    assert list(tmp_path.iterdir()) == []


def test_init_is_its_seeds(checkpoint, tmp_path):
    import torch

    from hybrid_cvar.model import load_checkpoint

    for name, seed in (("again.pt", 0), ("other.pt", 1)):
        assert model("init", "tiny", "-o", tmp_path / name, "--classes", "3", "--seed", seed, *MINI).returncode == 0
    first, again, other = (load_checkpoint(path) for path in (checkpoint, tmp_path / "again.pt", tmp_path / "other.pt"))
    assert all(torch.equal(value, again.state_dict[name]) for name, value in first.state_dict.items())
    assert any(not torch.equal(value, other.state_dict[name]) for name, value in first.state_dict.items())
    assert first.config.width == 32 and first.config.stm.channels == (4, 6)
    assert first.labels == ("class 0", "class 1", "class 2") and not first.trained
    assert "seed 0" in first.notice and "seed 1" in other.notice
    first.build_model()


def test_init_takes_labels_a_variant_a_video_and_names_the_file_itself(tmp_path, dancer):
    from hybrid_cvar.model import load_checkpoint

    (tmp_path / "labels.txt").write_text("  wälk \n\nsit [down]\r\n", encoding="utf-8")
    arguments = ["--labels", "labels.txt", "--variant", "common-stm", "--sample", dancer]
    done = model("init", "tiny", *arguments, *MINI, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"labels.txt", "tiny.pt"}
    made = load_checkpoint(tmp_path / "tiny.pt")
    assert made.labels == ("wälk", "sit [down]")
    assert list(made.build_model().modulators) == ["common"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 names"),
        (b"\n \n", "0 names"),
        (b"walk\nsit\nwalk\n", "3 names, 2 different; labels must be different names"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"x" * (2**22 + 1), "at most 4194304 bytes"),
        (None, "cannot be read"),
    ],
)
def test_bad_labels(tmp_path, content, said):
    path = tmp_path / "labels.txt"
    if content is not None:
        path.write_bytes(content)
    assert said in refused("init", "tiny", "-o", tmp_path / "x.pt", "--labels", path, *MINI)
    assert not (tmp_path / "x.pt").exists()


def test_init_fails_before_it_works_where_it_cannot_write_or_read(tmp_path):
    assert "no folder" in refused("init", "tiny", "-o", tmp_path / "none" / "x.pt")
    assert "is a folder" in refused("init", "tiny", "-o", tmp_path)
    said = refused("init", "tiny", "-o", tmp_path / "x.pt", "--sample", tmp_path / "none.avi", *MINI)
    assert "none.avi: no such file" in said
    assert list(tmp_path.iterdir()) == []
    for bad in (["--classes", "0"], ["--seed", "-1"]):
        refused("init", "tiny", "-o", tmp_path / "x.pt", *bad, status=2)


def test_export_writes_a_graph_that_runs(checkpoint, tmp_path):
    import onnxruntime

    done = model("export", checkpoint, "-o", tmp_path / "ann.onnx", "--clips", "1")
    assert done.returncode == 0, done.stderr
    assert "MB): torch -> ONNX Runtime, 3 logits of 1 clip(s), the largest difference" in " ".join(done.stderr.split())
    session = onnxruntime.InferenceSession(str(tmp_path / "ann.onnx"), providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == ["class 0", "class 1", "class 2"]
    assert [each.name for each in session.get_inputs()] == ["iframe", "motion_membrane", "residual_membrane"]


def test_export_of_what_cannot_be_compiled_is_the_whole_model(tmp_path):
    import onnxruntime

    made = model("init", "tiny", "-o", tmp_path / "x.pt", "--classes", "2", "--variant", "no-stm", *MINI)
    assert made.returncode == 0, made.stderr
    assert model("export", tmp_path / "x.pt", "-o", tmp_path / "x.onnx").returncode == 0
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["iframe", "motion_events", "residual_events"]


def test_export_leaves_no_file_on_failure(checkpoint, tmp_path, monkeypatch):
    output = tmp_path / "ann.onnx"
    assert "no such file" in refused("export", tmp_path / "none.pt", "-o", output)
    assert "no such file" in refused("export", checkpoint, "-o", output, "--sample", tmp_path / "none.avi")
    refused("export", SAMPLE_VIDEO, "-o", output)
    assert "no folder" in refused("export", checkpoint, "-o", tmp_path / "none" / "ann.onnx")
    refused("export", checkpoint, "-o", output, "--clips", "0", status=2)
    from hybrid_cvar.compiler import export_checkpoint as module

    monkeypatch.setattr(module, "logit_row", lambda name, before, after: logit_row(name, before, after + 1))
    from hybrid_cvar.compiler.verify import logit_row

    assert "3 of 3 logits (relative) differ" in refused("export", checkpoint, "-o", output, "--clips", "1")
    assert list(tmp_path.iterdir()) == []


def test_export_does_not_replace_its_checkpoint(checkpoint):
    before = checkpoint.read_bytes()
    assert "is the checkpoint itself" in refused("export", checkpoint, "-o", checkpoint, status=2)
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize("arguments", [[], ["describe"], ["export", "x.pt"], ["init"], ["train"]])
def test_what_is_missing_is_told_by_the_help(arguments):
    done = model(*arguments)
    assert done.returncode == 2
    assert "Usage: hybrid-cvar model" in done.stdout + done.stderr


def test_init_does_not_replace_a_checkpoint_unasked(tmp_path):
    path = tmp_path / "x.pt"
    path.write_text("mine")
    assert "is there already" in refused("init", "tiny", "-o", path, *MINI)
    assert path.read_text() == "mine"
    model("init", "tiny", "-o", path, "--overwrite", *MINI)
    assert path.read_bytes() != b"mine"
