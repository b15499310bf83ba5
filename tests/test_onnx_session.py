"""A provider that was asked for runs the graph, in the precision that was asked for, or there is one clear error."""

import json
import os
import shlex
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from hybrid_cvar import onnx_session
from hybrid_cvar.assets import DEFAULT_BUNDLE
from hybrid_cvar.errors import ConfigError, EngineError, MissingPartError
from hybrid_cvar.onnx_session import (
    PRECISIONS,
    PROVIDERS,
    SessionSettings,
    cpu_providers,
    default_provider,
    install_command,
    installed_providers,
    open_session,
    require_provider,
    supports_bf16,
)

GRAPH = DEFAULT_BUNDLE / "ann.onnx"
HERE = pytest.param("openvino", marks=pytest.mark.needs_openvino)
RECORD = "session.record_ep_graph_assignment_info"


@pytest.fixture(scope="module")
def feed():
    """Three clips of noise, int32 membranes and uint8 I-frames."""
    rng = np.random.default_rng(11)
    return {
        given.name: rng.integers(0, 256, (3, *given.shape[1:]), dtype=np.uint8)
        if given.type == "tensor(uint8)"
        else rng.integers(-4096, 4096, (3, *given.shape[1:]), dtype=np.int32)
        for given in open_session(GRAPH).get_inputs()
    }


@pytest.fixture
def installed(monkeypatch):
    """Makes these, of the providers besides the CPU's, the installed ones."""

    def install(*names):
        built_in = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
        modules = {"openvino": "onnxruntime_ep_openvino", "tensorrt": "tensorrt"}
        offered = ["CPUExecutionProvider", *(built_in[name] for name in names if name in built_in)]
        found = {modules[name] for name in names if name in modules}
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
        monkeypatch.setattr(onnx_session, "_has_module", found.__contains__)
        monkeypatch.setattr("ctypes.util.find_library", lambda name: None)

    return install


def logits(feed, provider="cpu", precision="fp32", **settings):
    session = open_session(GRAPH, SessionSettings(provider, **settings), precision=precision)
    return session.run(["logits"], feed)[0]


def distance(values, reference):
    """Largest difference, of the largest value."""
    return np.abs(values - reference).max() / np.abs(reference).max()


@pytest.mark.parametrize("provider", ["cpu", HERE])
@pytest.mark.parametrize(("threads", "arena"), [(1, True), (3, False)])
def test_the_settings_reach_the_session(provider, threads, arena):
    session = open_session(GRAPH, SessionSettings(provider, threads, arena))
    options = session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)
    assert options.enable_cpu_mem_arena is arena
    assert session.get_providers()[0] == {"cpu": "CPU", "openvino": "OpenVINO"}[provider] + "ExecutionProvider"
    assert session._enable_fallback is False  # ONNX Runtime's own: another provider when one fails to open or to run


def test_no_threads_are_every_core_that_this_process_may_use():
    cores = os.sched_getaffinity(0)
    assert open_session(GRAPH).get_session_options().intra_op_num_threads == len(cores)
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert SessionSettings().usable_threads == 1
    finally:
        os.sched_setaffinity(0, cores)


@pytest.mark.needs_openvino
@pytest.mark.parametrize("threads", [1, 3])
def test_openvino_is_told_threads_and_precision(threads):
    session = open_session(GRAPH, SessionSettings("openvino", threads))
    given = session.get_session_options().get_session_config_entry("ep.openvinoexecutionprovider.load_config")
    assert (
        json.loads(given)["CPU"].items()
        >= {"INFERENCE_NUM_THREADS": str(threads), "INFERENCE_PRECISION_HINT": "f32"}.items()
    )


@pytest.mark.parametrize("provider", ["cpu", HERE])
def test_the_number_of_threads_and_the_arena_change_no_answer(feed, provider):
    # Sums may be taken in another order; 1e-5 of the largest logit is a hundred roundings of FP32.
    assert distance(logits(feed, provider, threads=2, arena=False), logits(feed, provider, threads=1)) < 1e-5


@pytest.mark.needs_openvino
def test_fp32_on_openvino_is_fp32(feed):
    assert distance(logits(feed, "openvino"), logits(feed)) < 1e-5


@pytest.mark.needs_openvino
@pytest.mark.skipif("avx512bw" not in Path("/proc/cpuinfo").read_text(), reason="no AVX-512")
def test_avx512_is_enough_for_bf16():
    assert supports_bf16()


