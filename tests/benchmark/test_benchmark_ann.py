"""The ANN suite in small form: every row on a small model, one round."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from hybrid_cvar.benchmark import BenchRun, describe_machine, measure, render_bench_json
from hybrid_cvar.benchmark.measure import seconds_in_turn
from hybrid_cvar.benchmark.suites import run_bench
from hybrid_cvar.errors import EngineError, ParityError
from hybrid_cvar.onnx_session import cpu_providers
from hybrid_cvar.records import STAGES

pytestmark = [pytest.mark.needs_lava, pytest.mark.needs_compile, pytest.mark.needs_clips]

CONTRACT = {
    "ann.ort_fp32_over_eager_speedup": ("x", ">= 1.3"),
    "ann.reduced_over_fp32_speedup": ("x", ">= 2.5"),
    "ann.batch8_over_batch1_speedup": ("x", ">= 1"),
    "ann.share_of_peak": ("of peak", ">= 0.5"),
    "ann.peak_rss_mb": ("MiB", "< 1500"),
    "e2e.base_videos_per_second": ("videos/s", None),
    "e2e.over_torch_eager_speedup": ("x", ">= 2.5"),
}
UPSIDE_DOWN = "ann.share_of_peak"


@pytest.fixture(scope="module")
def bench(dancer, bikes, mini_config, tmp_path_factory):
    from hybrid_cvar.benchmark.ann_bench import AnnBench

    folder = tmp_path_factory.mktemp("ann")
    return AnnBench((dancer, bikes), folder, rounds=1, config=mini_config, check_clips=24, product_sizes=(32, 64))


@pytest.fixture(scope="module")
def results(bench):
    from hybrid_cvar.benchmark.ann_suite import ANN_ROWS

    return {name: row(bench) for name, row in ANN_ROWS.items()}


def changed(table, **top_1):
    """The table with other agreements; keys as `int8_cpu`."""
    return dataclasses.replace(
        table,
        agreements={
            each: dataclasses.replace(found, fp32_top_1=1.0, top_1=top_1.get(f"{each.precision}_{each.provider}", 0.0))
            for each, found in table.agreements.items()
        },
    )


def test_rows_are_the_contracts():
    from hybrid_cvar.benchmark.ann_suite import ANN_ROWS

    assert list(CONTRACT) == list(ANN_ROWS)


@pytest.mark.parametrize("name", CONTRACT)
def test_row(results, name):
    unit, target = CONTRACT[name]
    result = results[name]
    assert (result.name, result.unit, result.detail.get("target")) == (name, unit, target)
    assert (
        result.value > 0 and result.provenance.value == "measured" and ("met" in result.detail) == (target is not None)
    )
    assert result.detail["preset"] == "mini" and result.detail["clips"] == 8
    if "medians" in result.detail:
        one, other = result.detail["medians"]
        assert result.value == pytest.approx(one / other if name == UPSIDE_DOWN else other / one)


def test_results_are_json(results):
    text = render_bench_json(BenchRun(describe_machine(), tuple(results.values()), ()))
    assert [found["name"] for found in json.loads(text)["results"]] == list(CONTRACT)


def test_torch_and_onnx_runtime_answer_the_same(results):
    detail = results["ann.ort_fp32_over_eager_speedup"].detail
    # FP32 on both sides; the order of additions differs.
    assert max(detail["error_over_largest_logit"], detail["batch_1"]["error_over_largest_logit"]) < 1e-4


def test_every_candidate_is_told(results, bench):
    detail = results["ann.reduced_over_fp32_speedup"].detail
    names = ["int8 on cpu"] + ["int8 on openvino", "bf16 on openvino"] * ("openvino" in cpu_providers())
    assert [*detail["candidates"], *detail["failed"]] == names and not detail["failed"]
    for found in detail["candidates"].values():
        assert found["clips"] == len(bench.material.labels_to_check) > 20 and 0 <= found["same_top_1"] <= 1
        # Reduced precision leaves a trace, and no more than that.
        assert 0 < found["error_over_largest_logit"] < 0.1 and found["error_over_spread"] > 0
        assert found["speedup_batch_8"] == pytest.approx(
            detail["fp32"]["ms_a_clip_batch_8"] / found["ms_a_clip_batch_8"]
        )
    assert detail["calibrated_on_clips"] == len(bench.material.clips_to_fit) and "untrained" in detail["weights"]
    counted = {name: found for name, found in detail["candidates"].items() if found["counts"]}
    assert detail["best"] == min(counted, key=lambda name: counted[name]["ms_a_clip_batch_8"])


def test_clips_to_check_on_are_not_those_calibrated_on(bench):
    from hybrid_cvar.benchmark.ann_sessions import each_clip

    material = bench.material
    to_calibrate = each_clip(material._feed(material.clips_to_fit))
    to_check = each_clip(material.feeds_to_check)
    assert len(to_calibrate) == len(to_check) == len(material.labels_to_check)
    for name in bench.material.feed:
        assert not any((left[name] == right[name]).all() for left in to_calibrate for right in to_check)


def test_the_fastest_that_keeps_the_answers_is_chosen(bench):
    table = bench.reduced
    fastest = min(table.timed, key=lambda each: table.timed[each].batch_median)
    every = {f"{each.precision}_{each.provider}": 1.0 for each in table.timed}
    assert changed(table, **every).best() == fastest
    every[f"{fastest.precision}_{fastest.provider}"] = 0.98
    if len(every) > 1:
        assert changed(table, **every).best() != fastest
    assert not changed(table, **every).detail()[fastest.name]["counts"]
    with pytest.raises(EngineError, match=r"no reduced precision keeps FP32's top-1 \(int8 on cpu: 0"):
        changed(table).best()


def test_a_candidate_of_other_answers_is_not_chosen(bench, monkeypatch):
    """Its logits are turned round on their way back, so that another class is the best."""
    from hybrid_cvar.benchmark import ann_bench

    plain = ann_bench.logits_of
    calls = []

    def other_answers(session, feed):
        calls.append(session)
        logits = plain(session, feed)
        return logits if len(calls) == 1 else -logits

    monkeypatch.setattr(ann_bench, "logits_of", other_answers)
    mutated = ann_bench.AnnBench(bench.videos, bench.folder, 1, bench.config, bench.check_clips)
    mutated.__dict__["material"] = bench.material
    assert {found.same_top_1 for found in mutated.reduced.agreements.values()} == {0.0}
    for row in ("ann.reduced_over_fp32_speedup", "ann.batch8_over_batch1_speedup", "e2e.base_videos_per_second"):
        from hybrid_cvar.benchmark.ann_suite import ANN_ROWS

        with pytest.raises(EngineError, match="no reduced precision keeps"):
            ANN_ROWS[row](mutated)


def test_a_candidate_that_fails_leaves_the_others(bench, monkeypatch):
    from hybrid_cvar.benchmark import ann_bench
    from hybrid_cvar.benchmark.ann_sessions import Candidate

    plain = ann_bench.open_candidate
    bad = Candidate("bf16", "cpu")

    def open_candidate(candidate, graph):
        if candidate == bad:
            raise EngineError("no", "it must open", "another")
        return plain(candidate, graph)

    monkeypatch.setattr(ann_bench, "candidates", lambda: (bad, Candidate("int8", "cpu")))
    monkeypatch.setattr(ann_bench, "open_candidate", open_candidate)
    again = ann_bench.AnnBench(bench.videos, bench.folder, 1, bench.config, bench.check_clips)
    again.__dict__["material"] = bench.material
    assert again.reduced.failed == {"bf16 on cpu": "no; it must open; another"}
    assert [each.name for each in again.reduced.timed] == ["int8 on cpu"]


def test_agreement_of_logits():
    from hybrid_cvar.benchmark.ann_sessions import compare_logits

    expected = np.array([[0, 4, 1], [0, 2, 1], [3, 1, 1], [0, 0, 5]], dtype=np.float32)
    reduced = expected.copy()
    reduced[1] = [0, 1.0, 1.5]
    found = compare_logits(expected, reduced, expected.argmax(axis=1))
    assert (found.clips, found.same_top_1, found.fp32_answers) == (4, 0.75, 3)
    assert found.error_over_largest_logit == pytest.approx(1 / 5)
    spread = np.sqrt(np.mean((expected - expected.mean(axis=0)) ** 2))
    assert found.error_over_spread == pytest.approx(np.sqrt(1.25 / 12) / spread)
    # The second clip's: 2 before 1; the others lead by more.
    assert found.largest_margin_lost == found.smallest_margin == pytest.approx(1 / 5)
    assert compare_logits(expected, expected, expected.argmax(axis=1)).largest_margin_lost == 0
    reduced[0, 1] = np.inf  # still the best class
    found = compare_logits(expected, reduced, expected.argmax(axis=1))
    assert found.same_top_1 == 0.5 and found.largest_margin_lost == pytest.approx(3 / 5)


def test_the_product_in_int8_is_a_product(tmp_path):
    from hybrid_cvar.benchmark.ann_sessions import FP32, candidates
    from hybrid_cvar.benchmark.matrix_peak import fp32_products, onnx_product, rates

    expected = onnx_product(48, FP32, tmp_path)()
    assert expected.shape == (48, 48) and np.abs(expected).max() > 10
    for candidate in candidates():
        # INT8 holds these factors exactly, BF16 with 8 bits.
        tolerance = 1e-5 if candidate.precision == "int8" else 1e-2
        error = np.abs(onnx_product(48, candidate, tmp_path)() - expected).max()
        assert error < tolerance * np.abs(expected).max()
    (torchs, _, *_), products = zip(*fp32_products((16,)).values(), strict=True)
    np.testing.assert_allclose(products[0]().numpy(), products[1](), rtol=1e-4, atol=1e-4)
    assert torchs == 16 and rates({"a": 1000}, {"a": [2.0, 0.5]}) == {"a": 2.0}


def test_things_are_timed_in_turn_and_rested_between(monkeypatch):
    now, order = [0.0], []

    def rest(seconds):
        order.append("rest")
        now[0] += seconds

    def step(name, cost):
        def run():
            order.append(name)
            now[0] += cost

        return run

    monkeypatch.setattr(measure.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(measure.time, "sleep", rest)
    things = {name: step(name, cost) for name, cost in (("a", 1.0), ("b", 2.0), ("c", 4.0))}
    assert seconds_in_turn(things, 2, pause_seconds=0.5) == {"a": (1.0, 1.0), "b": (2.0, 2.0), "c": (4.0, 4.0)}
    assert order == [each for name in "abccba" for each in ("rest", name)]


def test_whole_rows_tell_their_parts(results):
    videos = results["e2e.base_videos_per_second"].detail
    assert set(videos["stage_shares"]) == set(STAGES)
    assert sum(videos["stage_shares"].values()) == pytest.approx(1)
    assert sum(videos["stage_seconds"].values()) <= videos["median_seconds"] * 1.01
    assert results["e2e.base_videos_per_second"].value == pytest.approx(1 / videos["median_seconds"])
    assert videos["clips_a_video"] == 8 and videos["engine"] == "lava"
    eager = results["e2e.over_torch_eager_speedup"].detail
    assert eager["torch_batch"] in (1, 8) and set(eager["torch_seconds_tried"]) == {"batch_1", "batch_8"}
    assert eager["error_over_largest_logit"] < 0.1


def test_eager_runs_clip_by_clip_where_memory_is_short(bench, monkeypatch):
    from hybrid_cvar.benchmark import ann_bench, ann_whole

    monkeypatch.setattr(ann_whole, "_free_bytes", lambda: 0)
    with ann_bench.eager():
        assert ann_whole._fastest_eager(bench)[1] == 1


def test_without_torch_the_suite_says_so(monkeypatch):
    for name in list(sys.modules):
        if name.startswith("hybrid_cvar.benchmark.ann_") or name == "hybrid_cvar.benchmark.matrix_peak":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    run = run_bench(["ann"])
    (failure,) = run.failures
    assert failure.name == "ann" and "cannot be imported" in failure.error and "pip install" in failure.error
    assert not run.results


def test_a_row_that_compile_refuses_is_named(bench, monkeypatch):
    from hybrid_cvar.benchmark import ann_whole

    def refuse(*args, **kwargs):
        raise ParityError("other answers", "at least 99%", "more clips")

    monkeypatch.setattr(ann_whole, "compile_checkpoint", refuse)
    with pytest.raises(ParityError, match="other answers"):
        ann_whole.videos_per_second(bench)


def test_the_memory_of_a_run_is_that_of_a_fresh_process(results):
    detail = results["ann.peak_rss_mb"].detail
    assert detail["batch"] == 8 and 0 < detail["without_arena_mb"] < 1500
