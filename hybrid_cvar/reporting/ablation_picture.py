"""Our drop of top-1 beside the paper's, a bar each, a panel for every table."""

from pathlib import Path

from hybrid_cvar.records import FULL_MODEL, Ablation
from hybrid_cvar.reporting.ablation_figures import ablation_tables
from hybrid_cvar.reporting.pictures import new_figure, save_figure
from hybrid_cvar.reporting.units import shown

__all__ = ["write_drops"]

PAPER_COLOUR, OWN_COLOUR = "0.65", "C0"


def write_drops(ablation: Ablation, path: Path) -> None:
    """Draws the picture as a PNG file; a model without a bar of ours is named with its state.

    Args:
        ablation: the results.
        path: the file; it appears whole or not at all.

    Raises:
        MissingPartError: matplotlib is not installed.
        OutputError: the file cannot be written.
    """
    tables = [(table, [row for row in table.rows if row.variant != FULL_MODEL]) for table in ablation_tables(ablation)]
    heights = [len(rows) + 1 for _, rows in tables]
    figure = new_figure(9, 1.2 + 0.45 * sum(heights))
    panels = figure.subplots(len(tables), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, (table, rows) in zip(panels, tables, strict=True):
        for at, row in enumerate(rows):
            if row.paper_points is not None:
                axes.barh(at - 0.2, -row.paper_points, 0.38, color=PAPER_COLOUR)
            if row.difference is not None:
                drop = -row.difference.points
                reach = [[drop + row.difference.high], [-row.difference.low - drop]]
                axes.barh(at + 0.2, drop, 0.38, color=OWN_COLOUR, xerr=reach, error_kw={"linewidth": 1, "capsize": 2})
        names = [row.variant if row.difference else f"{row.variant} ({_lack(row.state)})" for row in rows]
        axes.set_yticks(range(len(rows)), [shown(name) for name in names], fontsize=8)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set_title(f"Table {table.number}: {table.caption}", fontsize=9, loc="left")
        axes.grid(axis="x", alpha=0.3)
    panels[0].barh(0, 0, color=PAPER_COLOUR, label="paper, UCF-101")
    panels[0].barh(0, 0, color=OWN_COLOUR, label="ours, with the 95 % interval of the difference")
    panels[0].legend(fontsize=8, loc="best")
    panels[-1].set_xlabel("drop of top-1 against the full model, percentage points")
    data = "drawn puppets" if ablation.is_drawn else shown(ablation.dataset)
    figure.suptitle(
        f"{shown(ablation.recipe)}: {ablation.epochs} epochs each, {data}; absolute values are not comparable",
        fontsize=10,
        parse_math=False,
    )
    save_figure(figure, path)


def _lack(state: str) -> str:
    return "full model not measured" if state == "measured" else state
