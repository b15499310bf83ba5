"""Positional encodings: place, time and modality, each added where it belongs."""

import pytest
import torch

from hybrid_cvar.model.positional_encoding import PositionalEncoding

pytestmark = pytest.mark.needs_compile


def test_every_token_gets_its_place_its_instant_and_its_modality():
    encoding = PositionalEncoding(3, 4, instants=5, width=6)
    tokens = torch.randn(2, 3, 4, 4, 6)
    encoded = encoding(tokens, [0, 4, 2])
    for modality, instant in enumerate((0, 4, 2)):
        for row, column in ((0, 3), (3, 0), (2, 1)):
            expected = (
                encoding.place[0, 0, row, column]
                + encoding.time[0, instant, 0, 0]
                + encoding.modality[0, modality, 0, 0]
            )
            added = encoded[:, modality, row, column] - tokens[:, modality, row, column]
            torch.testing.assert_close(added, expected.expand(2, 6), rtol=0, atol=1e-6)


def test_every_token_is_told_apart():
    encoded = PositionalEncoding(3, 4, 2, 6)(torch.zeros(1, 3, 4, 4, 6), [0, 1, 1]).reshape(-1, 6)
    assert len(torch.unique(encoded, dim=0)) == 3 * 4 * 4


@pytest.mark.parametrize(("rows", "columns"), [(8, 4), (4, 8), (3, 7)])
def test_another_grid_is_resampled_along_its_own_axis(rows, columns):
    encoding = PositionalEncoding(1, 4, 1, 2)
    with torch.no_grad():
        for parameter in encoding.parameters():
            parameter.zero_()
        # channel 0 grows down the rows, channel 1 along the columns
        encoding.place[..., 0] = torch.arange(4.0)[:, None]
        encoding.place[..., 1] = torch.arange(4.0)[None, :]
        placed = encoding(torch.zeros(1, 1, rows, columns, 2), [0])[0, 0]

    def expected(count):
        """Bilinear, half-pixel centres, held at the edges."""
        return ((torch.arange(count) + 0.5) * 4 / count - 0.5).clamp(0, 3)

    torch.testing.assert_close(placed[..., 0], expected(rows)[:, None].expand(rows, columns), rtol=0, atol=1e-5)
    torch.testing.assert_close(placed[..., 1], expected(columns)[None].expand(rows, columns), rtol=0, atol=1e-5)


def test_its_own_grid_is_not_resampled():
    encoding = PositionalEncoding(1, 5, 1, 3)
    with torch.no_grad():
        encoding.time.zero_()
        encoding.modality.zero_()
        assert torch.equal(encoding(torch.zeros(1, 1, 5, 5, 3), [0])[0, 0], encoding.place[0, 0])
