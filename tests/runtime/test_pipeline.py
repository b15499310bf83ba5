"""Both orders of work give the same, side by side means side by side, and no thread outlives its pipeline."""

import threading
from contextlib import closing

import numpy as np
import pytest

from hybrid_cvar.errors import EngineError, VideoError
from hybrid_cvar.records import Clip, ClipView
from hybrid_cvar.runtime.pipeline import BATCHES_AHEAD, CLIPS_AHEAD, THREAD_PREFIX, run_in_turn, run_overlapped
from hybrid_cvar.runtime.work import Answers, ClipSeconds, ReadClip, SpikedClip

ORDERS = [run_in_turn, run_overlapped]
PATIENCE_SECONDS = 20


def read(count, log):
    for index in range(count):
        log.append(("read", index))
        values = np.full((1, 1, 1, 3), index, np.int16)
        yield ReadClip(index, Clip(values[0].astype(np.uint8), values, values, index, float(index)), 0.1, 0.2)


class Work:
    """A clip's logit is its index; what is called is written down."""

    def __init__(self, log, on_spike=lambda index: None, on_answer=lambda indices: None):
        self.log, self.on_spike, self.on_answer = log, on_spike, on_answer

    def spike(self, read):
        self.log.append(("spike", read.index))
        self.on_spike(read.index)
        view = ClipView(read.index, read.clip.iframe, read.clip.motion[-1], read.clip.residual[-1], (), ())
        return SpikedClip(view, read.clip.pts_seconds, (), ClipSeconds(0, 0, 0, 0, 0))

    def answer(self, clips):
        indices = [clip.view.clip for clip in clips]
        self.log.append(("answer", indices))
        self.on_answer(indices)
        return Answers(np.array([[index] for index in indices], np.float32), 0.0, 0.0)


def own_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(THREAD_PREFIX)]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert own_threads() == []


def steps_of(order, clips, batch, **options):
    log = []
    steps = list(order(read(clips, log), Work(log), batch, **options))
    spiked = [step.view.clip for step in steps if isinstance(step, SpikedClip)]
    answered = [step.logits[:, 0].tolist() for step in steps if isinstance(step, Answers)]
    return spiked, answered, log


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("clips", "batch", "first_alone", "batches"),
    [
        (0, 2, False, []),
        (0, 2, True, []),
        (1, 8, False, [1]),
        (5, 2, False, [2, 2, 1]),
        (5, 2, True, [1, 2, 2]),
        (1, 2, True, [1]),
        (16, 8, False, [8, 8]),
        (40, 3, True, [1, *[3] * 13]),
    ],
)
def test_every_clip_is_spiked_and_answered_once_in_order(order, clips, batch, first_alone, batches):
    spiked, answered, log = steps_of(order, clips, batch, first_alone=first_alone)
    assert spiked == list(range(clips))
    assert [len(logits) for logits in answered] == batches
    assert [logit for logits in answered for logit in logits] == list(range(clips))
    assert len(log) == 2 * clips + len(batches)


def test_in_turn_is_in_turn():
    _, _, log = steps_of(run_in_turn, 3, 2)
    assert log == [
        *[("read", 0), ("spike", 0), ("read", 1), ("spike", 1), ("answer", [0, 1])],
        *[("read", 2), ("spike", 2), ("answer", [2])],
    ]


@pytest.mark.parametrize("order", ORDERS)
def test_a_first_clip_alone_is_answered_before_the_second_is_read(order):
    _, _, log = steps_of(order, 3, 2, first_alone=True)
    assert log[:4] == [("read", 0), ("spike", 0), ("answer", [0]), ("read", 1)]


def test_all_three_are_at_work_at_once():
    """Each waits for the others: in turn this would never end."""
    meeting = threading.Barrier(3, timeout=PATIENCE_SECONDS)

    def meet_at(number):
        return lambda index: meeting.wait() if index == number else None

    log = []

    def clips():
        for clip in read(8, log):
            if clip.index == 4:
                meeting.wait()
            yield clip

    work = Work(log, on_spike=meet_at(2), on_answer=lambda indices: meeting.wait() if indices == [0, 1] else None)
    steps = list(run_overlapped(clips(), work, 2))
    assert not meeting.broken
    assert [step.view.clip for step in steps if isinstance(step, SpikedClip)] == list(range(8))


def test_reading_does_not_run_away():
    """While the spiking partition is held at a clip, a few more are read and no further."""
    log, released = [], threading.Event()

    def clips():
        for clip in read(50, log):
            if clip.index == CLIPS_AHEAD + 1:
                # All that fit are read; the reader is asked for no more until a clip is through.
                threading.Timer(0.2, released.set).start()
            yield clip

    def hold(index):
        assert released.wait(PATIENCE_SECONDS)
        most_read = max(number for what, number in log if what == "read")
        assert most_read <= index + CLIPS_AHEAD + 2

    steps = list(run_overlapped(clips(), Work(log, on_spike=hold), 2))
    assert len(steps) == 75


def test_spiking_does_not_run_away_from_the_ann_partition():
    log, released, late = [], threading.Event(), []

    def hold(indices):
        assert released.wait(PATIENCE_SECONDS)

    def look(index):
        # The ANN partition is held at its first batch, others wait, and the next is complete with this clip.
        if index == 2 * (BATCHES_AHEAD + 2) - 1:
            threading.Timer(0.2, released.set).start()
        if not released.is_set():
            late.append(index)

    list(run_overlapped(read(50, log), Work(log, on_spike=look, on_answer=hold), 2))
    assert max(late) == 2 * (BATCHES_AHEAD + 2) - 1


def fail_at(number, error):
    def maybe(index):
        if index == number or (isinstance(index, list) and number in index):
            raise error

    return maybe


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("where", ["read", "spike", "answer"])
def test_an_error_anywhere_is_raised_and_ends_the_work(order, where):
    log, error = [], (VideoError if where == "read" else EngineError)("it broke")

    def clips():
        for clip in read(60, log):
            if where == "read":
                fail_at(5, error)(clip.index)
            yield clip

    work = Work(log)
    if where != "read":
        setattr(work, f"on_{where}", fail_at(5, error))
    with pytest.raises(type(error), match="it broke") as raised:
        list(order(clips(), work, 2))
    assert raised.value is error
    assert own_threads() == []
    if where == "spike":
        assert max(number for what, number in log if what == "spike") == 5
    # It did not go on to the end: at most what was under way when it broke.
    assert max(number for what, number in log if what == "read") <= 5 + 2 * (BATCHES_AHEAD + 2) + CLIPS_AHEAD + 1


@pytest.mark.parametrize("order", ORDERS)
def test_whoever_stops_taking_ends_the_work(order):
    """As Ctrl-C in a callback does."""
    log = []

    def take_four():
        with closing(order(read(60, log), Work(log), 2)) as steps:
            for step in steps:
                if isinstance(step, SpikedClip) and step.view.clip == 3:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_four()
    assert own_threads() == []
    done = len(log)
    assert max(number for what, number in log if what == "read") <= 3 + CLIPS_AHEAD + 2
    assert len(log) == done


def test_ctrl_c_while_reading_ends_the_threads():
    log = []

    def clips():
        yield from read(4, log)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_overlapped(clips(), Work(log), 2))
    assert own_threads() == []
