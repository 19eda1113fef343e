"""Talks to the git executable: where the tree is, what is in it, what is unfinished, and one commit.

Refuses to guess: a command that fails raises ``GitFailed`` with git's own words, so that callers fail closed.
Paths are ``str`` as ``os.fsdecode`` makes them, so names that are not UTF-8 survive. The variables by which git
hooks point their children at another repository are taken out of the environment.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from codemods.errors import GitFailed

# What `git rev-parse --local-env-vars` lists: set by hooks, they would aim our commands at the hook's repository.
_LOCAL_VARIABLES = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT", "GIT_DIR",
    "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE", "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_PREFIX", "GIT_SHALLOW_FILE", "GIT_COMMON_DIR",
)  # fmt: skip
_UNFINISHED = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One line of ``git status``: two status letters and the path, relative to the top of the work tree."""

    status: str
    path: str

    @property
    def untracked(self) -> bool:
        return self.status == "??"


def _environment(*, for_hooks: bool) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _LOCAL_VARIABLES}
    # Optional locks would let a plain status refresh the index: a dry run must not write even that.
    return kept if for_hooks else {**kept, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}


def run(where: Path, *arguments: str, stdin: bytes | None = None, for_hooks: bool = False) -> bytes:
    """Run one git command in ``where`` and return its standard output.

    Args:
        stdin: what the command reads.
        for_hooks: the command runs the user's hooks, so its environment stays the user's own.

    Raises:
        GitFailed: git is missing, or returned an error.
    """
    executable = shutil.which("git")
    if executable is None:
        raise GitFailed("git is not installed or not on the PATH")
    command = [executable, "-c", "core.fsmonitor=false", "-C", str(where), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, env=_environment(for_hooks=for_hooks), check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode("utf-8", "replace").strip()
        raise GitFailed(f"git {arguments[0]} failed in {where} (status {done.returncode}): {said}")
    return done.stdout


def marked_top(where: Path) -> Path | None:
    """The nearest folder at or above ``where`` that holds a ``.git``, found without asking git."""
    start = where.resolve()
    return next((folder for folder in (start, *start.parents) if os.path.lexists(folder / ".git")), None)


def toplevel(where: Path) -> Path | None:
    """The top of the work tree that ``where`` belongs to; ``None`` outside git.

    Raises:
        GitFailed: there is a ``.git`` but git will not work with it (ownership, damage, no executable).
    """
    if marked_top(where) is None:
        return None
    return Path(os.fsdecode(run(where, "rev-parse", "--show-toplevel").rstrip(b"\n")))


def list_files(where: Path) -> list[str]:
    """Tracked and untracked-but-not-ignored paths below ``where``, relative to it; folders end with ``/``."""
    listed = run(where, "ls-files", "-co", "--exclude-standard", "-z")
    return sorted({os.fsdecode(path) for path in listed.split(b"\0") if path})


def _changes(raw: bytes) -> Iterator[Change]:
    fields = iter(raw.split(b"\0"))
    for field in fields:
        if not field:
            continue
        status = field[:2].decode("ascii")
        if "R" in status or "C" in status:
            next(fields, None)  # the path it was renamed or copied from
        yield Change(status, os.fsdecode(field[3:]))


def changes(where: Path) -> list[Change]:
    """What ``git status`` reports for the whole work tree, submodules left out."""
    raw = run(where, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=all")
    return list(_changes(raw))


def unfinished_operation(where: Path) -> str | None:
    """The name of a merge, rebase, cherry-pick or revert that is not finished, if there is one."""
    for marker, name in _UNFINISHED.items():
        path = Path(os.fsdecode(run(where, "rev-parse", "--git-path", marker).rstrip(b"\n")))
        if os.path.lexists(where / path):
            return name
    return None


def commit_only(where: Path, paths: Iterable[str], message: str) -> str:
    """Commit the work-tree content of exactly ``paths`` (hooks run, the rest of the index stays); return its id."""
    listed = b"\0".join(b":(literal)" + os.fsencode(path) for path in paths)
    arguments = ("--only", "--pathspec-from-file=-", "--pathspec-file-nul", "--message", message)
    run(where, "commit", "--quiet", *arguments, stdin=listed, for_hooks=True)
    return run(where, "rev-parse", "HEAD").decode("ascii").strip()
