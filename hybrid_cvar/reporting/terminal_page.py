"""A console that a report is printed to: its width, and what its encoding can show."""

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from hybrid_cvar.records import Provenance
from hybrid_cvar.reporting.units import shown

__all__ = ["TerminalPage"]

_WIDTH = 100
"""Columns at most; wider tables are harder to read across."""

_PROVENANCE_STYLES = {
    Provenance.MEASURED: "green",
    Provenance.EMULATED: "cyan",
    Provenance.MODELLED: "magenta",
}


class TerminalPage:
    """A console, its width and what its encoding can show."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.width = min(console.width, _WIDTH)
        self.ascii_only = console.options.ascii_only

    def put(self, content: Text | Table | Panel | Padding) -> None:
        """Prints something, no wider than the page."""
        self.console.print(content, width=self.width, highlight=False, markup=False, emoji=False)

    def text(self, value: str, style: str = "", keep_newlines: bool = False) -> Text:
        """A user's or our own string, as this console can show it; never parsed as markup."""
        lines = value.split("\n") if keep_newlines else [value]
        if self.ascii_only:
            lines = [line.replace("µ", "u") for line in lines]
        return Text("\n".join(shown(line, self.ascii_only) for line in lines), style=style, overflow="fold")

    def title(self, name: str, *provenances: Provenance) -> None:
        """Prints a section's heading with its marks."""
        title = Text(f"\n{name}", style="bold")
        for provenance in provenances:
            title.append("  ")
            title.append(f"[{provenance}]", style=f"not bold {_PROVENANCE_STYLES[provenance]}")
        self.put(title)

    def note(self, value: str) -> None:
        """Prints a dim, indented paragraph."""
        self.put(Padding(self.text(value, style="dim"), (0, 0, 0, 2), expand=False))

    def bar(self, share: float, cells: int, style: str) -> Text:
        """A bar of `cells` at full share; a share above zero is never empty."""
        filled = max(round(min(share, 1.0) * cells), 1) if share > 0 else 0
        full, empty = ("#", ".") if self.ascii_only else ("█", "░")
        return Text(full * filled, style=style).append(empty * (cells - filled), style="dim")

    def table(self, *columns: str, footer: bool = False) -> Table:
        """A table whose first column is text and whose other columns are numbers."""
        table = Table(box=box.SIMPLE, show_edge=False, padding=(0, 1, 0, 0), show_footer=footer, header_style="dim")
        for index, column in enumerate(columns):
            table.add_column(column, justify="right" if index else "left", overflow="fold")
        return table

    def put_table(self, table: Table) -> None:
        """Prints an indented table."""
        self.put(Padding(table, (0, 0, 0, 2), expand=False))
