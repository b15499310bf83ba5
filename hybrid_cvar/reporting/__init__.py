"""What a run reports: terminal summary, JSON, HTML.

    Trace + EnergyEstimate -> Report -> terminal, JSON, HTML

Every number is marked measured (on this host), emulated (counted while the model ran) or modelled (a count
times a sourced constant).
"""

from hybrid_cvar.reporting.compile_summary import print_compile_result, print_parity
from hybrid_cvar.reporting.failures import VideoFailure
from hybrid_cvar.reporting.html_report import render_html, write_html
from hybrid_cvar.reporting.json_report import read_run_json, render_json, report_to_dict, run_to_dict, write_json
from hybrid_cvar.reporting.machine import Machine, this_machine
from hybrid_cvar.reporting.summary import build_report, trace_notices
from hybrid_cvar.reporting.terminal import print_report, print_report_line

__all__ = [
    "Machine",
    "VideoFailure",
    "build_report",
    "print_compile_result",
    "print_parity",
    "print_report",
    "print_report_line",
    "read_run_json",
    "render_html",
    "render_json",
    "report_to_dict",
    "run_to_dict",
    "this_machine",
    "trace_notices",
    "write_html",
    "write_json",
]
