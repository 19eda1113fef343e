"""Which file is which kind of dependency list, or a lock file, and the command that makes it. Names decide."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import PurePosixPath


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

_BY_NAME = {
    "pyproject.toml": Format.PYPROJECT,
    "pipfile": Format.PIPFILE,
    "pixi.toml": Format.PIXI,
    "hatch.toml": Format.PYPROJECT,
    "setup.cfg": Format.SETUP_CFG,
    "tox.ini": Format.SETUP_CFG,
    "setup.py": Format.SETUP_PY,
}


def format_of(path: str) -> Format | None:
    """The format of the dependency list at `path`; None for every other file."""
    place = PurePosixPath(path)
    name = place.name.lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    if place.suffix.lower() in (".txt", ".in", ".pip") and lock_command(path) is None:
        if "constraint" in name:
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
