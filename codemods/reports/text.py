"""The terminal's view: one line a finding, and a summary that fits under a prompt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from codemods.findings import CODES, Severity
from codemods.inventory import works_today
from codemods.reports.model import Report, shown

_LISTED = 40


def finding_lines(report: Report) -> Iterator[str]:
    """Findings to look at, most serious first; those that are good to know are only counted in the summary."""
    order = list(Severity)[:2]
    chosen = sorted(
        (finding for finding in report.plan.findings if finding.severity in order),
        key=lambda finding: (order.index(finding.severity), finding.path, finding.line, finding.code),
    )
    written = report.mode == "written"
    for finding in chosen[:_LISTED]:
        line = report.line_after(finding) if written else finding.line
        yield f"{shown(finding.path)}:{line}: {finding.code} {finding.message}"
        yield f"    {finding.advice}"
    if len(chosen) > _LISTED:
        yield f"... and {len(chosen) - _LISTED} more findings: --report json lists them all"


def headline(report: Report) -> str:
    """What happened, in one line."""
    plan = report.plan
    files, edits = len(plan.files), plan.num_edits
    what = f"{files} file{'s' * (files != 1)}, {edits} edit{'s' * (edits != 1)}"
    if not files:
        return f"nothing to change ({plan.num_listed} files looked at, {plan.num_candidates} of them read closely)"
    if report.mode == "written":
        return f"{'rolled back' if report.command == 'rollback' else 'switched'}: {what}"
    return f"would {'roll back' if report.command == 'rollback' else 'switch'}: {what}"


def gate_lines(gate: dict[str, str]) -> Iterator[str]:
    """What the parity gate said, or that it was not asked."""
    if "skipped" in gate:
        yield f"parity: not checked ({gate['skipped']})"
    elif gate:
        yield f"parity: {gate['verdict']} - {gate['headline']}"
        yield f"evidence: {gate['evidence']} (seal {gate['digest'][:16]}...)"


def summary_lines(report: Report) -> Iterator[str]:
    """At most twenty lines: what changed, what was judged, what is left, and how to undo it."""
    yield headline(report)
    paths = [file.path for file in report.plan.files]
    yield from (f"  {shown(path)}{_how(report, path)}" for path in paths[:6])
    if len(paths) > 6:
        yield f"  ... and {len(paths) - 6} more"
    yield from gate_lines(report.gate)
    counts = Counter(finding.code for finding in report.plan.findings if finding.severity is not Severity.INFO)
    for code, number in counts.most_common(4):
        yield f"to look at: {number} x {code} {CODES.get(code, 'journal')}"
    if len(counts) > 4:
        yield f"to look at: {sum(counts.values()) - sum(n for _, n in counts.most_common(4))} more of other kinds"
    if report.count(Severity.INFO):
        yield f"good to know: {report.count(Severity.INFO)} more (--report json lists them)"
    if report.run and report.command == "migrate":
        yield f"undo with: orpo-compat migrate {shown(str(report.plan.root))} --rollback"


def _how(report: Report, path: str) -> str:
    return f" ({report.how[path]})" if path in report.how else ""


def usage_lines(report: Report) -> Iterator[str]:
    """The inventory: per file, which names come from where, on which releases that works, and what would change."""
    edits = {file.path: len(file.edits) for file in report.plan.files}
    for path, grouped in groupby(report.usages, key=lambda use: use.path):
        uses = list(grouped)
        number = edits.get(path, 0)
        change = f"{number} to edit" if number else "nothing to change"
        yield f"{shown(path)}: works on {works_today(uses)}; {change}"
        yield from (f"  {use.line}: {use.module}.{use.name} ({use.works_on})" for use in uses)
