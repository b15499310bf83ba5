"""What is installed, what works, and the command that mends what does not."""

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hybrid_cvar.errors import HybridCvarError
from hybrid_cvar.lava_compat import INSTALL_COMPILE, INSTALL_LAVA, INSTALL_TRAIN, prepare_lava, prepare_slayer

__all__ = ["Finding", "examine"]

BASE_PACKAGES = ("av", "h5py", "jinja2", "numba", "numpy", "rich", "typer")
COMPILE_PACKAGES = ("torch", "lava-dl", "onnx", "onnxscript")
TRAIN_PACKAGES = {
    "hdf5plugin": "train",
    "lightning-fabric": "train",
    "tensorboard": "train",
    "scikit-learn": "eval, train",
    "matplotlib": "card, picture",
}
SEE_BELOW = "see below"
"""A command too long for a cell: it stands once, under the table."""
ONNX_RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
"""Builds of the same package: the second replaces the first."""
LONGEST_IN_CELL = 60
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
        long_remedy: that command, where `remedy` is `SEE_BELOW`.
    """

    part: str
    needed_for: str
    state: str
    works: bool
    required: bool
    remedy: str = ""
    long_remedy: str = ""


def examine() -> tuple[Finding, ...]:
    """Looks at the interpreter, packages, codecs, engines, providers, shared memory, shipped files."""
    return (
        _python(),
        *(_package(name, "run", required=True, remedy="pip install .") for name in BASE_PACKAGES),
        _onnx_runtime(),
        _package("lava-nc", "run --engine lava", required=False, remedy=INSTALL_LAVA),
        *(_package(name, "compile", required=False, remedy=INSTALL_COMPILE) for name in COMPILE_PACKAGES),
        *(_package(name, need, required=False, remedy=INSTALL_TRAIN) for name, need in TRAIN_PACKAGES.items()),
        _trial("motion vectors", "run", _read_sample, required=True, remedy="pip install --force-reinstall av"),
        _trial(
            "shipped bundle", "run", _run_default, required=True, remedy="pip install --force-reinstall --no-deps ."
        ),
        _trial(
            "energy profiles", "run", _read_profiles, required=True, remedy="pip install --force-reinstall --no-deps ."
        ),
        _trial("Lava imports", "run --engine lava", _import_lava, required=False, remedy=INSTALL_LAVA),
        _trial("SLAYER imports", "compile", _import_slayer, required=False, remedy=INSTALL_COMPILE),
        *_providers(),
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
        return _failure(name, needed_for, "not installed", required=required, remedy=remedy)


def _failure(part: str, needed_for: str, state: str, *, required: bool, remedy: str) -> Finding:
    if len(remedy) <= LONGEST_IN_CELL:
        return Finding(part, needed_for, state, False, required, remedy)
    return Finding(part, needed_for, state, False, required, SEE_BELOW, remedy)


def _onnx_runtime() -> Finding:
    found = [_package(name, "run", required=True, remedy="pip install .") for name in ONNX_RUNTIMES]
    return next((finding for finding in found if finding.works), found[0])


def _trial(part: str, needed_for: str, attempt: Callable[[], str], *, required: bool, remedy: str) -> Finding:
    try:
        return Finding(part, needed_for, attempt(), True, required)
    except HybridCvarError as error:
        return _failure(part, needed_for, error.found, required=required, remedy=remedy)
    except Exception as error:  # whatever a broken installation raises is what doctor is there to report
        state = f"{type(error).__name__}: {error}"[:120]
        return _failure(part, needed_for, state, required=required, remedy=remedy)


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


def _read_profiles() -> str:
    from hybrid_cvar.energy import load_profile, profile_names

    return ", ".join(load_profile(name).name for name in profile_names())


def _import_lava() -> str:
    prepare_lava()
    import lava.magma.core.run_configs  # noqa: F401

    return "yes"


def _import_slayer() -> str:
    prepare_slayer()
    return "yes"


def _providers() -> tuple[Finding, ...]:
    try:
        from hybrid_cvar.onnx_session import PROVIDERS
    except ImportError:
        return ()  # the row of onnxruntime says it
    return tuple(_provider(name) for name in PROVIDERS if name != "cpu")


def _provider(name: str) -> Finding:
    from hybrid_cvar.onnx_session import install_command, installed_providers

    part, needed_for, remedy = f"{name} provider", f"run --provider {name}", install_command(name)
    if name not in installed_providers():
        return _failure(part, needed_for, "not installed", required=False, remedy=remedy)
    return _trial(part, needed_for, lambda: _run_on(name), required=False, remedy=remedy)


def _run_on(provider: str) -> str:
    """The shipped ANN partition on zeros."""
    import numpy as np

    from hybrid_cvar.assets import DEFAULT_BUNDLE
    from hybrid_cvar.compiler import load_bundle
    from hybrid_cvar.onnx_session import SessionSettings, open_session, supports_bf16

    session = open_session(load_bundle(DEFAULT_BUNDLE).ann, SessionSettings(provider=provider))
    feed = {
        given.name: np.zeros([1, *given.shape[1:]], np.uint8 if given.type == "tensor(uint8)" else np.int32)
        for given in session.get_inputs()
    }
    (logits,) = session.run(None, feed)
    if not np.isfinite(np.asarray(logits)).all():
        raise RuntimeError("it gives logits that are not finite")
    if provider != "openvino":
        return "runs the shipped bundle"
    return f"runs the shipped bundle; bf16 {'too' if supports_bf16() else 'is not to be had on this CPU'}"


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
