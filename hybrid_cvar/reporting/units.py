"""Numbers and names as text: SI prefixes, per cent, durations.

Results are for reading; the JSON report holds the exact numbers.
"""

import math

__all__ = ["SI_PREFIXES", "count", "counted", "duration", "exact", "percent", "shown", "si"]

SI_PREFIXES = {
    -18: "a",
    -15: "f",
    -12: "p",
    -9: "n",
    -6: "µ",
    -3: "m",
    0: "",
    3: "k",
    6: "M",
    9: "G",
    12: "T",
    15: "P",
    18: "E",
}
"""Power of ten -> prefix."""

_NOT_A_NUMBER = "n/a"


def si(value: float, unit: str = "", digits: int = 3) -> str:
    """A value with an SI prefix: `si(0.0123, "J")` is `12.3 mJ`, `si(1.59e9)` is `1.59 G`.

    Args:
        value: in `unit`; beyond atto and exa the last prefix stays. Not finite: `n/a`.
        unit: symbol, may be empty.
        digits: significant digits, at least 1. Digits before the decimal point are never dropped.
    """
    if not math.isfinite(value):
        return _NOT_A_NUMBER
    power = 0
    scaled = 0.0
    if value:
        # Rounding first, so that 999.96 becomes 1.00 k and not 1000.
        rounded = float(f"{value:.{digits - 1}e}")
        power = min(max(3 * math.floor(math.log10(abs(rounded)) / 3 + 1e-12), min(SI_PREFIXES)), max(SI_PREFIXES))
        scaled = rounded / 10.0**power
    if not scaled:
        text = "0"
    else:
        whole = max(math.floor(math.log10(abs(scaled)) + 1e-12) + 1, 1)
        text = f"{scaled:.{max(digits - whole, 0)}f}"
    return f"{text} {SI_PREFIXES[power]}{unit}".rstrip()


def count(value: int) -> str:
    """A count: exact below 1000, with a prefix above: `57`, `1.59 G`."""
    return str(value) if abs(value) < 1000 else si(value)


def counted(number: int, thing: str) -> str:
    """A number of things: `1 clip`, `8 clips`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def exact(value: int) -> str:
    """Every digit of a count, in groups of three: `1,590,000,000`."""
    return f"{value:,}"


def duration(seconds: float) -> str:
    """Seconds as text: `12.3 ms`, `4.56 s`, `1,234 s`; never kiloseconds."""
    if not math.isfinite(seconds):
        return _NOT_A_NUMBER
    return f"{seconds:,.0f} s" if abs(seconds) >= 999.5 else si(seconds, "s")


def percent(fraction: float, decimals: int = 1) -> str:
    """A fraction of one as per cent; what is neither 0 nor 1 never looks like it: `<0.1 %`, `>99.9 %`."""
    if not math.isfinite(fraction):
        return _NOT_A_NUMBER
    smallest = 10.0**-decimals
    text = f"{100 * fraction:.{decimals}f}"
    if fraction > 0 and float(text) == 0:
        return f"<{smallest:.{decimals}f} %"
    if fraction < 1 and float(text) == 100:
        return f">{100 - smallest:.{decimals}f} %"
    return f"{text} %"


def shown(text: str, ascii_only: bool = False) -> str:
    """A user's string, safe to show: control, bidirectional and surrogate characters become escapes.

    Args:
        text: a file name or label.
        ascii_only: escape whatever is not ASCII too, for terminals that cannot show it.
    """
    return "".join(
        c if c.isprintable() and (c.isascii() or not ascii_only) else c.encode("unicode_escape").decode("ascii")
        for c in text
    )
