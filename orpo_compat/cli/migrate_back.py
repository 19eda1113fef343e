"""The way back: finish or undo an interrupted run, roll back by the journal, or reverse by rule alone.

The journal is asked first, because only it knows the bytes. Without one, names are moved back by rule when
``--to`` says where; that is declared as best effort.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import orpo_compat
from orpo_compat.cli.console import say
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.cli.migrate_forward import finish, recover, undoable
from orpo_compat.cli.migrate_options import Home, Request
from orpo_compat.cli.target import Target

if TYPE_CHECKING:
    from codemods.journal import Journal, Run
    from codemods.plan import Plan
    from codemods.reports.model import Report
    from codemods.rollback import RollbackPlan


def resume(request: Request, where: Target) -> int:
    """Bring an interrupted run to its end."""
    from codemods.journal import Journal
    from codemods.locks import exclusive
    from codemods.transaction import finish as bring_to_its_end

    journal = Journal(where.root)
    pending = journal.unfinished()
    if not pending:
        say("nothing to resume: no run was interrupted here")
        return ExitCode.DONE
    with exclusive(journal.lock):
        for run in journal.unfinished():
            written = bring_to_its_end(journal.root, run)
            say(f"resumed {run.record.run}: {len(written)} more files written, {len(run.record.entries)} in all")
    say(f"undo with: orpo-compat migrate {where.root} --rollback")
    return ExitCode.DONE


def roll_back(request: Request, where: Target) -> int:
    """Undo every migration in force; without a journal, reverse by rule."""
    from codemods.journal import Journal
    from codemods.locks import exclusive
    from codemods.preflight import check_no_operation

    journal = Journal(where.root)
    if not journal.runs():
        return _without_journal(request, where)
    check_no_operation(where.root)
    if not request.writes:
        recover(journal, writes=False)
        return _roll_back(journal, request, where)
    journal.prepare()
    recover(journal, writes=True)
    with exclusive(journal.lock):
        return _roll_back(journal, request, where)


def _roll_back(journal: Journal, request: Request, where: Target) -> int:
    from codemods import switch
    from codemods.preflight import check_space, check_writable

    plan, standing = switch.plan_taking_back(journal, where.only)
    if not standing and request.to is not None:
        return _without_journal(request, where)
    if not standing:
        say("nothing to roll back: every migration recorded here is undone")
        return ExitCode.DONE
    if request.writes:
        check_writable(journal.root, [file.path for file in plan.files])
        check_space(journal.root, plan.files)
        with undoable():
            switch.take_back(journal, plan, standing, partly=bool(where.only))
    return finish(_report(journal, plan, standing, request), request)


def _report(journal: Journal, plan: RollbackPlan, standing: list[Run], request: Request) -> Report:
    from codemods.plan import Plan
    from codemods.reports.model import Report

    num_files = sum(len(run.record.entries) for run in standing)
    shown = Plan(journal.root, plan.files, plan.findings, num_files, num_files, "journal")
    code = ExitCode.FINDINGS if plan.incomplete else ExitCode.DONE
    if request.check and plan.files:
        code = ExitCode.PENDING
    how = {path: way.value for path, way in plan.how.items()}
    return Report("rollback", request.mode, orpo_compat.__version__, shown, int(code), how=how)


def _journals_below(root: Path) -> list[Path]:
    """Folders up to three levels down that keep a journal with a migration in force."""
    from codemods.journal import Journal

    homes = [home for depth in ("*", "*/*", "*/*/*") for home in root.glob(f"{depth}/.orpo-compat")]
    return sorted(home.parent for home in homes if Journal(home.parent).standing())


def _without_journal(request: Request, where: Target) -> int:
    below = _journals_below(where.root) if request.to is None else []
    if below:
        say(f"no journal in {where.root}, but further down; roll back there:")
        for folder in below:
            say(f"  orpo-compat migrate {folder} --rollback")
        return ExitCode.FINDINGS
    plan, target = _reverse_plan(request, where)
    if request.to is None:
        if not plan.files:
            say("nothing to roll back: no journal, and no file that our rules would move back")
            return ExitCode.DONE
        say(f"no journal in {where.root / '.orpo-compat'}, but {len(plan.files)} files use orpo_compat (OC152)")
        say("`--rollback --to auto` moves them back to TRL by rule alone; that is not byte-exact")
        return ExitCode.FINDINGS
    return _reverse(request, where, plan, target)


def _reverse(request: Request, where: Target, plan: Plan, target: str) -> int:
    from codemods import preflight, switch
    from codemods.journal import Journal
    from codemods.locks import exclusive
    from codemods.reports.model import Report

    say(f"no journal: moving names back to {target} by rule alone, which is best effort (OC152)")
    if request.writes and plan.files:
        preflight.check(plan, allow_dirty=request.allow_dirty)
        journal = Journal(where.root)
        journal.prepare()
        with exclusive(journal.lock), undoable():
            switch.write(journal, plan.files, kind="reverse", gate={})
    code = ExitCode.FINDINGS if plan.open_findings() else ExitCode.DONE
    if request.check and plan.files:
        code = ExitCode.PENDING
    return finish(Report("rollback", request.mode, orpo_compat.__version__, plan, int(code)), request)


def target_of(to: Home | None, pinned: str | None = None) -> str:
    """The TRL module to go back to: as asked, or where the pinned, else the installed, release keeps ORPO."""
    if to is not None and to is not Home.AUTO:
        return str(to.value)
    return _home_for(pinned or _installed_trl())


def _installed_trl() -> str | None:
    from importlib import metadata

    try:
        return str(metadata.version("trl"))
    except metadata.PackageNotFoundError:
        return None


def _home_for(release: str | None) -> str:
    """The public module that holds ORPO in a TRL release; today's when none is known."""
    from packaging.version import Version

    has_it_at_the_top = release is not None and Version(release) < Version("0.26")
    return str((Home.TRL if has_it_at_the_top else Home.EXPERIMENTAL).value)


def _reverse_plan(request: Request, where: Target) -> tuple[Plan, str]:
    from codemods.discover import discover
    from codemods.options import Direction, Options
    from codemods.plan import make_plan
    from codemods.trl_version import release_of

    found = discover(where.root, only=where.only, include=request.include, exclude=request.exclude)
    target = target_of(request.to, release_of((item.path, item.source) for item in found.candidates))
    options = Options(strings=request.strings, docs=request.docs, configs=request.configs, deps=request.deps)
    return make_plan(found, options, direction=Direction.REVERSE, to=target), target
