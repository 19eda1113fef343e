"""Python files: the rules do the work; a PEP 723 header is a dependency list on top.

Jupytext's percent scripts and marimo's apps are ordinary modules to the rules. Their shell lines, which are
comments to Python, are reported.
"""

from __future__ import annotations

import re
from dataclasses import replace

from codemods.containers.blocks import Block, BlockHost, CodeLine, physical_lines
from codemods.containers.doubles import report_doubles
from codemods.containers.installs import report_installs
from codemods.containers.marimo_app import flattened
from codemods.containers.mentions import Places
from codemods.containers.python_installs import report_python_installs
from codemods.containers.silenced import silenced
from codemods.containers.task import Task
from codemods.containers.virtual import Piece, UnmappableEdit, Virtual, map_back
from codemods.edits import Edit
from codemods.findings import Finding, Severity
from codemods.manifests.formats import format_of
from codemods.rewrite import Rewrite

_HEADER = re.compile(
    rb"^# /// script[ \t]*(?:\r\n|\r|\n)(?P<body>(?:^#(?:| [^\r\n]*)(?:\r\n|\r|\n))+?)^# ///[ \t]*$", re.MULTILINE
)
_NO_SHELL = re.compile(rb"(?m)^(?![ \t]*#[ \t]*(?:MAGIC[ \t]*)?[!%])[^\r\n]*")
_PAIRED = re.compile(rb"formats:[ \t]*['\"]?[^\r\n]*ipynb[^\r\n]*")


def rewrite_python(task: Task) -> Rewrite:
    """A module or script, with its inline dependency list and, for setup.py, its requirement lists."""
    done = _rules_applied(task)
    uses_ours = b"orpo_compat" in (done.result if task.forward else done.source)
    listed = [*_rewrite_setup(task), *([_rewrite_header(task)] if uses_ours else [])]
    edits = [*done.edits, *(edit for part in listed for edit in part.edits)]
    remarks = [finding for part in listed for finding in part.findings]
    known = {finding.line for finding in remarks}
    findings = [one for one in done.findings if one.code != "OC120" or one.line not in known]
    if task.forward and not task.shadowed:
        findings = silenced(task.source, findings, _environment(task, done, remarks))
    if task.forward:
        remarks += _shell_comments(task) + _pairing(task, changed=bool(done.edits))
    return task.result(tuple(edits), (*findings, *remarks))


def _environment(task: Task, done: Rewrite, told: list[Finding]) -> list[Finding]:
    """What the module does to the environment: packages it installs, doubles it puts where TRL was."""
    found = report_python_installs(task.path, task.places, frozenset(one.line for one in told))
    judged = bool(done.edits) or any(one.code == "OC104" for one in done.findings)
    return found if judged else [*found, *report_doubles(task.path, task.places)]


def _rules_applied(task: Task) -> Rewrite:
    """The rules' edits; for a marimo app, those of its cells as one namespace."""
    flat = flattened(task.source)
    if flat is not None:
        done = task.apply_rules(flat)
        if all(task.source[edit.start : edit.end] == edit.old for edit in done.edits):
            return task.result(done.edits, (*done.findings, *_stale_signatures(task, done)))
    return task.apply_rules(task.source)


def _stale_signatures(task: Task, done: Rewrite) -> list[Finding]:
    """Cells that now share another module than their parameters and return values say."""
    imported = re.search(rb"(?m)^[ \t]*import orpo_compat\b", done.result)
    if imported is None or not done.edits:
        return []
    line, column = Places(done.result).at(imported.start())
    message = "The cells' parameters and return values still name the old module; marimo does not read them."
    return [Finding("OC117", task.path, line, column, message, "`marimo check --fix` renews them.", Severity.INFO)]


def _rewrite_setup(task: Task) -> list[Rewrite]:
    """The requirement lists of a setup.py."""
    if format_of(task.path) is None:
        return []
    from codemods.manifests.edit import rewrite_manifest

    return [rewrite_manifest(task)]


def _rewrite_header(task: Task) -> Rewrite:
    """The `# /// script` block as the TOML it holds, edited behind its comment marks."""
    match = _HEADER.search(task.source)
    if match is None:
        return task.unchanged()
    from codemods.manifests.edit import rewrite_script_list

    lines = [_uncommented(task.source, start, end) for start, end in _spans(task.source, match)]
    block = Block(tuple(lines))
    virtual = Virtual(tuple(Piece(task.source[line.body : line.end], line.body, line.end) for line in lines))
    inner = rewrite_script_list(replace(task, source=virtual.text))
    host = BlockHost(task.source, [(block, line) for line in lines])
    findings = tuple(_at_home(task, virtual, finding) for finding in inner.findings)
    try:
        edits: tuple[Edit, ...] = tuple(map_back(task.source, virtual, inner.edits, host))
    except UnmappableEdit:
        edits = ()
    return task.result(edits, findings)


def _spans(source: bytes, match: re.Match[bytes]) -> list[tuple[int, int]]:
    first, last = match.span("body")
    return [(start, end) for start, end in physical_lines(source[:last], first)]


def _uncommented(source: bytes, start: int, end: int) -> CodeLine:
    return CodeLine(start, start + (2 if source[start : start + 2] == b"# " else 1), end)


def _at_home(task: Task, virtual: Virtual, finding: Finding) -> Finding:
    position = virtual.places.offset(finding.line, finding.column)
    line, column = task.places.at(virtual.file_offset(position))
    return replace(finding, line=line, column=column)


def _shell_comments(task: Task) -> list[Finding]:
    """`# !pip install trl` of a percent script, or `# MAGIC %pip` of Databricks: it runs in the notebook they are."""
    if not any(mark in task.source for mark in (b"# %%", b"jupytext", b"# MAGIC")):
        return []
    text = _NO_SHELL.sub(lambda match: b" " * len(match.group()), task.source)
    return report_installs(task.path, task.places, text)


def _pairing(task: Task, *, changed: bool) -> list[Finding]:
    """A script that Jupytext keeps in step with a notebook."""
    match = _PAIRED.search(task.source, 0, 4000)
    if match is None or not changed or b"jupytext" not in task.source[:4000]:
        return []
    line, column = task.places.at(match.start())
    message = "Jupytext pairs this file with a notebook; both hold the same code."
    return [Finding("OC117", task.path, line, column, message, "Run `jupytext --sync` after the migration.")]
