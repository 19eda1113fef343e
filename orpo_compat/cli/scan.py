"""``orpo-compat scan``: the inventory alone. What a tree takes from TRL's ORPO, where it works, what would change.

Reads; writes nothing but the report it is asked for. Exits 3 when there are findings to look at, else 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import orpo_compat
from orpo_compat.cli import migrate_options as ask
from orpo_compat.cli.console import reported_errors, write_stdout
from orpo_compat.cli.destinations import require_writable
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.cli.target import Target, resolve

if TYPE_CHECKING:
    from codemods.reports.model import Report

Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Folders or files.")]


def scan(
    paths: Paths,
    include: ask.Include = None,
    exclude: ask.Exclude = None,
    report: ask.ReportAs = None,
    output: ask.Output = None,
    jobs: ask.Jobs = 0,
) -> None:
    """List what a repository takes from TRL's ORPO, on which releases it works, and what migrate would do.

    Example: orpo-compat scan ./repo --report markdown --output scan.md
    """
    with reported_errors():
        if output is not None and report is None:
            raise typer.BadParameter("--output says where --report goes: name a format")
        require_writable("--output", output)
        made = look(resolve(paths), include or [], exclude or [], jobs)
        _show(made, report, output)
        raise typer.Exit(made.exit_code)


def look(where: Target, include: list[str], exclude: list[str], jobs: int) -> Report:
    """Everything a scan knows, as a report."""
    from codemods import plan as planning
    from codemods.discover import discover
    from codemods.inventory import usages
    from codemods.options import Options
    from codemods.reports.model import Report
    from orpo_compat.cli.showing import progress

    found = discover(where.root, only=where.only, include=include, exclude=exclude)
    with progress("reading") as advance:
        plan = planning.make_plan(found, Options(), num_jobs=jobs or planning.default_jobs(), progress=advance)
    used = tuple(sorted(use for item in found.candidates for use in usages(item.path, item.source)))
    code = ExitCode.FINDINGS if plan.open_findings() else ExitCode.DONE
    return Report("scan", "dry-run", orpo_compat.__version__, plan, int(code), usages=used)


def _show(made: Report, fmt: ask.Format | None, output: ask.Output) -> None:
    from codemods.reports.text import usage_lines
    from orpo_compat.cli.showing import deliver_report, show_summary

    if fmt is not None:
        deliver_report(made, fmt.value, output)
    else:
        text = "".join(f"{line}\n" for line in usage_lines(made))
        write_stdout(text.encode("utf-8", "backslashreplace"))
    show_summary(made)
