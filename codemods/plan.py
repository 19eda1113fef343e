"""Works out, in memory, everything a run would change: every file's bytes before and after, and every finding.

Writes nothing and asks nobody. Files are rewritten in this process or, when enough of them matter, in several;
the plan is the same for any number of processes. Each result is checked against its own edits before it counts.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from codemods import writing
from codemods.discover import Discovery
from codemods.edits import Edit, splice
from codemods.errors import EditConflict
from codemods.findings import Finding, Severity
from codemods.journal import Entry
from codemods.local_packages import LocalPackages, find_local_packages
from codemods.options import Direction, Options

_POOL_PAYS_FROM = 8
"""Candidates below this are done before a second process has imported libcst (0.11 s)."""

Job = tuple[str, bytes, Options, Direction, str]
"""Path, bytes, what is asked, which way, and the TRL module that a reverse rewrite goes back to."""
Outcome = tuple[bytes, tuple[Edit, ...], tuple[Finding, ...]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One file that changes: bytes before and after, and the edits that lead from one to the other."""

    path: str
    mode: int
    source: bytes = field(repr=False)
    result: bytes = field(repr=False)
    edits: tuple[Edit, ...]

    def entry(self) -> Entry:
        """The journal's view of this change."""
        return Entry(self.path, self.mode, writing.digest(self.source), writing.digest(self.result), self.edits)


@dataclass(frozen=True, slots=True)
class Plan:
    """All a run would do to a tree; ``findings`` are sorted by place and hold the skipped files too."""

    root: Path
    files: tuple[FilePlan, ...]
    findings: tuple[Finding, ...]
    num_listed: int
    num_candidates: int
    listed_by: str
    shadowed: frozenset[str] = frozenset()

    @property
    def num_edits(self) -> int:
        return sum(len(file.edits) for file in self.files)

    def open_findings(self) -> list[Finding]:
        """Findings that somebody has to look at: more than good to know."""
        return [finding for finding in self.findings if finding.severity is not Severity.INFO]


def rewrite_one(job: Job) -> Outcome:
    """Rewrite one candidate; also the entry point of a worker process. An error of ours becomes a finding."""
    path, source, options, direction, to = job
    from codemods.rewrite import rewrite

    try:
        if not path.endswith((".py", ".pyi")):
            return source, (), ()
        done = rewrite(source, path=path, options=options, direction=direction, to=to)
        if done.result != splice(source, done.edits):
            raise EditConflict("the result is not what its edits make")
    except Exception as error:
        message = f"our rewrite failed here ({type(error).__name__}: {error}); the file is left as it is"
        advice = "move it by hand, and please report this file's shape"
        return source, (), (Finding("OC115", path, 1, 1, message, advice, Severity.ERROR),)
    return done.result, done.edits, done.findings


def _own_package(path: str) -> Finding:
    message = "part of a local package named like the one that is moved from or to; left alone"
    return Finding("OC113", path, 1, 1, message, "nothing to do if this is a vendored copy", Severity.INFO)


def _jobs(found: Discovery, local: LocalPackages, options: Options, direction: Direction, to: str) -> Iterator[Job]:
    for candidate in found.candidates:
        if not local.owns(candidate.path):
            seen = options.first_party | local.shadowing(candidate.path)
            yield candidate.path, candidate.source, dataclasses.replace(options, first_party=seen), direction, to


def _run(jobs: Sequence[Job], num_jobs: int, progress: Progress) -> Iterator[Outcome]:
    def counted(outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        for number, outcome in enumerate(outcomes, 1):
            progress(number, len(jobs))
            yield outcome

    if num_jobs < 2 or len(jobs) < _POOL_PAYS_FROM:
        yield from counted(map(rewrite_one, jobs))
        return
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else None)
    with ProcessPoolExecutor(min(num_jobs, len(jobs)), mp_context=context) as pool:
        yield from counted(pool.map(rewrite_one, jobs, chunksize=max(1, len(jobs) // (num_jobs * 8))))


def default_jobs() -> int:
    """One process for each processor this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _silent(done: int, total: int) -> None:
    """Report no progress."""


def make_plan(
    found: Discovery,
    options: Options,
    *,
    direction: Direction = Direction.FORWARD,
    to: str = "trl",
    num_jobs: int = 1,
    progress: Progress = _silent,
) -> Plan:
    """Rewrite every candidate in memory and gather what would change and what needs eyes."""
    local = find_local_packages(found.paths)
    jobs = list(_jobs(found, local, options, direction, to))
    files: list[FilePlan] = []
    findings = [*found.skipped, *(_own_package(item.path) for item in found.candidates if local.owns(item.path))]
    modes = {candidate.path: candidate.mode for candidate in found.candidates}
    for (path, source, *_), (result, edits, seen) in zip(jobs, _run(jobs, num_jobs, progress), strict=True):
        findings += seen
        if edits and result != source:
            files.append(FilePlan(path, modes[path], source, result, edits))
    return Plan(
        root=found.root,
        files=tuple(files),
        findings=tuple(sorted(findings, key=lambda one: (one.path, one.line, one.column, one.code, one.message))),
        num_listed=len(found.paths),
        num_candidates=len(found.candidates),
        listed_by=found.listed_by,
        shadowed=local.at_root(),
    )
