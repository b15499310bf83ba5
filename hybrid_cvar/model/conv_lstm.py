"""Convolutional LSTM, which stands in the STM's place in Table 4c (Shi et al., 2015)."""

import torch
from torch import nn

from hybrid_cvar.model.config import StmConfig

__all__ = ["ConvLstm", "ConvLstmCell"]


class ConvLstmCell(nn.Module):
    """One convolution a cell, from input and hidden state to all four gates; no peepholes.

        i, f, g, o = Conv([x[t], h[t-1]])
        c[t] = sigmoid(f) * c[t-1] + sigmoid(i) * tanh(g)
        h[t] = sigmoid(o) * tanh(c[t])

    The input is convolved with the layer's stride, the hidden state, which has its size, with stride 1; both
    convolutions together are the one over the concatenation where the stride is 1.

    Args:
        in_channels, channels: of x and of h. kernel_size, stride: pixels.
    """

    def __init__(self, in_channels: int, channels: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        padding = kernel_size // 2
        self.from_input = nn.Conv2d(in_channels, 4 * channels, kernel_size, stride=stride, padding=padding)
        self.from_hidden = nn.Conv2d(channels, 4 * channels, kernel_size, padding=padding, bias=False)

    def forward(
        self, features: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor] | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step.

        Args:
            features: x[t], (N, C_in, H, W).
            state: (h, c) of the step before, each (N, C, h, w); None before the first step.

        Returns:
            (h, c) of this step.
        """
        gates = self.from_input(features)
        if state is not None:
            gates = gates + self.from_hidden(state[0])
        entering, kept, candidate, shown = gates.chunk(4, dim=1)
        cell = torch.sigmoid(entering) * torch.tanh(candidate)
        if state is not None:
            cell = cell + torch.sigmoid(kept) * state[1]
        return torch.sigmoid(shown) * torch.tanh(cell), cell


class ConvLstm(nn.Module):
    """As many cells as the STM has layers, with its channels and strides; gives the last cell's last hidden state.

    Args:
        in_channels: of an event frame. config: sizes.
    """

    def __init__(self, in_channels: int, config: StmConfig) -> None:
        super().__init__()
        inputs = (in_channels, *config.channels[:-1])
        self.cells = nn.ModuleList(
            ConvLstmCell(before, channels, config.kernel_size, stride)
            for before, channels, stride in zip(inputs, config.channels, config.strides, strict=True)
        )

    def forward(self, events: torch.Tensor) -> torch.Tensor:
        """float32 (N, T, C, H, W) to (N, C_out, h, w)."""
        states: list[tuple[torch.Tensor, torch.Tensor] | None] = [None] * len(self.cells)
        passing = events
        for features in events.unbind(1):
            passing = features
            for index, cell in enumerate(self.cells):
                state = cell(passing, states[index])
                states[index], passing = state, state[0]
        return passing
