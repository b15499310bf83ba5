"""What is installed, what works, and the command that mends what does not."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.errors import HybridCvarError
from hybrid_cvar.lava_compat import prepare_lava, prepare_slayer

__all__ = ["Finding", "examine"]

BASE_PACKAGES = ("av", "h5py", "jinja2", "numba", "numpy", "onnxruntime", "rich", "typer")
COMPILE_PACKAGES = ("torch", "lava-dl", "onnx", "onnxscript")
SEE_BELOW = "see below"
"""The command is long: it stands once, under the table."""
SHARED_MEMORY = Path("/dev/shm")
SHARED_MEMORY_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        part: what. needed_for: the command that needs it.
        state: version, or what is wrong.
        works: whether it does. required: whether `run --engine native` needs it.
        remedy: the command that mends it; empty if it works.
    """

    part: str
    needed_for: str
    state: str
    works: bool
    required: bool
    remedy: str = ""


def examine() -> tuple[Finding, ...]:
    """Looks at the interpreter, the packages, the codecs, the engines, shared memory and the shipped files."""
    return (
        _python(),
        *(_package(name, "run", required=True, remedy="pip install .") for name in BASE_PACKAGES),
        _package("lava-nc", "run --engine lava", required=False, remedy=SEE_BELOW),
        *(_package(name, "compile", required=False, remedy=SEE_BELOW) for name in COMPILE_PACKAGES),
        _trial("motion vectors", "run", _read_sample, required=True, remedy="pip install --force-reinstall av"),
        _trial(
            "shipped bundle", "run", _run_default, required=True, remedy="pip install --force-reinstall --no-deps ."
        ),
        _trial("Lava imports", "run --engine lava", _import_lava, required=False, remedy=SEE_BELOW),
        _trial("SLAYER imports", "compile", _import_slayer, required=False, remedy=SEE_BELOW),
        _shared_memory(),
    )


def _python() -> Finding:
    works = (3, 11) <= sys.version_info[:2] <= (3, 13)
    state = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("Python", "all", state, works, True, "" if works else "use Python 3.11, 3.12 or 3.13")


def _package(name: str, needed_for: str, *, required: bool, remedy: str) -> Finding:
    try:
        return Finding(name, needed_for, importlib.metadata.version(name), True, required)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, needed_for, "not installed", False, required, remedy)


def _trial(part: str, needed_for: str, attempt: Callable[[], str], *, required: bool, remedy: str) -> Finding:
    try:
        return Finding(part, needed_for, attempt(), True, required)
    except HybridCvarError as error:
        return Finding(part, needed_for, error.found, False, required, remedy)
    except Exception as error:  # whatever a broken installation raises is what doctor is there to report
        return Finding(part, needed_for, f"{type(error).__name__}: {error}"[:120], False, required, remedy)


def _read_sample() -> str:
    from hybrid_cvar.assets import SAMPLE_VIDEO
    from hybrid_cvar.video import read_gops

    gop = next(iter(read_gops(SAMPLE_VIDEO)))
    if not gop.motion.any():
        raise RuntimeError("the shipped video gives no motion vectors")
    return f"read from the shipped video, {len(gop.motion)} P-frames a GOP"


def _run_default() -> str:
    from hybrid_cvar.assets import DEFAULT_BUNDLE, SAMPLE_VIDEO
    from hybrid_cvar.compiler import load_bundle
    from hybrid_cvar.runtime import HybridRuntime

    bundle = load_bundle(DEFAULT_BUNDLE)
    with HybridRuntime(bundle, engine="native") as runtime:
        trace = runtime.run_video(SAMPLE_VIDEO, clips=1)
    return f"{bundle.name}, answers {trace.labels[int(trace.logits.argmax())]!r} for the shipped video"


def _import_lava() -> str:
    prepare_lava()
    import lava.magma.core.run_configs  # noqa: F401

    return "yes"


def _import_slayer() -> str:
    prepare_slayer()
    return "yes"


def _shared_memory() -> Finding:
    if not SHARED_MEMORY.is_dir() or not os.access(SHARED_MEMORY, os.W_OK):
        return Finding(
            "shared memory",
            "run --engine lava",
            f"{SHARED_MEMORY} is not writable",
            False,
            False,
            "mount a tmpfs there",
        )
    free = shutil.disk_usage(SHARED_MEMORY).free
    works = free >= SHARED_MEMORY_BYTES
    remedy = "" if works else f"free {SHARED_MEMORY_BYTES // 2**20} MB there (in a container: --shm-size 256m)"
    return Finding("shared memory", "run --engine lava", f"{free // 2**20} MB free", works, False, remedy)
