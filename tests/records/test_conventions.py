"""Every count says what it counts."""

import dataclasses

import pytest

from hybrid_cvar.records import CONVENTIONS, NodeMacs, ReadCounts, SpikingLayerCounts

DESCRIBE = {"stream", "layer", "graded_input", "neurons", "timesteps", "name", "op_type"}
"""Fields that say what was counted, and count no operation."""
HEALTH = {"saturated_states"}
"""A sign of trouble; no operation and never priced."""


def test_every_count_of_the_records_has_a_convention():
    fields = {
        field.name for record in (SpikingLayerCounts, NodeMacs, ReadCounts) for field in dataclasses.fields(record)
    }
    by_step = {name for name in fields if name.startswith("step_")}
    assert len(by_step) == 3
    assert set(CONVENTIONS) == fields - DESCRIBE - HEALTH - by_step | {"inactive_updates", "spikes_sent"}


def test_each_is_one_sentence():
    for name, sentence in CONVENTIONS.items():
        assert sentence.endswith("."), name
        assert ". " not in sentence, name


def test_nobody_can_change_them():
    with pytest.raises(TypeError):
        CONVENTIONS["macs"] = "something else"
