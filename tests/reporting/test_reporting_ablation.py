"""An ablation's figures, its JSON and back, its page and its picture."""

import dataclasses
import json
import re

import pytest

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import Ablation, AblationMeasurement, AblationResult, PairDirection
from hybrid_cvar.reporting.ablation_figures import ablation_tables, order_agreement, share_difference
from hybrid_cvar.reporting.ablation_page import render_page, write_page
from hybrid_cvar.reporting.ablation_report import load_ablation, load_stored_ablation, write_ablation

ROWS = {
    "full": ("", "full model", 95.63, 99.53),
    "no-motion": ("3", "I, R", 92.93, 97.01),
    "no-iframe": ("3", "MV, R", 84.06, 88.32),
    "iframe-only": ("3", "(control, not in the paper)", None, None),
    "no-stm": ("4c", "W/o STM", 88.61, None),
    "lstm": ("4c", "STM -> LSTM", 93.92, None),
    "class-token": ("4d", "GAP -> Class | Token", None, None),
}
TOP1 = {"full": 0.8, "no-motion": 0.5, "no-iframe": 0.65, "iframe-only": 0.4, "lstm": 0.825}
"""`no-stm` fails and `class-token` is not run."""


def measured(top1: float, direction: float = 0.75, **changes) -> AblationMeasurement:
    found = AblationMeasurement(
        test_videos=640,
        missing_videos=0,
        top1=top1,
        top5=min(top1 + 0.1, 1.0),
        pairs=(PairDirection("SitDown", "StandUp", 80, direction), PairDirection("Push", "Pull", 40, 0.6)),
        parameters=1_234_567,
        macs=89_000_000,
        dense_accumulates=70_000_000,
        train_videos=2256,
        validation_videos=144,
        epochs=6,
        best_epoch=4,
        steps=846,
        batch=16,
        training_seconds=630.0,
        test_seconds=44.0,
        machine="a CPU, 2 cores, Linux",
        device="1 x cpu",
        precision="32-true",
        checkpoint_sha256="cd" * 32,
    )
    return dataclasses.replace(found, **changes)


def result(variant: str, seed: int = 0, measurement: AblationMeasurement | None = None, **changes) -> AblationResult:
    table, row, top1, top5 = ROWS[variant]
    state = "not run" if measurement is None else "measured"
    found = AblationResult(variant, table, row, "not in" not in row, top1, top5, seed, state, "", measurement)
    return dataclasses.replace(found, **changes)


def make_ablation(results=None, seeds=(0,), **changes) -> Ablation:
    if results is None:
        results = [result(name, measurement=measured(TOP1[name])) for name in ROWS if name in TOP1]
        results.insert(4, result("no-stm", state="failed", reason="the loss is nan | [x]"))
        results.append(result("class-token"))
    ablation = Ablation(
        recipe="puppet_tiny",
        preset="tiny",
        tables=(("3", "Modalities"), ("4c", "Temporal"), ("4d", "Variants")),
        seeds=seeds,
        epochs=6,
        batch=16,
        clips=8,
        dataset="ucf101",
        is_drawn=True,
        subset="test",
        split=1,
        classes=16,
        train_videos=2400,
        test_videos=640,
        results=tuple(results),
    )
    return dataclasses.replace(ablation, **changes)


