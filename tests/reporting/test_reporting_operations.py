from dataclasses import replace

from hybrid_cvar.records import CONVENTIONS, NodeMacs, ReadCounts, SpikingLayerCounts
from hybrid_cvar.reporting.operation_rows import operation_rows


def layer(stream: str, number: int, **counts: int) -> SpikingLayerCounts:
    return SpikingLayerCounts(
        stream=stream, layer=number, graded_input=number == 0, neurons=10, timesteps=4, saturated_states=0,
        step_events=(), step_operations=(), step_spikes=(), **counts,
    )  # fmt: skip


def test_every_row_against_numbers_by_hand(make_trace) -> None:
    """Every count is a different number, so that no row can show another's."""
    counts = ("events_in", "synaptic_operations", "stored_operations", "neuron_updates", "active_updates", "spikes_out")
    trace = make_trace(
        2,
        spiking=(
            layer("motion", 0, **dict(zip(counts, (3, 50, 60, 1000, 400, 7), strict=True))),
            layer("motion", 1, **dict(zip(counts, (11, 500, 700, 2000, 900, 13), strict=True))),
            layer("residual", 0, **dict(zip(counts, (5, 8000, 9000, 4000, 1600, 17), strict=True))),
            layer("residual", 1, **dict(zip(counts, (23, 20000, 30000, 8000, 3000, 29), strict=True))),
        ),
        dense=(NodeMacs("a", "Conv", 1200), NodeMacs("b", "Gemm", 34)),
        reading=ReadCounts(frames_decoded=31, motion_vectors=37, accumulated_pixels=41),
    )
    assert [(row.stage, row.name, row.count, str(row.provenance)) for row in operation_rows(trace)] == [
        ("read", "frames decoded", 31, "measured"),
        ("accumulate", "motion vectors", 37, "measured"),
        ("accumulate", "pixels", 41, "measured"),
        ("spiking", "input events, graded", 3 + 5, "emulated"),
        ("spiking", "input events, binary", 11 + 23, "emulated"),
        ("spiking", "accumulates", 28_550, "emulated"),
        ("spiking", "accumulates, stored zeros too", 39_760, "emulated"),
        ("spiking", "neuron updates, active", 5_900, "emulated"),
        ("spiking", "neuron updates, at rest", 15_000 - 5_900, "emulated"),
        ("spiking", "spikes", 7 + 13 + 17 + 29, "emulated"),
        ("spiking", "spikes sent on", 7 + 17, "emulated"),
        ("dense", "multiply-accumulates", 2 * 1234, "emulated"),
    ]


def test_a_stream_of_one_layer_sends_nothing_on(make_trace) -> None:
    trace = make_trace()
    assert replace(trace, spiking=trace.spiking[:1]).spikes_sent == 0


def test_conventions_are_those_of_the_records(make_trace) -> None:
    shown = [row.convention for row in operation_rows(make_trace())]
    assert set(shown) == set(CONVENTIONS.values()) - {CONVENTIONS["neuron_updates"]}
    assert len(shown) == len(set(shown)) + 1, "events, graded and binary"
