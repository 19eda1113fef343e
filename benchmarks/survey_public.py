"""Run the codemod over packages nobody here wrote, and check what it did by other means than its own.

    pip download --no-deps --dest packages trl==0.24.0 axolotl ms-swift ...
    python benchmarks/survey_public.py packages [--out survey.json] [--show-misses]

Every wheel, archive or folder in PACKAGES is unpacked into a git repository of its own. ``migrate --no-verify`` runs
there; then each changed file must still parse and differ in nothing but ORPO's imports and names, every line that
speaks of TRL's ORPO must be edited or in the report (a *miss* otherwise), and ``--rollback`` must bring back every
byte and a clean ``git status``. Exits 1 if anything of that fails. Nothing of the packages is imported or run.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from survey_checks import (
    calls_that_do_not_build,
    mentions,
    statement_of,
    unwanted_changes,
    unwanted_notebook_changes,
)

_WHOLE_FILE = {"OC113", "OC114", "OC115", "OC116"}
"""Findings at line 1 that speak for a whole file."""
_TEXT = (".py", ".pyi", ".ipynb", ".md", ".mdx", ".rst", ".txt", ".yaml", ".yml", ".toml", ".json", ".cfg", ".sh")


@dataclass
class Row:
    """One package."""

    package: str
    files: int = 0
    mentions: int = 0
    rewritten: int = 0
    edits: int = 0
    findings: int = 0
    refused: str = ""
    problems: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)


def unpack(source: Path, into: Path) -> None:
    """A wheel, archive or folder as a folder."""
    if source.is_dir():
        shutil.copytree(source, into, symlinks=True)
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            archive.extractall(into)
    else:
        with tarfile.open(source) as archive:
            archive.extractall(into, filter="data")


def git(tree: Path, *arguments: str) -> str:
    """Run git there, with an identity of its own."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "core.autocrlf=false", "-c", "core.fsync=none")
    command = ["git", "-C", str(tree), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **settings}).stdout


def contents(tree: Path) -> dict[str, bytes]:
    """Every file by path, git's and the journal's folders left out."""
    found = {}
    for folder, folders, files in os.walk(tree):
        folders[:] = [name for name in folders if name not in (".git", ".orpo-compat")]
        for name in files:
            place = Path(folder) / name
            if not place.is_symlink():
                found[place.relative_to(tree).as_posix()] = place.read_bytes()
    return found


def digest(files: dict[str, bytes]) -> str:
    """One digest of all paths and bytes."""
    whole = hashlib.sha256()
    for path, content in sorted(files.items()):
        whole.update(path.encode("utf-8", "surrogateescape") + b"\0" + hashlib.sha256(content).digest())
    return whole.hexdigest()


def migrate(tree: Path, *arguments: str) -> tuple[int, str]:
    """Run our command on the tree; its exit code and what it said."""
    command = [sys.executable, "-m", "orpo_compat", "migrate", str(tree), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tree.parent, check=False)
    return done.returncode, done.stderr


def check_files(before: dict[str, bytes], after: dict[str, bytes], changed: set[str]) -> Iterator[str]:
    """Everything wrong with the bytes after the switch."""
    if before.keys() != after.keys():
        yield f"files came or went: {sorted(before.keys() ^ after.keys())[:5]}"
    for path in sorted(before.keys() & after.keys()):
        if before[path] == after[path]:
            continue
        if path not in changed:
            yield f"{path}: changed and not in the report"
        check = unwanted_notebook_changes if path.endswith(".ipynb") else unwanted_changes
        for problem in check(before[path], after[path]):
            yield f"{path}: {problem}"


