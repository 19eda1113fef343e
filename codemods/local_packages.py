"""Which folders of a tree answer to ``import trl`` or ``import orpo_compat`` themselves.

A package or module of that name counts where the folder that holds it can be an import root: it is not itself a
package. Files at or below such a root import the local one, so they are refused; the package's own files are
left alone. Looks at path names only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

NAMES = ("trl", "orpo_compat")
_SOURCE_ROOTS = frozenset({"src", "lib", "python"})


@dataclass(frozen=True, slots=True)
class LocalPackages:
    """Import roots (``""`` is the tree itself) of local packages, as ``(root, name)`` pairs."""

    places: frozenset[tuple[str, str]]

    def shadowing(self, path: str) -> frozenset[str]:
        """The names that resolve to a local package for the file at ``path``."""
        return frozenset(name for root, name in self.places if _reaches(root, path))

    def at_root(self) -> frozenset[str]:
        """The names that every file of the tree finds in the tree itself."""
        return self.shadowing("file.py")

    def owns(self, path: str) -> bool:
        """Whether the file at ``path`` is part of a local package."""
        return any(path.startswith(f"{_join(root, name)}/") for root, name in self.places)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _reaches(root: str, path: str) -> bool:
    above, _, last = root.rpartition("/")
    home = above if last in _SOURCE_ROOTS else root
    return not home or path.startswith(f"{home}/")


def find_local_packages(paths: Iterable[str]) -> LocalPackages:
    """Look for ``trl`` and ``orpo_compat`` among the ``paths`` of a tree."""
    known = set(paths)
    found = set()
    for path in known:
        folder, _, file = path.rpartition("/")
        above, _, package = folder.rpartition("/")
        if file == "__init__.py" and package in NAMES and _join(above, "__init__.py") not in known:
            found.add((above, package))
        elif file in ("trl.py", "orpo_compat.py") and _join(folder, "__init__.py") not in known:
            found.add((folder, file[:-3]))
    return LocalPackages(frozenset(found))
