"""The real Lava runtime: same bits in both ProcessModels, and nothing left behind."""

import gc
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import resource_tracker
from pathlib import Path

import numpy as np
import psutil
import pytest

from hybrid_cvar.errors import ConfigError, EngineError, LavaError
from hybrid_cvar.neuromorphic import NativeStm
from hybrid_cvar.neuromorphic.conv_lif_core import ConvLifCore
from hybrid_cvar.neuromorphic.reference import synaptic_sum

pytestmark = pytest.mark.needs_lava


def lava_stm(*args, **kwargs):
    from hybrid_cvar.neuromorphic.lava_stm import LavaStm

    return LavaStm(*args, **kwargs)


def segments() -> set[str]:
    return set(os.listdir("/dev/shm"))


def children() -> set[int]:
    """Live children but the resource tracker, which is Python's own and outlives a runtime."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(child.cmdline()):
                found.add(child.pid)
        except psutil.NoSuchProcess:
            continue
    return found


def open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def lava_processes() -> list:
    from lava.magma.core.process.process import ProcessServer

    return list(ProcessServer().processes)


@pytest.fixture(autouse=True)
def nothing_left_behind():
    resource_tracker.ensure_running()  # Python's own: the first runtime would start it, and it stays
    before, files = (segments(), children()), open_files()
    yield
    deadline = time.monotonic() + 5
    while (segments() - before[0] or children() - before[1]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert segments() - before[0] == set()
    assert children() - before[1] == set()
    assert open_files() <= files


def assert_same(left, right):
    for kind in ("readouts", "spikes", "membranes"):
        for a, b in zip(getattr(left, kind), getattr(right, kind), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("form", ["streams", "layers", "stock"])
def test_every_form_gives_the_native_bits_for_every_clip(make_stm, make_clip, form, reset):
    stm = make_stm(5, reset=reset)
    clips = [make_clip(stm, seed) for seed in range(4)]
    with NativeStm(stm, record=True) as native, lava_stm(stm, form=form, record=True) as lava:
        for clip in clips:
            expected, actual = native.run_clip(*clip), lava.run_clip(*clip)
            assert all(layer.any() for layer in expected.spikes)
            assert_same(expected, actual)
            if form != "stock":
                assert expected.counts == actual.counts
                assert all(layer.step_spikes != (0,) * stm.timesteps for layer in actual.counts)


@pytest.mark.parametrize(("form", "tells"), [("streams", True), ("layers", True), ("float", True), ("stock", False)])
def test_a_clip_takes_longer_than_its_streams_compute(make_stm, make_clip, form, tells):
    stm = make_stm(5)
    with lava_stm(stm, form=form) as lava:
        for seed in range(2):
            begin = time.perf_counter()
            seconds = lava.run_clip(*make_clip(stm, seed)).compute_seconds
            passed = time.perf_counter() - begin
            assert 0 < seconds < passed if tells else seconds is None


@pytest.mark.parametrize("names", [("motion",), ("residual",), ("common",)], ids="+".join)
@pytest.mark.parametrize(
    ("form", "record"), [("streams", True), ("streams", False), ("layers", True), ("layers", False), ("stock", True)]
)
def test_a_partition_of_one_stream_gives_the_native_bits(make_stm, make_clip, names, form, record):
    stm = make_stm(5, names=names)
    with NativeStm(stm, record=record) as native, lava_stm(stm, form=form, record=record) as lava:
        for seed in range(3):
            clip = make_clip(stm, seed)
            expected, actual = native.run_clip(*clip), lava.run_clip(*clip)
            assert len(actual.readouts) == 1 and all(layer.spikes_out for layer in expected.counts)
            assert_same(expected, actual)
            assert actual.counts == (() if form == "stock" else expected.counts)


def test_a_clip_of_another_number_of_streams_is_refused_and_the_next_one_runs(make_stm, make_clip):
    stm = make_stm(names=("common",))
    clip = make_clip(stm, 0)
    with lava_stm(stm) as lava:
        for wrong in ((), (*clip, *clip)):
            with pytest.raises(EngineError, match=f"{len(wrong)} arrays; one is needed for every stream: common"):
                lava.run_clip(*wrong)
        with pytest.raises(EngineError, match="common events"):
            lava.run_clip(*make_clip(make_stm(names=("motion",)), 0))
        assert lava.run_clip(*clip).counts


@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_the_float_model_is_the_float_equations(make_stm, make_clip, reset):
    stm = make_stm(5, reset=reset)
    clip = make_clip(stm, 1)
    with lava_stm(stm, form="float", record=True) as lava:
        result = lava.run_clip(*clip)
    passing = clip[0]
    for index, layer in enumerate(stm.streams[0].layers):
        u, o, spikes = np.zeros(layer.output_shape), np.zeros(layer.output_shape), []
        for events in passing:
            z = synaptic_sum(layer.weight, events, layer.output_shape, layer.stride, layer.padding)
            u = u * (4096 - layer.decay) / 4096 + z / 64 - (layer.threshold / 64 * o if reset == "soft" else 0)
            o = (u > layer.threshold / 64).astype(np.int8)
            u = np.where(o == 1, 0, u) if reset == "hard" else u
            spikes.append(o)
        passing = np.stack(spikes)
        np.testing.assert_array_equal(result.spikes[index], passing)
        assert result.counts[index].spikes_out == passing.sum()
        assert result.counts[index].step_spikes == tuple(passing.sum(axis=(1, 2, 3)))
        assert result.counts[index].neuron_updates == passing.size
    np.testing.assert_array_equal(result.readouts[0], np.rint(u * 4096))


def test_an_unknown_form_is_refused(make_stm):
    with pytest.raises(ConfigError, match="streams, layers, stock, float"):
        lava_stm(make_stm(), form="fast")


def test_one_runtime_serves_all_clips(make_stm, make_clip):
    stm = make_stm()
    with lava_stm(stm) as lava:
        lava.run_clip(*make_clip(stm, 0))
        processes, shared = children(), segments()
        for seed in range(5):
            lava.run_clip(*make_clip(stm, seed))
        assert children() == processes
        assert segments() == shared


def test_an_exception_in_a_process_shows_its_own_traceback(make_stm, make_clip, monkeypatch):
    def break_down(self, events):
        raise ZeroDivisionError("the layer broke down")

    monkeypatch.setattr(ConvLifCore, "run", break_down)
    stm = make_stm()
    monkeypatch.setattr("hybrid_cvar.neuromorphic.lava_stm.compile_neuron_kernels", lambda: None)
    with lava_stm(stm) as lava:
        with pytest.raises(LavaError, match="the layer broke down") as caught:
            lava.run_clip(*make_clip(stm, 0))
        assert "break_down" in caught.value.process_traceback
        assert "Traceback" in caught.value.process_traceback
        with pytest.raises(LavaError, match="not running"):
            lava.run_clip(*make_clip(stm, 0))


def test_a_killed_process_is_an_error_within_seconds(make_stm, make_clip):
    stm = make_stm()
    with lava_stm(stm) as lava:
        lava.run_clip(*make_clip(stm, 0))
        victim = lava._runtime._actors()[-1]
        os.kill(victim.pid, signal.SIGKILL)
        victim_gone = time.monotonic()
        with pytest.raises(LavaError, match="ended unexpectedly"):
            lava.run_clip(*make_clip(stm, 0))
        assert time.monotonic() - victim_gone < 10


def test_a_hang_ends_at_the_timeout(make_stm, make_clip):
    stm = make_stm()
    with lava_stm(stm, clip_timeout_seconds=1.0) as lava:
        lava.run_clip(*make_clip(stm, 0))
        os.kill(lava._runtime._actors()[-1].pid, signal.SIGSTOP)
        with pytest.raises(LavaError, match="in time"):
            lava.run_clip(*make_clip(stm, 0))


def test_a_full_shared_memory_is_an_error_before_the_run(make_stm, monkeypatch):
    from hybrid_cvar.neuromorphic import lava_runtime

    monkeypatch.setattr(lava_runtime.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(LavaError, match="can take"), lava_stm(make_stm()):
        pass


def test_the_next_runtime_works_after_an_error(make_stm, make_clip):
    stm = make_stm()
    with pytest.raises(RuntimeError, match="ours"), lava_stm(stm):
        raise RuntimeError("ours")
    with lava_stm(stm) as lava:
        assert lava.run_clip(*make_clip(stm, 0)).counts


@pytest.mark.parametrize("form", ["streams", "stock"])
def test_runtimes_leave_no_files_and_no_processes(make_stm, make_clip, form):
    stm = make_stm()
    lava = lava_stm(stm, form=form)
    files, processes = open_files(), lava_processes()
    for _ in range(5):
        lava.start()
        assert len(lava_processes()) > len(processes)
        lava.run_clip(*make_clip(stm, 0))
        lava.stop()
        assert open_files() == files
        assert lava_processes() == processes


def test_ending_twice_is_harmless(make_stm):
    lava = lava_stm(make_stm())
    lava.start()
    runtime = lava._runtime
    lava.stop()
    runtime.end()
    runtime.stop()


@pytest.mark.parametrize("spare", [0, 5, 11, 17, 24])
def test_too_many_open_files_has_its_own_remedy(make_stm, spare):
    """Wherever in the start it happens; the network of `layers` needs more than any of these."""
    lava = lava_stm(make_stm(), form="layers")
    with lava:
        pass  # what is imported or built once
    processes = lava_processes()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files() + spare, limits[1]))
    try:
        with pytest.raises(LavaError, match="ulimit -n"):
            lava.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert lava_processes() == processes


SCRIPT = """
import sys, numpy as np
from hybrid_cvar.assets import DEFAULT_BUNDLE
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.neuromorphic.lava_stm import LavaStm
stm = load_bundle(DEFAULT_BUNDLE).stm
clip = [np.ones((stm.timesteps, *stream.layers[0].input_shape), dtype=np.int8) for stream in stm.streams]
with LavaStm(stm) as lava:
    lava.run_clip(*clip)
    print("running", flush=True)
    while True:
        lava.run_clip(*clip)
