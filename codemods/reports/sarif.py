"""Findings and pending edits as SARIF 2.1.0, for code-scanning pages and pull-request annotations."""

from __future__ import annotations

import json
from typing import Any

from codemods.findings import CODES, Finding, Severity
from codemods.plan import FilePlan
from codemods.reports.model import Report, uri

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_MOVE = "OC100"
_HOME = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html"


def _location(path: str, line: int, column: int = 1) -> dict[str, Any]:
    region = {"startLine": max(1, line), "startColumn": max(1, column)}
    artifact = {"uri": uri(path), "uriBaseId": "ROOT"}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}


def _finding(finding: Finding, report: Report) -> dict[str, Any]:
    line = report.line_after(finding) if report.mode == "written" else finding.line
    return {
        "ruleId": finding.code,
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message} {finding.advice}".strip()},
        "locations": [_location(finding.path, line, finding.column)],
    }


def _pending(file: FilePlan) -> list[dict[str, Any]]:
    lines = sorted({file.source.count(b"\n", 0, edit.start) + 1 for edit in file.edits})
    message = {"text": "ORPO is still taken from TRL here; `orpo-compat migrate` moves it."}
    where = [_location(file.path, line) for line in lines]
    return [{"ruleId": _MOVE, "level": "note", "message": message, "locations": [place]} for place in where]


def _rules(used: set[str]) -> list[dict[str, Any]]:
    names = {**CODES, _MOVE: "ORPO taken from TRL", "OC151": "rollback: edited since the switch"}
    return [{"id": code, "shortDescription": {"text": names.get(code, code)}} for code in sorted(used)]


def render_sarif(report: Report) -> str:
    """One SARIF run. A tree that was written has no pending edits left to annotate."""
    results = [_finding(finding, report) for finding in report.plan.findings]
    if report.mode != "written":
        results += [result for file in report.plan.files for result in _pending(file)]
    driver = {
        "name": "orpo-compat",
        "version": report.version,
        "informationUri": _HOME,
        "rules": _rules({result["ruleId"] for result in results}),
    }
    base = {"ROOT": {"description": {"text": "the folder that was migrated"}}}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": base,
        "results": results,
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"
