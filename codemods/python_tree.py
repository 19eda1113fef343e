"""Python's own tree of a text, without what its parser would say on the terminal."""

from __future__ import annotations

import ast
import warnings


def python_tree(source: bytes | str) -> ast.Module | None:
    """Parse a module; None for what the running Python does not read. Warnings, as of odd escapes, are kept quiet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
