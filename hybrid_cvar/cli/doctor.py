"""`hybrid-cvar doctor`: what is installed and how to mend what is not."""

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hybrid_cvar.version import __version__

__all__ = ["doctor_command"]


def doctor_command() -> None:
    """Say what is installed, what works, and the command that mends what does not."""
    from hybrid_cvar.doctor import examine

    findings = examine()
    table = Table(title=f"hybrid-cvar {__version__}", title_justify="left", title_style="bold")
    for heading in ("part", "needed for", "state", "remedy"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        colour = "green" if finding.works else ("red" if finding.required else "yellow")
        table.add_row(finding.part, finding.needed_for, f"[{colour}]{escape(finding.state)}[/]", escape(finding.remedy))
    console = Console()
    console.print(table)
    for needed_for, command in dict.fromkeys((each.needed_for, each.long_remedy) for each in findings):
        if command:
            console.print(f"{needed_for}:\n  " + escape(command), soft_wrap=True, highlight=False)
    if any(finding.required and not finding.works for finding in findings):
        raise typer.Exit(1)
