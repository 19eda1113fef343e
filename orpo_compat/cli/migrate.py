"""``orpo-compat migrate``: scan, plan, prove parity, switch; and the same way back.

The command only reads its options and picks one of five paths: standard input, resume, rollback by journal,
rollback by rule, or the switch. Exit codes are the table in ``exit_codes``.
"""

from __future__ import annotations

from pathlib import Path

import typer

from orpo_compat.cli import migrate_options as ask
from orpo_compat.cli.console import reported_errors
from orpo_compat.cli.destinations import require_writable


def migrate(
    paths: ask.Paths,
    dry_run: ask.DryRun = False,
    diff: ask.Diff = "",
    check: ask.Check = False,
    rollback: ask.Rollback = False,
    resume: ask.Resume = False,
    to: ask.To = None,
    no_verify: ask.NoVerify = False,
    verify_with: ask.VerifyWith = None,
    verify_subclass: ask.VerifySubclass = None,
    reference_python: ask.ReferencePython = None,
    reference: ask.ReferenceRelease = None,
    allow_dirty: ask.AllowDirty = False,
    commit: ask.Commit = False,
    include: ask.Include = None,
    exclude: ask.Exclude = None,
    report: ask.ReportAs = None,
    output: ask.Output = None,
    modernize: ask.Modernize = False,
    strings: ask.Strings = False,
    docs: ask.Docs = False,
    configs: ask.Configs = False,
    deps: ask.Deps = False,
    pin_defaults: ask.PinDefaults = False,
    drop_trl: ask.DropTrl = False,
    jobs: ask.Jobs = 0,
    yes: ask.Yes = False,
) -> None:
    """Move a repository from TRL's ORPO to orpo_compat, once parity is proven; or back.

    Example: orpo-compat migrate ./repo --dry-run
    """
    # fmt: off
    request = ask.Request(
        paths=paths, dry_run=dry_run, diff=diff, check=check, rollback=rollback, resume=resume, to=to,
        no_verify=no_verify, verify_with=verify_with, verify_subclass=verify_subclass or [],
        reference_python=reference_python, reference=reference, allow_dirty=allow_dirty, commit=commit,
        include=include or [], exclude=exclude or [], report=report, output=output, modernize=modernize,
        strings=strings, docs=docs, configs=configs, deps=deps, pin_defaults=pin_defaults, drop_trl=drop_trl,
        jobs=jobs, yes=yes,
    )
    # fmt: on
    request.refuse_contradictions()
    with reported_errors():
        raise typer.Exit(int(run(request)))


def run(request: ask.Request) -> int:
    """Carry out one request; returns the exit code."""
    from orpo_compat.cli.migrate_back import resume, roll_back
    from orpo_compat.cli.migrate_forward import switch
    from orpo_compat.cli.migrate_stdin import rewrite_stdin
    from orpo_compat.cli.target import resolve

    if request.paths == ["-"]:
        return rewrite_stdin(request)
    where = resolve(request.paths)
    require_writable("--output", request.output)
    require_writable("--diff", Path(request.diff) if request.diff else None)
    if request.resume:
        return resume(request, where)
    if request.rollback:
        return roll_back(request, where)
    return switch(request, where)
