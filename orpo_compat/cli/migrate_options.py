"""What ``orpo-compat migrate`` can be asked for: every option with its help, and the request they add up to.

Checks what contradicts itself before anything is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Format(str, Enum):
    """The report formats, as the command line spells them."""

    JSON = "json"
    SARIF = "sarif"
    MARKDOWN = "markdown"
    HTML = "html"


class Home(str, Enum):
    """Where ``--rollback --to`` moves the names when there is no journal to ask."""

    TRL = "trl"
    EXPERIMENTAL = "trl.experimental.orpo"
    AUTO = "auto"


Paths = Annotated[list[str], typer.Argument(metavar="PATH...", help="Folders or files; `-` rewrites standard input.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the diff; write no byte anywhere.")]
Diff = Annotated[
    str, typer.Option("--diff", metavar="FILE", help="Write a patch for `git apply` (`-`: stdout), change nothing.")
]
Check = Annotated[bool, typer.Option("--check", help="Exit 1 if anything would change; change nothing.")]
Rollback = Annotated[bool, typer.Option("--rollback", help="Undo: every byte back, later edits kept.")]
Resume = Annotated[bool, typer.Option("--resume", help="Finish a run that was interrupted.")]
To = Annotated[Home | None, typer.Option("--to", help="With --rollback and no journal: the TRL module to go back to.")]
NoVerify = Annotated[bool, typer.Option("--no-verify", help="Skip the parity gate; the journal records that.")]
VerifyWith = Annotated[
    Path | None, typer.Option("--verify-with", metavar="EVIDENCE", help="Let this sealed evidence decide.")
]
VerifySubclass = Annotated[
    list[str] | None,
    typer.Option(
        "--verify-subclass", metavar="FILE:CLASS", help="Also prove parity of your own subclass (`all`: each found)."
    ),
]
ReferencePython = Annotated[Path | None, typer.Option("--reference-python", help="The interpreter that has TRL.")]
ReferenceRelease = Annotated[
    str | None, typer.Option("--reference", metavar="trl==VERSION", help="Build an environment of this TRL, once.")
]
AllowDirty = Annotated[bool, typer.Option("--allow-dirty", help="Run on a git tree with uncommitted work.")]
Commit = Annotated[bool, typer.Option("--commit", help="Commit the switched files, and only them.")]
Include = Annotated[
    list[str] | None, typer.Option("--include", metavar="GLOB", help="Only these paths (.gitignore syntax).")
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="GLOB", help="Not these paths (.gitignore syntax).")
]
ReportAs = Annotated[Format | None, typer.Option("--report", help="Write a report in this format.")]
Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="Where the report goes (default: stdout).")
]
Modernize = Annotated[bool, typer.Option("--modernize", help="Also rewrite retired keyword arguments.")]
Strings = Annotated[bool, typer.Option("--strings", help="Also dotted names in strings of known calls.")]
Docs = Annotated[bool, typer.Option("--docs", help="Also code in documentation and doctests.")]
Configs = Annotated[bool, typer.Option("--configs", help="Also dotted names in configuration files.")]
Deps = Annotated[bool, typer.Option("--deps", help="Also add orpo-compat to dependency lists.")]
PinDefaults = Annotated[
    bool, typer.Option("--pin-defaults", help="Write out defaults that moved since the pinned TRL.")
]
DropTrl = Annotated[bool, typer.Option("--drop-trl", help="Drop trl from dependency lists when nothing else needs it.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", min=0, help="Processes that rewrite (0: one per processor).")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call of ``migrate``, as asked."""

    paths: list[str]
    dry_run: bool
    diff: str
    check: bool
    rollback: bool
    resume: bool
    to: Home | None
    no_verify: bool
    verify_with: Path | None
    verify_subclass: list[str]
    reference_python: Path | None
    reference: str | None
    allow_dirty: bool
    commit: bool
    include: list[str]
    exclude: list[str]
    report: Format | None
    output: Path | None
    modernize: bool
    strings: bool
    docs: bool
    configs: bool
    deps: bool
    pin_defaults: bool
    drop_trl: bool
    jobs: int
    yes: bool

    @property
    def writes(self) -> bool:
        return not (self.dry_run or self.check or self.diff)

    @property
    def mode(self) -> str:
        return "written" if self.writes else "check" if self.check else "dry-run"

    def refuse_contradictions(self) -> None:
        """Stop at combinations that mean two things at once.

        Raises:
            typer.BadParameter: says which options, and what to drop.
        """
        wrong = {
            "--to goes with --rollback": self.to is not None and not self.rollback,
            "--rollback and --resume are two different things: choose one": self.rollback and self.resume,
            "--commit needs a run that writes: drop --dry-run, --check and --diff": self.commit and not self.writes,
            "--commit is for the switch: commit a rollback by hand": self.commit and (self.rollback or self.resume),
            "--output says where --report goes: name a format": self.output is not None and self.report is None,
            "--diff - and --report both want stdout: give --output": self.diff == "-" and self._report_to_stdout,
            "--dry-run and --report both want stdout: give --output": self.dry_run and self._report_to_stdout,
            "--no-verify and --verify-with contradict each other": self.no_verify and self.verify_with is not None,
            "--verify-subclass is part of the gate that --no-verify skips": self.no_verify
            and bool(self.verify_subclass),
            "--reference and --reference-python both say which TRL: choose one": self.reference is not None
            and self.reference_python is not None,
            "--reference is part of the gate that --no-verify skips": self.no_verify and self.reference is not None,
            "`-` stands alone: give no other path beside it": "-" in self.paths and len(self.paths) > 1,
        }
        for message, is_wrong in wrong.items():
            if is_wrong:
                raise typer.BadParameter(message)

    @property
    def _report_to_stdout(self) -> bool:
        return self.report is not None and self.output is None
