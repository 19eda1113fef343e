"""Everything that must hold before the first byte is written; each check either passes or says what to do.

Reads the tree, git and the disk; changes nothing. Fails closed: when git cannot answer, the answer is no.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from codemods import git
from codemods.errors import DirtyTree, GitFailed, NoSpace, NotWritable, OperationUnderway, ShadowedPackage
from codemods.locks import locking
from codemods.plan import FilePlan, Plan

_WRITE_BITS = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_SPARE_BYTES = 1 << 20


def _listed(paths: Iterable[str], limit: int = 8) -> str:
    shown = sorted(paths)
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return ", ".join(repr(path) for path in shown[:limit]) + more


def check_not_shadowed(plan: Plan) -> None:
    """Refuse a tree whose own ``trl`` or ``orpo_compat`` every import would find.

    Raises:
        ShadowedPackage: there is one at an import root of the tree, and there is something it would hide.
    """
    if plan.shadowed and (plan.files or any(finding.code == "OC113" for finding in plan.findings)):
        names = " and ".join(sorted(plan.shadowed))
        advice = "migrate a folder beside it, or rename it"
        what = f"{plan.root} holds its own package {names}, which its imports find first"
        raise ShadowedPackage(f"{what}; {advice} (OC113)")


def check_no_operation(root: Path) -> None:
    """Refuse while git is in the middle of something.

    Raises:
        OperationUnderway: a merge, rebase, cherry-pick or revert is unfinished.
    """
    if git.toplevel(root) is None:
        return
    unfinished = git.unfinished_operation(root)
    if unfinished:
        raise OperationUnderway(f"a {unfinished} is in progress in {root}; finish or abort it, then run again (OC153)")


def check_clean(root: Path, paths: Iterable[str]) -> None:
    """Refuse when tracked files hold uncommitted work, or a file to be edited is untracked.

    Raises:
        DirtyTree: it does, or git cannot say.
    """
    try:
        top = git.toplevel(root)
        found = git.changes(root) if top is not None else []
    except GitFailed as error:
        remedy = "repair it, or pass --allow-dirty: the journal alone can then undo the run"
        raise DirtyTree(f"git cannot say whether the tree is clean ({error}); {remedy} (OC153)") from error
    if top is None:
        return
    edited = {os.path.relpath(root.resolve() / path, top.resolve()) for path in paths}
    dirty = [change.path for change in found if not change.untracked or change.path in edited]
    if dirty:
        advice = "commit or stash it, or pass --allow-dirty"
        raise DirtyTree(f"the git tree holds uncommitted work: {_listed(dirty)}; {advice} (OC153)")


def dirty_among(root: Path, paths: Iterable[str]) -> list[str]:
    """Those of ``paths`` that git would not call clean; needs a git tree."""
    top = git.toplevel(root)
    if top is None:
        return []
    touched = {change.path for change in git.changes(root)}
    return [path for path in paths if os.path.relpath(root.resolve() / path, top.resolve()) in touched]


def _is_writable(place: Path) -> bool:
    # The bits too, not only access(2): to root everything is writable, but a read-only file still says "hands off".
    return bool(place.stat().st_mode & _WRITE_BITS) and os.access(place, os.W_OK)


def check_writable(root: Path, paths: Iterable[str]) -> None:
    """Refuse when a file, or the folder its replacement must be made in, is read-only.

    Raises:
        NotWritable: names every such path.
    """
    places = [root / path for path in paths]
    blocked = {str(place) for place in {*places, *(place.parent for place in places), root} if not _is_writable(place)}
    if blocked:
        advice = "nothing was written; make them writable, or --exclude them"
        raise NotWritable(f"read-only: {_listed(blocked)}; {advice} (OC114)")


def check_space(root: Path, files: Iterable[FilePlan]) -> None:
    """Refuse when the disk cannot hold the originals, the replacements and the journal.

    Raises:
        NoSpace: says how much is needed and how much there is.
    """
    needed = sum(len(file.source) + 2 * len(file.result) for file in files) + _SPARE_BYTES
    free = shutil.disk_usage(root).free
    if free < needed:
        raise NoSpace(f"{root} has {free} bytes free and the run needs {needed}; free some space, then run again")


def check(plan: Plan, *, allow_dirty: bool) -> None:
    """Run every check a migration needs, the cheap ones first."""
    locking()
    check_not_shadowed(plan)
    paths = [file.path for file in plan.files]
    if not allow_dirty:
        check_clean(plan.root, paths)
    try:
        check_no_operation(plan.root)
    except GitFailed:
        if not allow_dirty:
            raise
    check_writable(plan.root, paths)
    check_space(plan.root, plan.files)
