"""Files that are only ever reported: shell scripts, Dockerfiles, CI recipes, templates, lock files, other languages."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from codemods.containers.installs import report_installs
from codemods.containers.mentions import Places, prose_spans, report_mentions
from codemods.containers.package_lists import report_packages
from codemods.containers.recipes import report_frameworks, report_loss_type, report_recipe
from codemods.containers.task import Task
from codemods.findings import Finding, Severity
from codemods.manifests.entry import REQUIREMENT
from codemods.manifests.formats import lock_command
from codemods.rewrite import Rewrite

_LOCKED = re.compile(
    rb"(?m)^[ \t]*(?:-[ \t]+)?name[ \t]*[=:][ \t]*[\"']?trl[\"']?[ \t]*\r?$"
    rb"|\"trl\"[ \t]*:[ \t\r\n]*\{"
    rb"|^trl[ \t]*=="
    rb"|/trl-\d[^\s/]*\.(?:whl|tar\.gz)"
)

PROSE = frozenset({".txt", ".text", ".log", ".html", ".htm", ".tex", ".org", ".adoc", ".csv", ".tsv", ".svg", ".jsonl"})
"""Texts for readers, and records of what was: nothing breaks when they stay."""


def report_near_python(task: Task) -> Rewrite:
    """A template, Cython or IPython file: looks like Python, and no Python parser may judge it."""
    return _reported(task, "OC115", "Not plain Python, so not rewritten: {mention}", "Change it by hand.")


def report_text(task: Task) -> Rewrite:
    """Any other text: code inside shell commands, recipes and other languages."""
    advice = "Write orpo_compat in place of TRL's module by hand."
    if PurePosixPath(task.path).suffix.lower() in PROSE:
        return _reported(task, "OC118", "Mentions TRL's ORPO: {mention}", "Update it by hand.", Severity.INFO)
    return _reported(task, "OC119", "Mentions TRL's ORPO: {mention}", advice)


def report_wide(task: Task) -> Rewrite:
    """A file in UTF-16, whatever it holds."""
    try:
        text = task.source.decode("utf-16").encode("utf-8")
    except UnicodeError:
        return task.unchanged()
    advice = "Convert the file to UTF-8, or change it by hand."
    message = "Written in UTF-16, so not rewritten: {mention}"
    found = (
        report_mentions(task.path, Places(text), code="OC115", message=message, advice=advice) if task.forward else []
    )
    return task.unchanged(*found)


def _reported(task: Task, code: str, message: str, advice: str, severity: Severity = Severity.WARNING) -> Rewrite:
    if not task.forward:
        return task.unchanged()
    findings = report_mentions(task.path, task.places, code=code, message=message, advice=advice, severity=severity)
    findings += report_mentions(
        task.path,
        task.places,
        code=code,
        message="Speaks of TRL's ORPO: {mention}",
        advice="Nothing to do unless it describes what the code does.",
        severity=Severity.INFO,
        told={finding.line for finding in findings},
        spans=prose_spans,
    )
    findings += report_frameworks(task.path, task.places) + report_loss_type(task.path, task.places)
    findings += report_installs(task.path, task.places)
    if severity is not Severity.INFO:
        findings += report_packages(task.path, task.places)
    findings += report_recipe(task.path, task.places, "flags")
    return task.result((), tuple(findings))


def report_lock(task: Task) -> Rewrite:
    """A lock file is made, never edited."""
    match = _LOCKED.search(task.source)
    if match is None or not task.forward:
        return task.unchanged()
    line, column = task.places.at(match.start() + len(match.group()) - len(match.group().lstrip()))
    message = "The lock file holds trl; lock files are never edited."
    if b"orpo-compat" in task.source or b"orpo_compat" in task.source:
        return task.unchanged()
    advice = f"Once {REQUIREMENT} is in the dependency list, lock again: {lock_command(task.path)}."
    return task.unchanged(Finding("OC120", task.path, line, column, message, advice, Severity.WARNING))
