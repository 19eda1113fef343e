"""Whether a file that says nothing of ORPO has TRL installed somewhere, or doubles it, so that it matters all the same.

Asked of every file of a tree that has the letters ``trl`` in it, so the cheap questions come first.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from codemods.containers.doubles import doubles
from codemods.containers.installs import install_offsets
from codemods.containers.kind import Kind, kind_of
from codemods.containers.package_lists import package_offsets
from codemods.containers.python_installs import python_installs
from codemods.containers.text import PROSE
from codemods.manifests.formats import format_of

_CONFIGS = frozenset({Kind.YAML, Kind.JSON, Kind.TOML, Kind.DOTENV, Kind.TEXT})


def concerns_trl(path: str, content: bytes) -> bool:
    """Whether the file lists or installs trl, as a dependency list, a command, a list or a call, or doubles it."""
    if not _names_trl(content):
        return False
    if format_of(path) is not None:
        return True
    if PurePosixPath(path).suffix.lower() in PROSE:
        return False
    kind = kind_of(path, content[:200])
    if kind is Kind.PYTHON:
        return bool(python_installs(content) or doubles(content))
    return bool(install_offsets(content)) or (kind in _CONFIGS and bool(package_offsets(content)))


def _names_trl(content: bytes) -> bool:
    """Whether ``trl`` stands there as a word; "ctrl" and "strlen" are common."""
    at = content.find(b"trl")
    while at >= 0:
        around = content[max(at - 1, 0) : at] + content[at + 3 : at + 4]
        if not any(byte == 95 or chr(byte).isalnum() for byte in around):
            return True
        at = content.find(b"trl", at + 3)
    return False
