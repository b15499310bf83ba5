"""Pictures of results."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hybrid_cvar.benchmark.results import BenchResult, BenchRun
from hybrid_cvar.errors import MissingPartError, OutputError

__all__ = ["check_plots", "write_plots"]


def check_plots(folder: Path) -> None:
    """Finds out before a long run whether plots can be written.

    Raises:
        MissingPartError: matplotlib is not installed.
        OutputError: the folder cannot be made.
    """
    _figure()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}", "plots go to a folder", "choose another") from error


def write_plots(run: BenchRun, folder: Path) -> tuple[Path, ...]:
    """Draws every result that has a picture, as PNG files named after the rows.

    Args:
        run: the results.
        folder: made if it is missing.

    Returns:
        The files; none if no result has a picture.

    Raises:
        MissingPartError: matplotlib is not installed.
    """
    drawn = []
    for result in run.results:
        draw = _PLOTS.get(result.name)
        if draw is not None:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{result.name}.png"
            _save(draw(result), path)
            drawn.append(path)
    return tuple(drawn)


def _figure() -> Any:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingPartError(
            "matplotlib is not installed", "plots are drawn with it", "pip install 'hybrid-cvar[bench]'"
        ) from error
    return Figure(figsize=(7, 4.2), dpi=150, layout="constrained")


def _save(figure: Any, path: Path) -> None:
    # No date and no version in the file: the same result gives the same bytes.
    figure.savefig(path, metadata={"Software": None})


def _crossover(result: BenchResult) -> Any:
    """Time a step against activity, both kernels and the engine's choice."""
    curve = result.detail["crossover"]
    percent = [100 * activity for activity in curve["activities"]]
    figure = _figure()
    axes = figure.subplots()
    labels = {"scatter": "scatter (sparse)", "gather": "gather (dense)", "chosen": "chosen, row by row"}
    styles = {"scatter": "C0o-", "gather": "C1s-", "chosen": "k--"}
    for name, milliseconds in curve["milliseconds_a_step"].items():
        axes.plot(percent, milliseconds, styles[name], label=labels[name], markersize=4)
    faster_from = curve["gather_is_faster_from"]
    if faster_from is not None:
        axes.axvline(100 * faster_from, color="0.6", linewidth=1)
        axes.annotate(
            f"crossover {100 * faster_from:.0f} %", (100 * faster_from, axes.get_ylim()[1]), (4, -12),
            textcoords="offset points", color="0.35",
        )  # fmt: skip
    axes.set(
        title=f"3x3, {curve['channels']} to {curve['channels']} channels, {curve['size']}x{curve['size']}, one thread",
        xlabel="inputs that are not zero, %",
        ylabel="ms a step, neurons included",
        ylim=(0, None),
    )
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


_PLOTS: Mapping[str, Callable[[BenchResult], Any]] = {"spiking.gsynops_per_second": _crossover}
