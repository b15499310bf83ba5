"""Opens ONNX graphs on ONNX Runtime's execution providers.

    cpu        ONNX Runtime's own kernels; FP32 and INT8
    openvino   Intel's, as a plugin of ONNX Runtime; FP32, INT8 and BF16
    cuda       NVIDIA GPUs; FP32 and INT8
    tensorrt   NVIDIA GPUs, through TensorRT; FP32, INT8 and BF16

A provider that was asked for runs the graph or there is an error; it is never replaced by another in silence, neither
when the graph is opened nor when it runs. On `openvino` it takes every node; on a GPU, where ONNX Runtime keeps
arithmetic on shapes on the CPU, every node that multiplies matrices. `openvino` computes in BF16 or is refused: a CPU
without it is found by a trial.

`cuda` and `tensorrt` never ran here. On `cuda`, FP32 is not TF32, and an INT8 graph's products are computed in FP32.
ONNX Runtime has no such switch for TensorRT: NVIDIA_TF32_OVERRIDE=0 in the environment gives its FP32. In BF16 it may
keep a node in FP32.
"""

import contextlib
import ctypes.util
import importlib.util
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime

from hybrid_cvar.errors import ConfigError, EngineError, HybridCvarError, MissingPartError

__all__ = [
    "PRECISIONS",
    "PROVIDERS",
    "SessionSettings",
    "cpu_providers",
    "default_provider",
    "install_command",
    "installed_providers",
    "open_session",
    "require_provider",
    "supports_bf16",
]

PRECISIONS = ("fp32", "int8", "bf16")
LOG_WARNING = 2
LOG_FATAL = 4
MATRIX_PRODUCTS = ("Conv", "MatMul", "Gemm")
"""What the names of operators that multiply matrices contain, quantised and fused ones too."""
BF16_TRIAL = (
    b'\x08\x08:U\n\x11\n\x01a\n\x01b\x12\x01c"\x06MatMul\x12\x01gZ\x13\n\x01a\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08\x10'
    b"\n\x02\x08\x10Z\x13\n\x01b\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08\x10\n\x02\x08\x10b\x13\n\x01c\x12\x0e\n\x0c\x08\x01"
    b"\x12\x08\n\x02\x08\x10\n\x02\x08\x10B\x04\n\x00\x10\x11"
)
"""An ONNX graph: c = a b, float (16, 16) each."""


@dataclass(frozen=True)
class _Provider:
    """How a provider is found and named.

    Attributes:
        name: ONNX Runtime's name.
        precisions: what it computes in.
        install: the command that installs it.
    """

    name: str
    precisions: tuple[str, ...]
    install: str


# ONNX Runtime's GPU build replaces the CPU build: both write the same files. PyPI's is built for CUDA 13, cuDNN 9 and
# TensorRT 10 (onnxruntime-gpu 1.31.1: the libraries that its providers link to).
_GPU_BUILD = "pip uninstall -y onnxruntime && pip install 'onnxruntime-gpu[cuda,cudnn]'"

_PROVIDERS = {
    "cpu": _Provider("CPUExecutionProvider", ("fp32", "int8"), "pip install onnxruntime"),
    "openvino": _Provider("OpenVINOExecutionProvider", PRECISIONS, "pip install onnxruntime-ep-openvino"),
    "cuda": _Provider("CUDAExecutionProvider", ("fp32", "int8"), _GPU_BUILD),
    "tensorrt": _Provider("TensorrtExecutionProvider", PRECISIONS, f"{_GPU_BUILD} 'tensorrt-cu13<11'"),
}

PROVIDERS = tuple(_PROVIDERS)


@dataclass(frozen=True)
class SessionSettings:
    """Where and how a graph runs.

    Attributes:
        provider: one of `PROVIDERS`.
        threads: intra-operator threads on the CPU; 0 takes every usable core.
        arena: True keeps the CPU's freed memory for the next run (faster); False gives it back (smaller). It is ONNX
            Runtime's own: OpenVINO and the GPUs keep their memory as they do.

    Raises:
        ConfigError: an unknown provider, or a number of threads that is no count.
    """

    provider: str = "cpu"
    threads: int = 0
    arena: bool = True

    def __post_init__(self) -> None:
        if self.provider not in PROVIDERS:
            raise ConfigError(f"provider {self.provider!r}", f"must be one of {', '.join(PROVIDERS)}")
        if type(self.threads) is not int or not 0 <= self.threads <= 1024:
            raise ConfigError(f"threads = {self.threads!r}", "must be a whole number from 0 (every core) to 1024")

    @property
    def usable_threads(self) -> int:
        """`threads`, or the cores that this process may use."""
        return self.threads or len(os.sched_getaffinity(0))


def default_provider(precision: str) -> str:
    """The provider for graphs of that precision when none was asked for: `openvino` for BF16, else `cpu`."""
    return "openvino" if precision == "bf16" else "cpu"


