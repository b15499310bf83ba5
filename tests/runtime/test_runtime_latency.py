"""Times of a run: every stage's, clip by clip, and what they add up to; the first answer's; the clip that is drawn."""

import io
import os
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from hybrid_cvar.assets import DEFAULT_BUNDLE, SAMPLE_VIDEO
from hybrid_cvar.compiler import load_bundle
from hybrid_cvar.errors import EngineError
from hybrid_cvar.onnx_session import SessionSettings
from hybrid_cvar.records import STAGES, SpikingResult, stream_events
from hybrid_cvar.runtime import DenseEngine, HybridRuntime, hybrid_runtime
from hybrid_cvar.runtime.pipeline import THREAD_PREFIX
from hybrid_cvar.video import read_clips


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(DEFAULT_BUNDLE)


@pytest.fixture(scope="module")
def runtime(bundle):
    with HybridRuntime(bundle, engine="native") as runtime:
        yield runtime


@pytest.fixture(scope="module")
def whole(runtime):
    return runtime.run_video(SAMPLE_VIDEO)


def of_stage(trace, name):
    (stage,) = [stage for stage in trace.stages if stage.stage == name]
    return stage.clip_seconds


def test_every_stage_has_a_time_a_clip(whole):
    assert tuple(stage.stage for stage in whole.stages) == STAGES
    assert whole.clips == 8
    for stage in whole.stages:
        assert len(stage.clip_seconds) == 8
        assert all(seconds > 0 for seconds in stage.clip_seconds) or stage.stage == "transport"
    # One batch of 8, shared out evenly.
    assert len(set(of_stage(whole, "dense"))) == 1


def test_the_stages_add_up_to_the_call(runtime):
    """What lies between them (starting, adding counts up) is little; the best of a few, as other programs run too."""
    shares = [0.0]
    while max(shares) <= 0.97 and len(shares) < 20:
        begin = time.perf_counter()
        trace = runtime.run_video(SAMPLE_VIDEO)
        outside = time.perf_counter() - begin
        assert trace.seconds <= trace.wall_seconds <= outside
        assert not trace.overlapped
        shares.append(trace.seconds / outside)
    assert max(shares) > 0.97


class SlowEngine:
    """Read-outs of zeros after a nap; tells, or does not, how much of it was computation."""

    def __init__(self, stm, compute_seconds, nap=0.02):
        self.shapes = [stream.membrane_shape for stream in stm.streams]
        self.compute_seconds, self.nap = compute_seconds, nap

    def start(self):
        pass

    def stop(self):
        pass

    def run_clip(self, *events):
        time.sleep(self.nap)
        readouts = tuple(np.zeros(shape, np.int32) for shape in self.shapes)
        return SpikingResult(readouts, (), compute_seconds=self.compute_seconds)


@pytest.fixture
def with_engine(bundle, monkeypatch):
    """Runs the sample on an engine of the test's own."""

    def run(engine, **options):
        monkeypatch.setattr(hybrid_runtime, "open_spiking_engine", lambda name, stm: engine)
        with HybridRuntime(bundle, engine="native") as runtime:
            return runtime.run_video(options.pop("source", SAMPLE_VIDEO), **options)

    return run


def test_what_is_not_computation_is_transport(bundle, with_engine):
    trace = with_engine(SlowEngine(bundle.stm, 0.015), clips=3)
    assert of_stage(trace, "spiking") == (0.015, 0.015, 0.015)
    assert all(0.005 <= seconds < 0.1 for seconds in of_stage(trace, "transport"))


def test_an_engine_that_does_not_tell_has_no_transport(bundle, with_engine):
    trace = with_engine(SlowEngine(bundle.stm, None), clips=3)
    assert all(0.02 <= seconds < 0.2 for seconds in of_stage(trace, "spiking"))
    assert of_stage(trace, "transport") == (0.0, 0.0, 0.0)


def test_more_computation_than_the_call_took_is_the_call(bundle, with_engine):
    """Two clocks may differ in their last digits."""
    trace = with_engine(SlowEngine(bundle.stm, 5.0), clips=2)
    assert all(0.02 <= seconds < 0.2 for seconds in of_stage(trace, "spiking"))
    assert of_stage(trace, "transport") == (0.0, 0.0)


@pytest.mark.needs_lava
def test_on_lava_there_is_transport(bundle):
    with HybridRuntime(bundle, engine="lava") as runtime:
        trace = runtime.run_video(SAMPLE_VIDEO, clips=3)
    assert all(seconds > 0 for seconds in of_stage(trace, "transport"))
    assert all(seconds > 0 for seconds in of_stage(trace, "spiking"))


def test_reading_is_counted(whole):
    assert whole.reading.frames_decoded == 8 * 12
    assert whole.reading.accumulated_pixels == 8 * 11 * 340 * 256
    assert whole.reading.motion_vectors > 0


