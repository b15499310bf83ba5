"""The committed results of every suite as one document in Markdown: what was measured, against what, where."""

from collections.abc import Sequence
from pathlib import Path

from hybrid_cvar.errors import ConfigError
from hybrid_cvar.records import PaperTables, PrintedNumber, RecomputedEnergy
from hybrid_cvar.reporting.accuracy_plot import method_name
from hybrid_cvar.reporting.bench_document import BenchDocument, BenchRow, is_bench, missed_targets, read_bench
from hybrid_cvar.reporting.bench_page import our_paper_joules, same_machines
from hybrid_cvar.reporting.comparison_output import cell
from hybrid_cvar.reporting.record_json import read_json
from hybrid_cvar.reporting.units import percent

__all__ = ["read_results", "results_markdown"]

REMEDY = "give a folder of files that bench --json wrote"


def read_results(folder: Path) -> tuple[BenchDocument, ...]:
    """Every benchmark file of a folder, by name.

    Raises:
        ConfigError: it is no folder, holds no JSON, or a JSON file in it is no benchmark's.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder", "results are read from one", REMEDY)
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise ConfigError(f"{folder}: no .json file", "results are read from some", REMEDY)
    documents = []
    for path in paths:
        content = read_json(path, REMEDY)
        if not is_bench(content):
            raise ConfigError(f"{path}: not a benchmark's file", "every .json in the folder must be one", REMEDY)
        documents.append(read_bench(content, str(path)))
    return tuple(documents)


def results_markdown(
    documents: Sequence[BenchDocument],
    *,
    command: str,
    paper: PaperTables | None = None,
    recomputed: Sequence[RecomputedEnergy] = (),
) -> str:
    """Results as Markdown, ending in a newline; the same results give the same text.

    Args:
        documents: from `read_results`.
        command: that draws it.
        paper: its tables, shown where a document holds energies to stand beside them. recomputed: its Table 1's.
    """
    rows = [row for document in documents for row in document.rows if row.met is not None]
    missed = missed_targets(documents)
    lines = [
        "# Benchmark results",
        "",
        f"{len(rows) - len(missed)} of {len(rows)} targets are met{_fitted(rows)}.",
        "",
        "Drawn from the files in `results/` by",
        "",
        f"    {command}",
        "",
        "Do not edit. A speed is a ratio of two medians that were measured in turn in one run; absolute numbers depend",
        "on the machine, ratios much less. Every round and detail is in the files; `README.md` says what a row means.",
        "",
    ]
    if missed:
        lines += [
            "Missed: "
            + "; ".join(
                f"{cell(name)}, {_value(row)} (target {_code(row.target)}{_limit(row)})" for name, row in missed
            )
        ]
        lines[-1] += ". A missed target is a result, not an error."
        lines.append("")
    for document in documents:
        lines += _suite(document)
    ours = our_paper_joules(documents)
    if paper and ours:
        lines += _paper(paper, recomputed, ours)
    machines = same_machines(documents)
    lines += ["## Machine" if len(machines) == 1 else "## Machines", ""]
    for machine, sources in machines:
        lines += [f"- {cell(machine.line)}", f"  ({cell(', '.join(machine.software))})"]
        if len(machines) > 1:
            lines.append(f"  for {', '.join(_code(source) for source in sources)}")
    lines += [
        "",
        "Provenance: *measured* on that machine; *emulated*: counted while the model ran; *modelled*: a count times a "
        "sourced constant.",
    ]
    return "\n".join(lines) + "\n"


def _limit(row: BenchRow) -> str:
    return "" if row.machine_limit is None else f"; cores that did nothing else reached {row.machine_limit:.4g}"


def _fitted(rows: Sequence[BenchRow]) -> str:
    fitted = sum(row.is_fitted for row in rows if row.met)
    return f", {fitted} of them by things that were made to meet them" if fitted else ""


def _suite(document: BenchDocument) -> list[str]:
    lines = [f"## {cell(document.source.removesuffix('.json'))}", ""]
    if document.rows:
        lines += ["| row | value | target | met | ours / other | provenance |", "|---|---:|---:|---|---:|---|"]
    for row in document.rows:
        met = {True: "yes, fitted" if row.is_fitted else "yes", False: "**no**", None: ""}[row.met]
        medians = (
            f"{row.medians[0]:.4g} / {row.medians[1]:.4g} {cell(row.medians_unit)}".rstrip() if row.medians else ""
        )
        target = _code(row.target) if row.target else ""
        lines.append(f"| {_code(row.name)} | {_value(row)} | {target} | {met} | {medians} | {row.provenance} |")
    fitted = [(row.name, dict(row.facts)["what_was_fitted"]) for row in document.rows if row.is_fitted]
    if fitted:
        lines += ["", *(f"- {_code(name)} was fitted: {cell(text)}." for name, text in fitted)]
    if document.failures:
        lines += ["", *(f"- not measured: {cell(name)}: {cell(error)}" for name, error in document.failures)]
    if document.command:
        lines += ["", f"Made by {_code(document.command)}{f', {cell(document.created)}' if document.created else ''}."]
    return [*lines, ""]


def _paper(paper: PaperTables, recomputed: Sequence[RecomputedEnergy], ours: Sequence[tuple[str, float]]) -> list[str]:
    again = {row.method: row for row in recomputed}
    lines = [
        "## The paper's energies, and ours",
        "",
        f"As printed in {cell(paper.source)}; joules a video (modelled). Our models were not trained on these",
        "datasets, so they have energies and no accuracy here. Views: temporal x spatial crops of a video. [n]:",
        "number in the paper's bibliography.",
        "",
        "| Table 1 | reads | views | UCF-101, % | HMDB-51, % | parameters, M | E printed, J | E of its FLOPs, J | off "
        "| E here, J |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in paper.table1:
        computed = again.get(row.method)
        views = f"{row.temporal_views} x {row.spatial_crops}"
        cells = [_cited(method_name(row), row.reference), row.modality, views, _printed(row.ucf101_percent)]
        cells += [_printed(row.hmdb51_percent), _printed(row.params_millions), _printed(row.energy_joules)]
        cells += [f"{computed.recomputed_joules:.3f}", percent(computed.relative_error)] if computed else ["", ""]
        cells.append("")
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"| **{cell(name)}** | CD | | | | | | | | **{joules:.4g}** |" for name, joules in ours]
    lines += ["", *(f"{cell(method_name(row))}: {cell(again[row.method].remark)}." for row in paper.table1
                    if row.method in again and again[row.method].remark), ""]  # fmt: skip
    lines += [
        "| Table 2 | reads | SS-v2, % | K-400, % | K-600, % | E printed, J | E here, J |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for other in paper.table2:
        name = f"paper's own{other.method.removeprefix('Ours')}" if other.own else other.method
        numbers = (other.ssv2_percent, other.k400_percent, other.k600_percent, other.energy_joules)
        cells = [_cited(name, other.reference), other.modality, *(_printed(number) for number in numbers)]
        lines.append(f"| {' | '.join(cells)} | |")
    lines += [f"| **{cell(name)}** | CD | | | | | **{joules:.4g}** |" for name, joules in ours]
    return [*lines, ""]


def _cited(name: str, reference: int) -> str:
    return cell(f"{name} [{reference}]" if reference else name)


def _printed(number: PrintedNumber | None) -> str:
    return cell(number.printed) if number else ""


def _value(row: BenchRow) -> str:
    return f"{row.value:.4g} {cell(row.unit)}".rstrip()


def _code(text: str) -> str:
    """Text as Markdown code inside a table."""
    return f"`{text.replace('`', chr(39)).replace('|', '/')}`"