@pytest.mark.needs_openvino
def test_bf16_on_openvino_is_bf16(feed):
    """8 significant bits: one rounding is 2**-9, and through the whole graph it stays within some tens of them."""
    if not supports_bf16():
        pytest.skip("this CPU has no BF16")
    first, second = (logits(feed, "openvino", "bf16") for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert 2**-11 < distance(first, logits(feed, "openvino")) < 0.1


@pytest.mark.needs_openvino
def test_the_providers_of_one_process_do_not_disturb_each_other(feed):
    before = logits(feed, "openvino")
    logits(feed, "cpu")
    if supports_bf16():
        logits(feed, "openvino", "bf16")
    np.testing.assert_array_equal(logits(feed, "openvino"), before)


@pytest.mark.needs_openvino
def test_a_batch_is_its_clips(feed):
    session = open_session(GRAPH, SessionSettings("openvino"))
    whole = session.run(None, feed)[0]
    for clip in (2, 0, 1):
        alone = session.run(None, {name: values[clip : clip + 1] for name, values in feed.items()})[0]
        assert distance(alone[0], whole[clip]) < 1e-5


@pytest.mark.needs_openvino
def test_bf16_that_this_cpu_does_not_compute_in_is_refused():
    """oneDNN's own switch takes the CPU's AVX-512 away."""
    program = f"""
from pathlib import Path
from hybrid_cvar.errors import EngineError
from hybrid_cvar.onnx_session import SessionSettings, open_session
open_session(Path({str(GRAPH)!r}), SessionSettings("openvino"))
try:
    open_session(Path({str(GRAPH)!r}), SessionSettings("openvino"), precision="bf16")
except EngineError as error:
    print(error)
"""
    done = run_python(program, ONEDNN_MAX_CPU_ISA="AVX2")
    assert done.stdout.startswith("OpenVINO does not compute in bf16 on this CPU; ")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.needs_openvino
def test_a_hint_that_openvino_does_not_follow_is_seen(monkeypatch):
    """As on a CPU where it takes FP32 for BF16."""
    whole = onnx_session._openvino_options
    monkeypatch.setattr(onnx_session, "_openvino_options", lambda wanted, precision: whole(wanted, "fp32"))
    monkeypatch.setattr(onnx_session, "_bf16_works", [])
    with pytest.raises(EngineError, match="does not compute in bf16"):
        open_session(GRAPH, SessionSettings("openvino"), precision="bf16")


@pytest.mark.needs_compile
def test_the_trial_graph_is_one_product():
    import onnx

    model = onnx.load_from_string(onnx_session.BF16_TRIAL)
    onnx.checker.check_model(model, full_check=True)
    (node,) = model.graph.node
    assert (node.op_type, list(node.input), list(node.output)) == ("MatMul", ["a", "b"], ["c"])


def run_python(program, cwd=None, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.needs_openvino
def test_openvino_prints_nothing_and_leaves_nothing(tmp_path):
    program = f"""
from pathlib import Path
from hybrid_cvar.onnx_session import SessionSettings, open_session, supports_bf16
import numpy as np
for precision in ("fp32", "bf16")[: 1 + supports_bf16()]:
    session = open_session(Path({str(GRAPH)!r}), SessionSettings("openvino"), precision=precision)
    session.run(None, {{given.name: np.zeros([2, *given.shape[1:]], np.uint8 if "uint8" in given.type else np.int32)
                       for given in session.get_inputs()}})
"""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "cwd").mkdir()
    (tmp_path / "home").mkdir()
    done = run_python(program, tmp_path / "cwd", TMPDIR=str(tmp_path / "tmp"), HOME=str(tmp_path / "home"))
    assert (done.stdout, done.stderr) == ("", "")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cwd", "home", "tmp"]


@pytest.mark.needs_openvino
def test_threads_that_are_first_at_once_register_openvino_once():
    program = f"""
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from hybrid_cvar.onnx_session import SessionSettings, open_session
import onnxruntime, time
look = onnxruntime.get_ep_devices
onnxruntime.get_ep_devices = lambda: (look(), time.sleep(0.2))[0]  # so that all look before one registers
with ThreadPoolExecutor(4) as pool:
    for session in pool.map(lambda _: open_session(Path({str(GRAPH)!r}), SessionSettings("openvino")), range(4)):
        print(session.get_providers()[0])
"""
    assert run_python(program).stdout.splitlines() == ["OpenVINOExecutionProvider"] * 4


@pytest.mark.needs_openvino
def test_a_plugin_that_somebody_else_registered_serves(feed):
    program = f"""
import onnxruntime, onnxruntime_ep_openvino
onnxruntime.register_execution_provider_library("another name", onnxruntime_ep_openvino.get_library_path())
from pathlib import Path
from hybrid_cvar.onnx_session import SessionSettings, open_session
print(open_session(Path({str(GRAPH)!r}), SessionSettings("openvino")).get_providers()[0])
"""
    assert run_python(program).stdout == "OpenVINOExecutionProvider\n"


@pytest.mark.needs_openvino
@pytest.mark.needs_compile
def test_a_node_that_openvino_does_not_take_is_an_error_not_the_cpus(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    text = [helper.make_tensor_value_info(name, TensorProto.STRING, [2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("StringNormalizer", ["x"], ["y"])], "text", text[:1], text[1:])
    path = tmp_path / "text.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    open_session(path)
    with pytest.raises(
        EngineError, match=r"cannot load it on openvino.*fallback to CPU EP has been explicitly disabled"
    ):
        open_session(path, SessionSettings("openvino"))


def test_a_product_on_another_provider_is_an_error():
    """What a GPU leaves to the CPU; here the CPU has all of it."""
    session = open_session(GRAPH, change=lambda options: options.add_session_config_entry(RECORD, "1"))
    onnx_session._check_placement(session, "cpu")
    with pytest.raises(EngineError, match=r"the cuda provider left .*(Conv|MatMul|Gemm).* to CPUExecutionProvider; "):
        onnx_session._check_placement(session, "cuda")


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_gpu_provider_that_does_not_start_is_an_error(installed, provider, monkeypatch, capfd):
    """The CPU build of ONNX Runtime warns and takes the CPU; the GPU build without a GPU does the same."""
    if {"CUDAExecutionProvider", "TensorrtExecutionProvider"} & set(onnxruntime.get_available_providers()):
        pytest.skip("this is the GPU build")
    installed("cuda", "tensorrt")
    monkeypatch.setitem(sys.modules, "tensorrt", types.ModuleType("tensorrt"))
    with pytest.raises(EngineError) as caught:
        open_session(GRAPH, SessionSettings(provider))
    assert caught.value.found.endswith(
        f"the {provider} provider did not start; ONNX Runtime would take CPUExecutionProvider"
    )
    assert install_command(provider) in caught.value.remedy
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_is_none_is_one_line(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    for path in (tmp_path / "bad.onnx", tmp_path / "missing.onnx"):
        with pytest.raises(EngineError, match=f"{path.name}: ONNX Runtime cannot load it on cpu") as caught:
            open_session(path)
        assert str(caught.value).count(";") >= 2 and "\n" not in str(caught.value)
        assert caught.value.remedy == "compile the checkpoint again"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"provider": "gpu"}, "provider 'gpu'; must be one of cpu, openvino, cuda, tensorrt"),
        ({"threads": -1}, "threads = -1; must be a whole number from 0"),
        ({"threads": 1025}, "threads = 1025"),
        ({"threads": 2.0}, "threads = 2.0"),
        ({"threads": True}, "threads = True"),
    ],
)
def test_settings_that_cannot_be(settings, words):
    with pytest.raises(ConfigError) as caught:
        SessionSettings(**settings)
    assert words in str(caught.value)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_not_installed_and_what_cannot_be_are_told_apart(installed, provider, precision):
    """Only the CPU's is there."""
    installed()
    assert installed_providers() == ("cpu",)
    able = provider in ("openvino", "tensorrt") or precision != "bf16"
    if not able:
        with pytest.raises(ConfigError, match="give --provider openvino"):
            require_provider(provider, precision)
    elif provider == "cpu":
        require_provider(provider, precision)
    else:
        with pytest.raises(MissingPartError, match=f"the {provider} provider is not installed") as caught:
            open_session(GRAPH, SessionSettings(provider), precision=precision)
        assert caught.value.remedy == f"install it: {install_command(provider)}"
        assert "\n" not in str(caught.value)


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="precision 'fp8'; must be one of fp32, int8, bf16"):
        open_session(GRAPH, precision="fp8")
    with pytest.raises(ConfigError, match="provider 'gpu'"):
        require_provider("gpu", "fp32")


