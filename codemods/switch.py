"""One migration and one rollback, from a finished plan to a closed journal.

Joins plan, journal and transaction, and holds nothing back: callers take the lock, run the gate and the preflight,
and print. A rollback is itself a journalled run, so that a crash in the middle of it is finished, not guessed at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from codemods import writing
from codemods.discover import Discovery, discover
from codemods.journal import Journal, Run, State, new_record
from codemods.options import Direction, Options
from codemods.plan import FilePlan, rewrite_one
from codemods.rollback import RollbackPlan, plan_rollback
from codemods.transaction import carry_out, check_fresh


def write(journal: Journal, files: Sequence[FilePlan], *, kind: str, gate: dict[str, str], undoes: str = "") -> Run:
    """Journal the change of ``files`` and make it, all or nothing."""
    originals = {writing.digest(file.source): file.source for file in files}
    latest = max((run.record.run for run in journal.runs()), default="")
    record = new_record(kind, tuple(file.entry() for file in files), gate, undoes, later_than=latest)
    check_fresh(journal.root, record.entries)
    run = journal.begin(record, originals)
    carry_out(journal.root, run)
    return run


def _reverse(path: str, source: bytes, target: str) -> bytes:
    """The codemod's way back for one text."""
    return rewrite_one((path, source, Options(), Direction.REVERSE, target))[0]


def _listed(root: Path) -> tuple[str, ...]:
    found: Discovery = discover(root)
    return found.paths


def plan_taking_back(journal: Journal, only: Sequence[str] = ()) -> tuple[RollbackPlan, list[Run]]:
    """What undoing every migration in force would do, and which migrations those are.

    Args:
        only: paths (files or folders, relative to the root) to stay within; empty means all of them.
    """
    standing = journal.standing()
    runs = [run.within(only) for run in standing] if only else standing
    return plan_rollback(journal.root, runs, reverse=_reverse, list_paths=lambda: _listed(journal.root)), standing


def take_back(journal: Journal, plan: RollbackPlan, standing: Sequence[Run], *, partly: bool = False) -> Run | None:
    """Write a planned rollback and close the migrations it undoes; those it leaves parts of stay open.

    Args:
        partly: the plan was asked to cover some of the files only.
    """
    undoes = " ".join(run.record.run for run in standing)
    run = write(journal, plan.files, kind="rollback", gate={}, undoes=undoes) if plan.files else None
    if not (plan.incomplete or partly):
        reason = "rollback" if plan.files else "the files already held their original bytes"
        for undone in standing:
            undone.advance(State.ROLLED_BACK, reason=reason)
    return run
