import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from hybrid_cvar.records import ModelDescription, PartDescription
from hybrid_cvar.reporting.model_summary import print_model, print_models

PARTS = (
    PartDescription("ConvLIF motion 0", True, (16, 56, 56, 11), 290, 0, 9_934_848),
    PartDescription("patch embedding [I-frame]", False, (128, 7, 7), 98_432, 4_816_896, 0),
    PartDescription("global average pooling", False, (64,), 0, 0, 0),
    PartDescription("classifier", False, (101,), 6_567, 6_464, 0),
)


def described(**changes: object) -> ModelDescription:
    given = {"name": "tiny", "classes": 101, "input_size": 112, "timesteps": 11, "parts": PARTS} | changes
    return ModelDescription(**given)  # type: ignore[arg-type]


def printed(show, *given: object, width: int = 100) -> str:
    file = io.StringIO()
    show(*given, Console(file=file, width=width))
    return file.getvalue()


def row(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.strip().startswith(start)]
    return line.strip().removeprefix(start).split()


def test_totals_are_the_sums_of_the_parts() -> None:
    model = described()
    assert model.parameters == 290 + 98_432 + 6_567
    assert model.macs == 4_816_896 + 6_464
    assert model.dense_accumulates == 9_934_848


def test_every_part_has_its_row_and_its_own_kind_of_operations() -> None:
    text = printed(print_model, described(), 4.6)
    assert row(text, "ConvLIF motion 0") == ["16x56x56x11", "290", "-", "9.93", "M"]
    assert row(text, "patch embedding [I-frame]") == ["128x7x7", "98.4", "k", "4.82", "M", "-"]
    assert row(text, "global average pooling") == ["64", "-", "-", "-"]
    assert row(text, "classifier") == ["101", "6.57", "k", "6.46", "k", "-"]
    assert row(text, "all") == ["105", "k", "4.82", "M", "9.93", "M"]


def test_the_lines_below_give_parameters_eight_clips_and_the_energy() -> None:
    text = " ".join(printed(print_model, described(), 4.6).split())
    assert "tiny: 0.11 M parameters for 101 classes; a clip is 112x112, T = 11." in text
    # 8 x 4,823,360 x 4.6 pJ
    assert "8 clips: 0.0000 T MACs, 177 µJ at 4.6 pJ each [modelled]" in text
    assert "8 clips: 79.5 M accumulates if every input were an event" in text
    large = described(parts=(PartDescription("classifier", False, (101,), 83_410_000, 24_116_800_000, 0),))
    text = " ".join(printed(print_model, large, 2).split())
    assert "tiny: 83.41 M parameters" in text
    assert "8 clips: 0.1929 T MACs, 386 mJ at 2 pJ each" in text


def test_without_a_spiking_partition_there_are_no_accumulates() -> None:
    text = printed(print_model, described(parts=PARTS[1:]), 4.6)
    assert row(text, "all") == ["105", "k", "4.82", "M", "-"]
    assert "accumulates" not in text


def test_changes_and_names_are_shown_as_they_are() -> None:
    model = described(name="[bold]x", changes=("depth = 4", "stm.strides = [red](1, 1)"))
    assert "[bold]x with depth = 4, stm.strides = [red](1, 1): " in " ".join(printed(print_model, model, 4.6).split())
    assert " with " not in printed(print_model, described(), 4.6)


def test_models_are_a_line_each() -> None:
    text = printed(print_models, [described(), described(name="[b]", input_size=224)], 4.6)
    assert row(text, "tiny") == ["112x112", "105", "k", "4.82", "M", "9.93", "M", "177", "µJ"]
    assert row(text, "[b]")[0] == "224x224"
    assert "MACs x 4.6 pJ [modelled]" in " ".join(text.split())


@pytest.mark.parametrize("width", [80, 100, 200])
def test_fits_the_terminal(width: int) -> None:
    for text in (
        printed(print_model, described(changes=("depth = 4",) * 20), 4.6, width=width),
        printed(print_models, [described()] * 3, 4.6, width=width),
    ):
        assert max(cell_len(line) for line in text.splitlines()) <= width
        assert "\x1b" not in text