def check_calls(after: dict[str, bytes], report: dict[str, Any]) -> Iterator[str]:
    """Calls in switched files that ours would refuse, and that the report does not list."""
    from orpo_compat import ORPOConfig, ORPOTrainer

    accepted = {one.__name__: set(inspect.signature(one).parameters) for one in (ORPOConfig, ORPOTrainer)}
    listed = {(one["path"], one["line_after"]) for one in report["findings"] if one["code"] == "OC124"}
    for path in sorted(file["path"] for file in report["files"] if file["path"].endswith(".py")):
        for line, call in calls_that_do_not_build(after[path], accepted):
            if (path, line) not in listed:
                yield f"{path}:{line}: {call} is not accepted, and not reported"


def find_misses(after: dict[str, bytes], report: dict[str, Any]) -> tuple[int, list[str]]:
    """How many lines still speak of TRL's ORPO, and those of them that no finding lists."""
    listed: dict[str, set[int]] = {}
    whole: set[str] = set()
    for one in report["findings"]:
        listed.setdefault(one["path"], set()).update((one["line"], one["line_after"]))
        if one["line"] == 1 and one["code"] in _WHOLE_FILE:
            whole.add(one["path"])
    num, missed = 0, []
    for path, content in sorted(after.items()):
        if ".egg-info/" in path or (not path.endswith(_TEXT) and "." in Path(path).name):
            continue
        for line, text in mentions(path, content):
            num += 1
            lines = listed.get(path, set())
            if path not in whole and lines.isdisjoint(statement_of(path, content, line)):
                missed.append(f"{path}:{line}: {text}")
    return num, missed


def survey(source: Path, folder: Path) -> Row:
    """One package from unpacking to rollback."""
    row, tree = Row(source.name), folder / "tree"
    unpack(source, tree)
    git(tree, "init", "--quiet")
    git(tree, "add", "--all", "--force")
    git(tree, "commit", "--quiet", "--message", "As published")
    before = contents(tree)
    code, said = migrate(tree, "--no-verify", "--yes", "--report", "json", "--output", str(folder / "report.json"))
    if code == 6 and "(OC113)" in said:
        row.files, row.refused = len(before), "it is TRL, or holds a copy of it"
        return row
    if code not in (0, 3):
        row.problems.append(f"migrate exited {code}: {said.strip()[-300:]}")
        return row
    report = json.loads((folder / "report.json").read_text())
    after = contents(tree)
    row.files, row.rewritten, row.edits = len(before), report["counts"]["changed"], report["counts"]["edits"]
    row.findings = report["counts"]["findings"]
    row.problems += check_files(before, after, {file["path"] for file in report["files"]})
    row.problems += check_calls(after, report)
    row.mentions, row.misses = find_misses(after, report)
    migrate(tree, "--rollback")
    if digest(contents(tree)) != digest(before):
        row.problems.append("rollback did not bring back every byte")
    if git(tree, "status", "--porcelain").strip():
        row.problems.append("git status is not clean after the rollback")
    return row


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    head = "| package | files | rewritten | edits | findings | lines that still name it | unlisted | problems |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for row in rows:
        counts = (row.rewritten, row.edits, row.findings, row.mentions, len(row.misses), len(row.problems))
        cells = (row.package, row.files, *(("refused", *["-"] * 5) if row.refused else counts))
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main() -> int:
    """Survey every package of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path, help="folder of wheels, archives or unpacked packages")
    parser.add_argument("--out", type=Path, default=None, help="write the rows here as JSON")
    parser.add_argument("--show-misses", action="store_true", help="print the lines that no finding lists")
    asked = parser.parse_args()
    rows = []
    for source in sorted(asked.packages.iterdir()):
        with tempfile.TemporaryDirectory() as folder:
            row = survey(source, Path(folder))
        rows.append(row)
        print(f"{row.package}: {row.rewritten} rewritten, {len(row.misses)} misses", file=sys.stderr)
        for line in [*row.problems, *(row.misses if asked.show_misses else ())]:
            print(f"  {line}", file=sys.stderr)
    print(table(rows))
    if asked.out is not None:
        asked.out.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    return int(any(row.problems or row.misses for row in rows))


if __name__ == "__main__":
    sys.exit(main())
