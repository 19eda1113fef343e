"""What ``migrate`` and ``scan`` show: a diff, findings, a report file, a summary. Data to stdout, prose to stderr.

A diff goes to a terminal in colour and to anything else as the exact bytes of the patch, so that
``migrate --dry-run PATH > switch.patch`` is a patch too.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orpo_compat.cli.console import err, say, write_stdout

if TYPE_CHECKING:
    from codemods.plan import Plan
    from codemods.reports.model import Report

_COLOURS = {"diff ": "bold", "--- ": "bold", "+++ ": "bold", "@@": "cyan", "+": "green", "-": "red"}


def make_patch(plan: Plan) -> bytes:
    """The plan as one patch, its names relative to the top of the repository when there is one."""
    from codemods import git
    from codemods.patch import whole

    top = git.marked_top(plan.root)
    inner = plan.root.resolve().relative_to(top).as_posix() if top is not None else "."
    return whole(plan.files, "" if inner == "." else f"{inner}/")


def _style(line: str) -> str:
    return next((style for sign, style in _COLOURS.items() if line.startswith(sign)), "")


def show_diff(patch: bytes) -> None:
    """Print a patch: coloured on a terminal, byte for byte elsewhere."""
    if not sys.stdout.isatty():
        return write_stdout(patch)
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for line in patch.decode("utf-8", "backslashreplace").split("\n")[:-1]:
        console.print(Text(line.replace("\r", "\\r"), _style(line)))


def deliver(text: bytes, where: str) -> None:
    """Write data to a file, or to stdout for ``-``."""
    if where == "-":
        write_stdout(text)
    else:
        Path(where).write_bytes(text)


def deliver_report(report: Report, fmt: str, output: Path | None) -> None:
    """Render a report and put it where it was asked for."""
    from codemods.reports import render

    deliver(render(report, fmt).encode("utf-8", "backslashreplace"), "-" if output is None else str(output))


def show_summary(report: Report) -> None:
    """Findings, then at most twenty lines of summary."""
    from codemods.reports.text import finding_lines, summary_lines

    for line in finding_lines(report):
        say(line)
    for line in summary_lines(report):
        say(line)


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, silence elsewhere. It is refreshed by hand: a refresh thread and fork do not mix."""
    console = err()
    if not console.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import Progress

    with Progress(console=console, auto_refresh=False, transient=True) as bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)
            bar.refresh()

        yield advance
