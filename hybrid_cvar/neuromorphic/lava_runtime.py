"""Life of one Lava runtime: started quietly, watched, and ended without leftovers.

Lava's own stop waits for answers that never come once a process has died, and reports a process's
exception only by its count. This keeps the runtime's processes and pipes in hand instead.
"""

import contextlib
import errno
import logging
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

from hybrid_cvar.child_process import end_with_parent
from hybrid_cvar.errors import LavaError

__all__ = ["LavaRuntime"]

SHARED_MEMORY = "/dev/shm"
POLL_SECONDS = 0.0003
CHECK_SECONDS = 0.05
STOP_SECONDS = 5.0


class LavaRuntime:
    """Compiles the network of a Process, starts it, runs it in steps and ends it.

    Args:
        process: any Process of the network.
        reference: select SubProcessModels.
        tag: of the ProcessModels, `fixed_pt` or `floating_pt`.

    Raises:
        LavaError: a process could not start.
    """

    def __init__(self, process: Any, *, reference: bool = False, tag: str = "fixed_pt") -> None:
        from lava.magma.core.process.message_interface_enum import ActorType
        from lava.magma.core.run_configs import Loihi2SimCfg
        from lava.magma.runtime.runtime import Runtime

        executable = process.compile(Loihi2SimCfg(select_tag=tag, select_sub_proc_model=reference))
        self._processes = _with_parents(executable.process_list)
        self._runtime = Runtime(executable, ActorType.MultiProcessing, loglevel=logging.ERROR)
        try:
            with _children_end_with_us(), contextlib.redirect_stdout(sys.stderr):
                executable.assign_runtime_to_all_processes(self._runtime)
                self._runtime.initialize()
            self._check_shared_memory()
        except BaseException as error:
            self.end()
            if isinstance(error, LavaError):
                raise
            if isinstance(error, OSError) and error.errno == errno.EMFILE:
                raise LavaError(
                    f"Lava could not start: {error}",
                    "its processes and channels hold files open",
                    "raise the limit: ulimit -n, then run again",
                ) from error
            if isinstance(error, OSError):
                raise LavaError(
                    f"Lava could not start: {error}",
                    "it needs processes and shared memory",
                    "free space in /dev/shm, then run again",
                ) from error
            if isinstance(error, Exception):
                raise LavaError(
                    f"Lava could not start: {type(error).__name__}: {error}",
                    process_traceback=getattr(error, "trace", ""),
                ) from error
            raise

    def send(self, port: Any, data: NDArray[Any]) -> None:
        """Sends an array into an external InPort; the pipe must have room."""
        port.external_pipe_csp_send_port.send(data)

    def receive(self, port: Any, deadline: float) -> NDArray[Any]:
        """Receives an array from an external OutPort before `deadline` (time.monotonic seconds)."""
        pipe = port.external_pipe_csp_recv_port
        self._await(pipe.probe, deadline)
        data: NDArray[Any] = pipe.recv()
        return data

    def begin_steps(self, steps: int) -> None:
        """Lets the network run `steps` steps; returns at once."""
        from lava.magma.core.run_conditions import RunSteps

        self._runtime.start(RunSteps(num_steps=steps, blocking=False))

    def finish_steps(self, deadline: float) -> None:
        """Waits until the steps begun last are done."""
        for port in self._runtime.service_to_runtime:
            self._await(port.probe, deadline)
        self._runtime.wait()

    def stop(self) -> None:
        """Asks the network to end, then makes sure that it has."""
        from lava.magma.runtime.mgmt_token_enums import MGMT_COMMAND

        try:
            if self._runtime._is_started:
                deadline = time.monotonic() + STOP_SECONDS
                for port in self._runtime.runtime_to_service:
                    port.send(MGMT_COMMAND.STOP)
                for port in self._runtime.service_to_runtime:
                    self._await(port.probe, deadline)
                for actor in self._actors():
                    multiprocessing.Process.join(actor, max(0.0, deadline - time.monotonic()))
        except LavaError:
            logging.getLogger(__name__).debug("the network did not end when asked", exc_info=True)
        finally:
            self.end()

    def end(self) -> None:
        """Ends every process, closes the pipes and removes the shared memory; safe to call twice.

        The Processes that were compiled cannot run again: Lava forgets them.
        """
        self._runtime._is_started = False
        self._end_actors()
        ports = [*self._pipes(), *self._runtime.runtime_to_service, *self._runtime.service_to_runtime]
        for port in ports:
            port.join()
            if port.thread is not None:
                port.thread.join(STOP_SECONDS)
            port._array = []  # a view left here would keep the shared memory mapped
        self._runtime._open_ports.clear()
        self._end_shared_memory()
        self._forget_processes()

    def _end_actors(self) -> None:
        actors = self._actors()
        for actor in actors:
            actor.kill()
        for actor in actors:
            _close_ended(actor)
            actor._is_done = True  # its own join would use what is closed here
            actor._pconn.close()
            actor._cconn.close()
        if actors:
            self._runtime._messaging_infrastructure.actors.clear()
        for queue in getattr(self._runtime, "exception_q", ()):  # Lava drops them itself after a good start
            queue._reader.close()
            queue._writer.close()

    def _end_shared_memory(self) -> None:
        messaging = self._runtime._messaging_infrastructure
        manager = messaging.smm._manager if messaging is not None and messaging.smm is not None else None
        if manager is None:
            return
        if hasattr(manager, "shutdown"):  # it has none unless it has started
            segments = list(messaging.smm._shared_memory_handles)
            messaging.smm.shutdown()
            for segment in segments:  # a server that died, or may open no more files, has not removed them
                with contextlib.suppress(FileNotFoundError):
                    segment.unlink()
        server = getattr(manager, "_process", None)
        if server is not None:
            if server.pid is not None:
                server.kill()
            _close_ended(server)
        messaging.smm._manager = None

    def _forget_processes(self) -> None:
        from lava.magma.core.process.process import ProcessServer

        ours = {id(process) for process in self._processes}
        registered = ProcessServer().processes
        registered[:] = [process for process in registered if id(process) not in ours]
        for process in self._processes:
            process.runtime = None  # a Process stops its runtime, a second time, when it is deleted

    def _check_shared_memory(self) -> None:
        """Pages are taken when first written, and a page that is not there then kills the writer: look now."""
        needed = sum(handle.size for handle in self._runtime._messaging_infrastructure.smm._shared_memory_handles)
        free = shutil.disk_usage(SHARED_MEMORY).free
        if needed > free:
            raise LavaError(
                f"{SHARED_MEMORY} has {free // 2**20} MB free",
                f"the Lava network's channels can take {-(-needed // 2**20)} MB",
                "free space there (in a container: a larger --shm-size), or use --engine native",
            )

    def _actors(self) -> list[Any]:
        messaging = self._runtime._messaging_infrastructure
        return list(messaging.actors) if messaging is not None else []

    def _pipes(self) -> list[Any]:
        processes = self._runtime._executable.proc_builders
        ports = [port for process in processes for port in [*process.in_ports, *process.out_ports]]
        names = ("external_pipe_csp_send_port", "external_pipe_csp_recv_port")
        return [getattr(port, name) for port in ports for name in names if hasattr(port, name)]

    def _await(self, ready: Callable[[], bool], deadline: float) -> None:
        """Waits until `ready()`; raises LavaError if a process dies or the deadline passes first."""
        next_check = time.monotonic() + CHECK_SECONDS
        while not ready():
            time.sleep(POLL_SECONDS)
            now = time.monotonic()
            if now > next_check:
                self._check_actors()
                next_check = now + CHECK_SECONDS
            if now > deadline:
                raise LavaError(
                    "the Lava network did not answer in time",
                    "the watchdog ended it",
                    "use --engine native, or a smaller model",
                )

    def _check_actors(self) -> None:
        ended = [actor for actor in self._actors() if not actor.is_alive()]
        for actor in self._actors():
            failure = actor.exception
            if failure:
                error, trace = failure
                raise LavaError(
                    f"a Lava process failed: {type(error).__name__}: {error}",
                    "a ProcessModel raised an exception",
                    "its traceback follows",
                    process_traceback=getattr(error, "trace", trace),
                )
        if ended:
            raise LavaError(
                f"a Lava process ended unexpectedly (exit status {ended[0].exitcode})",
                "every process must live until the run ends",
                "look for a lack of memory in the system log, then run again",
            )


