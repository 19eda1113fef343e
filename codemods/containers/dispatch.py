"""Sends each file to the code that knows its kind, and loads no more than that: most files are Python."""

from __future__ import annotations

from importlib import import_module

from codemods.containers.kind import Kind, kind_of
from codemods.containers.task import Task
from codemods.options import Direction, Options
from codemods.rewrite import Rewrite

_HANDLERS = {
    Kind.PYTHON: ("codemods.containers.script", "rewrite_python"),
    Kind.NOTEBOOK: ("codemods.containers.notebook", "rewrite_notebook"),
    Kind.MARKDOWN: ("codemods.containers.documents", "rewrite_markdown"),
    Kind.RST: ("codemods.containers.documents", "rewrite_rst"),
    Kind.MANIFEST: ("codemods.containers.configs", "rewrite_dependency_list"),
    Kind.LOCK: ("codemods.containers.text", "report_lock"),
    Kind.NEAR_PYTHON: ("codemods.containers.text", "report_near_python"),
    Kind.TEXT: ("codemods.containers.text", "report_text"),
    Kind.YAML: ("codemods.containers.configs", "rewrite_yaml"),
    Kind.JSON: ("codemods.containers.configs", "rewrite_json"),
    Kind.TOML: ("codemods.containers.configs", "rewrite_toml"),
    Kind.DOTENV: ("codemods.containers.configs", "rewrite_dotenv"),
}

_SPELLED_OUT = {Kind.TEXT, Kind.NEAR_PYTHON, Kind.YAML, Kind.JSON, Kind.TOML, Kind.DOTENV}
"""Searched by spelling alone: where `trl` is a package of the repository's own, the spelling says nothing."""


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
    kind = kind_of(path, source[:200])
    if source.startswith((b"\xff\xfe", b"\xfe\xff")) and kind is not Kind.PYTHON:
        module, function = "codemods.containers.text", "report_wide"
    else:
        module, function = _HANDLERS[kind]
    task = Task(path, source, options, direction, to)
    if task.shadowed and kind in _SPELLED_OUT:
        return task.unchanged()
    done: Rewrite = getattr(import_module(module), function)(task)
    return done
