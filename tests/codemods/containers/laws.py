"""The laws every container keeps, checked on whatever a test rewrites."""

from __future__ import annotations

from codemods.containers import rewrite_file
from codemods.edits import splice
from codemods.options import Options
from codemods.rewrite import Rewrite, invert


def rewritten(path: str, source: bytes, options: Options | None = None) -> Rewrite:
    """Rewrites, and holds the result to the laws: edits explain it, undo is exact, twice is once."""
    wish = options or Options()
    done = rewrite_file(path, source, wish)
    assert done.source == source
    assert done.result == splice(source, done.edits)
    assert splice(done.result, invert(done)) == source
    assert_outside_is_untouched(done)
    again = rewrite_file(path, done.result, wish)
    assert again.edits == (), f"a second run changed {again.edits}"
    assert again.result == done.result
    return done


def assert_outside_is_untouched(done: Rewrite) -> None:
    """Every byte outside the reported spans stands in the result, in order, between the new texts."""
    at_source = at_result = 0
    for edit in done.edits:
        kept = done.source[at_source : edit.start]
        assert done.result[at_result : at_result + len(kept)] == kept
        at_result += len(kept)
        assert done.result[at_result : at_result + len(edit.new)] == edit.new
        at_result += len(edit.new)
        at_source = edit.end
    assert done.result[at_result:] == done.source[at_source:]


def codes(done: Rewrite) -> list[str]:
    """The codes of the findings, in order of place."""
    return [finding.code for finding in done.findings]


def lines_with(done: Rewrite, code: str) -> list[int]:
    """The lines on which `code` was found."""
    return [finding.line for finding in done.findings if finding.code == code]
