"""The Python examples of the documents run as they are written."""

import contextlib
import re
import textwrap
from pathlib import Path

import pytest

from hybrid_cvar.assets import DEFAULT_BUNDLE, SAMPLE_VIDEO

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARKERS = {"hybrid_cvar.model": "needs_compile", "lava.lib.dl": "needs_compile", "lava_stm": "needs_lava"}
"""What a block mentions, and the marker it then needs."""


def blocks() -> list:
    found = []
    for document in ("README.md", "deploy/loihi/README.md"):
        for number, match in enumerate(BLOCK.finditer((ROOT / document).read_text())):
            code = match.group(1)
            marks = [getattr(pytest.mark, marker) for part, marker in MARKERS.items() if part in code]
            found.append(pytest.param(code, id=f"{document}-{number}", marks=marks))
    return found


@pytest.fixture(scope="module")
def hard_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `spiking.h5` as compile writes it, from the README's own `hard.pt`."""
    from hybrid_cvar.compiler.partition import partition_model
    from hybrid_cvar.compiler.spiking_export import write_spiking_file
    from hybrid_cvar.model import load_checkpoint

    (checkpoint,) = (code for code in BLOCK.findall((ROOT / "README.md").read_text()) if '"hard.pt"' in code)
    folder = tmp_path_factory.mktemp("hard")
    with contextlib.chdir(folder):
        exec(compile(checkpoint, "README.md", "exec"), {})
    model = load_checkpoint(folder / "hard.pt").build_model()
    write_spiking_file(model, partition_model(model).stm, folder / "spiking.h5")
    return folder


@pytest.mark.parametrize("code", blocks())
def test_the_examples_run(code, tmp_path, monkeypatch, request):
    """In a folder that holds what they name: the shipped video and bundle, and the README's own hard-reset model."""
    monkeypatch.chdir(tmp_path)
    Path("video.mp4").symlink_to(SAMPLE_VIDEO)
    Path("ckpt.bundle").symlink_to(DEFAULT_BUNDLE, target_is_directory=True)
    if "hard.bundle" in code:
        Path("hard.bundle").symlink_to(request.getfixturevalue("hard_bundle"), target_is_directory=True)
    exec(compile(code, "example", "exec"), {})


@pytest.mark.needs_compile
def test_the_recipe_of_the_spiking_file_runs(hard_bundle, monkeypatch):
    """It gives the native engine's spikes and read-out."""
    from hybrid_cvar import load_bundle, read_clips
    from hybrid_cvar.compiler import spiking_file
    from hybrid_cvar.neuromorphic import NativeStm
    from hybrid_cvar.records import stream_events

    monkeypatch.chdir(hard_bundle)
    lines = re.findall(r"^(?:    .*)?\n", spiking_file.__doc__.split("To run a hard-reset stream")[1], re.MULTILINE)
    spec = load_bundle(DEFAULT_BUNDLE).input
    clip = read_clips(SAMPLE_VIDEO, spec, 1).clips[0]
    names = {"events": stream_events(clip, spec, "motion")}
    exec(compile(textwrap.dedent("".join(lines)), "spiking_file.py", "exec"), names)
    stm = spiking_file.read_spiking_file(Path("spiking.h5"), spec.timesteps)
    with NativeStm(stm, record=True) as native:
        expected = native.run_clip(*(stream_events(clip, spec, stream.name) for stream in stm.streams))
    assert (names["spikes"] == expected.spikes[1]).all()
    assert (names["membrane"] == expected.readouts[0]).all()


@pytest.mark.parametrize("document", ["README.md", "deploy/loihi/README.md"])
def test_a_document_has_examples(document):
    assert BLOCK.search((ROOT / document).read_text())


@pytest.mark.parametrize(
    "document",
    ["README.md", "benchmarks/README.md", "deploy/loihi/README.md", "hybrid_cvar/neuromorphic/spec.md"],
)
def test_every_table_is_whole(document):
    """Its second row is the rule, and every row has as many cells."""
    tables = re.findall(r"(?:^\|.*\n)+", (ROOT / document).read_text(), re.MULTILINE)
    assert tables
    for table in tables:
        rows = table.splitlines()
        assert re.fullmatch(r"[|-]+", rows[1]), rows[:2]
        assert len({row.count("|") for row in rows}) == 1, rows[0]