def test_opening_is_shared_out_but_accumulation_is_each_clips_own(runtime, monkeypatch):
    """A slow opening raises every clip's reading alike, and no other stage."""
    from hybrid_cvar.video import open_clips

    monkeypatch.setattr(hybrid_runtime, "open_clips", lambda *a, **b: time.sleep(0.4) or open_clips(*a, **b))
    trace = runtime.run_video(SAMPLE_VIDEO, clips=4)
    assert all(seconds >= 0.1 for seconds in of_stage(trace, "read"))
    assert sum(of_stage(trace, "read")) > 0.4
    assert trace.seconds <= trace.wall_seconds


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize(("clips", "middle"), [(1, 0), (2, 0), (5, 2), (8, 3)])
def test_the_middle_clip_is_kept_to_be_drawn(runtime, bundle, clips, middle, overlap):
    view = runtime.run_video(SAMPLE_VIDEO, clips=clips, overlap=overlap).view
    clip = read_clips(SAMPLE_VIDEO, bundle.input, clips).clips[middle]
    assert view.clip == middle
    assert view.streams == ("motion", "residual")
    np.testing.assert_array_equal(view.iframe, clip.iframe)
    np.testing.assert_array_equal(view.motion, clip.motion[-1])
    np.testing.assert_array_equal(view.residual, clip.residual[-1])
    # Of the P-frames before the last nothing is kept.
    assert view.motion.base is None and view.residual.base is None
    with hybrid_runtime.open_spiking_engine("native", bundle.stm) as engine:
        result = engine.run_clip(*(stream_events(clip, bundle.input, name) for name in view.streams))
    for drawn, readout in zip(view.readouts, result.readouts, strict=True):
        np.testing.assert_array_equal(drawn, readout)


def test_a_stream_that_ends_early_is_drawn_too(runtime):
    trace = runtime.run_video(io.BytesIO(SAMPLE_VIDEO.read_bytes()), clips=500)
    assert (trace.clips, trace.view.clip) == (8, 7)


class Heard:
    def __init__(self):
        self.told = []

    def __call__(self, label, probability, seconds):
        self.told.append((label, probability, seconds, threading.current_thread()))


