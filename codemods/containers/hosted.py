"""Runs the rules over a virtual module and brings edits and findings home to the file that holds it.

The promise checked here: what the file now says, read again, is exactly what the rules wrote. Where that
cannot be kept the file's scope is left alone and every place that would have moved is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from codemods.containers.mentions import Places
from codemods.containers.task import Task
from codemods.containers.virtual import Host, UnmappableEdit, Virtual, map_back
from codemods.edits import Edit
from codemods.findings import Finding
from codemods.rewrite import Rewrite


@dataclass(frozen=True)
class Scope:
    """One namespace of Python inside a file: its text, how to write to it, and how to name a place in it."""

    virtual: Virtual
    host: Host
    place: Callable[[int], str] = field(default=lambda position: "")
    """Words before a message, given a virtual offset; such as `cell 3: `."""


@dataclass(frozen=True)
class Outcome:
    """What the rules made of one scope, in terms of the file."""

    edits: tuple[Edit, ...] = ()
    findings: tuple[Finding, ...] = ()
    text: bytes | None = None
    """The scope's Python as the rules left it."""


def rewrite_scope(task: Task, scope: Scope, code: str) -> Outcome:
    """The rules' edits and findings for one scope. `code` is the finding for what cannot be mapped back."""
    virtual = scope.virtual
    inner = task.apply_rules(virtual.text)
    placed = [(virtual.places.offset(finding.line, finding.column), finding) for finding in inner.findings]
    findings = tuple(
        _at_home(task.places, scope, position, finding)
        for position, finding in placed
        if not virtual.is_masked(position)
    )
    try:
        edits = tuple(map_back(task.source, virtual, inner.edits, scope.host))
    except UnmappableEdit as trouble:
        stuck = tuple(_stuck(scope, task.places, edit, task.path, code, str(trouble)) for edit in inner.edits)
        return Outcome((), findings + stuck)
    return Outcome(edits, findings, inner.result)


def _at_home(places: Places, scope: Scope, position: int, finding: Finding) -> Finding:
    line, column = places.at(scope.virtual.file_offset(position))
    return replace(finding, line=line, column=column, message=scope.place(position) + finding.message)


def _stuck(scope: Scope, places: Places, edit: Edit, path: str, code: str, why: str) -> Finding:
    line, column = places.at(scope.virtual.file_offset(edit.start))
    old, new = (text.decode("utf-8", "replace").strip() for text in (edit.old, edit.new))
    return Finding(
        code,
        path,
        line,
        column,
        f"{scope.place(edit.start)}not rewritten: {why}.",
        f"Change it by hand: {old!r} becomes {new!r}.",
    )


def merged(task: Task, outcomes: Sequence[Outcome]) -> Rewrite:
    """The file after the edits of all scopes, with all that was found."""
    edits = tuple(edit for outcome in outcomes for edit in outcome.edits)
    return task.result(edits, tuple(finding for outcome in outcomes for finding in outcome.findings))