def _with_parents(processes: list[Any]) -> list[Any]:
    """Leaf Processes, and those that SubProcessModels replaced by them."""
    found: dict[int, Any] = {}
    for leaf in processes:
        process = leaf
        while process is not None:
            found[id(process)] = process
            process = process.parent_proc
    return list(found.values())


def _close_ended(process: Any) -> None:
    """Waits for an operating system process that was killed, and closes its pipe."""
    if process.pid is not None:
        multiprocessing.Process.join(process, STOP_SECONDS)
    if process.pid is None or process.exitcode is not None:
        process.close()


@contextlib.contextmanager
def _children_end_with_us() -> Iterator[None]:
    """Processes forked inside ignore Ctrl-C, which is ours to handle, and end when this one dies.

    The kernel ends such a child with the *thread* that forked it, so a runtime that is started outside the
    main thread goes without.
    """
    _guard.active = True
    _guard.parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
    try:
        yield
    finally:
        _guard.active = False


class _ForkGuard:
    """Runs in every forked child; acts only while a Lava runtime starts."""

    active = False
    parent = 0

    def after_fork(self) -> None:
        if not self.active:
            return
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self.parent:
            end_with_parent(self.parent)


_guard = _ForkGuard()
os.register_at_fork(after_in_child=_guard.after_fork)
