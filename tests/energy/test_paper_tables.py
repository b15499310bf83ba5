"""The paper's tables: transcribed as printed, and what its own FLOPs give."""

from pathlib import Path

import pytest

from hybrid_cvar.energy import load_paper_tables, recompute_energy
from hybrid_cvar.records import PrintedNumber

TABLES = load_paper_tables()
# Table 1's rows in words of their own: method, views, UCF-101, HMDB-51, params, TFLOPs, GFLOPs, joules, V/s.
TABLE_1 = """
ALT-L/14|RD|32x1|98.1|79.1|437.1|52.77|-|242.733|-
VidTr|RD|10x3|96.7|74.4|90.89|11.13|-|51.180|0.284
Liu et. al|RD + CD|8x10|95.8|73.5|>81.72|>0.74|-|>3.422|-
MFCD-Net|RD + CD|12x15|93.2|66.9|16|0.13|-|0.589|0.352
DMC-Net|CD + OF|8x10|92.3|71.8|92.4|2.99|-|13.771|0.043
CV-C3D|CD|16x1|83.9|55.7|235.3|0.11|-|0.501|1.259
MIMO|CD|8x1|89.2|62.9|37.09|0.81|-|3.709|1.307
TEAM-Net|CD|8x10|94.3|73.8|48.65|0.81|-|3.714|1.537
CoViAR|CD|8x10|90.4|59.1|81.72|0.74|-|3.422|1.585
Wu et al.|CD|8x10|88.5|56.2|33.69|0.45|-|2.075|1.658
PKD|CD|3x1|88.4|60.3|79.2|0.12|-|0.544|-
MM-ViT|CD|8x3|93.3|-|-|18|-|82.801|-
Ours|CD|8x1|95.6|74.6|83.41|0.15|3.99|0.734|16.025
""".strip().splitlines()
TABLE_2 = """
ViViT-L FE|RD|65.9|81.7|83.0|54.92
VidTr|RD|63.0|77.7|-|51.18
I3D|RD|50.0|-|-|100.67
VideoMAE V2-g|RD|77.0|88.5|88.8|2633.04
VideoSwin-L|RD|69.6|84.9|86.1|484.61
Video-FocalNet-B|RD|71.1|83.6|86.7|822.48
Liu et. al|RD + CD|-|73.5|-|>3.42
MFCD-Net|RD + CD|-|68.3|-|0.59
CoViAR|CD|-|69.1|-|3.42
TEAM-Net|CD|-|72.2|-|3.71
MM-ViT|CD|64.9|-|81.5|82.80
Ours|CD|62.5|74.2|80.3|0.73
Ours-L|CD|64.2|75.9|81.1|1.40
""".strip().splitlines()


def text(number: PrintedNumber | None) -> str:
    return "-" if number is None else number.printed


def test_table_1_is_what_the_paper_prints() -> None:
    rows = [
        "|".join(
            (
                *(row.method, row.modality, f"{row.temporal_views}x{row.spatial_crops}"),
                *(text(row.ucf101_percent), text(row.hmdb51_percent), text(row.params_millions), text(row.tflops_ann)),
                *(text(row.gflops_spike), text(row.energy_joules), text(row.videos_per_second)),
            )
        )
        for row in TABLES.table1
    ]
    assert rows == TABLE_1
    assert [row.method for row in TABLES.table1 if row.own] == ["Ours"]


def test_table_2_is_what_the_paper_prints() -> None:
    rows = [
        "|".join(
            (
                *(row.method, row.modality, text(row.ssv2_percent), text(row.k400_percent), text(row.k600_percent)),
                text(row.energy_joules),
            )
        )
        for row in TABLES.table2
    ]
    assert rows == TABLE_2
    assert [row.method for row in TABLES.table2 if row.own] == ["Ours", "Ours-L"]


def test_a_lower_bound_keeps_its_mark() -> None:
    liu = next(row for row in TABLES.table1 if row.method == "Liu et. al")
    assert (liu.tflops_ann.value, liu.tflops_ann.at_least, liu.ucf101_percent.at_least) == (0.74, True, False)
    assert liu.tflops_ann.half_unit == pytest.approx(0.005)
    mm_vit = next(row for row in TABLES.table1 if row.method == "MM-ViT")
    assert mm_vit.tflops_ann.half_unit == 0.5


def test_the_same_method_has_the_same_energy_in_both_tables() -> None:
    first = {row.reference: row.energy_joules for row in TABLES.table1 if not row.own}
    shared = [row for row in TABLES.table2 if row.reference in first]
    assert len(shared) == 6
    for row in shared:
        assert row.energy_joules.value == pytest.approx(first[row.reference].value, abs=row.energy_joules.half_unit)


def test_every_row_of_another_method_closes_within_the_rounding_of_its_flops() -> None:
    for row in TABLES.table1:
        found = recompute_energy(row)
        assert found.recomputed_joules == pytest.approx(
            4.6 * row.tflops_ann.value + (0.9e-3 * row.gflops_spike.value if row.gflops_spike else 0)
        )
        assert found.relative_error == pytest.approx(abs(found.recomputed_joules / row.energy_joules.value - 1))
        if not row.own:
            assert found.closes and found.relative_error <= found.explained and found.relative_error < 0.02


def test_the_papers_own_row_does_not_close_and_says_what_it_needs() -> None:
    found = recompute_energy(next(row for row in TABLES.table1 if row.own))
    assert found.own and not found.closes
    assert found.recomputed_joules == pytest.approx(0.694, abs=5e-4)
    assert found.printed_joules == 0.734
    assert found.needed_tflops == pytest.approx(0.1588, abs=5e-5)
    for words in ("0.15 T", "3.99 G", "0.694 J", "0.734 J", "0.1588 T"):
        assert words in found.remark


def test_the_tables_ship_with_the_package() -> None:
    import hybrid_cvar.energy

    assert (Path(hybrid_cvar.energy.__file__).parent / "paper_tables.toml").is_file()
