"""``orpo-compat migrate -``: one Python text from standard input to standard output.

For editors and pipes. There is no tree, so there is no gate, no journal and nothing to roll back; ``--rollback``
runs the codemod in reverse.
"""

from __future__ import annotations

import sys

from orpo_compat.cli.console import say, write_stdout
from orpo_compat.cli.exit_codes import ExitCode
from orpo_compat.cli.migrate_back import target_of
from orpo_compat.cli.migrate_options import Request

_NAME = "stdin.py"


def rewrite_stdin(request: Request) -> int:
    """Rewrite standard input; findings go to stderr."""
    from codemods.findings import Severity
    from codemods.options import Direction, Options
    from codemods.patch import unified
    from codemods.plan import rewrite_one

    source = sys.stdin.buffer.read()
    options = Options(modernize=request.modernize, strings=request.strings, docs=request.docs)
    direction = Direction.REVERSE if request.rollback else Direction.FORWARD
    result, _, findings = rewrite_one((_NAME, source, options, direction, target_of(request.to)))
    if request.diff or request.dry_run:
        write_stdout(unified(_NAME.encode(), source, result) if result != source else b"")
    elif not request.check:
        write_stdout(result)
    for finding in findings:
        say(str(finding))
    to_look_at = any(finding.severity is not Severity.INFO for finding in findings)
    if request.check and (result != source or to_look_at):
        return ExitCode.PENDING
    return ExitCode.FINDINGS if to_look_at else ExitCode.DONE
