"""Which file is which kind of dependency list, and the entries in it.

Names decide; nothing is opened. A format that cannot be read yields no entries and a reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePosixPath

from codemods.manifests.conda import NotYaml, conda_entries
from codemods.manifests.entry import Entry
from codemods.manifests.line_files import is_compiled, is_constraints, requirements_entries, setup_cfg_entries
from codemods.manifests.setup_py import setup_py_entries
from codemods.manifests.toml_files import pipfile_entries, pixi_entries, pyproject_entries, script_entries
from codemods.manifests.toml_spans import NotToml


class Format(Enum):
    """The formats of dependency lists that can be edited."""

    REQUIREMENTS = "requirements file"
    CONSTRAINTS = "constraints file"
    PYPROJECT = "pyproject.toml"
    PIPFILE = "Pipfile"
    PIXI = "pixi.toml"
    SETUP_CFG = "setup.cfg"
    SETUP_PY = "setup.py"
    CONDA = "conda environment"
    SCRIPT = "inline script metadata"


@dataclass(frozen=True)
class Listing:
    """The entries of one file; `trouble` says why there are none."""

    entries: tuple[Entry, ...] = ()
    trouble: str = ""
    compiled: bool = False
    """Made by a tool, or pinned by hashes: not for editing."""


_REQUIREMENTS = re.compile(
    r"(?i)^(?:.*[-_.])?require(?:ments?|s)?(?:[-_.].*)?\.(?:txt|in|pip)$|^(?:.*[-_.])?reqs?(?:[-_.].*)?\.txt$"
)
_CONDA = re.compile(r"(?i)^(?:.*[-_.])?(?:conda|env|environment)(?:[-_.].*)?\.ya?ml$")
_LOCKS = {
    "uv.lock": "uv lock",
    "poetry.lock": "poetry lock",
    "pdm.lock": "pdm lock",
    "pipfile.lock": "pipenv lock",
    "pixi.lock": "pixi lock",
    "pylock.toml": "your installer's lock command",
    "conda-lock.yml": "conda-lock",
    "requirements.lock": "rye lock, or uv pip compile",
    "requirements-dev.lock": "rye lock, or uv pip compile",
}

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
_BY_NAME = {
    "pyproject.toml": Format.PYPROJECT,
    "pipfile": Format.PIPFILE,
    "pixi.toml": Format.PIXI,
    "setup.cfg": Format.SETUP_CFG,
    "setup.py": Format.SETUP_PY,
}


def format_of(path: str) -> Format | None:
    """The format of the dependency list at `path`; None for every other file."""
    place = PurePosixPath(path)
    name = place.name.lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    if place.suffix.lower() in (".txt", ".in", ".pip") and lock_command(path) is None:
        if is_constraints(path):
            return Format.CONSTRAINTS
        if _REQUIREMENTS.match(name) or place.parent.name.lower() in ("requirements", "requires"):
            return Format.REQUIREMENTS
    if _CONDA.match(name) and name not in _LOCKS:
        return Format.CONDA
    return None


def lock_command(path: str) -> str | None:
    """The command that makes the lock file at `path` anew; None for a file that is no lock."""
    name = PurePosixPath(path).name.lower()
    if name in _LOCKS:
        return _LOCKS[name]
    if re.match(r"pylock\..*\.toml$", name):
        return _LOCKS["pylock.toml"]
    if name.endswith(".lock") and "require" in name:
        return _LOCKS["requirements.lock"]
    return None


def read_listing(kind: Format, source: bytes) -> Listing:
    """All entries of a dependency list."""
    try:
        entries = tuple(_SCANS[kind](source))
    except (NotToml, NotYaml, UnicodeDecodeError) as trouble:
        return Listing(trouble=str(trouble))
    compiled = kind in (Format.REQUIREMENTS, Format.CONSTRAINTS) and is_compiled(source)
    return Listing(entries, compiled=compiled)
