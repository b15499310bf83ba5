"""A layer that no engine could run exactly is refused when it is made."""

import re

import numpy as np
import pytest

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.neuromorphic import ConvLifSpec, StmSpec, StreamSpec
from hybrid_cvar.records import STREAM_CHANNELS


def spec(**changes):
    values = {
        "name": "motion.0",
        "input_shape": (8, 9, 2),
        "weight": np.full((3, 2, 3, 3), 4, dtype=np.int32),
        "stride": (2, 1),
        "padding": (1, 0),
        "threshold": 10,
        "decay": 400,
    }
    return ConvLifSpec(**(values | changes))


def test_output_shape_follows_stride_and_padding():
    assert spec().output_shape == (4, 7, 3)
    assert spec().neurons == 84


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weight": np.full((3, 2, 3, 3), 5, dtype=np.int32)}, "even"),
        ({"weight": np.full((3, 2, 3, 3), 256, dtype=np.int32)}, "254"),
        ({"weight": np.full((3, 2, 3, 3), -258, dtype=np.int32)}, "-256"),
        ({"weight": np.full((3, 2, 3, 3), 4, dtype=np.int64)}, "int32"),
        ({"weight": np.full((3, 4, 3, 3), 4, dtype=np.int32)}, "input channels"),
        ({"threshold": 2**17}, "17 bit"),
        ({"threshold": -1}, "17 bit"),
        ({"decay": 4096}, "12 bit"),
        ({"reset": "none"}, "soft, hard"),
        ({"stride": (0, 1)}, "at least 1"),
        ({"stride": (1, 2**28)}, "at most 64"),
        ({"padding": (32_768, 0)}, "at most 64"),
        ({"weight": np.zeros((3, 2, 0, 3), dtype=np.int32)}, "sides must be 1 to 64"),
        ({"weight": np.zeros((3, 2, 3, 65), dtype=np.int32)}, "sides must be 1 to 64"),
        ({"weight": np.zeros((0, 2, 3, 3), dtype=np.int32)}, "channels 1 to 1024"),
        ({"threshold": np.array([1, 2])}, "3 whole numbers"),
        ({"decay": np.array([1, 2, 4096])}, "from 1 to 4096.*12 bit"),
        ({"threshold": 1.5}, "whole number"),
        ({"input_shape": (1, 1, 2), "padding": (0, 0)}, "no output"),
        ({"input_shape": (10_000, 9, 2)}, "4096"),
    ],
)
def test_refusals_name_the_value_and_the_rule(changes, words):
    with pytest.raises(ConfigError, match=words):
        spec(**changes)


def test_a_sum_that_could_leave_24_bits_is_refused():
    weight = np.full((1, 300, 1, 1), 254, dtype=np.int32)
    spec(input_shape=(4, 4, 300), weight=weight, padding=(0, 0), graded_input=False)
    with pytest.raises(ConfigError, match="24 bit"):
        spec(input_shape=(4, 4, 300), weight=weight, padding=(0, 0), graded_input=True)


def test_streams_must_chain():
    first = spec(graded_input=True)
    with pytest.raises(ConfigError, match=r"motion\.0 gives"):
        StreamSpec("motion", (first, spec(name="motion.1")))
    with pytest.raises(ConfigError, match="no layers"):
        StreamSpec("motion", ())
    with pytest.raises(ConfigError, match="graded events"):
        StreamSpec("motion", (spec(),))
    with pytest.raises(ConfigError, match="timesteps"):
        StmSpec((StreamSpec("motion", (first,)),), 0)


def stream(name, channels=None):
    channels = channels or STREAM_CHANNELS.get(name, 2)
    weight = np.full((3, channels, 3, 3), 4, dtype=np.int32)
    return StreamSpec(name, (spec(input_shape=(8, 9, channels), weight=weight, graded_input=True),))


@pytest.mark.parametrize("names", [("motion",), ("residual",), ("motion", "residual"), ("common",)])
def test_partitions_of_every_set_of_streams(names):
    assert tuple(each.name for each in StmSpec(tuple(stream(name) for name in names), 5).streams) == names


@pytest.mark.parametrize(
    ("streams", "words"),
    [
        ((), "streams none; must be motion, residual; or motion; or residual; or common"),
        ((stream("flow"),), "stream 'flow'; must be one of motion, residual, common"),
        ((stream("residual"), stream("motion")), "streams residual, motion; must be motion, residual"),
        ((stream("motion"), stream("motion")), "streams motion, motion"),
        ((stream("motion"), stream("common")), "streams motion, common"),
        ((stream("motion"), stream("residual"), stream("common")), "streams motion, residual, common"),
        ((stream("motion", 3),), "stream motion: motion.0 takes 3 channels; its events have 2"),
        ((stream("motion"), stream("residual", 2)), "takes 2 channels; its events have 3"),
        ((stream("common", 3),), "takes 3 channels; its events have 5"),
    ],
)
def test_other_streams_are_refused(streams, words):
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        StmSpec(streams, 5)
    assert caught.value.rule and caught.value.remedy