def test_tensorrt_needs_more_than_the_gpu_build(installed, monkeypatch):
    installed("cuda", "tensorrt")
    assert installed_providers() == ("cpu", "cuda", "tensorrt")
    monkeypatch.setattr(onnx_session, "_has_module", lambda name: False)
    assert installed_providers() == ("cpu", "cuda")
    monkeypatch.setattr("ctypes.util.find_library", lambda name: f"lib{name}.so.10")
    assert installed_providers() == ("cpu", "cuda", "tensorrt")


def test_openvinos_own_build_of_onnx_runtime_is_not_the_plugin(installed, monkeypatch):
    installed()
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["OpenVINOExecutionProvider"])
    assert "openvino" not in installed_providers()


def test_defaults():
    assert [default_provider(precision) for precision in PRECISIONS] == ["cpu", "cpu", "openvino"]
    assert all(default_provider(precision) in PROVIDERS for precision in PRECISIONS)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_install_command_is_a_command(provider):
    words = shlex.split(install_command(provider))
    assert words[0] == "pip" and "install" in words
    assert install_command("openvino") == "pip install onnxruntime-ep-openvino"


def test_a_cpu_that_openvino_does_not_take_is_one_clear_error(installed, monkeypatch):
    installed("openvino")
    monkeypatch.setattr(onnx_session, "_openvino_device", lambda: None)
    assert installed_providers() == ("cpu", "openvino") and cpu_providers() == ("cpu",)
    with pytest.raises(EngineError, match=r"takes no CPU of this machine \(\w+\); it offers Intel's.*--provider cpu"):
        open_session(GRAPH, SessionSettings("openvino"))
    monkeypatch.setattr(onnx_session, "_openvino_device", lambda: "a device")
    assert cpu_providers() == ("cpu", "openvino")


@pytest.mark.skipif("GenuineIntel" in Path("/proc/cpuinfo").read_text(), reason="the plugin takes this CPU")
def test_the_plugin_is_looked_at_once_where_it_takes_no_cpu():
    program = """
from hybrid_cvar.onnx_session import cpu_providers
print(cpu_providers(), cpu_providers())
"""
    assert run_python(program).stdout == "('cpu',) ('cpu',)\n"
