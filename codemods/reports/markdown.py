"""The report as Markdown, for a pull request's description: what changed, what was judged, what is left to look at."""

from __future__ import annotations

from collections.abc import Iterator

from codemods.findings import Severity
from codemods.patch import unified
from codemods.reports.model import Report, shown
from codemods.reports.text import gate_lines, headline


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _code(text: str) -> str:
    ticks = "`" * (max((len(run) for run in _tick_runs(text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _tick_runs(text: str) -> list[str]:
    return [run for run in "".join(char if char == "`" else " " for char in text).split(" ") if run]


def _findings(report: Report) -> Iterator[str]:
    yield "| where | code | what | next step |"
    yield "|---|---|---|---|"
    for finding in report.plan.findings:
        line = report.line_after(finding) if report.mode == "written" else finding.line
        where = _code(_cell(f"{shown(finding.path)}:{line}"))
        mark = "" if finding.severity is Severity.INFO else f" ({finding.severity.value})"
        yield f"| {where} | {finding.code}{mark} | {_cell(finding.message)} | {_cell(finding.advice)} |"


def _usages(report: Report) -> Iterator[str]:
    yield "| where | takes | from | works on |"
    yield "|---|---|---|---|"
    for use in report.usages:
        where = _code(_cell(f"{shown(use.path)}:{use.line}"))
        yield f"| {where} | {_code(use.name)} | {_code(use.module)} | {use.works_on} |"


def _diffs(report: Report) -> Iterator[str]:
    for file in report.plan.files:
        diff = unified(file.path.encode("utf-8", "surrogateescape"), file.source, file.result)
        text = diff.decode("utf-8", "backslashreplace").rstrip("\n")
        fence = "`" * max(3, *(len(run) + 1 for run in _tick_runs(text)), 3)
        yield f"<details><summary>{_cell(shown(file.path))}: {len(file.edits)} edits</summary>\n"
        yield f"{fence}diff\n{text}\n{fence}\n\n</details>\n"


def render_markdown(report: Report) -> str:
    """Headline, gate, findings table, and each file's diff folded away."""
    parts = [f"# orpo-compat {report.command}: {headline(report)}", ""]
    parts += [f"- {line}" for line in gate_lines(report.gate)]
    if report.usages:
        parts += ["", "## What is used", "", *_usages(report)]
    if report.plan.findings:
        parts += ["", "## To look at", "", *_findings(report)]
    if report.plan.files:
        parts += ["", "## Changes", "", *_diffs(report)]
    return "\n".join(parts).rstrip("\n") + "\n"
