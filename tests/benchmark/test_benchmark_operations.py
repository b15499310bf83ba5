"""The operations suite: the row counts what differs, and says what it compared with."""

import dataclasses

import pytest

pytestmark = pytest.mark.needs_compile


@pytest.fixture(scope="module")
def result():
    from hybrid_cvar.benchmark.operations_suite import OPERATIONS_ROWS, OperationsBench

    bench = OperationsBench(presets=("tiny",), variants=())
    return OPERATIONS_ROWS["operations.crosscheck_mismatches"](bench)


def test_no_count_differs_and_every_comparison_is_listed(result):
    detail = result.detail
    assert (result.value, result.unit) == (0, "counts")
    assert detail["met"] is ("NeuroBench" in detail["compared_with"]) is ("not_compared" not in detail)
    assert detail["compared"] == len(detail["comparisons"]) == sum(detail["compared_with"].values())
    assert {"torch FlopCounterMode", "torch convolution of masks"} <= set(detail["compared_with"])
    for row in detail["comparisons"]:
        assert set(row) == {"name", "against", "ours", "theirs", "equal"}
        assert row["equal"] is (row["ours"] == row["theirs"])


def test_it_says_which_neurobench_or_how_to_install_it(result, monkeypatch):
    from hybrid_cvar.benchmark import operations_suite
    from hybrid_cvar.benchmark.crosscheck import Comparison, find_neurobench

    found = find_neurobench()
    assert result.detail["neurobench"] == (found.version if found else "not installed: " + _install())
    assert ("NeuroBench" in result.detail["compared_with"]) is (found is not None)
    monkeypatch.setattr(operations_suite, "find_neurobench", lambda: None)
    table = (Comparison("a", "b", 1, 1), Comparison("c", "b", 1, 2))
    monkeypatch.setattr(operations_suite, "crosscheck_table", lambda bench: table)
    without = operations_suite.crosscheck_mismatches(operations_suite.OperationsBench())
    assert without.detail["neurobench"] == "not installed: " + _install()
    assert (without.value, without.detail["met"], without.detail["compared"]) == (1, False, 2)


@pytest.mark.parametrize(("version", "met"), [("2.3.0", True), (None, False)])
def test_what_was_not_compared_is_named_and_the_target_is_not_claimed(monkeypatch, version, met):
    from hybrid_cvar.benchmark import operations_suite
    from hybrid_cvar.benchmark.crosscheck import Comparison, NeuroBench

    found = NeuroBench(version, lambda *given, **named: (0, True)) if version else None
    monkeypatch.setattr(operations_suite, "find_neurobench", lambda: found)
    monkeypatch.setattr(operations_suite, "crosscheck_table", lambda bench: (Comparison("a", "b", 1, 1),))
    result = operations_suite.crosscheck_mismatches(operations_suite.OperationsBench())
    assert (result.value, result.detail["met"]) == (0, met)
    missing = result.detail.get("not_compared", [])
    assert bool(missing) is not met and all("NeuroBench" in each and _install() in each for each in missing)


def _install():
    from hybrid_cvar.benchmark.crosscheck import INSTALL_NEUROBENCH

    return INSTALL_NEUROBENCH


def test_presets_at_their_own_size_and_variants_that_differ():
    from hybrid_cvar.benchmark.operations_suite import OperationsBench
    from hybrid_cvar.model import PRESETS

    configs = OperationsBench().configs
    assert {config.name for config in configs[:4]} == set(PRESETS)
    assert [dataclasses.replace(config, name="x") for config in configs].count(
        dataclasses.replace(configs[0], name="x")
    ) == 1