def install_command(provider: str) -> str:
    """The command that installs a provider."""
    return _PROVIDERS[provider].install


def installed_providers() -> tuple[str, ...]:
    """Those of `PROVIDERS` that this Python has; whether a device is there is seen only when one opens."""
    return tuple(name for name in PROVIDERS if _is_installed(name))


def cpu_providers() -> tuple[str, ...]:
    """Those that run on this CPU: `cpu`, and `openvino` where it is installed and its plugin takes the CPU."""
    return ("cpu", *(("openvino",) if _is_installed("openvino") and _openvino_device() is not None else ()))


def _is_installed(provider: str) -> bool:
    if provider == "openvino":
        return _has_module("onnxruntime_ep_openvino")
    built_in = _PROVIDERS[provider].name in onnxruntime.get_available_providers()
    if provider == "tensorrt":  # the GPU build names it even where TensorRT itself is missing
        return built_in and (_has_module("tensorrt") or ctypes.util.find_library("nvinfer") is not None)
    return built_in


def _has_module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def require_provider(provider: str, precision: str) -> None:
    """Checks that a provider is installed and computes in a precision.

    Raises:
        ConfigError: it does not, or one of them is unknown. MissingPartError: it is not installed.
    """
    for kind, value, known in (("provider", provider, PROVIDERS), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise ConfigError(f"{kind} {value!r}", f"must be one of {', '.join(known)}")
    able = [name for name, each in _PROVIDERS.items() if precision in each.precisions]
    if provider not in able:
        raise ConfigError(
            f"provider {provider!r} does not compute in {precision}",
            f"{precision} needs one of {', '.join(able)}",
            f"give --provider {able[0]}, or compile with another --precision",
        )
    if not _is_installed(provider):
        raise MissingPartError(
            f"the {provider} provider is not installed",
            f"a graph in {precision} runs on {' or '.join(able)}",
            f"install it: {install_command(provider)}",
        )


def open_session(
    graph: Path,
    settings: SessionSettings | None = None,
    *,
    precision: str = "fp32",
    change: Callable[[onnxruntime.SessionOptions], None] = lambda options: None,
) -> onnxruntime.InferenceSession:
    """Loads a graph. Make it after Lava has forked: its threads do not survive a fork.

    Args:
        graph: path of the ONNX file.
        settings: where and how; None for the precision's default provider.
        precision: what the provider computes in where the graph leaves it open: `fp32` and `bf16` are told to it, an
            `int8` graph carries its own.
        change: called with the options before the session opens.

    Raises:
        ConfigError, MissingPartError: see `require_provider`.
        EngineError: the graph cannot be loaded, or the provider does not take it.
    """
    wanted = settings or SessionSettings(provider=default_provider(precision))
    require_provider(wanted.provider, precision)
    if wanted.provider == "openvino" and precision == "bf16" and not supports_bf16():
        raise EngineError(
            "OpenVINO does not compute in bf16 on this CPU",
            "bf16 needs a CPU that OpenVINO has BF16 kernels for, such as one with AVX-512",
            "compile with --precision fp32",
        )
    return _open(str(graph), wanted, precision, change)


def _open(
    graph: str | bytes, wanted: SessionSettings, precision: str, change: Callable[[onnxruntime.SessionOptions], None]
) -> onnxruntime.InferenceSession:
    name = graph if isinstance(graph, str) else "trial graph"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = wanted.usable_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = LOG_FATAL
    options.enable_cpu_mem_arena = wanted.arena
    # Idle threads would look out for work for some 20 ms after a run, and take a core from what runs next, Lava say.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    change(options)
    on_gpu = wanted.provider in ("cuda", "tensorrt")
    try:
        with _quiet_gpu() if on_gpu else contextlib.nullcontext():
            session = onnxruntime.InferenceSession(
                graph,
                options,
                providers=_select(options, wanted, precision),
                enable_fallback=0,  # else ONNX Runtime's Python opens, and later runs, it on another provider
            )
    except HybridCvarError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions share no public base class
        rule, remedy = "the graph must be one that compile wrote", "compile the checkpoint again"
        if wanted.provider != "cpu":
            rule += f", and the {wanted.provider} provider must take all of it and find its device"
            remedy += f", check its libraries ({install_command(wanted.provider)}), or give another --provider"
        raise EngineError(
            f"{name}: ONNX Runtime cannot load it on {wanted.provider} ({_reason(error)})",
            rule,
            remedy,
        ) from error
    runs_on = session.get_providers()
    if _PROVIDERS[wanted.provider].name not in runs_on:
        raise EngineError(
            f"{name}: the {wanted.provider} provider did not start; ONNX Runtime would take {', '.join(runs_on)}",
            "the provider that was asked for must run it; it needs its libraries and its device",
            f"install them: {install_command(wanted.provider)}; or give --provider cpu",
        )
    if on_gpu:
        _check_placement(session, wanted.provider)
    return session


def _reason(error: Exception) -> str:
    """ONNX Runtime's words in one line, without the place in its source where they come from."""
    return re.sub(r"^/\S+:\d+ [^)]*\) ", "", " ".join(str(error).split()))[:160]


def _select(options: onnxruntime.SessionOptions, wanted: SessionSettings, precision: str) -> list[Any] | None:
    """The list of providers for a session; None where the options already name a plugin's device."""
    if wanted.provider == "openvino":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        options.add_provider_for_devices([_openvino_cpu()], _openvino_options(wanted, precision))
        return None
    if wanted.provider == "cpu":
        return ["CPUExecutionProvider"]
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    onnxruntime.preload_dlls()  # CUDA's libraries as pip installs them
    cuda = [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"]
    if wanted.provider == "cuda":
        return cuda
    if _has_module("tensorrt"):
        importlib.import_module("tensorrt")  # loads its libraries as pip installs them
    tensorrt = {"trt_bf16_enable": str(precision == "bf16"), "trt_int8_enable": str(precision == "int8")}
    return [("TensorrtExecutionProvider", tensorrt), *cuda]


@contextlib.contextmanager
def _quiet_gpu() -> Iterator[None]:
    """The GPU build prints what it does not find; our own error says it."""
    onnxruntime.set_default_logger_severity(LOG_FATAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        onnxruntime.set_default_logger_severity(LOG_WARNING)


def _check_placement(session: onnxruntime.InferenceSession, provider: str) -> None:
    """Every matrix product must run on the provider.

    Raises:
        EngineError: one does not, or ONNX Runtime is too old to say.
    """
    if not hasattr(session, "get_provider_graph_assignment_info"):
        raise EngineError(
            f"onnxruntime {onnxruntime.__version__} does not say which provider runs a node",
            f"the {provider} provider must run every matrix product",
            f"install a newer one: {install_command(provider)}",
        )
    for part in session.get_provider_graph_assignment_info():
        for node in part.get_nodes():
            if part.ep_name != _PROVIDERS[provider].name and any(word in node.op_type for word in MATRIX_PRODUCTS):
                raise EngineError(
                    f"the {provider} provider left {node.name} ({node.op_type}) to {part.ep_name}",
                    "every matrix product must run on the provider that was asked for",
                    "give another --provider",
                )


_plugin_lock = Lock()
_plugin: list[Any] = []
_bf16_works: list[bool] = []


def _openvino_cpu() -> Any:
    """The CPU as a device of the OpenVINO plugin."""
    device = _openvino_device()
    if device is None:
        raise EngineError(
            f"OpenVINO's plugin takes no CPU of this machine ({_cpu_vendor()})",
            "it offers Intel's CPUs only",
            "give --provider cpu, and for run a bundle in fp32 or int8",
        )
    return device


def _openvino_device() -> Any | None:
    """As `_openvino_cpu`, None where the plugin offers none; registered once a process."""
    with _plugin_lock:
        if not _plugin:
            _plugin.append(_register_openvino())
        return _plugin[0]


def _register_openvino() -> Any | None:
    import onnxruntime_ep_openvino

    name = onnxruntime_ep_openvino.get_ep_name()
    if not any(device.ep_name == name for device in onnxruntime.get_ep_devices()):
        library = onnxruntime_ep_openvino.get_library_path()
        onnxruntime.register_execution_provider_library("hybrid-cvar-openvino", library)
    for device in onnxruntime.get_ep_devices():
        if device.ep_name == name and device.ep_metadata.get("ov_device") == "CPU":
            return device
    return None


def _cpu_vendor() -> str:
    return next(
        (device.device.vendor for device in onnxruntime.get_ep_devices() if device.ep_name == "CPUExecutionProvider"),
        "vendor unknown",
    )


def _openvino_options(wanted: SessionSettings, precision: str) -> dict[str, str]:
    """OpenVINO would choose a precision by itself; it is told."""
    device = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_NUM_THREADS": str(wanted.usable_threads),
    }
    return {"load_config": json.dumps({"CPU": device})}


def supports_bf16() -> bool:
    """Whether OpenVINO, which takes a precision as a hint, computes in BF16 on this CPU: tried once a process."""
    if not _bf16_works:
        _bf16_works.append(_try_bf16())
    return _bf16_works[0]


def _try_bf16() -> bool:
    """1 + 2**-10 times the identity: BF16, of 8 significant bits, makes it 1."""
    try:
        session = _open(BF16_TRIAL, SessionSettings("openvino", 1), "bf16", lambda options: None)
        factor = np.full((16, 16), 1 + 2**-10, np.float32)
        (product,) = session.run(None, {"a": factor, "b": np.eye(16, dtype=np.float32)})
    except Exception:  # OpenVINO has no BF16 kernel, and no FP32 one in its place
        return False
    return bool((np.asarray(product) == 1).all())
