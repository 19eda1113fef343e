"""The switch itself: recover, plan, show, check, prove, write, commit, report - in that order.

Nothing is written before the plan is whole, the tree is fit and the gate has let it through; everything after that
is the journal's. The gate is a parameter, so that what it decides is all this file knows of parity.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import orpo_compat
from orpo_compat.cli import showing
from orpo_compat.cli.console import say, stop
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.cli.migrate_options import Request
from orpo_compat.cli.target import Target

if TYPE_CHECKING:
    from codemods.journal import Journal, Run
    from codemods.plan import Plan
    from codemods.reports.model import Report
    from parity.gate import GateResult

Gate = Callable[[Path, Request], dict[str, str]]
"""Root of the tree and the request -> what the journal records of the verdict; stops the run when it refuses."""


def judge(root: Path, request: Request) -> dict[str, str]:
    """Ask the parity harness; anything but a pass ends the run with nothing written."""
    from codemods.journal import HOME
    from parity.errors import ParityError
    from parity.gate import judge_switch

    evidence_dir = root / HOME / "evidence"
    try:
        result = judge_switch(
            root,
            evidence_dir=evidence_dir,
            reference_python=request.reference_python,
            evidence=request.verify_with,
            report=say,
        )
    except ParityError as error:
        stop(ExitCode.PARITY_NOT_RUN, f"{error}\nparity was not shown, so nothing was written (OC140)")
    _refuse_failed(result)
    evidence = _relative(result.evidence, root)
    return {"verdict": result.verdict.name, "headline": result.headline, "evidence": evidence, "digest": result.digest}


def _refuse_failed(result: GateResult, what: str = "") -> None:
    """End the run with nothing written unless the verdict passes."""
    verdict = result.verdict
    if not verdict.passes:
        code = ExitCode.PARITY_NOT_RUN if verdict.exit_code == ExitCode.PARITY_NOT_RUN else ExitCode.GATE_REFUSED
        said = f"{what}{verdict.name}: {result.headline}"
        stop(code, f"{said}\nnothing was written; the evidence is {result.evidence} (OC141)")


def _judge_subclasses(plan: Plan, request: Request) -> dict[str, str]:
    """Judge each subclass that was asked for; what the journal records of them."""
    from orpo_compat.cli.migrate_subclasses import judge_subclasses
    from parity.errors import ArmFailed, ParityError

    record = {}
    try:
        for subclass, result in judge_subclasses(plan, request):
            _refuse_failed(result, f"{subclass}: ")
            record[f"subclass {subclass}"] = f"{result.verdict.name}, {_relative(result.evidence, plan.root)}"
    except ParityError as error:
        advice = (
            "a class written for an older TRL needs that release: --reference trl==VERSION builds it, "
            "--reference-python names an interpreter that has it"
        )
        if isinstance(error, ArmFailed) and error.arm == "ours":
            advice = (
                "its file as it will be does not run in this environment: mend that first (OC121 names what TRL lost)"
            )
        stop(ExitCode.PARITY_NOT_RUN, f"{error}\n{advice}\nparity was not shown, so nothing was written (OC140)")
    return record


def _relative(evidence: Path, root: Path) -> str:
    try:
        return evidence.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return str(evidence)


def make_plan(request: Request, where: Target) -> Plan:
    """Discover and plan, with a bar on a terminal."""
    from codemods import plan as planning
    from codemods.discover import discover
    from codemods.options import Options

    options = Options(
        modernize=request.modernize,
        strings=request.strings,
        docs=request.docs,
        configs=request.configs,
        deps=request.deps,
        pin_defaults=request.pin_defaults,
        drop_trl=request.drop_trl,
    )
    found = discover(where.root, only=where.only, include=request.include, exclude=request.exclude)
    num_jobs = request.jobs or planning.default_jobs()
    with showing.progress("rewriting") as advance:
        return planning.make_plan(found, options, num_jobs=num_jobs, progress=advance)


def recover(journal: Journal, *, writes: bool) -> None:
    """Take back what a killed run left half done; a run that must not write only says that there is something."""
    from codemods.locks import exclusive
    from codemods.transaction import recover as bring_to_a_whole_state

    if not journal.unfinished():
        return
    if not writes:
        say("an interrupted run is pending here; the next run that writes, --resume or --rollback settles it (OC150)")
        return
    with exclusive(journal.lock):
        for run, undone in bring_to_a_whole_state(journal):
            done = "taken back" if run.record.kind == "migrate" else "finished"
            say(f"an interrupted run ({run.record.run}) was {done}: {len(undone.restored)} files written (OC150)")
            for path in undone.strangers:
                say(f"  {path} was edited since it was interrupted; left as it is")


def report_of(plan: Plan, request: Request, code: ExitCode, **more: object) -> Report:
    """The report of a switch."""
    from codemods.reports.model import Report

    made = Report("migrate", request.mode, orpo_compat.__version__, plan, int(code))
    return dataclasses.replace(made, **more)  # type: ignore[arg-type]


def finish(report: Report, request: Request) -> int:
    """Show and deliver what was asked for; returns the exit code the report carries."""
    if request.diff:
        showing.deliver(showing.make_patch(report.plan), request.diff)
    elif request.dry_run:
        showing.show_diff(showing.make_patch(report.plan))
    if request.report is not None:
        showing.deliver_report(report, request.report.value, request.output)
    showing.show_summary(report)
    return report.exit_code


def _preview_code(plan: Plan, request: Request) -> ExitCode:
    if request.check and plan.files:
        return ExitCode.PENDING
    return ExitCode.FINDINGS if plan.open_findings() else ExitCode.DONE


def _agreed(plan: Plan, request: Request) -> bool:
    if request.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    showing.show_diff(showing.make_patch(plan))
    return typer.confirm(f"Switch {len(plan.files)} files?", err=True)


@contextlib.contextmanager
def undoable() -> Iterator[None]:
    """Let SIGTERM undo a half-written run as Ctrl-C does, and let no second signal disturb the undoing."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def interrupt(number: int, frame: object) -> None:
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; the next command recovers then
        return
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def switch(request: Request, where: Target, gate: Gate = judge) -> int:
    """Plan, and unless only a preview is asked for, prove and write."""
    from codemods import preflight
    from codemods.journal import Journal

    journal = Journal(where.root)
    recover(journal, writes=request.writes)
    plan = make_plan(request, where)
    preflight.check_not_shadowed(plan)
    if not request.writes or not plan.files:
        return finish(report_of(plan, request, _preview_code(plan, request)), request)
    preflight.check(plan, allow_dirty=request.allow_dirty)
    if request.commit:
        _refuse_mixed_commit(plan)
    if not _agreed(plan, request):
        return finish(report_of(plan, request, ExitCode.REFUSED, mode="refused"), request)
    run, gate_record = _write(journal, plan, request, gate)
    code = ExitCode.FINDINGS if plan.open_findings() else ExitCode.DONE
    if request.commit and not _commit(plan, run):
        code = ExitCode.FINDINGS
    return finish(report_of(plan, request, code, gate=gate_record, run=run.record.run), request)