"""


def family_of(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_no_orphans_when_the_program_is_stopped(how):
    """Ctrl-C reaches the whole process group, as from a terminal; a kill reaches the program alone."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        assert program.stdout.readline() == "running\n"
        family = family_of(program.pid)
        assert len(family) >= 3
        if how == signal.SIGINT:
            os.killpg(program.pid, how)
        else:
            program.send_signal(how)
        stderr = program.communicate(timeout=30)[1]
    psutil.wait_procs(family, timeout=10)
    assert [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE] == []
    if how == signal.SIGINT:
        assert stderr.count("Traceback") == 1, stderr
        assert "KeyboardInterrupt" in stderr
        assert "leaked" not in stderr


def test_it_can_be_started_again(make_stm, make_clip):
    stm, lava = make_stm(), None
    clip = make_clip(stm, 0)
    lava = lava_stm(stm, record=True)
    results = []
    for _ in range(2):
        lava.start()
        results.append(lava.run_clip(*clip))
        lava.stop()
    assert_same(*results)


def test_a_runtime_started_in_a_thread_outlives_the_thread(make_stm, make_clip):
    stm = make_stm()
    lava = lava_stm(stm)
    starter = threading.Thread(target=lava.start)
    starter.start()
    starter.join()
    try:
        assert lava.run_clip(*make_clip(stm, 0)).counts
    finally:
        lava.stop()


