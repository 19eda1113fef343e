"""Calls that replace a class inside TRL by its dotted name: ``mock.patch("trl.ORPOTrainer")`` and the like.

Code in the same file that looks the class up while the patch holds must keep looking where the patch is. Imports at
the top of the file have run before any patch, and are free to move.
"""

from __future__ import annotations

import libcst as cst

from codemods.context import Context, callee, literal

PATCHERS = {"patch", "setattr", "delattr"}


def string_patch(context: Context) -> cst.Call | None:
    """The first such call, None when there is none or ``--strings`` will rewrite it."""
    if context.options.strings:
        return None
    for fact in context.survey.calls:
        call = fact.node
        assert isinstance(call, cst.Call)
        if callee(call).rpartition(".")[2] in PATCHERS and call.args:
            path = literal(call.args[0].value) or ""
            parts = path.split(".")
            if "." in path and path in context.move.packages:
                return call
            if any(context.move.moves(".".join(parts[:length])) for length in range(2, len(parts) + 1)):
                return call
    return None
