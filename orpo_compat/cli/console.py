"""The two consoles of every command, and how an error becomes a sentence and an exit code.

Data goes to stdout, everything for the eye to stderr. A user's mistake never shows a traceback; an error of ours
does, and exits 2, because Python's own 1 would read as "changes pending".
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import typer

from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.errors import OrpoCompatError, RunExists

if TYPE_CHECKING:
    from rich.console import Console


def err() -> Console:
    """The console on stderr: progress, summaries, errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def out() -> Console:
    """The console on stdout: what the user asked to see."""
    from rich.console import Console

    return Console(highlight=False)


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