def test_a_ctrl_c_during_the_start_is_not_lost(make_stm, monkeypatch):
    from hybrid_cvar.neuromorphic import lava_runtime

    check = lava_runtime.LavaRuntime._check_shared_memory

    def press_then_check(self):
        os.kill(os.getpid(), signal.SIGINT)
        check(self)

    monkeypatch.setattr(lava_runtime.LavaRuntime, "_check_shared_memory", press_then_check)
    with pytest.raises(KeyboardInterrupt), lava_stm(make_stm()):
        time.sleep(1)


def test_no_process_model_reads_large_arrays_through_a_var():
    """`Var.get` moves an element at a time; whole arrays go through ports."""
    folder = Path(__file__).parents[2] / "hybrid_cvar" / "neuromorphic"
    assert [file.name for file in folder.rglob("*.py") if ".get()" in file.read_text(encoding="utf-8")] == []


def test_lava_forks(make_stm):
    with lava_stm(make_stm()):
        assert multiprocessing.get_start_method() == "fork"


@pytest.mark.parametrize("settled", ["fork", "spawn"])
def test_lava_imports_where_the_program_has_settled_a_start_method(settled):
    program = f"""
import multiprocessing
multiprocessing.set_start_method({settled!r})
from hybrid_cvar.lava_compat import prepare_lava
before = multiprocessing.set_start_method
prepare_lava()
import lava.magma.runtime.runtime
print(multiprocessing.get_start_method(), multiprocessing.set_start_method == before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "fork True\n"), done.stderr
