"""The machine that a benchmark ran on."""

import os
from dataclasses import dataclass

import av

from hybrid_cvar.reporting import Machine, this_machine

__all__ = ["BenchMachine", "describe_machine"]


@dataclass(frozen=True)
class BenchMachine:
    """What decides how fast a benchmark is; nothing that names the host or its user.

    Attributes:
        host: processor, cores, operating system, Python and the packages that do the work.
        memory_bytes: main memory; 0 if the system does not say.
        ffmpeg: (library, version) of the FFmpeg libraries that PyAV brings.
    """

    host: Machine
    memory_bytes: int
    ffmpeg: tuple[tuple[str, str], ...]


def describe_machine() -> BenchMachine:
    """Looks at the machine this runs on."""
    return BenchMachine(
        host=this_machine(),
        memory_bytes=_memory_bytes(),
        ffmpeg=tuple((name, ".".join(map(str, version))) for name, version in sorted(av.library_versions.items())),
    )


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
