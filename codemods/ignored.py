"""Walks a folder that git does not manage, leaving out what its ``.gitignore`` files and good sense leave out.

Links are yielded as links and never entered. Folders that hold somebody else's code (virtual environments,
site-packages, caches, another repository) are not entered. Decides names only; reads nothing but ``.gitignore``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pathspec import GitIgnoreSpec

NEVER = frozenset(
    {
        ".git", ".hg", ".svn", ".orpo-compat", ".venv", "venv", "site-packages", "node_modules", "__pycache__",
        ".tox", ".nox", ".eggs", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints", ".conda",
    }
)  # fmt: skip

_Layer = tuple[str, GitIgnoreSpec]


def _layer(folder: str, prefix: str) -> list[_Layer]:
    path = Path(folder) / ".gitignore"
    try:
        lines = path.read_text("utf-8", "surrogateescape").splitlines()
    except (OSError, ValueError):
        return []
    return [(prefix, GitIgnoreSpec.from_lines(lines))]


def _is_ignored(path: str, layers: Sequence[_Layer]) -> bool:
    # The deepest file that has an opinion wins, as in git.
    for prefix, spec in reversed(layers):
        verdict = spec.check_file(path[len(prefix) :]).include
        if verdict is not None:
            return verdict
    return False


def _is_environment(entry: os.DirEntry[str]) -> bool:
    return os.path.lexists(os.path.join(entry.path, "pyvenv.cfg"))  # noqa: PTH118 - hot loop over str paths


def walk(root: Path) -> Iterator[str]:
    """Paths of files and links below ``root``, relative to it; a nested repository appears as ``name/``."""
    yield from _walk(str(root), "", [])


def _walk(folder: str, prefix: str, layers: list[_Layer]) -> Iterator[str]:
    layers = layers + _layer(folder, prefix)
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = prefix + entry.name
        if not entry.is_dir(follow_symlinks=False):
            if not _is_ignored(path, layers):
                yield path
        elif entry.name not in NEVER and not _is_environment(entry) and not _is_ignored(path + "/", layers):
            if os.path.lexists(os.path.join(entry.path, ".git")):  # noqa: PTH118 - hot loop over str paths
                yield path + "/"
            else:
                yield from _walk(entry.path, path + "/", layers)
