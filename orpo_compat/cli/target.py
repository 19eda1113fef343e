"""From the paths on a command line to the tree they belong to.

One folder is its own tree. Files, or several paths, belong to the nearest folder above them all that has a journal,
else to their git work tree, else to their nearest common folder. The journal lives at the top of that tree, so the
same paths find it again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import typer


@dataclass(frozen=True, slots=True)
class Target:
    """The root of the tree, and the paths below it to stay within (empty: all of it)."""

    root: Path
    only: tuple[str, ...]


def _place(path: str) -> Path:
    given = Path(path)
    if not os.path.lexists(given):
        raise typer.BadParameter(f"{path!r} does not exist")
    # The last component stays as given: a link is judged by discovery, not silently followed here.
    return given.resolve() if given.is_dir() else given.parent.resolve() / given.name


def _journalled(folder: Path) -> Path | None:
    return next((above for above in (folder, *folder.parents) if (above / ".orpo-compat/runs").is_dir()), None)


def resolve(paths: list[str]) -> Target:
    """The tree of ``paths``.

    Raises:
        typer.BadParameter: one of them does not exist.
    """
    from codemods import git

    places = [_place(path) for path in paths]
    if len(places) == 1 and places[0].is_dir():
        return Target(places[0], ())
    common = Path(os.path.commonpath([place if place.is_dir() else place.parent for place in places]))
    root = _journalled(common) or git.marked_top(common) or common
    only = tuple(place.relative_to(root).as_posix() for place in places)
    return Target(root, () if "." in only else only)
