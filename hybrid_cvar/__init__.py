"""Neuromorphic deployment of compressed-video action recognition.

    ckpt.pt   -> compiler -> Bundle (spiking.h5 + ann.onnx + manifest.json)
    video.mp4 -> video -> Clip -> runtime (+ Bundle) -> Trace -> energy -> Report -> terminal, JSON, HTML

The names here need neither torch nor Lava, and are imported when first used; the Lava engine needs the
`lava` extra, and compiling (`hybrid_cvar.compiler.compile`) and the model (`hybrid_cvar.model`) the
`compile` extra.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hybrid_cvar.compiler import Bundle, load_bundle
    from hybrid_cvar.energy import estimate_energy, load_profile
    from hybrid_cvar.errors import HybridCvarError
    from hybrid_cvar.records import Clip, CodedFrame, Gop, InputSpec, Report, Trace, VideoInfo
    from hybrid_cvar.reporting import build_report, write_html, write_json
    from hybrid_cvar.runtime import HybridRuntime
    from hybrid_cvar.version import __version__
    from hybrid_cvar.video import probe_video, read_clips, read_frames, read_gops

__all__ = [
    "Bundle",
    "Clip",
    "CodedFrame",
    "Gop",
    "HybridCvarError",
    "HybridRuntime",
    "InputSpec",
    "Report",
    "Trace",
    "VideoInfo",
    "__version__",
    "build_report",
    "estimate_energy",
    "load_bundle",
    "load_profile",
    "probe_video",
    "read_clips",
    "read_frames",
    "read_gops",
    "write_html",
    "write_json",
]

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime's Linux builds send usage data otherwise

_HOMES = {
    "compiler": ("Bundle", "load_bundle"),
    "energy": ("estimate_energy", "load_profile"),
    "errors": ("HybridCvarError",),
    "records": ("Clip", "CodedFrame", "Gop", "InputSpec", "Report", "Trace", "VideoInfo"),
    "reporting": ("build_report", "write_html", "write_json"),
    "runtime": ("HybridRuntime",),
    "version": ("__version__",),
    "video": ("probe_video", "read_clips", "read_frames", "read_gops"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"hybrid_cvar.{home}"), name)
    raise AttributeError(f"module 'hybrid_cvar' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
