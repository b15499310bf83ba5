"""Processes that convert videos side by side; one that dies takes its own video with it and no other.

A worker is a fresh interpreter that reads jobs from its standard input and writes what became of them to its
standard output, one JSON object a line:

    in    {"source", "target", "gop", "qscale"}
    out   {"ready": true}, then for each job any number of {"fraction"} and one of
          {"frames", "size_bytes", "seconds"} or {"error"}

It ends at the end of its input, and the kernel ends it if its parent dies. Ctrl-C does not reach it: it is in a
process group of its own, and the parent kills it.
"""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hybrid_cvar.child_process import begin_child
from hybrid_cvar.errors import HybridCvarError, VideoError
from hybrid_cvar.video.convert_one import ConvertedVideo, convert_video
from hybrid_cvar.video.convert_plan import PlannedVideo
from hybrid_cvar.video.partial_file import remove_leftovers

__all__ = ["ConversionUpdate", "convert_side_by_side", "serve"]

PROGRESS_SECONDS = 0.2
STOP_SECONDS = 5.0


@dataclass(frozen=True)
class ConversionUpdate:
    """News of one video.

    Attributes:
        video: which.
        fraction: share of it that is done, 0.0 to 1.0.
        converted: the result, at its end.
        error: why it failed, at its end.
    """

    video: PlannedVideo
    fraction: float = 0.0
    converted: ConvertedVideo | None = None
    error: str = ""


def convert_side_by_side(
    videos: Iterable[PlannedVideo], *, gop: int, qscale: int, workers: int
) -> Generator[ConversionUpdate, None, None]:
    """Convert videos with several processes; all of them have ended when the generator has, or is closed.

    Args:
        videos: sources and targets.
        gop, qscale: as `convert_video`.
        workers: processes, at least 1; no more are started than there are videos.

    Yields:
        Updates, in the order in which they come; the last one of each video has `converted` or `error`.

    Raises:
        HybridCvarError: the processes cannot start.
    """
    waiting = deque(videos)
    busy: list[_Worker] = []
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or busy:
                while waiting and len(busy) < workers:
                    worker = _Worker()
                    busy.append(worker)
                    selector.register(worker.output, selectors.EVENT_READ, worker)
                    worker.begin(waiting.popleft(), gop, qscale)
                for key, _ in selector.select():
                    worker = key.data
                    video = worker.video
                    for message in worker.read():
                        update = _understand(video, message)
                        if update is None:
                            continue
                        yield update
                        if update.converted or update.error:
                            worker.video = None
                    if worker.ended:
                        selector.unregister(worker.output)
                        busy.remove(worker)
                        status = worker.kill()
                        if not worker.ready:
                            raise _no_start(status)
                        if worker.video is not None:
                            remove_leftovers(video.target.parent)
                            yield ConversionUpdate(video, error=_death(video, status))
                    elif worker.video is None and waiting:
                        worker.begin(waiting.popleft(), gop, qscale)
                    elif worker.video is None:
                        worker.dismiss()
        finally:
            for worker in busy:
                worker.kill()
            for worker in busy:
                if worker.video is not None:
                    remove_leftovers(worker.video.target.parent)


class _Worker:
    """The parent's end of one worker."""

    def __init__(self) -> None:
        # As a new interpreter, it neither runs the user's script again nor inherits threads and locks.
        program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve({os.getpid()})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0, bufsize=0
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self.output = self._process.stdin, self._process.stdout
        self._received = b""
        self.video: PlannedVideo | None = None
        self.ready = False
        self.ended = False

    def begin(self, video: PlannedVideo, gop: int, qscale: int) -> None:
        """Hand it a video; whether it took it shows in what it answers."""
        self.video = video
        job = {"source": os.fspath(video.source), "target": os.fspath(video.target), "gop": gop, "qscale": qscale}
        try:
            self._input.write(json.dumps(job).encode() + b"\n")
        except BrokenPipeError:
            return  # it died; its output ends too

    def read(self) -> list[dict[str, Any]]:
        """The messages that are there; `ended` is set at the end of its output."""
        chunk = os.read(self.output.fileno(), 65536)
        self.ended = not chunk
        *lines, self._received = (self._received + chunk).split(b"\n")
        messages = [json.loads(line) for line in lines]
        self.ready = self.ready or bool(messages)
        return messages

    def dismiss(self) -> None:
        """Let it end by itself."""
        self._input.close()

    def kill(self) -> int:
        """End it, one whose output has ended after a moment; its exit status."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS if self.ended else 0)
        self._process.kill()
        status = self._process.wait()
        self._input.close()
        self.output.close()
        return status


def _understand(video: PlannedVideo, message: dict[str, Any]) -> ConversionUpdate | None:
    if "fraction" in message:
        return ConversionUpdate(video, message["fraction"])
    if "error" in message:
        return ConversionUpdate(video, 1.0, error=message["error"])
    if "frames" in message:
        return ConversionUpdate(video, 1.0, ConvertedVideo(video.source, video.target, **message))
    return None


def _no_start(status: int) -> HybridCvarError:
    return HybridCvarError(
        f"a process that converts videos could not start ({_status_words(status)})",
        "it runs this Python with these packages",
        "look at what it printed above, and at the memory that is free",
    )


def _death(video: PlannedVideo, status: int) -> str:
    return str(
        VideoError(
            f"{video.source}: the process that converted it ended ({_status_words(status)})",
            "it must live until the video is done",
            "convert it alone; if memory ran out, take fewer --workers",
        )
    )


def _status_words(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"


def serve(parent: int) -> None:
    """The worker: converts what it is told to until its input ends.

    Args:
        parent: process id of the one who started it.
    """
    begin_child(parent)
    # Answers have a descriptor of their own: whatever else is printed goes to stderr.
    with open(os.dup(1), "wb", buffering=0) as answers:
        os.dup2(2, 1)
        _answer(answers, {"ready": True})
        for line in sys.stdin.buffer:
            job = json.loads(line)
            try:
                done = convert_video(
                    Path(job["source"]),
                    Path(job["target"]),
                    gop=job["gop"],
                    qscale=job["qscale"],
                    on_fraction=_Throttle(answers).tell,
                )
            except HybridCvarError as error:
                _answer(answers, {"error": str(error)})
            else:
                fields = ("frames", "frames_missing", "size_bytes", "seconds")
                _answer(answers, {name: getattr(done, name) for name in fields})


def _answer(answers: Any, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message).encode() + b"\n")


class _Throttle:
    """Passes a share on a few times a second."""

    def __init__(self, answers: Any) -> None:
        self._answers = answers
        self._next = time.monotonic() + PROGRESS_SECONDS

    def tell(self, fraction: float) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS_SECONDS
            _answer(self._answers, {"fraction": fraction})