def cells(page: str, variant: str) -> list[list[str]]:
    """The cells of every row of a variant."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in page.splitlines()
        if line.startswith(f"| {variant} |")
    ]


def test_the_interval_of_a_difference_is_that_of_the_literature():
    # R. G. Newcombe, Statist. Med. 17, 1998, 873, Table II, method 10, contrasts (a) and (b).
    assert share_difference(56 / 70, 70, 48 / 80, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert share_difference(9 / 10, 10, 3 / 10, 10) == pytest.approx((0.1705, 0.8090), abs=5e-5)


def test_agreement_is_counted_from_the_numbers():
    tables = ablation_tables(make_ablation())
    found = order_agreement(tables)
    # Ours: -30, -15 and +2.5 points; the paper's: -2.70, -11.57 and -1.71.
    assert found.compared == ("no-motion", "no-iframe", "lstm")
    assert (found.same_sign, found.other_sign) == (("no-motion", "no-iframe"), ("lstm",))
    assert found.told_apart == ("no-motion", "no-iframe")
    assert found.covered == ("no-iframe", "lstm")
    modalities, temporal = found.tables
    assert modalities.paper == ("full", "no-motion", "no-iframe") and modalities.ours == (
        "full",
        "no-iframe",
        "no-motion",
    )
    assert (modalities.pairs, modalities.same) == (3, 2)
    assert (temporal.number, temporal.ours, temporal.pairs, temporal.same) == ("4c", ("lstm", "full"), 1, 0)


def test_seeds_are_averaged_and_differences_taken_seed_by_seed():
    results = [
        result("full", 0, measured(0.8)),
        result("lstm", 0, measured(0.7, epochs=5)),
        result("full", 1, measured(0.6)),
        result("lstm", 1, state="failed", reason="nan"),
        result("full", 2, measured(0.7)),
        result("lstm", 2, measured(0.8, epochs=6)),
    ]
    (table,) = ablation_tables(make_ablation(results, (0, 1, 2), tables=(("4c", "Temporal"),)))
    full, lstm = table.rows
    assert full.top1.mean == pytest.approx(0.7) and (full.top1.least, full.top1.most) == (0.6, 0.8)
    assert full.difference is None and full.seeds == (0, 1, 2)
    assert lstm.seeds == (0, 2) and lstm.reasons == ((1, "nan"),) and lstm.epochs == (5, 6)
    assert lstm.top1.mean == pytest.approx(0.75)
    assert lstm.difference.points == pytest.approx(0.0), "over seeds 0 and 2 the full model has 0.75 too"
    assert lstm.difference.low == pytest.approx(-lstm.difference.high)
    page = render_page(make_ablation(results, (0, 1, 2), tables=(("4c", "Temporal"),)))
    assert "; 2 seeds, 70.00 % to 80.00 %" in cells(page, "lstm")[0][4]
    assert "One seed" not in page


def test_it_comes_back_from_json(tmp_path):
    for ablation in (make_ablation(), make_ablation([result("full"), result("lstm")])):
        write_ablation(ablation, tmp_path / "a.json", command="hybrid-cvar ablate r.toml")
        assert load_ablation(tmp_path / "a.json") == ablation
    stored = load_stored_ablation(tmp_path / "a.json")
    assert stored.command == "hybrid-cvar ablate r.toml" and stored.created and stored.version


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("schema",), "hybrid-cvar/training", "must be 'hybrid-cvar/ablation'"),
        (("schema_version",), 2, "this release reads version 1"),
        (("epochs",), "six", "epochs = 'six'; must be int"),
        (("results", 0, "state"), "done", "state 'done' of full"),
        (("results", 0, "measurement"), None, "`measured` alone has a measurement"),
        (("results", 0, "measurement", "top1"), "high", "top1 = 'high'"),
        (("results", 1, "variant"), "full", "a variant and seed twice"),
        (("results", 1, "table"), "9", "table '9' of no-motion"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, path, value, words):
    file = tmp_path / "a.json"
    write_ablation(make_ablation(), file)
    content = json.loads(file.read_text())
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=words):
        load_ablation(file)


def test_the_page_shows_the_numbers_of_the_json(tmp_path):
    command = "hybrid-cvar ablate models/puppet-tiny/recipe.toml --epochs 6"
    files = write_page(make_ablation(), tmp_path, command=command)
    assert [file.name for file in files] == ["ablation.json", "ablation.png", "ablation.md"]
    assert files[1].read_bytes()[:4] == b"\x89PNG"
    content, page = json.loads(files[0].read_text()), files[2].read_text()
    assert len(content["rows"]) == len(ROWS)
    for row in content["rows"]:
        shown = cells(page, row["variant"])
        assert len(shown) == (3 if row["variant"] == "full" else 1)
        for line in shown:
            # Table 3 has columns of top-5 after the paper's difference and after ours.
            wide = len(line) == 13
            paper, points, top1, own, direction, *rest = [
                line[at] for at in range(2, len(line)) if not wide or at not in (4, 7)
            ]
            assert paper == (f"{row['paper_top1']:.2f}" if row["paper_top1"] else line[2])
            assert points == (f"{row['paper_points']:+.2f}" if row["paper_points"] is not None else "-")
            if row["state"] != "measured":
                assert {top1, direction} == {row["state"]} and own == "-" and set(rest) == {"-"}
                continue
            assert top1.startswith(f"{100 * row['top1']['mean']:.2f} % ({100 * row['top1']['low']:.1f} % to ")
            assert direction.startswith(f"{100 * row['direction']['mean']:.2f} %")
            assert own == "-" or own.startswith(f"{row['difference']['points']:+.2f} (")
            assert rest == ["1.23 M", "89.0 M", "6", "10.5"]
    assert cells(page, "iframe-only")[0][2] == "not in the paper"
    assert cells(page, "class-token")[0][2] == "not legible in the text we have"
    assert cells(page, "class-token")[0][1] == r"GAP -\> Class \| Token"
    assert cells(page, "no-motion")[0][4] == "97.01"
    for words in (
        "drawn puppets with a small budget",
        "5 of 7 runs are measured, 1 failed",
        "the paper's sign in **2 of 3**: no-motion, no-iframe.",
        "| 3 | full > no-motion > no-iframe | full > no-iframe > no-motion | 2 of 3 |",
        "6 epochs of batch 16, 846 steps",
        "a CPU, 2 cores, Linux; 1 x cpu, 32-true",
        r"- no-stm, seed 0: the loss is nan \| \[x\]",
        f"    {command}",
        "One seed",
        r"puppet\_tiny",
    ):
        assert words in page, words
    assert "\n\n\n" not in page


def test_a_page_before_the_first_run_says_so(tmp_path):
    ablation = make_ablation([result("full"), result("lstm")], is_drawn=False, tables=(("4c", "Temporal"),))
    write_page(ablation, tmp_path)
    page = (tmp_path / "ablation.md").read_text()
    assert cells(page, "lstm")[0][4] == "not run"
    assert "Nothing to compare yet" in page and "puppet" not in page.replace("puppet\\_tiny", "")
    assert "hybrid-cvar ablate RECIPE --tables 4c --epochs 6 --seeds 0" in page
