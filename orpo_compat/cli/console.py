"""The two consoles of every command, and how an error becomes a sentence and an exit code.

Data goes to stdout, everything for the eye to stderr. A user's mistake never shows a traceback; an error of ours
does, and exits 2, because Python's own 1 would read as "changes pending".
"""

from __future__ import annotations

import contextlib
import os
import sys
import textwrap
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn, TextIO

import typer

from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.errors import OrpoCompatError, RunExists

if TYPE_CHECKING:
    from rich.console import Console


def err() -> Console:
    """The console on stderr: progress, summaries, errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=_unbroken(sys.stderr))


def out() -> Console:
    """The console on stdout: what the user asked to see."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=_unbroken(sys.stdout))


def _unbroken(stream: TextIO) -> bool:
    """Whether every sentence is one line: into pipes and files, unless a width was asked for with COLUMNS."""
    return not stream.isatty() and "COLUMNS" not in os.environ


def paragraph(console: Console, text: str, *, lead: str = "", style: str = "") -> None:
    """Print prose behind a lead such as ``1.``, its further lines indented below it where a terminal breaks them."""
    indent = " " * len(lead)
    if not console.soft_wrap:
        text = textwrap.fill(text, max(20, console.width), initial_indent=lead, subsequent_indent=indent)
    else:
        text = lead + text
    console.print(text, style=style, markup=False)


def say(text: str) -> None:
    """One line of prose on stderr, printed as it is: brackets in it are not markup."""
    err().print(text.encode("utf-8", "backslashreplace").decode("utf-8"), markup=False)


def write_stdout(content: bytes) -> None:
    """Data on stdout, byte for byte."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def stop(code: ExitCode, message: str = "") -> NoReturn:
    """Leave with ``code``, after an optional last line on stderr."""
    if message:
        say(message)
    raise typer.Exit(int(code))


@contextlib.contextmanager
def reported_errors() -> Iterator[None]:
    """Turn the errors of a command's body into one line on stderr and the exit code that fits."""
    try:
        yield
    except typer.Exit:
        raise
    except typer.Abort:
        stop(ExitCode.REFUSED, "not confirmed; nothing was written")
    except (BrokenPipeError, SystemExit):  # rich turns the one into the other, with exit code 1
        # The reader has seen enough. Python would complain again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(int(ExitCode.DONE)) from None
    except KeyboardInterrupt:
        stop(ExitCode.INTERRUPTED, "interrupted; every file is whole")
    except Exception as error:
        if debugging():
            raise
        stop(_code_of(error), f"error: {error}" if _is_expected(error) else traceback.format_exc().rstrip())


def debugging() -> bool:
    """Whether ``--debug`` was given: errors then show where they come from."""
    return bool(os.environ.get("ORPO_COMPAT_DEBUG"))


def _is_expected(error: Exception) -> bool:
    from codemods.errors import CodemodError

    return isinstance(error, (CodemodError, OrpoCompatError, OSError, typer.BadParameter))


def _code_of(error: Exception) -> ExitCode:
    from codemods.errors import Refused, StaleInput

    return ExitCode.REFUSED if isinstance(error, (Refused, StaleInput, RunExists)) else ExitCode.USAGE
