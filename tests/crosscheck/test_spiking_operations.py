"""Accumulates of the spiking partition beside NeuroBench 2.3 and beside torch alone, exactly, on a real clip.

Conventions: NeuroBench's effective operations are non-zero weights x non-zero inputs, taps on padding left out, as our
synaptic operations; it calls those of a layer ACs if every input of the call is -1, 0 or 1, and MACs otherwise, so that
the first layer, whose events are graded, has MACs. Its dense count takes no notice of which inputs are zero; with all
weights set to 1 its effective count is that of our operations with stored zeros. There are no biases here.
"""

import dataclasses

import numpy as np
import pytest
import torch

from hybrid_cvar.assets import DEFAULT_BUNDLE, SAMPLE_VIDEO
from hybrid_cvar.benchmark.crosscheck import BRUTE_FORCE, NEUROBENCH, find_neurobench
from hybrid_cvar.benchmark.crosscheck_spiking import as_conv2d, compare_spiking
from hybrid_cvar.compiler.bundle import load_bundle
from hybrid_cvar.neuromorphic import NativeStm, StmSpec, StreamSpec
from hybrid_cvar.neuromorphic.reference import synaptic_sum
from hybrid_cvar.records import stream_events
from hybrid_cvar.video import read_clips

pytestmark = pytest.mark.needs_compile


@pytest.fixture(scope="module")
def shipped():
    """(the shipped bundle's spiking partition, events of a clip of the shipped sample)."""
    bundle = load_bundle(DEFAULT_BUNDLE)
    clip = read_clips(SAMPLE_VIDEO, bundle.input, 3).clips[1]
    return bundle.stm, tuple(stream_events(clip, bundle.input, stream.name) for stream in bundle.stm.streams)


def with_changed_layers(stm, **changes):
    """The first layers alone, changed: a second one may not fit behind them."""
    streams = (StreamSpec(stream.name, (dataclasses.replace(stream.layers[0], **changes),)) for stream in stm.streams)
    return StmSpec(tuple(streams), stm.timesteps)


@pytest.mark.needs_neurobench
def test_accumulates_of_a_real_clip_are_neurobenchs_effective_operations(shipped):
    stm, clip = shipped
    rows = compare_spiking(stm, clip, find_neurobench())
    assert [row for row in rows if not row.equal] == []
    kinds = [row.name for row in rows if row.against == NEUROBENCH and "synaptic" in row.name]
    assert kinds == [
        f"{layer.name}: synaptic operations as effective {'MACs' if layer.graded_input else 'ACs'}"
        for stream in stm.streams
        for layer in stream.layers
    ]
    assert all(row.ours > 0 for row in rows)


def test_accumulates_of_a_real_clip_are_a_convolution_of_masks(shipped):
    """And the two kinds differ: the shipped layers have weights of zero."""
    stm, clip = shipped
    rows = compare_spiking(stm, clip, None)
    layers = sum(len(stream.layers) for stream in stm.streams)
    assert [row.against for row in rows] == [BRUTE_FORCE] * (2 * layers)
    assert [row for row in rows if not row.equal] == []
    assert all(synaptic.ours < stored.ours for synaptic, stored in zip(rows[::2], rows[1::2], strict=True))


@pytest.mark.needs_neurobench
@pytest.mark.parametrize(
    "changes",
    [{"stride": (1, 3), "padding": (0, 0)}, {"stride": (3, 2), "padding": (4, 2)}, {"reset": "hard", "threshold": 20}],
    ids=["no padding", "wide padding", "hard reset"],
)
def test_strides_and_paddings_count_alike(shipped, changes):
    stm, clip = shipped
    rows = compare_spiking(with_changed_layers(stm, **changes), clip, find_neurobench())
    assert len(rows) == 8
    assert [row for row in rows if not row.equal] == []


@pytest.mark.needs_neurobench
def test_steps_of_spikes_alone_are_acs_and_a_clip_of_no_event_counts_nothing(shipped):
    """NeuroBench tells ACs by the inputs, we by the layer: a graded layer's clip of -1, 0 and 1 is ACs to it."""
    stm, clip = shipped
    signs = tuple(np.sign(events) for events in clip)
    rows = compare_spiking(with_changed_layers(stm), signs, find_neurobench())
    assert [row for row in rows if not row.equal] == []
    assert all("ACs" in row.name for row in rows if row.against == NEUROBENCH)
    nothing = compare_spiking(with_changed_layers(stm), tuple(np.zeros_like(events) for events in clip), None)
    assert {(row.ours, row.theirs) for row in nothing} == {(0, 0)}


def test_the_torch_layer_is_the_layer(shipped):
    """What is compared on has the same sums, so the same weights, stride and padding, as what runs."""
    stm, clip = shipped
    layer, events = stm.streams[1].layers[0], clip[1][3]
    given = as_conv2d(layer)(torch.from_numpy(events).permute(2, 0, 1)[None].double())[0]
    expected = synaptic_sum(layer.weight, events, layer.output_shape, layer.stride, layer.padding)
    assert np.array_equal(given.detach().permute(1, 2, 0).numpy(), expected)


def test_a_core_that_counts_wrongly_is_a_mismatch(shipped, monkeypatch):
    stm, clip = shipped
    with NativeStm(stm, record=True) as native:
        result = native.run_clip(*clip)
    first, *others = result.counts
    wrong = dataclasses.replace(first, stored_operations=first.stored_operations + 1)
    monkeypatch.setattr(
        NativeStm, "run_clip", lambda self, *events: dataclasses.replace(result, counts=(wrong, *others))
    )
    assert [row.name for row in compare_spiking(stm, clip, None) if not row.equal] == [
        f"{first.name}: operations with stored zeros"
    ]