def _with_reference(request: Request) -> Request:
    """Build the TRL release that was asked for, unless it is built already, and ask for its interpreter."""
    from parity.environments import build_reference
    from parity.errors import ParityError, SpecError

    if request.reference is None:
        return request
    try:
        found = build_reference(request.reference, report=say)
    except ParityError as error:
        code = ExitCode.USAGE if isinstance(error, SpecError) else ExitCode.PARITY_NOT_RUN
        stop(code, f"--reference: {error}\nparity was not shown, so nothing was written (OC140)")
    return dataclasses.replace(request, reference_python=found.python)


def _write(journal: Journal, plan: Plan, request: Request, gate: Gate) -> tuple[Run, dict[str, str]]:
    from codemods import preflight
    from codemods import switch as switching
    from codemods.locks import exclusive

    request = _with_reference(request)
    journal.prepare()
    with exclusive(journal.lock):
        word = {"skipped": "--no-verify"} if request.no_verify else gate(plan.root, request)
        if request.verify_subclass:
            word |= _judge_subclasses(plan, request)
        preflight.check(plan, allow_dirty=request.allow_dirty)  # the gate takes minutes: look again
        with undoable():
            return switching.write(journal, plan.files, kind="migrate", gate=word), word


def _refuse_mixed_commit(plan: Plan) -> None:
    from codemods.errors import DirtyTree, GitFailed
    from codemods.git import toplevel
    from codemods.preflight import dirty_among

    if toplevel(plan.root) is None:
        raise GitFailed(f"--commit needs a git work tree, and {plan.root} is in none")
    mixed = dirty_among(plan.root, [file.path for file in plan.files])
    if mixed:
        raise DirtyTree(f"--commit would take your own work along: {', '.join(mixed[:5])}; commit that first (OC153)")


def _message(run: Run) -> str:
    gate, files = run.record.gate, len(run.record.entries)
    lines = ["Switch ORPO from TRL to orpo_compat", "", f"{files} file{'s' * (files != 1)}, by orpo-compat migrate."]
    if "skipped" in gate:
        lines.append(f"Parity was not checked ({gate['skipped']}).")
    else:
        lines += [f"Parity: {gate['verdict']}: {gate['headline']}"]
        lines += [f"Evidence: {gate['evidence']}", f"Evidence-Seal: {gate['digest']}"]
    return "\n".join([*lines, f"Journal: {run.record.run}"]) + "\n"


def _commit(plan: Plan, run: Run) -> bool:
    from codemods import git
    from codemods.errors import GitFailed

    try:
        commit = git.commit_only(plan.root, [file.path for file in plan.files], _message(run))
    except GitFailed as error:
        say(f"the files are switched but not committed: {error}")
        return False
    say(f"committed as {commit[:12]}")
    return True
