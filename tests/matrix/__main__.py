"""``python -m tests.matrix``: see the package."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.matrix.run import run_stack, write_table
from tests.matrix.stacks import NEWEST, ROOT, STACKS, constraints, dependencies


def main() -> int:
    """Run, write the table, return 1 if a test failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description="Run the fast tests on the stacks.")
    parser.add_argument("stacks", nargs="*", default=list(STACKS), help="oldest, newest; both by default")
    parser.add_argument("--python", type=Path, help="an interpreter of your own for the one stack named")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="update the table in this page")
    parser.add_argument("--resolve", action="store_true", help="ask pip for the newest releases, into newest.txt")
    options = parser.parse_args()
    if options.resolve:
        resolve_newest()
        return 0
    rows = [run_stack(stack, python=options.python) for stack in options.stacks]
    if options.write:
        write_table(options.write, rows)
    for row in rows:
        print(f"{row.stack}: {row.passed} passed, {row.failed} failed, {row.skipped} skipped ({row.versions})")
    return 1 if any(row.failed for row in rows) else 0


def resolve_newest() -> None:
    """Ask pip what it would install today, nothing being there, and pin the declared dependencies to it."""
    names = [each.name for each in dependencies()]
    wanted = [f"torch=={constraints()['torch']}" if name == "torch" else name for name in names]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    report = json.loads(subprocess.run([*command, *wanted], check=True, capture_output=True, text=True).stdout)
    installed = [each["metadata"] for each in report["install"]]
    found = {canonicalize_name(each["name"]): each["version"] for each in installed}
    pins = [f"{name}=={found[name].partition('+')[0]}\n" for name in names]
    NEWEST.write_text("".join(pins), encoding="utf-8")
    print(f"wrote {NEWEST.relative_to(ROOT)}")


if __name__ == "__main__":
    raise SystemExit(main())
