"""The machine a run was measured on."""

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

__all__ = ["Machine", "machine_line", "this_machine"]

_PACKAGES = ("av", "lava-nc", "numba", "numpy", "onnxruntime", "onnxruntime-ep-openvino", "onnxruntime-gpu")


@dataclass(frozen=True)
class Machine:
    """What decides how fast a run is; nothing that names the host or its user.

    Attributes:
        platform: operating system and processor architecture.
        python: version.
        cpu_model: processor name, empty if the system does not say.
        cpu_count: logical cores of the machine.
        cpu_usable: logical cores this process may use.
        packages: (name, version) of the installed packages that do the work.
    """

    platform: str
    python: str
    cpu_model: str
    cpu_count: int
    cpu_usable: int
    packages: tuple[tuple[str, str], ...]


def this_machine() -> Machine:
    """Looks at the machine this runs on."""
    count = os.cpu_count() or 1
    return Machine(
        platform=platform.platform(),
        python=platform.python_version(),
        cpu_model=_cpu_model(),
        cpu_count=count,
        cpu_usable=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else count,
        packages=tuple((name, version) for name in _PACKAGES if (version := _version(name))),
    )


def machine_line() -> str:
    """Processor, cores this process may use and operating system, in one line."""
    machine = this_machine()
    return f"{machine.cpu_model or 'unknown CPU'}, {machine.cpu_usable} cores, {machine.platform}"


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
