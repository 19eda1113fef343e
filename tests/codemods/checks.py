"""Three verbs for codemod tests: nothing to do, rewritten, left alone with findings. Each also holds the laws.

Whatever a case is about, the edits must splice to the result and back to the source, a second run must change nothing,
and what Python could parse before it must parse after.
"""

from __future__ import annotations

import ast

from codemods.edits import splice
from codemods.options import Options
from codemods.rewrite import Rewrite, invert, rewrite


def check_noop(before: str | bytes, *, path: str = "train.py", options: Options | None = None) -> None:
    """The very same object comes back, and nothing is said."""
    done = _lawful(before, path, options)
    assert done.result is done.source
    assert done.findings == ()


def check_rewrites(
    before: str | bytes, after: str | bytes, *codes: str, path: str = "train.py", options: Options | None = None
) -> Rewrite:
    """``before`` becomes ``after``, with findings of exactly these codes."""
    done = _lawful(before, path, options)
    assert done.result == _bytes(after)
    assert _codes(done) == sorted(codes)
    return done


def check_refuses(before: str | bytes, *codes: str, path: str = "train.py", options: Options | None = None) -> Rewrite:
    """No byte changes, and findings of exactly these codes say why."""
    assert codes
    done = _lawful(before, path, options)
    assert done.result is done.source
    assert _codes(done) == sorted(codes)
    return done


def _lawful(before: str | bytes, path: str, options: Options | None) -> Rewrite:
    source = _bytes(before)
    done = rewrite(source, path=path, options=options or Options())
    assert splice(source, done.edits) == done.result
    assert splice(done.result, invert(done)) == source
    assert done.changed == (done.result != source)
    again = rewrite(done.result, path=path, options=options or Options())
    assert again.result is again.source, again.result
    if parses(source):
        assert parses(done.result), done.result
    assert all(finding.path == path and finding.line >= 1 and finding.column >= 1 for finding in done.findings)
    return done


def parses(source: bytes) -> bool:
    """Whether the running Python accepts the bytes."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _codes(done: Rewrite) -> list[str]:
    return sorted({finding.code for finding in done.findings})
