"""Hard reset beside stock Lava: the fixed-point LIF itself, its domain, and the limits of stock Conv."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybrid_cvar.lava_compat import prepare_lava, widen_stock_conv
from hybrid_cvar.neuromorphic import ConvLifSpec, NativeStm, StmSpec, StreamSpec
from hybrid_cvar.neuromorphic.reference import reference_layer, synaptic_sum

pytestmark = pytest.mark.needs_lava

CURRENT_LIMIT = 2**17
"""Stock LIF adds z exactly while -CURRENT_LIMIT < z <= CURRENT_LIMIT; beyond, its 24-bit current wraps."""
CHANNELS = 3


class StockLif:
    """`PyLifModelBitAcc`, without a runtime: du = 4095 keeps no current, dv is the decay."""

    def __init__(self, shape, threshold, decay):
        prepare_lava()
        from lava.proc.lif.models import PyLifModelBitAcc

        self._model = model = PyLifModelBitAcc({})
        model.u, model.v = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        model.du, model.dv, model.vth = 4095, decay, threshold
        model.bias_mant, model.bias_exp = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        model.scale_bias()
        model.scale_threshold()

    def step(self, z):
        """(spikes, membranes after the reset) of one step, as its `run_spk`."""
        self._model.subthr_dynamics(z.astype(np.int32))
        spikes = self._model.spiking_activation()
        self._model.reset_voltage(spikes)
        return spikes.astype(np.int8), self._model.v.copy()


def pointwise(weight, threshold, decay, size=(4, 5)):
    """A 1x1 layer: z is one weighted sum a neuron."""
    weight = np.asarray(weight, dtype=np.int32)[:, :, None, None]
    return ConvLifSpec(
        "motion.0", (*size, weight.shape[1]), weight, (1, 1), (0, 0), threshold, decay, "hard", graded_input=True
    )


def through_stock(layer, events):
    """(spikes, membranes, synaptic sums) of every step."""
    stock = StockLif(layer.output_shape, layer.threshold, layer.decay)
    sums = [synaptic_sum(layer.weight, step, layer.output_shape, layer.stride, layer.padding) for step in events]
    spikes, membranes = zip(*(stock.step(z) for z in sums), strict=True)
    return np.stack(spikes), np.stack(membranes), np.stack(sums)


def one_or_each(likely, largest):
    one = st.sampled_from(likely) | st.integers(0, largest)
    return one | st.lists(one, min_size=CHANNELS, max_size=CHANNELS).map(np.array)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    one_or_each((0, 1, 500, 2**17 - 1), 2**17 - 1),
    one_or_each((0, 1, 4095), 4095),
    st.sampled_from([0, 0.5, 1]),
    st.sampled_from([1, 40, 2000]),
)
def test_hard_reset_is_stock_lavas_fixed_point_lif(seed, threshold, decay, rails, divisor):
    """Four graded inputs reach from -CURRENT_LIMIT + 1024 to CURRENT_LIMIT exactly: all of the domain that both have.

    A fifth, which the `common` stream needs, weighs nothing.
    """
    rng = np.random.default_rng(seed)
    weight = np.where(
        rng.random((CHANNELS, 4)) < rails, rng.choice([-256, 254], (CHANNELS, 4)), rng.integers(-128, 128) * 2
    )
    layer = pointwise(np.pad(weight, ((0, 0), (0, 1))), threshold, decay)
    shape = (12, *layer.input_shape)
    same = rng.choice([-128, 127, 0], (12, 4, 5, 1)) // divisor
    events = np.where(rng.random((12, 4, 5, 1)) < rails, same, rng.integers(-128, 128, shape) // divisor)
    events = events.astype(np.int8)
    spikes, membranes, sums = through_stock(layer, events)
    assert -CURRENT_LIMIT < sums.min() <= sums.max() <= CURRENT_LIMIT
    expected, u = reference_layer(layer, events)
    np.testing.assert_array_equal(spikes, expected)
    np.testing.assert_array_equal(membranes, u)
    stm = StmSpec((StreamSpec("common", (layer,)),), len(events))
    with NativeStm(stm, record=True) as native:
        result = native.run_clip(events)
    np.testing.assert_array_equal(result.spikes[0], spikes)
    np.testing.assert_array_equal(result.membranes[0], membranes)


@pytest.mark.parametrize(
    ("z", "stock", "ours"),
    [
        (CURRENT_LIMIT - 2, (1, 0), (1, 0)),
        (CURRENT_LIMIT, (1, 0), (1, 0)),
        (CURRENT_LIMIT + 2, (0, -(2**23) + 128), (1, 0)),
        (-CURRENT_LIMIT + 2, (0, -(2**23) + 128), (0, -(2**23) + 128)),
        (-CURRENT_LIMIT, (1, 0), (0, -(2**23) + 1)),
        (-CURRENT_LIMIT - 2, (1, 0), (0, -(2**23) + 1)),
    ],
)
def test_beyond_17_bits_the_stock_current_wraps_and_ours_is_clipped(z, stock, ours):
    """(o, u) after one step from rest: spec.md N3 and N5."""
    threshold = 2**17 - 3
    lif = StockLif((1,), threshold, 0)
    spikes, membranes = lif.step(np.array([z]))
    assert (int(spikes[0]), int(membranes[0])) == stock
    # z in even weights and 8-bit events: 127 * 254 * 4 leaves less than 2**12 for the fifth and sixth input.
    rest = abs(z) - 4 * 127 * 254
    weight = np.array([[254] * 4 + [2 * (rest // 2 // 127), 2]]) * int(np.sign(z))
    layer = pointwise(weight, threshold, 0, size=(1, 1))
    events = np.array([127] * 5 + [(rest // 2) % 127], dtype=np.int8).reshape(1, 1, 1, 6)
    assert synaptic_sum(layer.weight, events[0], (1, 1, 1), (1, 1), (0, 0)).item() == z
    expected, u = reference_layer(layer, events)
    assert (int(expected.item()), int(u.item())) == ours


@pytest.mark.skipif(int(np.__version__.split(".")[0]) < 2, reason="NumPy 1 widens")
def test_stock_conv_needs_wider_parameters_under_numpy_2():
    """Its padding and stride are int8 arrays, which NumPy 2 does not widen; `widen_stock_conv` makes them int32."""
    prepare_lava()
    from lava.proc.conv.models import AbstractPyConvModel
    from lava.proc.conv.utils import conv

    def convolve(width, kind):
        ones, nothing = np.ones(2, kind), np.zeros(2, kind)
        return conv(np.ones((width, 3, 1)), np.full((1, 1, 1, 1), 2), ones, ones, nothing, ones, 1)

    with pytest.raises(OverflowError, match="int8"):
        convolve(128, np.int8)
    np.testing.assert_array_equal(convolve(300, np.int32), 2 * np.ones((300, 3, 1)))
    widen_stock_conv()
    assert {getattr(AbstractPyConvModel, name).d_type for name in ("stride", "padding", "kernel_size")} == {np.int32}


def test_the_stock_network_takes_wide_inputs():
    from hybrid_cvar.neuromorphic.lava_stm import LavaStm

    rng = np.random.default_rng(0)
    streams = []
    for name, channels in (("motion", 2), ("residual", 3)):
        weight = rng.integers(-8, 9, (2, channels, 3, 3), dtype=np.int32) * 2
        layer = ConvLifSpec(f"{name}.0", (4, 200, channels), weight, (1, 1), (1, 1), 200, 400, "soft", True)
        streams.append(StreamSpec(name, (layer,)))
    spec = StmSpec(tuple(streams), 2)
    clip = [rng.integers(-90, 90, (2, *stream.layers[0].input_shape)).astype(np.int8) for stream in spec.streams]
    with NativeStm(spec) as native, LavaStm(spec, form="stock") as stock:
        expected, actual = native.run_clip(*clip), stock.run_clip(*clip)
    for left, right in zip(actual.readouts, expected.readouts, strict=True):
        np.testing.assert_array_equal(left, right)
