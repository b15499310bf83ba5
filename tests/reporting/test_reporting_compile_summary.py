import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from hybrid_cvar.records import (
    ChipFit,
    CompilePlan,
    CompileResult,
    CoreBounds,
    Finding,
    LayerMap,
    LayerResources,
    ParityRow,
    ResourceReport,
    SpikingLayerCounts,
)
from hybrid_cvar.reporting.compile_summary import (
    print_alarms,
    print_compile_result,
    print_parity,
    print_plan,
    print_resources,
)

NAMES = ("motion.0", "motion.1", "residual.0", "residual.1")
FINDING = Finding("Chip A: motion.0", "one neuron has 9999 inputs", "a core has 4096 input axons", "use fewer [2]")
LAYER = LayerMap(
    name="motion.0",
    reset="soft",
    weight_scale=64,
    weight_rounding_rms=0.00934,
    weight_rounding_largest=0.01562,
    weights_at_rails=0.123,
    weights_clipped=0.045,
    threshold_float=(0.4619, 1999.1234, 3.0),
    threshold_integer=(30, 127944, 192),
    threshold_represented=(0.46875, 1999.125, 3.0),
    leak_float=(0.7961, 0.9999, 0.5),
    decay_integer=(835, 0, 2048),
    leak_represented=(0.79614, 1.0, 0.5),
)
RESOURCES = LayerResources("motion.0", True, 802816, 14364800, 288, 8, 14364800, 288, 3211264, 18, 100352, 802816)
BOUNDS = CoreBounds("motion.0", 784, "synapse memory", 1896, (112, 112, 16), "input axons")


def layers(one):
    return tuple(replace(one, name=name) for name in NAMES)


@pytest.fixture
def resources():
    bounds = (*layers(BOUNDS)[:3], CoreBounds("residual.1", 784, "neurons", None, None, ""))
    whole = ChipFit("Chip A", layers(BOUNDS), 3136, 25, 7584, 60, (FINDING,), ("its heat",), ("A book, 2018",))
    partial = ChipFit("Chip B", bounds, 3136, 26, None, None, (), ("its sound",), ("A brief, 2021",))
    return ResourceReport(layers(RESOURCES), (whole, partial), ("a core holds one layer",))


@pytest.fixture
def result(tmp_path, resources):
    counts = tuple(
        SpikingLayerCounts(
            name.split(".")[0], int(name[-1]), True, 100, 10, 5, 50, 60, 1000, 400, 81, 2, (5,), (60,), (81,)
        )
        for name in NAMES
    )
    return CompileResult(
        tmp_path / "m.bundle",
        "m",
        ("a", "b"),
        False,
        "[note]",
        layers(LAYER),
        resources,
        counts,
        (),
        (FINDING,),
        2,
        precision="fp32",
        quantisation=None,
        agreement=(),
    )


def printed(function, what, width=80):
    file = io.StringIO()
    function(what, Console(file=file, width=width))
    text = file.getvalue()
    assert max(map(cell_len, text.splitlines()), default=0) <= width
    return text


def row_of(text, *starts):
    return next(" ".join(line.split()) for line in text.splitlines() if line.split()[: len(starts)] == list(starts))


def test_resources_show_every_count_and_bound(resources):
    text = printed(print_resources, resources)
    assert "…" not in text
    assert row_of(text, "motion.0", "graded") == "motion.0 graded 803 k 14.4 M 18 100 k 803 k"
    assert row_of(text, "motion.1", "288") == "motion.1 288 8 288 B 14.4 MB 3.21 MB"
    assert row_of(text, "motion.0", "784") == "motion.0 784 synapse memory 1,896 112 x 112 x 16 input axons"
    assert row_of(text, "residual.1", "784", "neurons") == "residual.1 784 neurons none"
    assert row_of(text, "cores") == "cores 3,136 7,584"
    assert row_of(text, "chips", "26") == "chips 26 none"
    assert "modelled" in text
    for words in ("a core holds one layer", "its heat", "its sound", "A book, 2018", "A brief, 2021"):
        assert words in text


def test_broken_limits_show_value_rule_and_remedy(resources):
    text = " ".join(printed(print_resources, resources).split())
    assert "1 broken limit(s): Chip A: motion.0: one neuron has 9999 inputs; a core has 4096 input axons; use" in text
    assert "use fewer [2]" in text
    none = replace(resources, chips=resources.chips[1:])
    assert "broken" not in printed(print_resources, none)


def test_the_map_shows_before_after_and_what_the_integer_stands_for(result):
    text = printed(print_compile_result, result)
    assert "…" not in text
    assert row_of(text, "motion.0", "v_th,") == "motion.0 v_th, theta 0.4619..1999.1234 30..127944 0.4688..1999.1250"
    assert row_of(text, "leak,") == "leak, d 0.5000..0.9999 0..2048 0.5000..1.0000"
    assert row_of(text, "motion.0", "64") == "motion.0 64 0.0093 0.0156 12.3 % 4.5 % 8.1 % 0.20 %"
    assert "[note]" in text
    assert "not trained" in text
    assert "m.bundle" in "".join(text.split())


def test_one_value_is_no_span(result):
    single = replace(LAYER, threshold_float=(0.5,), threshold_integer=(32,), threshold_represented=(0.5,))
    text = printed(print_compile_result, replace(result, maps=(single, *result.maps[1:])))
    assert row_of(text, "motion.0", "v_th,") == "motion.0 v_th, theta 0.5000 32 0.5000"


def test_a_plan_has_no_samples_and_says_that_nothing_ran(result, resources):
    text = printed(print_plan, CompilePlan("m", result.maps, resources))
    assert row_of(text, "motion.0", "64") == "motion.0 64 0.0093 0.0156 12.3 % 4.5 %"
    assert row_of(text, "cores") == "cores 3,136 7,584"
    assert "m: nothing was run and nothing was written" in text


def test_alarms_are_listed_and_silence_is_silent():
    text = " ".join(printed(print_alarms, (FINDING, FINDING)).split())
    assert text.startswith("2 alarm(s) on the sample clips: Chip A: motion.0: one neuron")
    assert text.count("4096 input axons; use fewer [2]") == 2
    assert printed(print_alarms, ()) == ""


def test_parity_tells_equal_from_failed():
    rows = (
        ParityRow("a -> b", "spikes", 10, 0, 0.0, "equal", True),
        ParityRow("b -> c", "spikes", 10, 3, 1.0, "equal", False),
        ParityRow("c -> d", "spikes", 10, 3, 1.0, "", True),
    )
    text = printed(print_parity, rows)
    assert row_of(text, "a").endswith(" equal")
    assert row_of(text, "b").endswith(" 1 FAILED")
    assert row_of(text, "c").endswith(" informs")
