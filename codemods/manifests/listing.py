"""Reads a dependency list of any format into entries. A file that cannot be read yields a reason instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from codemods.manifests.conda import NotYaml, conda_entries
from codemods.manifests.entry import Entry
from codemods.manifests.formats import Format
from codemods.manifests.line_files import is_compiled, requirements_entries, setup_cfg_entries
from codemods.manifests.setup_py import setup_py_entries
from codemods.manifests.toml_files import pipfile_entries, pixi_entries, pyproject_entries, script_entries
from codemods.manifests.toml_spans import NotToml


@dataclass(frozen=True)
class Listing:
    """The entries of one file; `trouble` says why there are none."""

    entries: tuple[Entry, ...] = ()
    trouble: str = ""
    compiled: bool = False
    """Made by a tool, or pinned by hashes: not for editing."""


_SCANS: dict[Format, Callable[[bytes], list[Entry]]] = {
    Format.REQUIREMENTS: requirements_entries,
    Format.CONSTRAINTS: lambda source: requirements_entries(source, constraint=True),
    Format.PYPROJECT: pyproject_entries,
    Format.PIPFILE: pipfile_entries,
    Format.PIXI: pixi_entries,
    Format.SETUP_CFG: setup_cfg_entries,
    Format.SETUP_PY: setup_py_entries,
    Format.CONDA: conda_entries,
    Format.SCRIPT: script_entries,
}


def read_listing(kind: Format, source: bytes) -> Listing:
    """All entries of a dependency list."""
    try:
        entries = tuple(_SCANS[kind](source))
    except (NotToml, NotYaml, UnicodeDecodeError) as trouble:
        return Listing(trouble=str(trouble))
    compiled = kind in (Format.REQUIREMENTS, Format.CONSTRAINTS) and is_compiled(source)
    return Listing(entries, compiled=compiled)
