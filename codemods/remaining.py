"""The net under every rule: what still speaks of TRL's ORPO after a rewrite and is in no finding yet.

A reader who searches the switched tree for the moved names must find nothing that the report does not list, so a
mention that no rule had a reason to report (an already migrated ladder's second rung, prose in a comment) is listed
here, as good to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from codemods.containers.mentions import Places, mention_spans
from codemods.edits import Edit
from codemods.findings import Finding, Severity


def source_offset(edits: Sequence[Edit], offset: int) -> int:
    """Where byte ``offset`` of the result lay in the source; the start of the edit for bytes an edit put in."""
    shift = 0
    for edit in edits:
        start = edit.start + shift
        if offset < start:
            break
        if offset < start + len(edit.new):
            return edit.start
        shift += edit.growth
    return offset - shift


def remaining(
    path: str, source: bytes, result: bytes, edits: Sequence[Edit], findings: Iterable[Finding]
) -> Iterator[Finding]:
    """One finding for each line of ``result`` that mentions TRL's ORPO and that ``findings`` do not cover."""
    listed = {finding.line for finding in findings}
    places = Places(source)
    for start, end in mention_spans(result):
        line, column = places.at(source_offset(edits, start))
        lines = range(line, places.at(source_offset(edits, end - 1))[0] + 1)
        if listed.isdisjoint(lines):
            listed.update(lines)
            message = "Still names TRL's ORPO, and no rule had a reason to change it."
            yield Finding("OC103", path, line, column, message, "Nothing to do unless this line runs.", Severity.INFO)
