import pytest

from hybrid_cvar.reporting.units import count, duration, exact, percent, shown, si


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "J", "12.3 mJ"),
        (1.59e9, "", "1.59 G"),
        (0, "J", "0 J"),
        (-0.0, "J", "0 J"),
        (0, "", "0"),
        (1, "J", "1.00 J"),
        (12.34, "J", "12.3 J"),
        (999.4, "J", "999 J"),
        (999.96, "J", "1.00 kJ"),
        (0.00099999, "s", "1.00 ms"),
        (1e-3, "s", "1.00 ms"),
        (1e3, "", "1.00 k"),
        (1e6, "", "1.00 M"),
        (1e-6, "J", "1.00 µJ"),
        (4.6e-12, "J", "4.60 pJ"),
        (-0.0456, "J", "-45.6 mJ"),
        (3e21, "", "3000 E"),
        (3e-20, "J", "0.03 aJ"),
        (float("nan"), "J", "n/a"),
        (float("inf"), "", "n/a"),
    ],
)
def test_si(value: float, unit: str, text: str) -> None:
    assert si(value, unit) == text


def test_count_is_exact_below_a_thousand() -> None:
    assert [count(n) for n in (0, 7, 999, 1000, 1_234_567)] == ["0", "7", "999", "1.00 k", "1.23 M"]
    assert exact(1_590_000_000) == "1,590,000,000"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (0.0123, "12.3 ms"), (4.56, "4.56 s"), (999.4, "999 s"), (999.7, "1,000 s"), (1234.4, "1,234 s")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.0, "0.0 %"), (1.0, "100.0 %"), (0.4567, "45.7 %"), (1e-9, "<0.1 %"), (0.99999, ">99.9 %")],
)
def test_percent(fraction: float, text: str) -> None:
    assert percent(fraction) == text


def test_shown_escapes_what_a_terminal_would_obey() -> None:
    assert shown("clip é 動.mp4") == "clip é 動.mp4"
    assert shown("a\x1b[31mb\nc\u202ed\udc80") == r"a\x1b[31mb\nc\u202ed\udc80"
    assert shown("é.mp4", ascii_only=True) == r"\xe9.mp4"
