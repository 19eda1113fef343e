"""Sends each file to the code that knows its kind."""

from __future__ import annotations

from codemods.containers.configs import rewrite_config
from codemods.containers.documents import rewrite_markdown, rewrite_rst
from codemods.containers.kind import Kind, kind_of
from codemods.containers.notebook import rewrite_notebook
from codemods.containers.script import rewrite_python
from codemods.containers.task import Task
from codemods.containers.text import report_lock, report_near_python, report_text
from codemods.manifests.edit import rewrite_manifest
from codemods.options import Direction, Options
from codemods.rewrite import Rewrite

_HANDLERS = {
    Kind.PYTHON: rewrite_python,
    Kind.NOTEBOOK: rewrite_notebook,
    Kind.MARKDOWN: rewrite_markdown,
    Kind.RST: rewrite_rst,
    Kind.MANIFEST: rewrite_manifest,
    Kind.LOCK: report_lock,
    Kind.NEAR_PYTHON: report_near_python,
    Kind.TEXT: report_text,
}


def rewrite_file(
    path: str,
    source: bytes,
    options: Options,
    direction: Direction = Direction.FORWARD,
    *,
    to: str = "trl",
) -> Rewrite:
    """Rewrites one file of any kind.

    Args:
        path: the file's path, by which its kind is told and which findings carry.
        source: its bytes.
        options: what may be edited beyond Python's imports and uses.
        direction: `REVERSE` moves orpo_compat's names back to TRL.
        to: with `REVERSE`, the TRL module that gets them.

    Returns:
        Edits as byte spans of `source`, whatever the kind; `result is source` when there are none.
    """
    task = Task(path, source, options, direction, to)
    kind = kind_of(path, source[:200])
    handler = _HANDLERS.get(kind)
    return handler(task) if handler else rewrite_config(task, kind)
