"""Works out, in memory, everything a run would change: every file's bytes before and after, and every finding.

Writes nothing and asks nobody. Files are rewritten in this process or, when enough of them matter, in several;
the plan is the same for any number of processes. Each result is checked against its own edits before it counts.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from codemods import writing
from codemods.borrowed import Loans, find_loans
from codemods.discover import Candidate, Discovery, first_user_of_trl
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
    from codemods.containers import rewrite_file
    from codemods.remaining import remaining

    try:
        done = rewrite_file(path, source, options, direction, to=to)
        if done.result != splice(source, done.edits):
            raise EditConflict("the result is not what its edits make")
    except Exception as error:
        message = f"Our rewrite failed here ({type(error).__name__}: {error}); the file is left as it is."
        advice = "Move it by hand, and please report this file's shape."
        return source, (), (Finding("OC115", path, 1, 1, message, advice, Severity.ERROR),)
    findings = done.findings
    if direction is Direction.FORWARD:
        findings += tuple(remaining(path, source, done.result, done.edits, done.findings))
    return done.result, done.edits, findings


def _own_package(path: str) -> Finding:
    message = "Part of a local package named like the one that is moved from or to; left alone."
    return Finding("OC113", path, 1, 1, message, "Nothing to do if this is a vendored copy.", Severity.INFO)


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


def _lists_packages(candidate: Candidate) -> bool:
    """Whether a file matters only as far as the rest of the tree uses ORPO: it says what is installed."""
    from codemods.containers import Kind, kind_of

    speaks = b"ORPO" in candidate.source or b"orpo" in candidate.source
    return not speaks or kind_of(candidate.path, candidate.source[:200]) in (Kind.MANIFEST, Kind.LOCK)


@dataclass(slots=True)
class _Desk:
    """One plan in the making: what is asked, what is local, and what has come out so far."""

    found: Discovery
    direction: Direction
    to: str
    num_jobs: int
    progress: Progress
    local: LocalPackages
    lent: Mapping[str, frozenset[str]]
    files: list[FilePlan] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def rewrite(self, candidates: Sequence[Candidate], options: Options) -> None:
        jobs = [
            (item.path, item.source, self._options_for(item.path, options), self.direction, self.to)
            for item in candidates
        ]
        outcomes = _run(jobs, self.num_jobs, self.progress)
        for item, (result, edits, findings) in zip(candidates, outcomes, strict=True):
            self.findings += findings
            if edits and result != item.source:
                self.files.append(FilePlan(item.path, item.mode, item.source, result, edits))

    def look_across(self, candidates: Sequence[Candidate]) -> None:
        """Add what shows only when the files are looked at together; it replaces the note at the same place."""
        if self.direction is not Direction.FORWARD or not self.files:
            return
        from codemods.cross_file import cross_file_findings

        sources = {item.path: item.source for item in candidates}
        results = {file.path: file.result for file in self.files}
        added = cross_file_findings(sources, results, self.found.paths)
        places = {(one.path, one.line, one.code) for one in added if one.severity is not Severity.INFO}
        self.findings = [one for one in self.findings if (one.path, one.line, one.code) not in places] + added

    def _options_for(self, path: str, options: Options) -> Options:
        own = options.first_party | self.local.shadowing(path)
        return dataclasses.replace(options, first_party=own, lent=self.lent.get(path, frozenset()))

    def finished(self) -> Plan:
        in_order = sorted(set(self.findings), key=lambda one: (one.path, one.line, one.column, one.code, one.message))
        files = tuple(sorted(self.files, key=lambda file: file.path))
        sizes = len(self.found.paths), len(self.found.candidates)
        shadowed = self.local.at_root()
        return Plan(self.found.root, files, tuple(in_order), *sizes, self.found.listed_by, shadowed)


def make_plan(
    found: Discovery,
    options: Options,
    *,
    direction: Direction = Direction.FORWARD,
    to: str = "trl",
    num_jobs: int = 1,
    progress: Progress = _silent,
) -> Plan:
    """Rewrite every candidate in memory and gather what would change and what needs eyes.

    Dependency lists come last: they are read for the pinned release first, and only matter at all when something
    else in the tree uses ORPO.
    """
    loans = _loans(found, direction)
    local = find_local_packages(found.paths)
    desk = _Desk(found, direction, to, num_jobs, progress, local, loans.names, findings=[*found.skipped])
    desk.findings += loans.findings
    owned = [item for item in found.candidates if desk.local.owns(item.path)]
    desk.findings += [_own_package(item.path) for item in owned]
    open_to_change = [item for item in found.candidates if item not in owned]
    lists = [item for item in open_to_change if _lists_packages(item)]
    sources = [item for item in open_to_change if item not in lists]
    if options.trl_version is None:
        options = dataclasses.replace(options, trl_version=_pinned(lists))
    desk.rewrite(sources, options)
    desk.look_across(sources)
    in_use = desk.files or any(finding.code != "OC114" for finding in desk.findings)
    if in_use or any(b"orpo_compat" in item.source for item in sources):
        desk.rewrite(lists, _while_trl_is_used(desk, options) if options.drop_trl else options)
    return desk.finished()


def _loans(found: Discovery, direction: Direction) -> Loans:
    if direction is not Direction.FORWARD:
        return Loans({})
    return find_loans(found.root, {item.path: item.source for item in found.candidates}, frozenset(found.paths))


def _pinned(lists: Sequence[Candidate]) -> str | None:
    from codemods.trl_version import release_of

    return release_of((item.path, item.source) for item in lists)


def _while_trl_is_used(desk: _Desk, options: Options) -> Options:
    """The same options, without ``drop_trl`` when something in the tree will still import TRL."""
    user = first_user_of_trl(desk.found, {file.path: file.result for file in desk.files})
    if user is None:
        return options
    message, advice = "Still imports trl, so trl stays in the dependency lists.", "Nothing to do."
    desk.findings.append(Finding("OC120", user, 1, 1, message, advice, Severity.INFO))
    return dataclasses.replace(options, drop_trl=False)
