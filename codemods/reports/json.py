"""The report as one JSON document, complete: every edit, every finding, every digest. Its ``schema`` names its form."""

from __future__ import annotations

import json
from itertools import groupby
from typing import Any

from codemods import writing
from codemods.findings import Finding
from codemods.inventory import works_today
from codemods.plan import FilePlan
from codemods.reports.model import Report

SCHEMA = "orpo-compat/report/1"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _file(file: FilePlan, report: Report) -> dict[str, Any]:
    edits = [
        {
            "line": file.source.count(b"\n", 0, edit.start) + 1,
            "start": edit.start,
            "end": edit.end,
            "old": _text(edit.old),
            "new": _text(edit.new),
            "rule": edit.rule,
        }
        for edit in file.edits
    ]
    digests = {"before": writing.digest(file.source), "after": writing.digest(file.result)}
    return {"path": file.path, **digests, "how": report.how.get(file.path, ""), "edits": edits}


def _finding(finding: Finding, report: Report) -> dict[str, Any]:
    place = {"path": finding.path, "line": finding.line, "line_after": report.line_after(finding)}
    words = {"message": finding.message, "advice": finding.advice, "severity": finding.severity.value}
    return {"code": finding.code, **place, "column": finding.column, **words}


def as_document(report: Report) -> dict[str, Any]:
    """The report as plain JSON values."""
    plan = report.plan
    return {
        "schema": SCHEMA,
        "tool": {"name": "orpo-compat", "version": report.version},
        "command": report.command,
        "mode": report.mode,
        "exit_code": report.exit_code,
        "root": str(plan.root),
        "run": report.run,
        "gate": report.gate,
        "counts": {
            "listed": plan.num_listed,
            "read_closely": plan.num_candidates,
            "changed": len(plan.files),
            "edits": plan.num_edits,
            "findings": len(plan.findings),
        },
        "files": [_file(file, report) for file in plan.files],
        "findings": [_finding(finding, report) for finding in plan.findings],
        "usages": [
            {"path": use.path, "line": use.line, "module": use.module, "name": use.name, "works_on": use.works_on}
            for use in report.usages
        ],
        "works_today": {path: works_today(uses) for path, uses in groupby(report.usages, key=lambda use: use.path)},
    }


def render_json(report: Report) -> str:
    """The document as text; names that are not UTF-8 come out as lone surrogate escapes, as Python reads them."""
    return json.dumps(as_document(report), indent=2) + "\n"