@pytest.mark.parametrize("overlap", [False, True])
def test_a_streams_first_clip_is_answered_before_the_next_is_there(runtime, whole, overlap):
    """The sender waits, with most of the video, until it has been told the first answer."""
    heard, sender_waited = threading.Event(), []
    content = SAMPLE_VIDEO.read_bytes()
    reading_end, writing_end = os.pipe()

    def send():
        with os.fdopen(writing_end, "wb") as pipe:
            pipe.write(content[: len(content) // 2])
            pipe.flush()
            sender_waited.append(heard.wait(20))
            pipe.write(content[len(content) // 2 :])

    told = Heard()

    def on_first_prediction(*answer):
        told(*answer)
        heard.set()

    sender = threading.Thread(target=send)
    sender.start()
    with os.fdopen(reading_end, "rb") as pipe:
        trace = runtime.run_video(pipe, overlap=overlap, on_first_prediction=on_first_prediction)
    sender.join()
    assert sender_waited == [True]
    ((label, probability, seconds, thread),) = told.told
    first = trace.clip_logits[0].astype(np.float64)
    shares = np.exp(first - first.max()) / np.exp(first - first.max()).sum()
    assert label == trace.labels[int(first.argmax())]
    assert probability == pytest.approx(shares.max(), rel=1e-12)
    assert seconds == trace.first_prediction_seconds < trace.wall_seconds
    assert thread is threading.main_thread()
    # The first GOPs of a stream are all 8 of the sample's.
    assert trace.clip_logits.tobytes() == whole.clip_logits.tobytes()
    assert trace.spiking == whole.spiking and trace.reading == whole.reading


def test_a_files_first_answer_comes_with_its_first_batch(runtime):
    told = Heard()
    trace = runtime.run_video(SAMPLE_VIDEO, on_first_prediction=told)
    assert told.told == []
    assert 0.5 * trace.wall_seconds < trace.first_prediction_seconds < trace.wall_seconds


def test_waiting_for_a_streams_first_gop_is_its_first_clips_reading(runtime):
    reading_end, writing_end = os.pipe()

    def send():
        time.sleep(0.5)
        with os.fdopen(writing_end, "wb") as pipe:
            pipe.write(SAMPLE_VIDEO.read_bytes())

    sender = threading.Thread(target=send)
    sender.start()
    with os.fdopen(reading_end, "rb") as pipe:
        trace = runtime.run_video(pipe)
    sender.join()
    first, *others = of_stage(trace, "read")
    assert first > 0.4 > max(others)


def own_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(THREAD_PREFIX)]


@pytest.mark.parametrize("clips", [1, 3, 8])
def test_overlapped_is_the_same_to_the_bit(runtime, clips):
    plain = runtime.run_video(SAMPLE_VIDEO, clips=clips)
    other = runtime.run_video(SAMPLE_VIDEO, clips=clips, overlap=True)
    assert (plain.overlapped, other.overlapped) == (False, True)
    assert other.clip_logits.tobytes() == plain.clip_logits.tobytes()
    assert (other.spiking, other.reading, other.dense) == (plain.spiking, plain.reading, plain.dense)
    assert other.clip_pts_seconds == plain.clip_pts_seconds
    assert [len(stage.clip_seconds) for stage in other.stages] == [clips] * len(STAGES)
    assert own_threads() == []


@pytest.mark.needs_lava
def test_overlapped_on_lava_is_the_same_to_the_bit(bundle, whole):
    with HybridRuntime(bundle, engine="lava") as runtime:
        for _ in range(2):
            trace = runtime.run_video(SAMPLE_VIDEO, overlap=True)
            assert trace.clip_logits.tobytes() == whole.clip_logits.tobytes()
            assert trace.spiking == whole.spiking
    assert own_threads() == []


def test_overlapped_stages_take_less_than_their_sum(bundle, with_engine, monkeypatch):
    """Naps of 60 and 30 ms a clip: in turn 0.72 s for 8 clips, side by side little more than the 0.48 s of one."""
    answer = DenseEngine.run
    monkeypatch.setattr(
        DenseEngine, "run", lambda self, feed: time.sleep(0.03 * len(feed["iframe"])) or answer(self, feed)
    )
    seconds = {}
    for overlap in (False, True):
        trace = with_engine(SlowEngine(bundle.stm, None, nap=0.06), overlap=overlap)
        seconds[overlap] = trace.wall_seconds
        assert trace.seconds >= 8 * 0.09
    assert seconds[False] >= 8 * 0.09
    assert seconds[True] < seconds[False] - 0.1


def test_logits_do_not_hang_on_the_batch(bundle):
    """Why small batches may be taken where stages overlap."""
    rng = np.random.default_rng(3)
    size = bundle.input.size
    feed = {"iframe": rng.integers(0, 256, (8, size, size, 3), dtype=np.uint8)}
    for stream in bundle.stm.streams:
        feed[f"{stream.name}_membrane"] = rng.integers(-(2**16), 2**16, (8, *stream.membrane_shape), dtype=np.int32)
    for threads in (1, 2):
        engine = DenseEngine(bundle.ann, len(bundle.labels), settings=SessionSettings("cpu", threads))
        together = engine.run(feed)
        assert len({row.tobytes() for row in together}) == 8
        for batch in (1, 2, 3, 5):
            parts = [
                engine.run({name: values[first : first + batch] for name, values in feed.items()})
                for first in range(0, 8, batch)
            ]
            assert np.concatenate(parts).tobytes() == together.tobytes()


@pytest.mark.parametrize(("provider", "batches"), [("cpu", [2, 2, 1]), ("openvino", [5])])
def test_other_providers_keep_the_batch(bundle, monkeypatch, provider, batches):
    """Their logits may hang on it."""
    with HybridRuntime(bundle, engine="native") as runtime:
        runtime._settings = replace(runtime._settings, provider=provider)
        seen, run = [], DenseEngine.run
        monkeypatch.setattr(DenseEngine, "run", lambda self, feed: seen.append(len(feed["iframe"])) or run(self, feed))
        runtime.run_video(SAMPLE_VIDEO, clips=5, overlap=True)
    assert seen == batches


class BreakingEngine(SlowEngine):
    """Fails at the third clip."""

    calls = 0

    def run_clip(self, *events):
        self.calls += 1
        if self.calls == 3:
            raise EngineError("the engine broke")
        return super().run_clip(*events)


@pytest.mark.parametrize("overlap", [False, True])
def test_an_engines_failure_reaches_the_caller_and_ends_the_threads(bundle, with_engine, overlap):
    engine = BreakingEngine(bundle.stm, None)
    with pytest.raises(EngineError, match="the engine broke"):
        with_engine(engine, overlap=overlap)
    assert own_threads() == []
    assert engine.calls == 3


@pytest.mark.parametrize("overlap", [False, True])
def test_ctrl_c_ends_the_threads_and_the_runtime_goes_on(runtime, whole, overlap):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runtime.run_video(SAMPLE_VIDEO, overlap=overlap, on_clip=interrupt)
    assert own_threads() == []
    assert runtime.run_video(SAMPLE_VIDEO).clip_logits.tobytes() == whole.clip_logits.tobytes()
