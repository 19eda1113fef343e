"""Documents that show code: edited only when asked, reported line by line otherwise.

The rules decide what would change in either case, so the report of an untouched page is exact. Prose and
everything the scanners could not read are searched for mentions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from codemods.containers.blocks import scopes_of
from codemods.containers.fences import Page, read_markdown
from codemods.containers.hosted import Outcome, merged, rewrite_scope
from codemods.containers.installs import report_installs
from codemods.containers.mentions import Places, excerpt, mention_spans, prose_spans, report_mentions
from codemods.containers.restructured import read_rst
from codemods.containers.task import Task
from codemods.edits import Edit
from codemods.findings import Finding, Severity
from codemods.rewrite import Rewrite

_ADVICE = "--docs rewrites it."


def rewrite_markdown(task: Task) -> Rewrite:
    """Fences and doctests of a Markdown-like page."""
    return _rewrite_document(task, read_markdown)


def rewrite_rst(task: Task) -> Rewrite:
    """Code directives and doctests of a reStructuredText page."""
    return _rewrite_document(task, read_rst)


def _rewrite_document(task: Task, read: Callable[[bytes], Page]) -> Rewrite:
    source = task.source
    try:
        source.decode("utf-8")
    except UnicodeDecodeError as trouble:
        advice = "Convert the file to UTF-8, or change it by hand."
        message = f"Not UTF-8 (byte {trouble.start}), and mentions TRL's ORPO: {{mention}}"
        return task.unchanged(*report_mentions(task.path, task.places, code="OC115", message=message, advice=advice))
    outcomes = [rewrite_scope(task, scope, "OC118") for scope in scopes_of(source, read(source).blocks)]
    if not task.options.docs:
        outcomes = [_reported(task, outcome) for outcome in outcomes]
    told = _lines_told(task.places, outcomes)
    around = _report_around(task, told) if task.forward else []
    return merged(task, [*outcomes, Outcome((), tuple(around))])


def _reported(task: Task, outcome: Outcome) -> Outcome:
    """What the rules would have edited, as findings; their other remarks are left for the day of the edit."""
    places = task.places
    found: dict[int, Finding] = {}
    for edit in (one for one in outcome.edits if one.old):
        line, column = places.at(edit.start)
        message = f"Example code uses TRL's ORPO: {excerpt(task.source, edit.start)}"
        found.setdefault(line, Finding("OC118", task.path, line, column, message, _ADVICE))
    for finding in outcome.findings:
        if finding.code in ("OC115", "OC118"):
            found.setdefault(finding.line, replace(finding, code="OC118"))
    return Outcome((), tuple(found.values()))


def _lines_told(places: Places, outcomes: list[Outcome]) -> set[int]:
    """Lines that an edit changes or a finding names."""
    lines = {finding.line for outcome in outcomes for finding in outcome.findings}
    for outcome in outcomes:
        lines.update(line for edit in outcome.edits for line in _lines_of(places, edit))
    return lines


def _lines_of(places: Places, edit: Edit) -> range:
    return range(places.at(edit.start)[0], places.at(max(edit.end - 1, edit.start))[0] + 1)


def _report_around(task: Task, told: set[int]) -> list[Finding]:
    found: list[Finding] = []
    for spans in (mention_spans, prose_spans):
        found += report_mentions(
            task.path,
            task.places,
            code="OC118",
            message="The text mentions TRL's ORPO: {mention}",
            advice="Update it by hand.",
            severity=Severity.INFO,
            told=told | {finding.line for finding in found},
            spans=spans,
        )
    return found + report_installs(task.path, task.places)
