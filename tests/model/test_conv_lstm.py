"""Convolutional LSTM against a step written out in NumPy."""

import numpy as np
import pytest
import torch

from hybrid_cvar.model import StmConfig
from hybrid_cvar.model.conv_lstm import ConvLstm, ConvLstmCell

pytestmark = pytest.mark.needs_compile


def convolved(x, weight, bias, stride):
    """(C, H, W) with (O, C, k, k), zero padding of half the kernel, float64, pixel by pixel."""
    kernel = weight.shape[-1]
    padded = np.pad(x, ((0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
    rows, columns = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
    out = np.empty((weight.shape[0], rows, columns))
    for y in range(rows):
        for column in range(columns):
            window = padded[:, y * stride : y * stride + kernel, column * stride : column * stride + kernel]
            out[:, y, column] = np.tensordot(weight, window, axes=3) + bias
    return out


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(cell, stride, x, state):
    weight, bias = (part.detach().numpy().astype(np.float64) for part in cell.from_input.parameters())
    recurrent = cell.from_hidden.weight.detach().numpy().astype(np.float64)
    gates = convolved(x, weight, bias, stride)
    channels = len(gates) // 4
    hidden, kept = state if state else (np.zeros((channels, *gates.shape[1:])),) * 2
    gates = gates + convolved(hidden, recurrent, 0.0, 1)
    i, f, g, o = (gates[n * channels : (n + 1) * channels] for n in range(4))
    kept = sigmoid(f) * kept + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(kept), kept


def numpy_lstm(lstm, strides, events):
    """(T, C, H, W) to the last cell's last hidden state."""
    states = [None] * len(lstm.cells)
    for x in events:
        for index, cell in enumerate(lstm.cells):
            states[index] = step(cell, strides[index], x, states[index])
            x = states[index][0]
    return x


def test_one_step_and_the_next():
    cell = ConvLstmCell(2, 3, kernel_size=3, stride=2)
    xs = torch.randn(2, 1, 2, 5, 7)
    with torch.no_grad():
        cell.from_input.bias.normal_()
        first = cell(xs[0], None)
        second = cell(xs[1], first)
    expected = step(cell, 2, xs[0, 0].double().numpy(), None)
    for got, want in zip(first, expected, strict=True):
        np.testing.assert_allclose(got[0], want, rtol=1e-4, atol=1e-5)
    for got, want in zip(second, step(cell, 2, xs[1, 0].double().numpy(), expected), strict=True):
        np.testing.assert_allclose(got[0], want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("strides", [(2, 1), (1, 2)])
def test_all_layers_over_all_steps(strides):
    lstm = ConvLstm(2, StmConfig(channels=(3, 4), strides=strides))
    events = torch.randn(2, 4, 2, 5, 6)
    with torch.no_grad():
        for cell in lstm.cells:
            cell.from_hidden.weight.mul_(3)
        hidden = lstm(events)
    assert hidden.shape == (2, 4, 3, 3)
    for clip in range(2):
        np.testing.assert_allclose(
            hidden[clip], numpy_lstm(lstm, strides, events[clip].double().numpy()), rtol=1e-4, atol=1e-5
        )


def test_no_state_is_a_state_of_zeros():
    cell = ConvLstmCell(2, 3, 3, 1)
    x, zeros = torch.randn(1, 2, 4, 4), torch.zeros(1, 3, 4, 4)
    for with_none, with_zeros in zip(cell(x, None), cell(x, (zeros, zeros)), strict=True):
        torch.testing.assert_close(with_none, with_zeros)
