"""Source bytes in, source bytes out: the edits that move a file to orpo_compat or back, and what was left.

``rewrite`` is pure. A file that does not concern ORPO is returned as the same object; one that cannot be read, or
whose result would not parse, is returned unchanged with a finding that says why. Files, journals and terminals are
other modules' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from codemods.catalog import FORWARD, Move, backward
from codemods.decode import Decoded, decoded
from codemods.edits import Edit, arranged, inverted, splice
from codemods.errors import EditConflict, UnreadableSource
from codemods.findings import Finding, Severity
from codemods.options import Direction, Options
from codemods.triage import concerns, worth_parsing

_COMMENT = re.compile(rb"#[^\r\n]*")


@dataclass(frozen=True)
class Rewrite:
    """One file before and after. ``result is source`` when there is no edit."""

    source: bytes
    result: bytes
    edits: tuple[Edit, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether any byte differs."""
        return bool(self.edits)


def rewrite(
    source: bytes,
    *,
    path: str = "module.py",
    options: Options = Options(),  # noqa: B008 - frozen
    direction: Direction = Direction.FORWARD,
    to: str = "trl",
) -> Rewrite:
    """Rewrite one Python file.

    Args:
        source: the file's bytes.
        path: its path, for findings; ``__init__.py`` files keep names that others may import.
        options: what may be edited beyond imports and uses.
        direction: ``REVERSE`` moves orpo_compat's classes back to TRL by rule alone.
        to: with ``REVERSE``, the TRL module that gets them: ``trl``, ``trl.experimental.orpo``, or ``auto`` for the
            one that ``options.trl_version`` has.

    Raises:
        ValueError: ``to`` is no module where TRL had both classes.
    """
    move = FORWARD if direction is Direction.FORWARD else backward(to, options.trl_version)
    if not concerns(source, move, options):
        return Rewrite(source, source)
    try:
        text = decoded(source)
        if not worth_parsing(text.text, text.utf8, move):
            return Rewrite(source, source)
        return _rewritten(text, path, options, move, direction)
    except UnreadableSource as error:
        return Rewrite(source, source, (), (_unreadable(path, error.line, str(error)),))
    except RecursionError:
        return Rewrite(source, source, (), (_unreadable(path, 1, "it nests too deeply"),))


def invert(done: Rewrite) -> tuple[Edit, ...]:
    """The edits that turn ``done.result`` back into ``done.source``, byte for byte."""
    return inverted(done.edits)


def _rewritten(text: Decoded, path: str, options: Options, move: Move, direction: Direction) -> Rewrite:
    # libcst costs 0.1 s to import: only files that passed the triage pay.
    from codemods.engine import analysed

    analysis = analysed(text, path, options, move, direction)
    edits = arranged(
        Edit(
            text.to_raw(one.start),
            text.to_raw(one.end),
            text.raw[text.to_raw(one.start) : text.to_raw(one.end)],
            one.new.encode(text.encoding),
            one.rule,
        )
        for one in analysis.changes
    )
    findings = tuple(sorted(analysis.findings, key=lambda one: (one.line, one.column, one.code)))
    if not edits:
        return Rewrite(text.raw, text.raw, (), findings)
    try:
        result = splice(text.raw, edits)
    except EditConflict as error:
        return Rewrite(text.raw, text.raw, (), (*findings, _unsound(path, str(error))))
    if lost := _lost_comment(edits):
        return Rewrite(text.raw, text.raw, (), (*findings, _unsound(path, f"the comment {lost!r} would be lost")))
    if not analysis.accepts(result):
        return Rewrite(text.raw, text.raw, (), (*findings, _unsound(path, "the result does not parse")))
    return Rewrite(text.raw, result, edits, findings)


def _lost_comment(edits: Iterable[Edit]) -> str | None:
    """A comment that an edit takes out and none puts back."""
    edits = tuple(edits)
    kept = b"\n".join(edit.new for edit in edits)
    for edit in edits:
        for comment in _COMMENT.findall(edit.old):
            if comment.rstrip() not in kept:
                return str(comment.decode("utf-8", "replace"))
    return None


def _unreadable(path: str, line: int, reason: str) -> Finding:
    return Finding(
        "OC115",
        path,
        line,
        1,
        f"Left alone: {reason}.",
        "Migrate its mentions of TRL's ORPO by hand, or make it readable and run again.",
    )


def _unsound(path: str, reason: str) -> Finding:
    return Finding(
        "OC115",
        path,
        1,
        1,
        f"Left alone: the rewrite was worked out, but {reason}.",
        "Please report the file's import statements as a bug, and migrate it by hand.",
        Severity.ERROR,
    )
