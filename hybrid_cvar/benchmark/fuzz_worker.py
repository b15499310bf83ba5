"""A child process that reads hostile files, one a line of stdin, and answers each with a verdict on stdout.

Its life is watched from outside (`video_fuzz`): what kills it or hangs it is a verdict too.
"""

import faulthandler
import gc
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hybrid_cvar.errors import VideoError
from hybrid_cvar.records import Gop, InputSpec
from hybrid_cvar.video import probe_video, read_clips, read_frames, read_gops

__all__ = ["FAULT", "FRAMES", "IdentityBrokenError", "Verdict", "check_gops", "examine", "rebuild_frames"]

FRAMES = "frames"
FAULT = "FAULT"

GOPS_CHECKED = 2
CLIPS = 2
FRAMES_READ = 60
SPEC = InputSpec(size=32)
ADDRESS_SPACE_BYTES = 12 * 2**30
"""A runaway allocation then fails in the worker, before the machine runs out."""


class IdentityBrokenError(Exception):
    """Motion and residual do not rebuild the frames, or the raw and the accumulated form rebuild different ones."""


@dataclass(frozen=True)
class Verdict:
    """What became of one file.

    Attributes:
        outcome: `frames`, the class name of our error, or `FAULT`.
        what: the error's text or, for a fault, the traceback.
        gops: read; the first of them checked in both forms.
        seconds: it took.
        peak_bytes: most resident memory while it was read; 0 if the system does not say.
        left_bytes: resident memory after it.
    """

    outcome: str
    what: str = ""
    gops: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    left_bytes: int = 0


def rebuild_frames(gop: Gop) -> Iterator[NDArray[np.int16]]:
    """The P-frames by the identity, int16 (H, W, 3) each: reference[i - motion] + residual.

    Raises:
        IdentityBrokenError: a vector points out of the frame, a value is out of range, or shapes and types are wrong.
    """
    height, width = gop.iframe.shape[:2]
    steps = len(gop.motion)
    wanted = (
        (gop.iframe, np.uint8, (height, width, 3)),
        (gop.motion, np.int16, (steps, height, width, 2)),
        (gop.residual, np.int16, (steps, height, width, 3)),
    )
    for array, kind, shape in wanted:
        if array.dtype != kind or array.shape != shape or not array.flags.c_contiguous:
            raise IdentityBrokenError(f"an array of {array.dtype} {array.shape} where {kind} {shape} is promised")
    columns, rows = np.arange(width, dtype=np.int64), np.arange(height, dtype=np.int64)[:, None]
    reference = gop.iframe.astype(np.int16)
    for t, (motion, residual) in enumerate(zip(gop.motion, gop.residual, strict=True)):
        x, y = columns - motion[..., 0], rows - motion[..., 1]
        if min(x.min(), y.min()) < 0 or x.max() >= width or y.max() >= height:
            raise IdentityBrokenError(f"GOP {gop.index}, P-frame {t}: a vector points out of the frame")
        frame = reference.reshape(-1, 3)[(y * width + x).reshape(-1)].reshape(height, width, 3) + residual
        if frame.min() < 0 or frame.max() > 255:
            raise IdentityBrokenError(f"GOP {gop.index}, P-frame {t}: a value is out of 0 to 255")
        yield frame
        if not gop.accumulated:
            reference = frame


def check_gops(path: Path) -> int:
    """Read all GOPs; the first ones in both forms, which must rebuild the same frames.

    Returns:
        GOPs that were read.

    Raises:
        VideoError: as `read_gops`.
        IdentityBrokenError: a GOP breaks the identity, or the two forms differ.
    """
    count = 0
    raw = islice(read_gops(path, accumulated=False), GOPS_CHECKED)
    for gop in read_gops(path):
        if count < GOPS_CHECKED:
            frames = list(rebuild_frames(gop))
            try:
                other = next(raw, None)
            except VideoError:
                other = None
            if other is None or other.index != gop.index or not np.array_equal(other.iframe, gop.iframe):
                raise IdentityBrokenError(f"GOP {gop.index}: the raw form has another GOP in its place")
            for t, (a, b) in enumerate(zip(frames, rebuild_frames(other), strict=True)):
                if not np.array_equal(a, b):
                    raise IdentityBrokenError(f"GOP {gop.index}, P-frame {t}: raw and accumulated form differ")
        count += 1
    if not count:
        raise IdentityBrokenError("no GOP and no error either")
    return count


def examine(path: Path) -> Verdict:
    """Read a file, as a file and as a stream, in every way; anything but frames or a VideoError is a fault."""
    _forget_peak()
    begin = time.perf_counter()
    outcome, what, gops = FRAMES, "", 0

    def read_in_full(file: Path) -> None:
        nonlocal gops
        gops = check_gops(file)

    attempts: tuple[Callable[[Path], object], ...] = (
        read_in_full,
        probe_video,
        lambda file: read_clips(file, SPEC, CLIPS),
        lambda file: sum(1 for _ in islice(read_frames(file, workers=2), FRAMES_READ)),
        lambda file: next(read_gops(file, domain="transcode"), None),
        lambda file: list(islice(read_gops(BytesIO(file.read_bytes())), GOPS_CHECKED)),
    )
    for attempt in attempts:
        try:
            attempt(path)
        except VideoError as error:
            if "\n" in str(error) or not (error.found and error.rule):
                outcome, what = FAULT, f"an error that is not one line of what and rule: {error!r}"
                break
            # The full reading decides: a probe reads headers only.
            if attempt is read_in_full:
                outcome, what = type(error).__name__, str(error)
        except BaseException:
            outcome, what = FAULT, traceback.format_exc()
            break
    seconds = time.perf_counter() - begin
    peak = _status_bytes("VmHWM:")
    gc.collect()
    return Verdict(outcome, what, gops, seconds, peak, _status_bytes("VmRSS:"))


def _forget_peak() -> None:
    """Makes the kernel's peak of this process's memory start again from what it has now."""
    with suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def _status_bytes(field: str) -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return 0


def _main() -> None:
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    # Answers go to what was stdout; whatever a library prints there goes to stderr.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(asdict(examine(Path(json.loads(line))))) + "\n")
        answers.flush()


if __name__ == "__main__":
    _main()
